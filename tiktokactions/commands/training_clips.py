"""The clips that training commands read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tiktokactions.clips.clip import Clip, ClipSet, Side
from tiktokactions.clips.read import read_clips
from tiktokactions.clips.synthetic import asked_synthetic, real_data, synthetic_clips
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.dataset.assignments import is_split
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.errors import UsageError
from tiktokactions.files import located, write_json
from tiktokactions.model.options import DataOptions, FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import clips_fingerprint, write_clips
from tiktokactions.takedowns.derived import Kind, around, register, register_given


def clips_of(data: AnyPath, side: Side, settings: DataOptions, unsplit_is_all: bool = False) -> ClipSet:
    """The clips of one side of some data, or made ones; with ``unsplit_is_all`` all of a dataset that was never split."""
    if (asked := asked_synthetic(data)) is not None:
        number, shown = asked
        return synthetic_clips(number, clips_of(shown, side, settings, unsplit_is_all).clips if shown else ())
    folder = located(data)
    if unsplit_is_all and (folder / "dataset.json").is_file() and not is_split(Dataset(folder).tables):
        side = "all"
    return read_clips(data, side=side, media=settings.media, fold=settings.fold)


def classes_of(label_map: AnyPath | None) -> dict[tuple[str, str], str]:
    """What a map says of labels; nothing where none is given. Read once: it may be a pipe."""
    from tiktokactions.model.labels import read_label_map

    return {} if label_map is None else read_label_map(on_disk(label_map, "`label_map`"))


def first_of(**given: AnyPath | None) -> dict[str, Path]:
    """What a training begins with, by its option; at most one of them."""
    found = {name: on_disk(path, f"`{name}`") for name, path in given.items() if path is not None}
    if len(found) > 1:
        raise UsageError(f"{' and '.join(f'`{name}`' for name in found)}: expected one of them, a run begins once")
    return found


def register_made(inputs: Iterable[AnyPath], clips: Iterable[Clip], output: Path, kind: Kind) -> None:
    """Remember what is made of some inputs and clips: a list may name those of any dataset, which remembers the list, too."""
    paths = [clip.stored.file if clip.stored else clip.file for clip in clips]
    folders, inputs = [*dict.fromkeys(map(os.path.dirname, filter(None, paths)))], real_data(inputs)
    register([*inputs, *folders], output, kind)
    for folder in filter(None, map(around, folders)):
        register_given((given for given in inputs if around(given) is None), folder)


def readable_clips(
    data: Sequence[ClipSet],
    settings: PretrainOptions | FinetuneOptions,
    folder: Path,
    progress: Callable[[TrainingProgress], None],
) -> list[ClipSet]:
    """With ``skip_unreadable``, only the clips that can be decoded; the others are listed in ``unreadable.csv``.

    The first process decodes them, once: ``readable.json`` remembers which clips were looked at.
    """
    if not settings.skip_unreadable:
        return list(data)
    from tiktokactions.model.hardware import hardware

    clips = [clip for part in data for clip in part.clips]
    with hardware(settings) as machine:
        first = machine.processes.is_first
        lost = set(machine.everyones(_unreadable(clips, settings, folder, progress) if first else [])[0])
    return [replace(part, clips=tuple(clip for clip in part.clips if clip not in lost)) for part in data]


def _unreadable(
    clips: Sequence[Clip],
    settings: PretrainOptions | FinetuneOptions,
    folder: Path,
    progress: Callable[[TrainingProgress], None],
) -> list[Clip]:
    from tiktokactions.model.hardware import worker_count
    from tiktokactions.model.loader import check_readable

    list_path, memory = folder / "unreadable.csv", folder / "readable.json"
    looked_at = clips_fingerprint(clips, ())
    known = json.loads(memory.read_bytes()) if memory.is_file() else {}
    if known.get("looked_at") == looked_at:
        lost = [clips[number] for number in known["unreadable"]]
    else:
        progress(TrainingProgress(f"decoding {len(clips)} clips once to find those that cannot be read"))
        found = check_readable(clips, worker_count(settings))
        lost = [clip for clip, _ in found]
        write_clips(list_path, lost, [reason for _, reason in found])
        numbers = [number for number, clip in enumerate(clips) if clip in set(lost)]
        write_json(memory, {"looked_at": looked_at, "unreadable": numbers})
    if lost:
        progress(TrainingProgress(f"{len(lost)} of {len(clips)} clips cannot be read and are left out: {list_path}"))
    return lost
