"""Counting a manifest in batches, without summing up: what :mod:`tiktokactions.dataset.statistics` is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tiktokactions.dataset.manifest import labels_that_count, with_unsaid
from tiktokactions.errors import NotFoundError, UsageError
from tiktokactions.files import Place, readable
from tiktokactions.records import FAILURES

NO_LABEL = "(none)"
UNKNOWN = "unknown"
BATCH_ROWS = 65_536

DURATION_EDGES_S = (3.5, 5.0, 10.0)
"""Table 6 of the paper."""
HISTOGRAM_STEP_S = 0.5
SHORT_SIDE_EDGES = (240, 360, 480, 720, 1080, 2160)

COLUMNS = [
    *("labels", "human_labels", "creator", "status", "reasons", "duration_s", "fps", "width", "height"),
    *("longest_scene_s", "person_frames", "clip_start_s", "clip_end_s", "split", "detector", "orientation"),
    *("copies", "size_bytes", "timings"),
]
LATER_COLUMNS = (
    *("clip_person_frames", "ai_label", "inclusion_probability", "sampling"),
    *("zoomed_share", "interlaced_share", "screen", "hdr"),
)
"""Read with the others where a manifest has them."""
PICTURES = {"zoomed": ("zoomed_share", 0.7), "interlaced": ("interlaced_share", 0.5), "screen": ("screen", 0.9)}
"""Scores of the picture that are counted, and from where on."""
STAGES = ("seen", "readable", "long_enough", "people", "accepted", "needs_review")


def read_batches(manifest: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Iterate over a manifest's rows as ``pyarrow.RecordBatch``; errors as in :func:`dataset_statistics`."""
    if not manifest.is_file():
        raise NotFoundError(
            f"{manifest}: no such file. Expected a dataset's manifest.parquet: run 'tiktokactions curate' first."
        )
    try:
        file = pq.ParquetFile(readable(manifest))
    except pa.ArrowInvalid as error:
        raise UsageError(
            f"{manifest}: not a Parquet file ({error}). Run 'tiktokactions curate' to write it anew."
        ) from error
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise UsageError(
            f"{manifest}: lacks the columns {', '.join(missing)}; written by another version of tiktokactions?"
            " Run 'tiktokactions curate' to write it anew."
        )
    later = [name for name in LATER_COLUMNS if name in file.schema_arrow.names]
    names = file.schema_arrow.names
    return (with_unsaid(batch, names) for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[*columns, *later]))


def labels_of_rows(batch: pa.RecordBatch) -> tuple[np.ndarray, pa.Array]:
    """The labels that count (:func:`labels_that_count`), as pairs: rows (int64, N) and labels (Arrow, N).

    A label that a row names twice is one pair; a row without any label has one pair with :data:`NO_LABEL`.
    """
    labels = labels_that_count(batch)
    pairs = _distinct(pc.list_parent_indices(labels), pc.list_flatten(labels))
    rows = pairs["row"].to_numpy()
    is_bare = np.ones(batch.num_rows, bool)
    is_bare[rows] = False
    bare = np.flatnonzero(is_bare)
    names = pa.concat_arrays([pairs["name"].combine_chunks(), pa.array([NO_LABEL] * len(bare), pa.string())])
    return np.concatenate([rows, bare]), names


class Tally:
    """What the batches add up to."""

    def __init__(self) -> None:
        self.status: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.detectors: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.total = np.zeros(len(STAGES), np.int64)
        self.labels: dict[str, np.ndarray] = {}
        self.label_weights: Counter[str] = Counter()
        self.pictures: Counter[str] = Counter()
        # {columns: {values: [readable, accepted]}}
        self.shares: dict[tuple[str, ...], dict[tuple[Any, ...], np.ndarray]] = {
            keys: {} for keys in (("short side",), ("width", "height"), ("orientation",), ("fps",))
        }
        self.durations: Counter[int] = Counter()
        self.histogram: Counter[int] = Counter()
        self.seconds = dict.fromkeys(("clips", "review", "source"), 0.0)
        self.bytes = 0
        self.copies = 0
        self.ai_labelled = np.zeros(2, np.int64)
        self.sampled, self.represented = 0, 0.0
        self.designs: Counter[str] = Counter()
        self.creators: set[str] = set()
        self.creators_accepted: set[str] = set()
        self.stage_seconds: dict[str, float] = {}
        self.stage_videos: Counter[str] = Counter()


