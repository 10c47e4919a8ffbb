"""Prediction: the labels of any video file, or its features."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from tiktokactions.clips.clip import Clip
from tiktokactions.files import delete, unfinished, write_json
from tiktokactions.model.evaluate import lines_of, load_run, merge_of, run_views, trained_sampling
from tiktokactions.model.hardware import Hardware, hardware
from tiktokactions.model.options import PredictOptions
from tiktokactions.model.predictions import FeaturesWritten, LabelProbability, Prediction
from tiktokactions.model.progress import Report
from tiktokactions.model.run import RunError
from tiktokactions.model.samples import open_clip
from tiktokactions.records import JsonObject
from tiktokactions.video import SAME_TIME_S, UnreadableError

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
        clips: with ``window_s`` every one of them is predicted window by window.
        each: given every prediction as soon as it is made.

    Raises:
        RunError: not a finished fine-tuning.
    """
    clips = [window for clip in clips for window in windows_of(clip, options)]
    model, info = load_run(run)
    if info.labels is None:
        raise RunError(f"{run}: a pre-trained run knows no labels; use `features`, or fine-tune it first")
    predictions = []
    with hardware(options) as machine:
        how = (options, machine, report, *trained_sampling(info, options))
        found = run_views(model, clips, *how, merge=merge_of(info))
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


# --- windows -------------------------------------------------------------------------------------------------------


def windows_of(clip: Clip, options: PredictOptions) -> list[Clip]:
    """Windows from the clip's first frame on, ``step_s`` apart, until one reaches its end; the last may be shorter. Where
    none are asked for, and where the clip cannot be read, the clip itself: its reason comes later."""
    if options.window_s is None:
        return [clip]
    try:
        with open_clip(clip, options.decoder) as reader:
            begin_s, end_s = reader.span_s
    except UnreadableError:
        return [clip]
    step_s = options.step_s or options.window_s
    more = max(0, math.ceil((end_s - begin_s - options.window_s) / step_s - SAME_TIME_S))
    starts_s = [begin_s + number * step_s for number in range(more + 1) if number * step_s < end_s - begin_s]
    ends_s = [min(start_s + options.window_s, end_s) for start_s in starts_s]
    return [replace(clip, start_s=a, end_s=b) for a, b in zip(starts_s, ends_s, strict=True)]


def write_window_features(
    run: Path, clips: Sequence[Clip], options: PredictOptions, output: Path, *, report: Report = lambda progress: None
) -> FeaturesWritten:
    """Write the features of every video over time, as code for temporal action detection reads them.

    ``<video>.npy`` is float32 (windows, D), as ActionFormer, TriDet and OpenTAD take it; ``database.json`` is a list of
    annotations as they read it: for every video ``subset`` (``test``), no ``annotations``, ``duration``, ``fps``, ``frame``
    (their number), and in frames what the configurations call ``feat_stride`` and ``num_frames``. A file is there as soon
    as its video is done. A video with a window that cannot be read has no file and a ``reason``, and its ``subset``
    is ``unreadable``, which that code passes over.

    Raises:
        RunError: the run is not finished.
    """
    model, info = load_run(run)
    database: dict[str, JsonObject] = {}
    unreadable: dict[str, str] = {}
    with hardware(options) as machine:
        how = (options, machine, report, *trained_sampling(info, options))
        parts = [(clip, windows_of(clip, options)) for clip in clips]
        windows = [window for _, cut in parts for window in cut]
        found = run_views(model, windows, *how, merge=partial(torch.mean, dim=0), features=True)
        for clip, cut in parts:
            outcomes = list(itertools.islice(found, len(cut)))
            bad = next((outcome for outcome in outcomes if isinstance(outcome, UnreadableError)), None)
            name = _free_name(clip.video_id or Path(clip.path).stem, database)
            database[name] = {"path": clip.path, "subset": "test", "annotations": []}
            if bad is not None:
                unreadable[clip.path] = database[name]["reason"] = bad.detail
                database[name]["subset"] = "unreadable"  # whoever loads what is in "test" finds a file of each
                continue
            database[name] |= _timing(clip, cut, options)
            if machine.processes.is_first:
                rows = torch.stack([outcome for outcome in outcomes if isinstance(outcome, Tensor)])
                output.mkdir(parents=True, exist_ok=True)
                with unfinished(output / f"{name}.npy") as staged:
                    np.save(staged, rows.numpy())
        if machine.processes.is_first:
            write_json(output / "database.json", {"version": "tiktokactions", "database": database})
        machine.everyones(None)
    return FeaturesWritten(str(output), len(clips), model.config.embed_dim, unreadable)


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(free for free in names if free not in taken)


