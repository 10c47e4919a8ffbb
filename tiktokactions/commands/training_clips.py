"""The clips that training commands read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tiktokactions.clips.clip import Clip, ClipSet, Side
from tiktokactions.clips.read import read_clips
from tiktokactions.commands.options import AnyPath
from tiktokactions.dataset.assignments import is_split
from tiktokactions.files import located
from tiktokactions.model.options import DataOptions, EvaluateOptions, FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import write_clips

ReadingOptions = PretrainOptions | FinetuneOptions | EvaluateOptions


def clips_of(data: AnyPath, side: Side, settings: DataOptions, unsplit_is_all: bool = False) -> ClipSet:
    """The clips of one side of some data; with ``unsplit_is_all`` all of a dataset that was never split."""
    folder = located(data)
    if unsplit_is_all and (folder / "dataset.json").is_file() and not is_split(folder):
        side = "all"
    return read_clips(data, side=side, media=settings.media, fold=settings.fold)


def readable_clips(
    data: Sequence[ClipSet], settings: ReadingOptions, folder: Path, progress: Callable[[TrainingProgress], None]
) -> list[ClipSet]:
    """With ``skip_unreadable``, only the clips that can be decoded; the others are listed in ``unreadable.csv``."""
    if not settings.skip_unreadable:
        return list(data)
    good, lost = split_unreadable([clip for part in data for clip in part.clips], settings, progress)
    if lost:
        path = folder / "unreadable.csv"
        write_clips(path, [clip for clip, _ in lost], [reason for _, reason in lost])
        progress(
            TrainingProgress(f"{len(lost)} of {len(good) + len(lost)} clips cannot be read and are left out: {path}")
        )
    kept = set(good)
    return [replace(part, clips=tuple(clip for clip in part.clips if clip in kept)) for part in data]


def split_unreadable(
    clips: Sequence[Clip], settings: ReadingOptions, progress: Callable[[TrainingProgress], None]
) -> tuple[list[Clip], list[tuple[Clip, str]]]:
    from tiktokactions.model.hardware import worker_count
    from tiktokactions.model.loader import check_readable

    progress(TrainingProgress(f"decoding {len(clips)} clips once to find those that cannot be read"))
    lost = check_readable(clips, worker_count(settings))
    bad = {clip for clip, _ in lost}
    return [clip for clip in clips if clip not in bad], lost
