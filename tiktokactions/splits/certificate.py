"""The certificate of a split: how many copies the strongest matcher finds between its sides, how many it would find of those
that are known to be there, and so how many may remain.

What curation kept of the clips is compared (:mod:`tiktokactions.copies.matcher`).
Up to a number of clips (``certify``) all are compared; of a larger dataset a sample, clips that are held out first, and the
certificate says which share of the pairs across sides was compared.

**What remains.** Call a clip leaked if it has a copy on another side. F leaked clips were found. Of m copies planted of these
very clips, made in memory by what people do to videos, the matcher found k. The recall is k / m, with the exact interval of
Clopper and Pearson (Biometrika 1934): from the beta quantile B(0.0125; k, m - k + 1) to B(0.9875; k + 1, m - k). A leaked
clip is found with probability p = recall * c, where c is the share of the pairs that was compared. So F is binomial in the
unknown number T of leaked clips, and the estimate of T is F / p. The largest T that fits is the largest one for which
P(Binomial(T, p_low) <= F) >= 0.0125, with p at the lower end of its interval. The two errors add up to 0.025, so that the
bound holds in at least 95 % of cases. What remains is T less the leaked clips that were found and put with their copies.
Copies made in other ways than the planted ones are not covered by this.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tiktokactions import video
from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.assignments import LEAKS, NOWHERE, Assignment
from tiktokactions.files import Place, delete, readable, records_of, staging_folder, write_csv, write_json
from tiktokactions.splits.leak_groups import Linked

if TYPE_CHECKING:
    from tiktokactions.copies.transformations import Footage
    from tiktokactions.curation.description import Description

PlantJob = tuple[str, str, int]
Job = TypeVar("Job", bound=Hashable)
Result = TypeVar("Result")

CERTIFICATE = "splits/certificate.json"
COLUMNS = ("video_id", "other_id", "side", "other_side", "score", "mirrored", "state")
MOST_PLANTED = 128
"""Frames of a copy, eight a second."""
PLANTED_CLIPS = 10
"""Clips of which copies are planted, one of every kind."""
FEW = 40
"""So few clips are described without other processes, whose start would take longer."""
ERROR = 0.0125


@dataclass(frozen=True)
class Copy:
    """Two clips that show the same footage, as the matcher says."""

    video_id: str
    other_id: str
    score: float
    mirrored: bool


@dataclass(frozen=True)
class Certificate:
    """What is known of copies between the sides; the contents of ``splits/certificate.json``."""

    clips: int
    """Clips that stand on a side."""
    compared: int
    """Of these, the clips that were compared."""
    unread: int
    """Clips that were to be compared and cannot be read."""
    share_of_pairs: float
    """Share of the pairs across sides that was compared."""
    found: int
    """Leaked clips that were found: those with a copy on another side."""
    moved: int
    """Of these, the clips that stand with their copies now."""
    left: int
    """Of these, the clips that still have a copy on another side: both had their sides before."""
    planted: int
    """Copies planted, and how many of them the matcher found."""
    planted_found: int
    by_kind: dict[str, tuple[int, int]]
    """Of each kind of copy: found, planted."""
    recall: float | None
    recall_low: float
    recall_high: float
    remaining: float | None
    """Estimate of the leaked clips that remain, with an interval of at least 95 %; null: nothing is known."""
    remaining_low: int
    remaining_high: int | None
    remaining_low_s: float
    """The same in seconds of clips: of those that are known, and of the longest that could be meant."""
    remaining_high_s: float | None
    seed: int
    matcher: int
    """Version of the matcher's descriptions."""


