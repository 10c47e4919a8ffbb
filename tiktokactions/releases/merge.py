"""``dataset merge``: several datasets as one. Clips are hard links where the file system can; verdicts are drawn anew over
all videos together, so that near-duplicates between them are found; sides of earlier datasets hold; what people decided in
any is carried over (:mod:`tiktokactions.reviews.merged`), and what was taken down in any stays out.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tiktokactions.copies.taken_down import take_over
from tiktokactions.curation.takedowns import Dead, add_takedowns, names_of, read_takedowns
from tiktokactions.dataset.assignments import BRIDGES, NOWHERE, Assignment
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    Place,
    all_records,
    delete,
    delete_records,
    place_file,
    record_of,
    records_of,
    thumbnail_paths,
    write_record,
)
from tiktokactions.records import Source, VideoRecord
from tiktokactions.reviews.merged import MergedReviews
from tiktokactions.splits.leak_groups import Linked, named_groups

Sides = Mapping[str, Assignment]


class MergeError(UsageError):
    """Datasets that cannot be one; the message says why and what to do."""


@dataclass(frozen=True)
class Merged:
    dataset: str
    of: tuple[str, ...]
    videos: int
    accepted: int
    shared: int
    """Videos that more than one of them held; their paths and labels were united."""
    renamed: tuple[str, ...]
    """Different videos that claimed the id of another: the later one's new id."""
    duplicates: int
    """Videos rejected now as near-duplicates of another that were accepted before."""
    off_sides: tuple[str, ...]
    """Videos that lost their side, because an earlier dataset holds a relative on another."""
    taken_down: int
    """Videos that were taken down in one of the datasets: they were left out."""
    reviews: MergedReviews


def check_settings(first: Dataset, *others: Dataset) -> None:
    """Raises ``MergeError`` where the evidence of two of them cannot be compared."""
    a = first.options.group("evidence")
    for other in others:
        b = other.options.group("evidence")
        # Which detector saw a video stands in its record; frames, scenes and hashes must have been taken alike.
        differing = [name for name, value in a.items() if b[name] != value and name != "detector"]
        if differing:
            told = ", ".join(f"`{name}` ({a[name]} and {b[name]})" for name in differing)
            raise MergeError(
                f"{first.folder} and {other.folder} were curated with different {told}; curate one of them again alike"
            )


@dataclass
class Copied:
    """What :func:`copy_videos` found; ids of videos are those in the merged dataset unless said otherwise."""

    shared: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    """Accepted in one of them."""
    taken_down: set[str] = field(default_factory=set)
    """Left out, because the video, or its bytes, were taken down in one of them or in the merged dataset; own ids."""
    renamed: list[dict[str, str]] = field(default_factory=list)
    """For each dataset the videos that have another id in the merged one: own id -> new id."""


def copy_videos(datasets: Sequence[Place], out: Place) -> Copied:
    """Take-downs, records, clips and thumbnails into ``out``, each record once; may be repeated after a kill.

    As in ``curate``, the same bytes are one video, and of two different files that claim one id the later gets the
    beginning of its SHA-256 behind it.
    """
    copied = Copied()
    takedowns = {i: takedown for folder in (*datasets[::-1], out) for i, takedown in read_takedowns(folder).items()}
    if takedowns:
        add_takedowns(out, takedowns.values())
        take_over(datasets, out)
    dead = Dead(takedowns.values())
    contents: dict[str, str] = {}  # id -> SHA-256 of what is in ``out``, and the other way round
    ids: dict[str, str] = {}
    for dataset in datasets:
        renamed: dict[str, str] = {}
        for record in all_records(dataset):
            own_id, sha256 = record.video_id, record.source.sha256
            if any(name in dead for name in names_of(record)):
                copied.taken_down.add(own_id)
                _take_away(out, record)
                continue
            video_id = ids.get(sha256) or own_id
            if contents.get(video_id, sha256) != sha256:
                video_id = _other_id(record)
            if video_id != own_id:
                renamed[own_id] = video_id
            if video_id in contents:
                copied.shared.add(video_id)
                write_record(out, _one_video(record_of(out, video_id), record, dataset, out))
            else:
                contents[video_id] = sha256
                if sha256:
                    ids[sha256] = video_id
                write_record(out, _place(dataset, out, record, video_id))
            if record.status == "accepted":
                copied.accepted.add(video_id)
        copied.renamed.append(renamed)
    return copied


