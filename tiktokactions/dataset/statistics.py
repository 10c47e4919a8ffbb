"""What is in a dataset, counted from ``manifest.parquet`` alone, in batches: 340,000 rows take seconds.

The funnel (each stage up to people is a subset of the one before; accepted and needs review are how it ends):

- **seen**: every row of the manifest.
- **readable**: no reason code in :data:`records.FAILURES`.
- **long enough**: readable, has a longest scene, and is not rejected as ``too_short``.
- **people**: long enough, and a person in at least ``min_person_frames`` of the sampled frames (always, where that is
  0): what the detector saw, whatever anybody said afterwards.
- **accepted**: status ``accepted``. The people stage has others too (duplicates, bad quality, rejected by a person) and
  lacks those that a person accepted although the detector saw too little.
- **needs review**: status ``needs_review``: a person must still judge it. Mostly long enough, without enough people.

A video's labels are its ``human_labels`` where people were asked, else its ``labels``. A video with several labels counts
under each of them (so labels add up to more than the total), one without any under ``(none)``.

Durations are those of the accepted clips. A clip that is shorter than a bin's edge by no more than half a frame of its
source counts as having reached it, so a clip cut to the 10-second cap is in the bin '10 s and more' at any frame rate.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tiktokactions.dataset.manifest import labels_that_count, with_unsaid
from tiktokactions.errors import NotFoundError, UsageError
from tiktokactions.files import Place, readable
from tiktokactions.records import FAILURES, STATUSES

NO_LABEL = "(none)"
UNKNOWN = "unknown"
BATCH_ROWS = 65_536

DURATION_EDGES_S = (3.5, 5.0, 10.0)
"""Table 6 of the paper."""
HISTOGRAM_STEP_S = 0.5
PAPER_RANGE_EDGES = (200, 400, 600, 800)
"""Figure 7 of the paper: clips per label."""
SHORT_SIDE_EDGES = (240, 360, 480, 720, 1080, 2160)
MOST_COMMON = 8
"""Frame sizes kept by name; the rest is counted as 'other'."""

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


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many of the videos with one label reached each stage (the module says what each stage asks for)."""

    label: str
    seen: int = 0
    readable: int = 0
    long_enough: int = 0
    people: int = 0
    accepted: int = 0
    needs_review: int = 0
    represented: float = 0.0
    """How many videos of the platform the accepted ones stand for, of those whose inclusion probability is known."""

    @property
    def rejected(self) -> int:
        return self.seen - self.accepted - self.needs_review


@dataclass(frozen=True, slots=True)
class ClipsPerLabel:
    """Accepted clips per label, over the labels that have at least one; as in the paper's Appendix C."""

    labels: int
    labels_without_clips: int
    unlabelled_clips: int
    mean: float
    median: float
    largest: int
    largest_label: str
    smallest: int
    smallest_label: str


@dataclass(frozen=True, slots=True)
class Bin:
    """``count`` things with ``low <= value < high``; no ``high``: open to above."""

    name: str
    low: float
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """Source videos of one kind: how many are readable, and how many of those gave an accepted clip."""

    name: str
    readable: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Wall-clock seconds spent in one stage of curation, over the videos that went through it."""

    name: str
    total_s: float
    mean_s: float
    videos: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything that ``tiktokactions dataset stats`` tells; counts are videos unless the name says otherwise."""

    min_person_frames: int
    videos: int
    status: dict[str, int]
    reasons: dict[str, int]
    """By reason code without what follows a colon; a video with two codes counts under both."""
    to_judge: int
    """Videos that wait for a human verdict."""
    funnel: Funnel
    labels: tuple[Funnel, ...]
    """One per label, most accepted clips first; ``(none)`` at the end."""
    clips_per_label: ClipsPerLabel | None
    """None while no labelled clip is accepted."""
    paper_ranges: tuple[Bin, ...]
    fitted_ranges: tuple[Bin, ...]
    """As ``paper_ranges`` (labels by their number of clips), with edges that suit this dataset."""
    durations: tuple[Bin, ...]
    duration_histogram: tuple[Bin, ...]
    """Half-second steps, from the first that holds a clip to the last."""
    clip_hours: float
    review_hours: float
    """Hours of the proposed clips under review."""
    source_hours: float
    source_bytes: int
    short_sides: tuple[Share, ...]
    frame_sizes: tuple[Share, ...]
    orientations: tuple[Share, ...]
    frame_rates: tuple[Share, ...]
    """By nominal frame rate, rounded to a whole number."""
    creators: int
    creators_accepted: int
    copies: int
    """Byte-identical files that are one video here."""
    detectors: dict[str, int]
    splits: dict[str, int]
    """Accepted videos per split; empty while the dataset is not split."""
    stages: tuple[Stage, ...]
    ai_labelled: int = 0
    """Videos with the platform's label for AI-generated content."""
    ai_labelled_accepted: int = 0
    sampled: int = 0
    """Accepted videos whose inclusion probability in their collection is known."""
    designs: dict[str, int] = field(default_factory=dict)
    """How these were sampled, in the words of their collections."""
    represented: float = 0.0
    """How many videos of the platform these stand for: the sum of one divided by that probability."""
    pictures: dict[str, int] = field(default_factory=dict)
    """Readable videos that are ``hdr``, mostly ``interlaced``, ``zoomed`` over a still, or look like a filmed ``screen``."""

    @property
    def accepted(self) -> int:
        return self.status.get("accepted", 0)

    @property
    def needs_review(self) -> int:
        return self.status.get("needs_review", 0)

    @property
    def rejected(self) -> int:
        return self.status.get("rejected", 0)


