"""``dataset merge``: two datasets as one. Clips are hard links where the file system can; verdicts are drawn anew over all
videos together, so that near-duplicates between the two are found; the first dataset's sides hold; what people decided in
either is carried over (:mod:`tiktokactions.reviews.merged`), and what was taken down in either stays out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tiktokactions.curation.takedowns import add_takedowns, read_takedowns
from tiktokactions.dataset.assignments import BRIDGES, NOWHERE, Assignment, read_assignments
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    Place,
    all_records,
    delete,
    delete_records,
    poster_path,
    record_of,
    recorded,
    records_of,
    strip_path,
    write_record,
)
from tiktokactions.records import Source, VideoRecord
from tiktokactions.releases.rows import place_file
from tiktokactions.reviews.merged import MergedReviews
from tiktokactions.splits.leak_groups import Linked, named_groups


class MergeError(UsageError):
    """Datasets that cannot be one; the message says why and what to do."""


@dataclass(frozen=True)
class Merged:
    dataset: str
    of: tuple[str, ...]
    videos: int
    accepted: int
    in_both: int
    """Videos that both held; their paths and labels were united."""
    other_bytes: tuple[str, ...]
    """Videos of one id with different bytes: the first dataset's stayed."""
    duplicates: int
    """Videos rejected now as near-duplicates of another that were accepted before."""
    off_sides: tuple[str, ...]
    """Videos of the second dataset that lost their side, because the first holds a relative on another."""
    taken_down: int
    """Videos that were taken down in one of the two: they were left out."""
    reviews: MergedReviews


def check_settings(one: Dataset, two: Dataset) -> None:
    """Raises ``MergeError`` where the evidence of the two cannot be compared."""
    a, b = one.options.group("evidence"), two.options.group("evidence")
    # Which detector saw a video stands in its record; frames, scenes and hashes must have been taken alike.
    differing = [name for name, value in a.items() if b[name] != value and name != "detector"]
    if differing:
        told = ", ".join(f"`{name}` ({a[name]} and {b[name]})" for name in differing)
        raise MergeError(
            f"{one.folder} and {two.folder} were curated with different {told}; curate one of them again alike"
        )


@dataclass(frozen=True)
class Copied:
    """What :func:`copy_videos` found; ids of videos."""

    in_both: int
    other_bytes: tuple[str, ...]
    accepted: frozenset[str]
    """Accepted in one of them."""
    taken_down: frozenset[str]
    """Left out, because the video, or its bytes, were taken down in one of the two or in the merged dataset."""


def copy_videos(datasets: Sequence[Place], out: Path) -> Copied:
    """Take-downs, records, clips and thumbnails into ``out``; may be repeated after a kill."""
    first, second = datasets
    both, other, accepted, taken_down = 0, [], set(), set()
    takedowns = {i: takedown for folder in (second, first, out) for i, takedown in read_takedowns(folder).items()}
    if takedowns:
        add_takedowns(out, takedowns.values())
    dead = {takedown.sha256 for takedown in takedowns.values() if takedown.sha256}
    for dataset in datasets:
        for record in all_records(dataset):
            if record.video_id in takedowns or record.source.id in takedowns or record.source.sha256 in dead:
                taken_down.add(record.video_id)
                _take_away(out, record)
                continue
            if record.status == "accepted":
                accepted.add(record.video_id)
            if dataset is second and recorded(first, [record.video_id]):
                kept = record_of(first, record.video_id)
                if kept.source.sha256 == record.source.sha256:
                    both += 1
                    write_record(out, _one_video(kept, record, dataset, out))
                else:
                    other.append(record.video_id)
                continue
            write_record(out, record)
            _place(dataset, out, record)
    return Copied(both, tuple(sorted(other)), frozenset(accepted), frozenset(taken_down))