def count(batch: pa.RecordBatch, tally: Tally, min_person_frames: int) -> None:
    flags = _stage_flags(batch, tally, min_person_frames)
    tally.total += flags.sum(axis=0)
    weights = _weights(batch, flags[:, 4])
    _count_labels(batch, flags, weights, tally)
    readable, accepted, review = flags[:, 1], flags[:, 4], flags[:, 5]
    _count_pictures(batch, readable, accepted, tally)
    _count_seconds(batch, readable, accepted, review, tally)
    tally.status.update(_value_counts(batch["status"]))
    tally.detectors.update(_value_counts(batch["detector"]))
    tally.splits.update(_value_counts(batch["split"].filter(pa.array(accepted))))
    creators = pc.replace_with_mask(batch["creator"], pc.equal(batch["creator"], ""), pa.scalar(None, pa.string()))
    tally.creators.update(creators.drop_null().unique().to_pylist())
    tally.creators_accepted.update(creators.filter(pa.array(accepted)).drop_null().unique().to_pylist())
    if "ai_label" in batch.schema.names:
        labelled = _mask(pc.is_valid(batch["ai_label"]))
        tally.ai_labelled += [labelled.sum(), (labelled & accepted).sum()]
        tally.sampled += int(np.count_nonzero(weights))
        tally.designs.update(_value_counts(batch["sampling"].filter(pa.array(accepted)).drop_null()))
        tally.represented += float(weights.sum())
    if "hdr" in batch.schema.names:
        shares = {name: _numbers(batch, column) >= least for name, (column, least) in PICTURES.items()}
        shares["hdr"] = _mask(pc.is_valid(batch["hdr"]))
        tally.pictures.update({name: int((has & readable).sum()) for name, has in shares.items()})
    tally.copies += pc.sum(batch["copies"]).as_py() or 0
    tally.bytes += pc.sum(batch["size_bytes"]).as_py() or 0


def _stage_flags(batch: pa.RecordBatch, tally: Tally, min_person_frames: int) -> np.ndarray:
    """bool (rows, stages) in the order of STAGES; counts the reasons on the way."""
    codes = pc.replace_substring_regex(pc.list_flatten(batch["reasons"]), pattern="(?s):.*", replacement="")
    pairs = _distinct(pc.list_parent_indices(batch["reasons"]), codes)
    tally.reasons.update(_value_counts(pairs["name"]))
    rows = pairs["row"].to_numpy()

    def has(wanted: set[str] | frozenset[str]) -> np.ndarray:
        found = np.zeros(batch.num_rows, bool)
        found[rows[_mask(pc.is_in(pairs["name"], value_set=pa.array(sorted(wanted))))]] = True
        return found

    readable = ~has(FAILURES)
    long_enough = readable & ~has({"too_short"}) & ~np.isnan(_numbers(batch, "longest_scene_s"))
    # The verdict is drawn on the clip; in a manifest of before, on the scene.
    is_known = "clip_person_frames" in batch.schema.names
    frames = _numbers(batch, "clip_person_frames") if is_known else np.full(batch.num_rows, np.nan)
    frames = np.where(np.isnan(frames), _numbers(batch, "person_frames"), frames)
    people = long_enough & (np.nan_to_num(frames) >= min_person_frames)
    accepted = _mask(pc.equal(batch["status"], "accepted"))
    review = _mask(pc.equal(batch["status"], "needs_review"))
    return np.stack([np.ones(batch.num_rows, bool), readable, long_enough, people, accepted, review], axis=1)


def _weights(batch: pa.RecordBatch, accepted: np.ndarray) -> np.ndarray:
    """How many videos of the platform each row stands for, (N,): 0 if it is not accepted, or nobody knows."""
    if "inclusion_probability" not in batch.schema.names:
        return np.zeros(batch.num_rows)
    chances = np.nan_to_num(_numbers(batch, "inclusion_probability"))
    return np.divide(1.0, chances, out=np.zeros(batch.num_rows), where=accepted & (chances > 0))