def _one_video(first: VideoRecord, second: VideoRecord, dataset: Place, out: Place) -> VideoRecord:
    """A video that two hold: the first one's record, with the clip of the second where it has none itself (people
    accepted it there, say; its source may be gone)."""
    if first.clip is None and second.clip is not None:
        second = _place(dataset, out, second, first.video_id)
        first = replace(first, clip=second.clip, segment=second.segment)
    return first.with_source(_united(first.source, second.source))


def _take_away(out: Place, record: VideoRecord) -> None:
    """What an earlier merge of the same datasets left of a video that was taken down since."""
    ids = [record.video_id, _other_id(record)]
    for own in records_of(out, ids):
        for path in _media(out, own):
            delete(path)
    delete_records(out, ids)


def _other_id(record: VideoRecord) -> str:
    """The id of a video in a merge where an earlier one has its own."""
    contents = record.source.sha256 or hashlib.sha256(record.source.path.encode()).hexdigest()
    return f"{record.video_id}-{contents[:8]}"


def _place(dataset: Place, out: Place, record: VideoRecord, video_id: str) -> VideoRecord:
    """Clip and pictures under the id in the merged dataset; returns the record of that id."""
    clip = record.clip
    if clip is not None and video_id != record.video_id:
        clip = replace(clip, path=f"{clip.path.rpartition('/')[0]}/{video_id}.mp4")
    placed = replace(record, video_id=video_id, clip=clip)
    for source, target in zip(_media(dataset, record), _media(out, placed), strict=True):
        with contextlib.suppress(FileNotFoundError):  # settling cuts again what is not there
            place_file(source, target)
    return placed


def _media(dataset: Place, record: VideoRecord) -> list[Place]:
    files = [*thumbnail_paths(dataset, record.video_id)]
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


def first_sides(parts: Mapping[str, Sides]) -> dict[str, Assignment]:
    """Every video's side in the first dataset that gives it one."""
    return {i: a for sides in reversed(list(parts.values())) for i, a in sides.items()}


def merged_sides(parts: Mapping[str, Sides], linked: Linked) -> tuple[dict[str, Assignment], list[str]]:
    """Sides of all datasets over all videos, and the ids of those that lost theirs.

    Sides of earlier datasets hold. A group (:mod:`~tiktokactions.splits.leak_groups`) may reach across datasets; where
    earlier ones hold members on one side, a later one's members on another stand on none, and where they hold none, the
    later one's do with respect to what links them only now.

    Args:
        parts: for each dataset, by its name, the sides of its videos by their ids in the merged one.

    Raises:
        MergeError: one was split into folds and another was not.
    """
    _check_kinds(parts)
    after = first_sides(parts)
    nowhere = {i for i, a in after.items() if a.side == NOWHERE}
    group_of = named_groups(linked, nowhere)
    lost: set[str] = set()
    first, *others = parts.values()
    before = dict(first)
    for sides in others:
        held = _sides_by_group(before, group_of, nowhere)
        taken = _sides_by_group({i: a for i, a in sides.items() if i not in before}, group_of, nowhere)
        for video_id, given in sides.items():
            if given.side == NOWHERE:
                continue
            found = {given.side}
            if video_id in before:
                # Trained on in one, tested on in another: neither result could be trusted with it.
                found |= {before[video_id].side} - {NOWHERE}
            elif (group := group_of.get(video_id)) is not None:
                found = held.get(group) or taken[group]
            if found != {given.side}:
                lost.add(video_id)
        before = dict(sides) | before
        # What lost its side holds none against those that come later.
        nowhere |= lost
    return after | dict.fromkeys(lost, Assignment(NOWHERE, BRIDGES)), sorted(lost)


def _check_kinds(parts: Mapping[str, Sides]) -> None:
    kinds = {name: {a.side for a in sides.values()} - {NOWHERE} for name, sides in parts.items() if sides}
    for (one, first), (two, second) in itertools.combinations(kinds.items(), 2):
        folds = [any(side.startswith("fold") for side in kind) for kind in (first, second)]
        if folds[0] != folds[1] or (folds[0] and first != second):
            raise MergeError(
                f"{one} is split into {', '.join(sorted(first))} and {two} into"
                f" {', '.join(sorted(second))}; split one of them again alike (`reassign`)"
            )


def _sides_by_group(
    sides: Mapping[str, Assignment], group_of: Mapping[str, str], nowhere: set[str]
) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for video_id, given in sides.items():
        if video_id in group_of and video_id not in nowhere:
            found.setdefault(group_of[video_id], set()).add(given.side)
    return found