def _one_video(first: VideoRecord, second: VideoRecord, dataset: Place, out: Path) -> VideoRecord:
    """A video that both hold: the first one's record, with the clip of the second where it has none itself (people
    accepted it there, say; its source may be gone)."""
    if first.clip is None and second.clip is not None:
        _place(dataset, out, second)
        first = replace(first, clip=second.clip, segment=second.segment)
    return first.with_source(_united(first.source, second.source))


def _take_away(out: Path, record: VideoRecord) -> None:
    """What an earlier merge of the two left of a video that was taken down since."""
    for own in records_of(out, [record.video_id]):
        for path in _media(out, own):
            delete(path)
    delete_records(out, [record.video_id])


def _place(dataset: Place, out: Path, record: VideoRecord) -> None:
    for path in _media(dataset, record):
        with contextlib.suppress(FileNotFoundError):  # settling cuts again what is not there
            place_file(path, out / path.relative_to(dataset))


def _media(dataset: Place, record: VideoRecord) -> list[Place]:
    files = [poster_path(dataset, record.video_id), strip_path(dataset, record.video_id)]
    return files if record.clip is None else [dataset / record.clip.path, *files]


def _united(one: Source, two: Source) -> Source:
    """One video with the files and labels of both; what the first does not tell is taken from the second."""
    copies = dict.fromkeys((*one.copies, two.path, *two.copies))
    copies.pop(one.path, None)
    labels = dict(one.labels)
    for path, names in two.labels.items():
        labels[path] = tuple(dict.fromkeys((*labels.get(path, ()), *names)))
    fields = ("id", "creator", "title", "category", "uploaded", "sound")
    told = {name: getattr(one, name) if getattr(one, name) is not None else getattr(two, name) for name in fields}
    return replace(
        one,
        copies=tuple(copies),
        labels=labels,
        fingerprints=two.fingerprints | one.fingerprints,
        metadata=two.metadata | one.metadata,
        **told,
    )


def merged_sides(datasets: Sequence[Place], linked: Linked) -> tuple[dict[str, Assignment], list[str]]:
    """Sides of both datasets over all videos, and the ids of those that lost theirs.

    The first dataset's sides hold. A group (:mod:`~tiktokactions.splits.leak_groups`) may reach across the two; where the
    first holds members on one side, the second's members on another stand on none, and where it holds none, the second's
    do with respect to what links them only now.

    Raises:
        MergeError: one was split into folds and the other was not.
    """
    first, second = (read_assignments(dataset) for dataset in datasets)
    kinds = [{a.side for a in sides.values()} - {NOWHERE} for sides in (first, second)]
    folds = [any(side.startswith("fold") for side in kind) for kind in kinds]
    if first and second and (folds[0] != folds[1] or (folds[0] and kinds[0] != kinds[1])):
        raise MergeError(
            f"{datasets[0]} is split into {', '.join(sorted(kinds[0]))} and {datasets[1]} into"
            f" {', '.join(sorted(kinds[1]))}; split one of them again alike (`reassign`)"
        )
    after = second | first
    nowhere = {i for i, a in after.items() if a.side == NOWHERE}
    group_of = named_groups(linked, nowhere)
    held = _sides_by_group(first, group_of, nowhere)
    taken = _sides_by_group({i: a for i, a in second.items() if i not in first}, group_of, nowhere)
    lost = []
    for video_id, given in second.items():
        if given.side == NOWHERE:
            continue
        sides = {given.side}
        if video_id in first:
            # Trained on in one, tested on in the other: neither result could be trusted with it.
            sides |= {first[video_id].side} - {NOWHERE}
        elif (group := group_of.get(video_id)) is not None:
            sides = held.get(group) or taken[group]
        if sides != {given.side}:
            lost.append(video_id)
    after |= dict.fromkeys(lost, Assignment(NOWHERE, BRIDGES))
    return after, sorted(lost)


def _sides_by_group(
    sides: Mapping[str, Assignment], group_of: Mapping[str, str], nowhere: set[str]
) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for video_id, given in sides.items():
        if video_id in group_of and video_id not in nowhere:
            found.setdefault(group_of[video_id], set()).add(given.side)
    return found
