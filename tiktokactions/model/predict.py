"""Prediction: the labels of any video file, or its features."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from tiktokactions.clips.clip import Clip
from tiktokactions.files import move_into_place
from tiktokactions.model.evaluate import load_run, merge_views, run_views, trained_sampling
from tiktokactions.model.hardware import Hardware, hardware
from tiktokactions.model.options import PredictOptions
from tiktokactions.model.predictions import FeaturesWritten, LabelProbability, Prediction
from tiktokactions.model.run import RunError
from tiktokactions.model.training import Report
from tiktokactions.video import UnreadableError

Each = Callable[[Prediction], None]


def predict(
    run: Path,
    clips: Sequence[Clip],
    options: PredictOptions,
    *,
    each: Each = lambda prediction: None,
    report: Report = lambda progress: None,
) -> list[Prediction]:
    """The labels of videos, in the order given; one that cannot be read has a reason instead.

    Args:
        each: given every prediction as soon as it is made.

    Raises:
        RunError: not a finished fine-tuning.
    """
    model, info = load_run(run)
    if info.labels is None:
        raise RunError(f"{run}: a pre-trained run knows no labels; use `features`, or fine-tune it first")
    predictions = []
    with hardware(options) as machine:
        sampling = trained_sampling(info, options)
        found = run_views(model, clips, options, machine, report, *sampling, merge=merge_views)
        for clip, outcome in zip(clips, found, strict=True):
            predictions.append(_prediction(clip, outcome, info.labels, options.top))
            each(predictions[-1])
    return predictions


def _prediction(clip: Clip, outcome: Tensor | UnreadableError, labels: Sequence[str], most: int) -> Prediction:
    if isinstance(outcome, UnreadableError):
        return Prediction(clip.path, (), clip.start_s, clip.end_s, outcome.detail)
    top = outcome.topk(min(most, len(labels)))
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return Prediction(clip.path, tuple(LabelProbability(labels[i], p) for i, p in pairs), clip.start_s, clip.end_s)


# --- features ------------------------------------------------------------------------------------------------------


def write_features(
    run: Path, clips: Sequence[Clip], options: PredictOptions, output: Path, *, report: Report = lambda progress: None
) -> FeaturesWritten:
    """Write one pooled feature per video, the mean over its views, as Parquet.

    Columns: ``path``, ``label`` (null where unknown), ``video_id``, ``feature`` (list of D float32; null where the video
    cannot be read), ``reason``. Rows are written as they are made: an interrupted file has all that was done.

    Raises:
        RunError: the run is not finished.
    """
    model, info = load_run(run)
    length = model.config.embed_dim
    columns = {"path": pa.string(), "label": pa.string(), "video_id": pa.string()}
    schema = pa.schema(columns | {"feature": pa.list_(pa.float32(), length), "reason": pa.string()})
    unreadable = {}
    with hardware(options) as machine, _growing_parquet(output, schema, machine) as write:
        sampling, mean = trained_sampling(info, options), partial(torch.mean, dim=0)
        found = run_views(model, clips, options, machine, report, *sampling, merge=mean, features=True)
        for clip, outcome in zip(clips, found, strict=True):
            row: dict[str, object] = {"path": clip.path, "label": clip.label, "video_id": clip.video_id}
            if isinstance(outcome, UnreadableError):
                unreadable[clip.path] = outcome.detail
                write(row | {"feature": None, "reason": outcome.detail})
            else:
                write(row | {"feature": outcome.tolist(), "reason": None})
    return FeaturesWritten(str(output), len(clips), length, unreadable)


ROWS_AT_ONCE = 256


@contextlib.contextmanager
def _growing_parquet(path: Path, schema: pa.Schema, machine: Hardware) -> Iterator[Callable[[dict[str, object]], None]]:
    """Writes rows to a Parquet file. What was done before an interruption stays in ``NAME.partial.parquet``."""
    if not machine.processes.is_first:
        yield lambda row: None
        machine.everyones(None)  # the first has written the file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting: list[dict[str, object]] = []
    partial_path = path.with_suffix(".partial.parquet")
    with pq.ParquetWriter(partial_path, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(waiting, schema))
            waiting.clear()

        def write(row: dict[str, object]) -> None:
            waiting.append(row)
            if len(waiting) == ROWS_AT_ONCE:
                flush()

        try:
            yield write
        finally:
            flush()
    move_into_place(partial_path, path)
    machine.everyones(None)