def dataset_statistics(manifest: Place, min_person_frames: int = 4) -> Statistics:
    """Count a dataset. ``min_person_frames`` (0 and up) draws the line of the funnel's people stage.

    Raises:
        FileNotFoundError: there is no manifest; the message says how to make one.
        ValueError: not a Parquet file, or without the columns of :data:`manifest.SCHEMA`.
    """
    return statistics_of(read_batches(manifest, COLUMNS), min_person_frames)


def statistics_of(batches: Iterable[pa.RecordBatch], min_person_frames: int = 4) -> Statistics:
    """Count rows of a manifest, which have the columns :data:`COLUMNS`."""
    tally = _Tally()
    for batch in batches:
        _count(batch, tally, min_person_frames)
    return _summarise(tally, min_person_frames)


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


# --- counting one batch ----------------------------------------------------------------------------------------------


class _Tally:
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


def _count(batch: pa.RecordBatch, tally: _Tally, min_person_frames: int) -> None:
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


def _stage_flags(batch: pa.RecordBatch, tally: _Tally, min_person_frames: int) -> np.ndarray:
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


def _count_labels(batch: pa.RecordBatch, flags: np.ndarray, weights: np.ndarray, tally: _Tally) -> None:
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


def _count_pictures(batch: pa.RecordBatch, readable: np.ndarray, accepted: np.ndarray, tally: _Tally) -> None:
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
    batch: pa.RecordBatch, readable: np.ndarray, accepted: np.ndarray, review: np.ndarray, tally: _Tally
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


# --- from the tally to the statistics --------------------------------------------------------------------------------


def _summarise(tally: _Tally, min_person_frames: int) -> Statistics:
    stands_for = {name: round(weight, 1) for name, weight in tally.label_weights.items()}
    labels = [Funnel(name, **_by_stage(counts), represented=stands_for[name]) for name, counts in tally.labels.items()]
    labels.sort(key=lambda f: (f.label == NO_LABEL, -f.accepted, f.label))
    clips = [f.accepted for f in labels if f.accepted and f.label != NO_LABEL]
    stages = [
        Stage(name, round(s, 6), round(s / tally.stage_videos[name], 6), tally.stage_videos[name])
        for name, s in tally.stage_seconds.items()
        if tally.stage_videos[name]
    ]
    return Statistics(
        min_person_frames=min_person_frames,
        videos=int(tally.total[0]),
        status={status: tally.status[status] for status in STATUSES},
        reasons=_most_common_first(tally.reasons),
        to_judge=tally.status["needs_review"],
        funnel=Funnel("all videos", **_by_stage(tally.total), represented=round(tally.represented, 1)),
        labels=tuple(labels),
        clips_per_label=_clips_per_label(labels),
        paper_ranges=_open_bins(PAPER_RANGE_EDGES, Counter(bisect.bisect(PAPER_RANGE_EDGES, n) for n in clips)),
        fitted_ranges=_fitted_bins(clips),
        durations=_open_bins(DURATION_EDGES_S, tally.durations, " s"),
        duration_histogram=_histogram(tally.histogram),
        clip_hours=round(tally.seconds["clips"] / 3600, 6),
        review_hours=round(tally.seconds["review"] / 3600, 6),
        source_hours=round(tally.seconds["source"] / 3600, 6),
        source_bytes=tally.bytes,
        short_sides=_shares(tally.shares["short side",], lambda i: _range_names(SHORT_SIDE_EDGES)[i]),
        frame_sizes=_shares(tally.shares["width", "height"], "{}×{}".format, most_common=MOST_COMMON),
        orientations=_shares(tally.shares["orientation",], str, most_common=MOST_COMMON),
        frame_rates=_shares(tally.shares["fps",], str),
        ai_labelled=int(tally.ai_labelled[0]),
        ai_labelled_accepted=int(tally.ai_labelled[1]),
        sampled=tally.sampled,
        designs=dict(tally.designs.most_common()),
        represented=round(tally.represented, 1),
        pictures=_most_common_first(tally.pictures),
        creators=len(tally.creators),
        creators_accepted=len(tally.creators_accepted),
        copies=tally.copies,
        detectors=_most_common_first(tally.detectors),
        splits=_most_common_first(tally.splits),
        stages=tuple(sorted(stages, key=lambda stage: (-stage.total_s, stage.name))),
    )


