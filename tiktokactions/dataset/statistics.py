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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tiktokactions.dataset.tally import (
    COLUMNS,
    DURATION_EDGES_S,
    HISTOGRAM_STEP_S,
    NO_LABEL,
    SHORT_SIDE_EDGES,
    STAGES,
    Tally,
    count,
    read_batches,
)
from tiktokactions.files import Place
from tiktokactions.records import STATUSES

PAPER_RANGE_EDGES = (200, 400, 600, 800)
"""Figure 7 of the paper: clips per label."""
MOST_COMMON = 8
"""Frame sizes kept by name; the rest is counted as 'other'."""


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
    tally = Tally()
    for batch in batches:
        count(batch, tally, min_person_frames)
    return _summarise(tally, min_person_frames)


def _summarise(tally: Tally, min_person_frames: int) -> Statistics:
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
