"""Pre-training, fine-tuning, evaluation, prediction and export of models."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tiktokactions.commands.errors import checked_options, need_torch, on_disk, usage_errors
from tiktokactions.errors import UsageError
from tiktokactions.model.progress import TrainingProgress

if TYPE_CHECKING:
    from tiktokactions.clips.clip import Clip, ClipSet, Side
    from tiktokactions.model.evaluate import Evaluation
    from tiktokactions.model.options import FinetuneOptions
    from tiktokactions.model.predict import Prediction


def pretrain(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    init: str | os.PathLike[str] | None = None,
    mix: Sequence[float] | None = None,
    dry_run: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> dict[str, Any]:
    """Pre-train VideoMAE V2 on videos without using their labels (paper, section 4.1 and Table 2).

    Args:
        data: datasets, folders or lists; of data with a test side only the train side is used.
        output: the run folder. Rerunning with the same options continues where it stopped.
        init: a run or a weights file to begin with, with a fresh schedule.
        mix: one weight for each of ``data``: how much of an epoch comes from it.
        dry_run: return every derived number without training.
        progress: called every few steps.
        **options: any field of :class:`tiktokactions.model.options.PretrainOptions`.

    Returns:
        ``run``, ``steps``, ``loss`` and more, as in ``result.json``; of a dry run the derived numbers.

    Raises:
        UsageError: data or options that make no sense, or the extra ``train`` is not installed.
        UnreadableError: a clip cannot be read; the message names it.
        NonFiniteLossError: training diverged.
    """
    from tiktokactions.model.options import PretrainOptions

    settings = checked_options(PretrainOptions, options)
    sources = [os.fspath(d) for d in ([data] if isinstance(data, (str, os.PathLike)) else data)]
    if not sources:
        raise UsageError("no data given: expected datasets, folders of videos or lists")
    if mix is not None and (len(mix) != len(sources) or min(mix) <= 0):
        raise UsageError(f"--mix: got {list(mix)}, expected a weight above 0 for each of the {len(sources)} data")
    need_torch(settings.decoder)
    with usage_errors():
        from tiktokactions.model.pretrain import dry_pretrain, pretrain

        parts = [_clips(source, "train", settings, unsplit_is_all=True) for source in sources]
        if dry_run:
            return dry_pretrain(sum(len(part.clips) for part in parts), settings)
        parts = _readable(parts, settings, on_disk(output, "a run"), progress)
        clips = [clip for part in parts for clip in part.clips]
        return pretrain(
            clips,
            settings,
            on_disk(output, "a run"),
            sources=sources,
            shares=None if mix is None else _shares(mix, [len(part.clips) for part in parts]),
            init=None if init is None else on_disk(init, "--init"),
            report=progress,
        )


def finetune(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    val: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    init: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> dict[str, Any]:
    """Fine-tune a classifier on labelled videos and test it (paper, section 4.2 and Table 3).

    Args:
        data: a split dataset, official splits, a list or a folder of class folders; its train side is learned from.
        output: the run folder. Rerunning with the same options continues where it stopped.
        val, test: other data to look at after epochs, and to test on at the end (default: these sides of ``data``, where
            it has them).
        init: a run or a weights file to begin with.
        dry_run: return every derived number without training.
        progress: called every few steps.
        **options: any field of :class:`tiktokactions.model.options.FinetuneOptions`.

    Returns:
        ``run``, ``steps``, ``loss`` and more, as in ``result.json``; ``test`` holds the evaluation, where there was one.

    Raises:
        UsageError, UnreadableError, NonFiniteLossError: as :func:`pretrain`.
    """
    from tiktokactions.model.options import EvaluateOptions, FinetuneOptions

    settings = checked_options(FinetuneOptions, options)
    need_torch(settings.decoder)
    with usage_errors():
        from tiktokactions.model.evaluate import evaluate, label_numbers
        from tiktokactions.model.finetune import dry_finetune, finetune, require_labels

        train = _clips(data, "train", settings)
        looked_at, tested_on = _other_side(data, val, "val", settings), _other_side(data, test, "test", settings)
        for other in (*looked_at, *tested_on):
            label_numbers(other, require_labels(train), train.source)  # now, not after hours of training
        if dry_run:
            return dry_finetune(train, settings, None if init is None else on_disk(init, "--init"))
        run = on_disk(output, "a run")
        [train, *looked_at] = _readable([train, *looked_at], settings, run, progress)
        result = finetune(
            train,
            settings,
            run,
            val=next((v for v in looked_at if v.clips), None),
            init=None if init is None else on_disk(init, "--init"),
            report=progress,
        )
        if not result["finished"] or not tested_on:
            return result
        shared = {
            f.name: getattr(settings, f.name) for f in dataclasses.fields(EvaluateOptions) if hasattr(settings, f.name)
        }
        folder = run / "evaluations" / "test"
        [clips] = _readable(tested_on, settings, folder, progress)
        looks = EvaluateOptions(**(shared | {"stride": None}))
        return result | {"test": dataclasses.asdict(evaluate(run, clips, looks, folder, report=progress))}


def evaluate(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> Evaluation:
    """Test a fine-tuned run on labelled videos: 5 × 3 views of each from one decode, probabilities averaged.

    Args:
        run: a finished run of :func:`finetune`.
        data: a split dataset, official splits, a list or a folder of class folders.
        output: folder for predictions, tables and pictures (default: in the run, named after the data).
        progress: called after every video.
        **options: any field of :class:`tiktokactions.model.options.EvaluateOptions`.

    Raises:
        UsageError: data, run or options that make no sense, or the extra ``train`` is not installed.
        UnreadableError: a clip cannot be read; the message names it.
    """
    from tiktokactions.model.options import EvaluateOptions

    settings = checked_options(EvaluateOptions, options)
    need_torch(settings.decoder)
    with usage_errors():
        from tiktokactions.files import located
        from tiktokactions.model.evaluate import evaluate

        name = f"{located(data).resolve().stem}-{settings.side}"
        folder = (
            on_disk(output, "an evaluation") if output is not None else on_disk(run, "a run") / "evaluations" / name
        )
        [tested_on] = _readable([_clips(data, settings.side, settings)], settings, folder, progress)
        return evaluate(on_disk(run, "a run"), tested_on, settings, folder, report=progress)


def predict(
    run: str | os.PathLike[str],
    videos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    features: str | os.PathLike[str] | None = None,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> list[Prediction] | FeaturesWritten:
    """The labels of any video files, or with ``features`` a Parquet file of what the last layer sees.

    Args:
        run: a finished run of :func:`finetune`; for features also of :func:`pretrain`.
        videos: files, folders, globs or lists, as for :func:`curate`; datasets (their accepted clips).
        features: write one pooled feature per video to this file instead of predicting labels.
        progress: called after every video.
        **options: any field of :class:`tiktokactions.model.options.PredictOptions`.

    Raises:
        UsageError: as :func:`evaluate`.
        UnreadableError: a video cannot be read; the message names it.
    """
    from tiktokactions.model.options import PredictOptions

    settings = checked_options(PredictOptions, options)
    need_torch(settings.decoder)
    with usage_errors():
        from tiktokactions.model.predict import predict, write_features

        finished = on_disk(run, "a run")
        target = None if features is None else on_disk(features, "a file of features")
        inputs = [os.fspath(v) for v in ([videos] if isinstance(videos, (str, os.PathLike)) else videos)]
        found = _video_clips(inputs)
        if settings.skip_unreadable:
            found, lost = _split_unreadable(found, settings, progress)
            for clip, reason in lost:
                progress(_note(f"left out: {clip.path}: {reason}"))
        if target is None:
            return predict(finished, found, settings, report=progress)
        length = write_features(finished, found, settings, target, report=progress)
        return FeaturesWritten(str(target), len(found), length)


@dataclass(frozen=True)
class FeaturesWritten:
    """A file of features: one row per video."""

    features: str
    videos: int
    length: int
    """Numbers in a feature."""


def export(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    to: Literal["huggingface", "official"] = "huggingface",
) -> Path:
    """Write a run's weights as other programs read them.

    Args:
        run: a finished run, or any weights file that ``init`` takes.
        output: a folder for ``huggingface`` (``from_pretrained`` opens it), a ``.pth`` file for ``official``.

    Raises:
        UsageError: nothing to export there, or the extra ``train`` is not installed.
    """
    need_torch()
    with usage_errors():
        from tiktokactions.model.export import export

        return export(on_disk(run, "a run"), on_disk(output, "an export"), to=to)


def _clips(data: str | os.PathLike[str], side: Any, settings: Any, unsplit_is_all: bool = False) -> ClipSet:
    """The clips of one side of some data; with ``unsplit_is_all`` all of a dataset that was never split."""
    from tiktokactions.clips.read import read_clips
    from tiktokactions.dataset.assignments import is_split
    from tiktokactions.files import located

    folder = located(data)
    if unsplit_is_all and (folder / "dataset.json").is_file() and not is_split(folder):
        side = "all"
    return read_clips(data, side=side, media=settings.media, fold=settings.fold)


def _other_side(
    data: str | os.PathLike[str], other: str | os.PathLike[str] | None, side: Side, settings: FinetuneOptions
) -> list[ClipSet]:
    """The val or test side, of other data where they are given; none where the same data have no such side."""
    from tiktokactions.clips.read import has_side

    if other is None and not has_side(data, side):
        return []
    found = _clips(data if other is None else other, side, settings)
    return [found] if found.clips or other is not None else []


def _readable(
    data: Sequence[ClipSet], settings: Any, folder: Path, progress: Callable[[TrainingProgress], None]
) -> list[ClipSet]:
    """With ``--skip-unreadable`` the clips that can be decoded; all others are listed in ``unreadable.csv``."""
    if not settings.skip_unreadable:
        return list(data)
    from tiktokactions.model.run_folder import write_clips

    good, lost = _split_unreadable([clip for part in data for clip in part.clips], settings, progress)
    if lost:
        path = folder / "unreadable.csv"
        write_clips(path, [clip for clip, _ in lost], [reason for _, reason in lost])
        progress(_note(f"{len(lost)} of {len(good) + len(lost)} clips cannot be read and are left out: {path}"))
    kept = set(good)
    return [replace(part, clips=tuple(clip for clip in part.clips if clip in kept)) for part in data]


def _split_unreadable(
    clips: Sequence[Clip], settings: Any, progress: Callable[[TrainingProgress], None]
) -> tuple[list[Clip], list[tuple[Clip, str]]]:
    from tiktokactions.model.hardware import Processes, worker_count
    from tiktokactions.model.loader import check_readable

    progress(_note(f"decoding {len(clips)} clips once to find those that cannot be read"))
    lost = check_readable(clips, worker_count(settings, Processes()))
    bad = {clip for clip, _ in lost}
    return [clip for clip in clips if clip not in bad], lost


def _note(message: str) -> TrainingProgress:
    return TrainingProgress(message)


def _shares(mix: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """For each clip its share of an epoch, so that every data has its weight whatever its size."""
    return [weight / size for weight, size in zip(mix, sizes, strict=True) for _ in range(size)]


def _video_clips(inputs: list[str]) -> list[Clip]:
    """The accepted clips of datasets, and every video of all other inputs."""
    from tiktokactions.clips.clip import Clip, Stored
    from tiktokactions.clips.read import read_clips
    from tiktokactions.curation.sources import list_videos
    from tiktokactions.files import is_address, located

    datasets = [given for given in inputs if (located(given) / "dataset.json").is_file()]
    found = [clip for given in datasets for clip in read_clips(given, side="all").clips]
    if others := [given for given in inputs if given not in datasets]:
        for video in list_videos(others):
            stored = Stored(video.path, str(video.fingerprint)) if is_address(video.path) else None
            found.append(Clip(video.path, None, stored=stored))
    if not found:
        raise UsageError(f"{', '.join(inputs)}: no video found there")
    return found