def _by_stage(counts: np.ndarray) -> dict[str, int]:
    return dict(zip(STAGES, counts.tolist(), strict=True))


def _shares(
    counts: dict[tuple[Any, ...], np.ndarray], name: Callable[..., str], most_common: int | None = None
) -> tuple[Share, ...]:
    """In order of the value, or the ``most_common`` ones first and the rest in one."""
    order = sorted(counts, key=lambda key: key if most_common is None else (-int(counts[key][0]), *key))
    shares = [Share(name(*key), *(int(n) for n in counts[key])) for key in order]
    if most_common is not None and len(shares) > most_common:
        rest = shares[most_common:]
        other = Share(f"{len(rest):,} others", sum(s.readable for s in rest), sum(s.accepted for s in rest))
        shares = [*shares[:most_common], other]
    return tuple(shares)


def _clips_per_label(labels: list[Funnel]) -> ClipsPerLabel | None:
    named = [f for f in labels if f.label != NO_LABEL]
    with_clips = [f for f in named if f.accepted]  # most clips first, equal ones by name
    if not with_clips:
        return None
    counts = [f.accepted for f in with_clips]
    smallest = next(f for f in with_clips if f.accepted == counts[-1])
    return ClipsPerLabel(
        labels=len(counts),
        labels_without_clips=len(named) - len(counts),
        unlabelled_clips=sum(f.accepted for f in labels if f.label == NO_LABEL),
        mean=round(sum(counts) / len(counts), 3),
        median=float(np.median(counts)),
        largest=counts[0],
        largest_label=with_clips[0].label,
        smallest=smallest.accepted,
        smallest_label=smallest.label,
    )


def fitted_edges(counts: list[int]) -> tuple[int, ...]:
    """At most six ranges with round edges that cover ``counts`` (each 1 or more).

    Equal steps, or, where the largest is more than five times the median, growing ones (1, 2, 5, 10, …).
    """
    if not counts:
        return ()
    low, high = min(counts), max(counts)
    steps = (m * 10**k for k in itertools.count() for m in (1, 2, 5))
    choices: Iterable[Sequence[int]] = (range(low // step * step, high + step + 1, step) for step in steps)
    if high > 5 * float(np.median(counts)):
        growing = [m * 10**k for k in range(len(str(high)) + 1) for m in (1, 2, 5)]
        choices = (growing, growing[::3])
    edges: list[int] = []
    for candidates in choices:
        first, last = max(e for e in candidates if e <= low), min(e for e in candidates if e > high)
        edges = [edge for edge in candidates if first <= edge <= last]
        if len(edges) <= 7:
            break
    return (max(1, edges[0]), *edges[1:])


def _fitted_bins(counts: list[int]) -> tuple[Bin, ...]:
    return tuple(
        Bin(f"{low:,}" if high == low + 1 else f"{low:,}–{high - 1:,}", low, high, sum(low <= n < high for n in counts))
        for low, high in itertools.pairwise(fitted_edges(counts))
    )


def _open_bins(edges: tuple[float, ...], count: Counter[int], unit: str = "") -> tuple[Bin, ...]:
    """Bins below, between and above ``edges``; ``count`` by the index that ``bisect.bisect(edges, x)`` gives."""
    bounds = zip(_range_names(edges, unit), (0, *edges), (*edges, None), strict=True)
    return tuple(Bin(name, low, high, count[i]) for i, (name, low, high) in enumerate(bounds))


def _range_names(edges: tuple[float, ...], unit: str = "") -> list[str]:
    """(200, 400) -> 'below 200', '200–400', '400 and more'."""
    between = [f"{low:g}–{high:g}{unit}" for low, high in itertools.pairwise(edges)]
    return [f"below {edges[0]:g}{unit}", *between, f"{edges[-1]:g}{unit} and more"]


def _histogram(counts: Counter[int]) -> tuple[Bin, ...]:
    step = HISTOGRAM_STEP_S
    places = range(min(counts), max(counts) + 1) if counts else ()
    return tuple(Bin(f"{i * step:g}–{(i + 1) * step:g} s", i * step, (i + 1) * step, counts[i]) for i in places)


def _most_common_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