def _timing(clip: Clip, windows: Sequence[Clip], options: PredictOptions) -> JsonObject:
    with open_clip(clip, options.decoder) as reader:
        begin_s, end_s = reader.span_s
        fps = reader.frames / (end_s - begin_s)
    window_s = options.window_s or end_s - begin_s
    frames = {"feat_stride": (options.step_s or window_s) * fps, "num_frames": window_s * fps}
    numbers = {"duration": end_s - begin_s, "fps": fps, **frames}
    rounded = {name: round(number, 6) for name, number in numbers.items()}
    return rounded | {"frame": round((end_s - begin_s) * fps), "windows": len(windows)}


# --- features ------------------------------------------------------------------------------------------------------


def write_features(
    run: Path, clips: Sequence[Clip], options: PredictOptions, output: Path, *, report: Report = lambda progress: None
) -> FeaturesWritten:
    """Write one pooled feature per video, the mean over its views, as Parquet.

    Columns: ``path``, ``label`` (null where unknown), ``video_id``, ``feature`` (list of D float32; null where the video
    cannot be read), ``reason``. While it is made, the rows that are done are lines of ``NAME.partial.jsonl``.

    Raises:
        RunError: the run is not finished.
    """
    model, info = load_run(run)
    length = model.config.embed_dim
    columns = {"path": pa.string(), "label": pa.string(), "video_id": pa.string()}
    schema = pa.schema(columns | {"feature": pa.list_(pa.float32(), length), "reason": pa.string()})
    unreadable: dict[str, str] = {}
    with hardware(options) as machine, _lines_then_parquet(output, schema, machine) as write:
        how = (options, machine, report, *trained_sampling(info, options))
        found = run_views(model, clips, *how, merge=partial(torch.mean, dim=0), features=True)
        for clip, outcome in zip(clips, found, strict=True):
            feature, reason = (
                (None, outcome.detail) if isinstance(outcome, UnreadableError) else (outcome.tolist(), None)
            )
            row = {"path": clip.path, "label": clip.label, "video_id": clip.video_id}
            write(row | {"feature": feature, "reason": reason})
            unreadable |= {} if reason is None else {clip.path: reason}
    return FeaturesWritten(str(output), len(clips), length, unreadable)


ROWS_AT_ONCE = 256


@contextlib.contextmanager
def _lines_then_parquet(
    path: Path, schema: pa.Schema, machine: Hardware
) -> Iterator[Callable[[dict[str, object]], None]]:
    """Writes each row at once to ``NAME.partial.jsonl``, which stays whatever happens; all of them become a Parquet file."""
    if machine.processes.is_first:
        growing = path.with_suffix(".partial.jsonl")
        with lines_of(growing) as write:
            yield write
        with (
            growing.open(encoding="utf-8", errors="surrogateescape") as lines,
            unfinished(path) as staged,
            pq.ParquetWriter(staged, schema, compression="zstd") as writer,
        ):
            while rows := [json.loads(line) for line in itertools.islice(lines, ROWS_AT_ONCE)]:
                writer.write_table(pa.Table.from_pylist(rows, schema))
        delete(growing)
    else:
        yield lambda row: None
    machine.everyones(None)  # the first has written the file