def sampled(ids: Sequence[str], side_of: Mapping[str, str], most: int, seed: int) -> list[str]:
    """The clips to compare: all, or of a larger dataset half clips that are held out (as far as there are so many), half
    others. Which ones depends on the seed and each clip's id alone."""

    def drawn(some: Sequence[str]) -> list[str]:
        return sorted(some, key=lambda video_id: hashlib.sha256(f"{seed} {video_id}".encode()).digest())

    held_out = drawn([i for i in ids if side_of[i] != "train"])
    rest = drawn([i for i in ids if side_of[i] == "train"])
    half = max(most // 2, most - len(rest))
    chosen = held_out[:half]
    return sorted([*chosen, *rest[: most - len(chosen)]])


def describe_job(path: str) -> Description | None:
    """In a worker: the description of one clip; None where it cannot be read."""
    from tiktokactions.copies.footage import describe_file

    try:
        parts = describe_file(path)
    except (video.VideoError, OSError):
        return None
    return parts[0] if parts else None


def _footage(path: str) -> Footage:
    from tiktokactions.copies.footage import pictures
    from tiktokactions.copies.transformations import Footage

    times_s, frames = zip(*itertools.islice(pictures(path), MOST_PLANTED), strict=True)
    return Footage(frames, times_s)


def plant_job(job: PlantJob) -> dict[str, Description]:
    """In a worker: descriptions of copies of one clip, by kind; empty where it cannot be read.

    ``job``: path of the clip, of another that some copies show too, and a seed.
    """
    from tiktokactions.copies.transformations import TRANSFORMATIONS
    from tiktokactions.curation.description import describe

    path, other_path, seed = job
    try:
        own, other = _footage(path), _footage(other_path)
    except (video.VideoError, OSError):
        return {}
    found = {}
    for number, (name, change) in enumerate(TRANSFORMATIONS.items()):
        copy = change(own, other, np.random.default_rng([seed, number]))
        found[name] = describe(copy.frames, copy.times_s)
    return found


@dataclass(frozen=True)
class Compared:
    """Clips that were described, and all pairs of them that show the same footage."""

    descriptions: Mapping[str, Description]
    unread: int
    copies: tuple[Copy, ...]


def compare_clips(dataset: Place, paths: Mapping[str, str], settings: CurateOptions) -> Compared:
    """Compare clips (path in the dataset by id) with each other, by what curation kept of them. A clip is described anew
    where that is not of all its seconds, or not there."""
    from tiktokactions.copies.matcher import matches
    from tiktokactions.copies.of_dataset import stored_description

    made = {record.video_id: stored_description(dataset, record) for record in records_of(dataset, paths)}
    bare = {i: str(dataset / path) for i, path in paths.items() if made.get(i) is None}
    described = {i: one for i, one in sorted((made | _mapped(bare, describe_job, settings)).items()) if one is not None}
    found = matches(described, strongest=True)
    copies = tuple(Copy(m.a, m.b, round(m.score, 3), m.mirrored) for m in found)
    return Compared(described, len(paths) - len(described), copies)


def _mapped(jobs: Mapping[str, Job], work: Callable[[Job], Result], settings: CurateOptions) -> dict[str, Result]:
    """Results by name, of jobs that differ; those without a result are left out."""
    if len(jobs) <= FEW:
        return {name: work(job) for name, job in jobs.items()}
    name_of = {job: name for name, job in jobs.items()}
    outcomes = run_jobs(name_of, work, settings.worker_count, settings.timeout_s)
    return {name_of[one.job]: one.result for one in outcomes if one.result is not None}


def leaked(copies: Sequence[Copy], after: Mapping[str, Assignment]) -> list[Copy]:
    """Pairs on two sides; whoever stands on none leaks nothing."""
    nowhere = Assignment(NOWHERE)
    return [
        copy
        for copy in copies
        if NOWHERE not in (sides := {after.get(i, nowhere).side for i in (copy.video_id, copy.other_id)})
        and len(sides) == 2
    ]


def leaked_clips(pairs: Sequence[Copy], after: Mapping[str, Assignment]) -> set[str]:
    """Of each pair the clip that is held out: not trained on, or of two such the one on the later side by name."""
    return {
        max((pair.video_id, pair.other_id), key=lambda i: (after[i].side != "train", after[i].side, i))
        for pair in pairs
    }


def certify(
    dataset: Place,
    linked: Linked,
    compared: Compared,
    first: Mapping[str, Assignment],
    after: Mapping[str, Assignment],
    settings: CurateOptions,
    seed: int,
) -> Certificate:
    """The certificate of the sides in ``after``; ``first``: the sides before copies that were found were put together."""
    from tiktokactions.curation.description import VERSION

    paths = dict(zip(linked.ids, linked.paths.to_pylist(), strict=True))
    stands = {i: after[i].side for i, used in zip(linked.ids, linked.is_used, strict=True) if used and i in after}
    stands = {i: side for i, side in stands.items() if side != NOWHERE}
    all_sides, seen = Counter(stands.values()), Counter(stands[i] for i in compared.descriptions if i in stands)
    pairs = _pairs_across(all_sides)
    share = _pairs_across(seen) / pairs if pairs else 1.0
    found = leaked_clips(leaked(compared.copies, first), first)
    left = leaked_clips(leaked(compared.copies, after), after)

    held_out = [i for i in compared.descriptions if stands.get(i, "train") != "train"] or list(compared.descriptions)
    chosen = sampled(held_out, dict.fromkeys(held_out, "test"), PLANTED_CLIPS, seed)
    clips = [str(dataset / paths[i]) for i in chosen]
    another = [str(dataset / paths[i]) for i in compared.descriptions][:1]
    others = [*clips[1:], *clips[:1]] if len(clips) > 1 else another
    jobs = {i: (clip, other, seed + at) for at, (i, clip, other) in enumerate(zip(chosen, clips, others, strict=True))}
    by_kind = _recalled(compared, jobs, settings)
    hits, planted = (sum(counts[at] for counts in by_kind.values()) for at in (0, 1))
    low, high = clopper_pearson(hits, planted)
    recall = hits / planted if planted else None
    estimate = len(found) / (recall * share) if recall and share else None
    most = largest_total(len(found), low * share)
    gone = len(found) - len(left)
    most = None if most is None else min(most - gone, len(stands))
    seconds = _clip_seconds(dataset)
    longest = sorted((seconds.get(i, 0.0) for i, side in stands.items() if side != "train"), reverse=True)
    return Certificate(
        clips=len(stands),
        compared=sum(seen.values()),
        unread=compared.unread,
        share_of_pairs=round(share, 4),
        found=len(found),
        moved=gone,
        left=len(left),
        planted=planted,
        planted_found=hits,
        by_kind=by_kind,
        recall=None if recall is None else round(recall, 4),
        recall_low=round(low, 4),
        recall_high=round(high, 4),
        remaining=None if estimate is None else round(estimate - gone, 2),
        remaining_low=len(left),
        remaining_high=most,
        remaining_low_s=round(sum(seconds.get(i, 0.0) for i in left), 1),
        remaining_high_s=None if most is None else round(sum(longest[:most]), 1),
        seed=seed,
        matcher=VERSION,
    )


def _clip_seconds(dataset: Place) -> dict[str, float]:
    """How long each clip is."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(readable(dataset / "manifest.parquet"), columns=["video_id", "clip_start_s", "clip_end_s"])
    lengths = pc.fill_null(pc.subtract(rows["clip_end_s"], rows["clip_start_s"]), 0.0)
    return dict(zip(rows["video_id"].to_pylist(), lengths.to_pylist(), strict=True))


def _pairs_across(sides: Mapping[str, int]) -> int:
    return sum(a * b for a, b in itertools.combinations(sides.values(), 2))


def _recalled(compared: Compared, jobs: Mapping[str, PlantJob], settings: CurateOptions) -> dict[str, tuple[int, int]]:
    """Found and planted copies by kind: each stands among all clips and is to be found as a copy of its original."""
    from tiktokactions.copies.matcher import matches

    planted = {
        f"{video_id}\0{kind}": copy
        for video_id, copies in sorted(_mapped(jobs, plant_job, settings).items())
        for kind, copy in copies.items()
    }
    everything = {**compared.descriptions, **planted}
    found = matches(everything, new=set(planted), between=(set(jobs), set(planted)), strongest=True)
    pairs = {frozenset((m.a, m.b)) for m in found}
    counts: dict[str, tuple[int, int]] = {}
    for name in planted:
        video_id, _, kind = name.partition("\0")
        hits, of = counts.get(kind, (0, 0))
        counts[kind] = hits + (frozenset((video_id, name)) in pairs), of + 1
    return counts


def clopper_pearson(hits: int, of: int, error: float = ERROR) -> tuple[float, float]:
    """Exact interval of a share, with ``error`` at either end."""
    from scipy.stats import beta

    low = float(beta.ppf(error, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - error, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def largest_total(found: int, chance: float, error: float = ERROR) -> int | None:
    """The largest number of leaked clips of which no more than ``found`` would be found in at least ``error`` of cases, if
    each is found by this chance; None where the chance is 0.

    P(Binomial(T, p) <= F) = 1 - I_p(F + 1, T - F), which falls in T.
    """
    from scipy.stats import binom

    if chance <= 0:
        return None
    low, high = found, found + 1
    while binom.cdf(found, high, chance) >= error:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binom.cdf(found, middle, chance) >= error else (low, middle)
    return low


def write_certificate(
    dataset: Place,
    found: Certificate | None,
    compared: Compared | None,
    first: Mapping[str, Assignment],
    after: Mapping[str, Assignment],
) -> None:
    """``splits/certificate.json``, and ``splits/leaks.csv`` with all copies, those that an earlier split found included.

    Without a certificate the one of an earlier split goes: it says nothing of this one.
    """
    if found is None or compared is None:
        delete(dataset / CERTIFICATE)
        return
    were, left = set(leaked(compared.copies, first)), set(leaked(compared.copies, after))
    rows = {(row["video_id"], row["other_id"]): tuple(row[name] for name in COLUMNS) for row in _rows(dataset)}
    for copy in compared.copies:
        state = "left" if copy in left else "moved" if copy in were else "together"
        sides = (after[i].side if i in after else "" for i in (copy.video_id, copy.other_id))
        told = (copy.video_id, copy.other_id, *sides, str(copy.score), "yes" if copy.mirrored else "no", state)
        before = rows.get((copy.video_id, copy.other_id))
        # What was moved once stays told as moved.
        rows[copy.video_id, copy.other_id] = (
            (*told[:-1], "moved") if before and before[-1] == "moved" != state else told
        )
    write_csv(dataset / LEAKS, [COLUMNS, *sorted(rows.values())], staging_folder(dataset))
    write_json(dataset / CERTIFICATE, dataclasses.asdict(found), staging_folder(dataset))


def known_copies(dataset: Place, before: Mapping[str, Assignment]) -> list[tuple[str, str]]:
    """Pairs that an earlier certificate found, but those of two videos that have sides of their own."""
    pairs = ((row["video_id"], row["other_id"]) for row in _rows(dataset))
    return [pair for pair in pairs if not set(pair) <= before.keys()]


def _rows(dataset: Place) -> list[dict[str, str]]:
    path = dataset / LEAKS
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values() and {*COLUMNS} <= row.keys()]


def certificate_text(found: Certificate) -> str:
    """The certificate as a person reads it."""
    share = "" if found.share_of_pairs == 1 else f" ({found.share_of_pairs:.1%} of the pairs across sides)"
    lines = [f"certificate: {found.compared:,} of {found.clips:,} clips were compared{share}"]
    if found.unread:
        lines.append(f"  {found.unread:,} clips could not be read")
    lines.append(
        f"  leaks found: {found.found:,} clips had a copy on another side; {found.moved:,} were put with their copies"
    )
    if found.planted:
        lines.append(
            f"  recall {found.recall:.0%} ({found.recall_low:.0%} to {found.recall_high:.0%}):"
            f" {found.planted_found:,} of {found.planted:,} copies planted of these clips were found"
        )
        most = "any number of" if found.remaining_high is None else f"{found.remaining_high:,}"
        longest = found.remaining_high_s
        at_most = "" if longest is None else f", {found.remaining_low_s:,.0f} to {longest:,.0f} s"
        lines.append(
            f"  remaining: {found.remaining_low:,} to {most} clips{at_most} with a copy on another side (95 %)"
        )
    if found.left:
        lines.append(
            f"attention: {found.left:,} clips have a copy on another side, and both had their sides before:"
            " see splits/leaks.csv; add `reassign` to make a new split"
        )
    return "\n".join(lines)