def _count_labels(batch: pa.RecordBatch, flags: np.ndarray, weights: np.ndarray, tally: Tally) -> None:
    rows, names = labels_of_rows(batch)
    encoded = names.dictionary_encode()
    codes = encoded.indices.to_numpy()
    counts = np.stack(
        [np.bincount(codes[flags[rows, i]], minlength=len(encoded.dictionary)) for i in range(len(STAGES))], axis=1
    )
    stands_for = np.bincount(codes, weights[rows], minlength=len(encoded.dictionary))
    for name, row, weight in zip(encoded.dictionary.to_pylist(), counts, stands_for.tolist(), strict=True):
        tally.labels[name] = tally.labels.get(name, 0) + row
        tally.label_weights[name] += weight


def _count_pictures(batch: pa.RecordBatch, readable: np.ndarray, accepted: np.ndarray, tally: Tally) -> None:
    short_sides = np.minimum(_numbers(batch, "width"), _numbers(batch, "height"))
    classes = np.searchsorted(SHORT_SIDE_EDGES, short_sides, side="right")
    pictures = pa.table(
        {
            "short side": pa.array(classes, mask=np.isnan(short_sides)),
            "width": batch["width"],
            "height": batch["height"],
            "orientation": pc.fill_null(batch["orientation"], UNKNOWN),
            "fps": pc.round(batch["fps"]).cast(pa.int64()),
            "accepted": accepted.astype(int),
        }
    ).filter(pa.array(readable))
    for keys, shares in tally.shares.items():
        table = pictures.select([*keys, "accepted"]).drop_null().group_by(list(keys), use_threads=False)
        groups = table.aggregate([("accepted", "count"), ("accepted", "sum")])
        columns = (groups[name].to_pylist() for name in (*keys, "accepted_count", "accepted_sum"))
        for *key, videos, videos_accepted in zip(*columns, strict=True):
            shares[tuple(key)] = shares.get(tuple(key), 0) + np.array([videos, videos_accepted])


def _count_seconds(
    batch: pa.RecordBatch, readable: np.ndarray, accepted: np.ndarray, review: np.ndarray, tally: Tally
) -> None:
    clip_s = _numbers(batch, "clip_end_s") - _numbers(batch, "clip_start_s")
    tally.seconds["clips"] += float(np.nansum(clip_s[accepted]))
    tally.seconds["review"] += float(np.nansum(clip_s[review]))
    tally.seconds["source"] += float(np.nansum(_numbers(batch, "duration_s")[readable]))
    fps = np.nan_to_num(_numbers(batch, "fps"))
    half_frame_s = np.divide(0.5, fps, out=np.zeros_like(fps), where=fps > 0)
    # The last term is for sums like 4.7 + 0.3, which fall short of an edge by rounding alone.
    reached_s = (clip_s + half_frame_s + 1e-9)[accepted & ~np.isnan(clip_s)]
    tally.durations.update(np.searchsorted(DURATION_EDGES_S, reached_s, side="right").tolist())
    tally.histogram.update(np.floor(reached_s / HISTOGRAM_STEP_S).astype(int).tolist())
    entries = pa.list_(pa.struct([("key", pa.string()), ("value", pa.float64())]))
    timings = pc.list_flatten(batch["timings"].cast(entries))  # MapArray.keys would ignore a batch's slice
    table = pa.table({"stage": timings.field("key"), "s": timings.field("value")})
    sums = table.group_by("stage", use_threads=False).aggregate([("s", "sum"), ("s", "count")])
    for stage, total_s, videos in zip(*(sums[name].to_pylist() for name in ("stage", "s_sum", "s_count")), strict=True):
        tally.stage_seconds[stage] = tally.stage_seconds.get(stage, 0.0) + (total_s or 0.0)
        tally.stage_videos[stage] += videos


def _distinct(rows: pa.Array, names: pa.Array) -> pa.Table:
    """Table of the distinct (row, name) pairs, without null names."""
    table = pa.table({"row": rows, "name": names}).drop_null()
    return table.group_by(["row", "name"], use_threads=False).aggregate([])


def _numbers(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """A numeric column as float64, NaN where null."""
    return batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False)


def _mask(condition: pa.Array) -> np.ndarray:
    return pc.fill_null(condition, False).to_numpy(zero_copy_only=False)


def _value_counts(column: pa.Array) -> dict[str, int]:
    counts = pc.value_counts(column.drop_null())
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
