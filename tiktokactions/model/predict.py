"""Prediction: the labels of any video file, or its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tiktokactions.clips.clip import Clip
from tiktokactions.files.changes import unfinished
from tiktokactions.model.evaluate import load_run, merge_views, run_views, trained_sampling
from tiktokactions.model.hardware import hardware
from tiktokactions.model.options import PredictOptions
from tiktokactions.model.run import RunError
from tiktokactions.model.training import Report


@dataclass(frozen=True)
class LabelProbability:
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The most probable labels of a video, the first the most probable."""

    path: str
    top: tuple[LabelProbability, ...]


def predict(
    run: Path, clips: Sequence[Clip], options: PredictOptions, *, report: Report = lambda progress: None
) -> list[Prediction]:
    """The labels of videos, in the order given.

    Raises:
        RunError: not a finished fine-tuning.
        UnreadableError: a video cannot be read.
    """
    model, info = load_run(run)
    if info.labels is None:
        raise RunError(f"{run}: a pre-trained run knows no labels; use `features`, or fine-tune it first")
    with hardware(options) as machine:
        sampling = trained_sampling(info, options)
        found = run_views(model, clips, options, machine, report, *sampling, merge=merge_views)
    predictions = []
    for clip, probabilities in zip(clips, found, strict=True):
        top = probabilities.topk(min(options.top, len(info.labels)))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        predictions.append(Prediction(clip.path, tuple(LabelProbability(info.labels[i], p) for i, p in pairs)))
    return predictions


def write_features(
    run: Path, clips: Sequence[Clip], options: PredictOptions, output: Path, *, report: Report = lambda progress: None
) -> int:
    """Write one pooled feature per video, the mean over its views, as Parquet; returns their length D.

    Columns: ``path``, ``label`` (null where unknown), ``video_id``, ``feature`` (list of D float32).

    Raises:
        RunError: the run is not finished.
        UnreadableError: a video cannot be read.
    """
    model, info = load_run(run)
    with hardware(options) as machine:
        sampling, mean = trained_sampling(info, options), partial(torch.mean, dim=0)
        found = run_views(model, clips, options, machine, report, *sampling, merge=mean, features=True)
        if machine.processes.is_first:
            matrix = torch.stack(found).numpy()
            names = ("path", "label", "video_id")
            columns = {name: pa.array([getattr(clip, name) for clip in clips], pa.string()) for name in names}
            columns["feature"] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
            output.parent.mkdir(parents=True, exist_ok=True)
            with unfinished(output) as staged:
                pq.write_table(pa.table(columns), staged, compression="zstd")
    return model.config.embed_dim
