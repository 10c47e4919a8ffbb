"""Predict the labels of any videos, or write their features."""

from __future__ import annotations

from collections.abc import Callable

from tiktokactions.clips.clip import Clip, Stored
from tiktokactions.clips.read import read_clips
from tiktokactions.commands.options import AnyPath, AnyPaths, need_torch, nothing, on_disk, path_list, takes
from tiktokactions.commands.training_clips import register_made
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors, is_address, located
from tiktokactions.model.options import PredictOptions
from tiktokactions.model.predictions import FeaturesWritten, Prediction
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.options import checked_options


@takes(PredictOptions)
def predict(
    run: AnyPath,
    videos: AnyPaths,
    *,
    features: AnyPath | None = None,
    each: Callable[[Prediction], None] = nothing,
    progress: Callable[[TrainingProgress], None] = nothing,
    **options: object,
) -> list[Prediction] | FeaturesWritten:
    """The labels of any videos, or their features. A video that cannot be read has its reason instead.

    Args:
        run: a finished run of 'finetune'; for features also of 'pretrain'.
        videos: files, folders, globs, lists, or datasets (their accepted clips).
        features: instead of labels a ``.parquet`` file of one feature per video, or with ``window_s`` a folder of ``.npy``.
        each: given every prediction as soon as it is made.
        progress: called after every video.
        **options: any field of :class:`tiktokactions.model.options.PredictOptions`.

    Raises:
        UsageError: as :func:`evaluate`.

    Example:
        tiktokactions predict runs/finetuned videos/walking/one.mp4
        tiktokactions predict runs/finetuned videos/ --features features.parquet
        tiktokactions predict runs/finetuned videos/walking/one.mp4 --window-s 2 --step-s 1
    """

    settings = checked_options(PredictOptions, options)
    need_torch(settings.decoder)
    with disk_errors():
        from tiktokactions.model.predict import predict, write_features, write_window_features

        finished = on_disk(run, "a run")
        target = None if features is None else on_disk(features, "a file of features")
        inputs = path_list(videos)
        found = _video_clips(inputs)
        if target is None:
            return predict(finished, found, settings, each=each, report=progress)
        if settings.window_s is not None and target.suffix == ".parquet":
            raise UsageError(
                f"`features` {features}: with `window_s` expected a folder, which gets a .npy for each video"
            )
        register_made([finished, *inputs], found, target, "features")
        if settings.window_s is None:
            return write_features(finished, found, settings, target, report=progress)
        return write_window_features(finished, found, settings, target, report=progress)


def _video_clips(inputs: list[str]) -> list[Clip]:
    """The accepted clips of datasets, and every video of all other inputs."""
    from tiktokactions.curation.sources import list_videos

    datasets = [given for given in inputs if (located(given) / "dataset.json").is_file()]
    found = [clip for given in datasets for clip in read_clips(given, side="all").clips]
    if others := [given for given in inputs if given not in datasets]:
        for video in list_videos(others):
            stored = Stored(video.path, str(video.fingerprint)) if is_address(video.path) else None
            found.append(Clip(video.path, None, stored=stored))
    if not found:
        raise UsageError(f"{', '.join(inputs)}: no video found there")
    return found
