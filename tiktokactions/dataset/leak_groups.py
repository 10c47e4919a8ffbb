"""Which videos belong together because one would give away another: the groups that a split must not tear apart.

Videos are joined by the file they were cut from (bytes, or a source named in their metadata), by their creator, as
near-duplicates, and by their sound. Rejected near-duplicates join too: whoever posted a copy may have posted the original.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiktokactions.records import Source, VideoRecord

RULES = ("source", "creator", "duplicate", "sound")
SOURCE_KEYS = ("source_video", "source_id", "source_video_id", "original_id", "original_video", "parent_id")
"""Names in a video's metadata that tell what it was cut from."""
GENERIC_SOUNDS = (
    *(
        "original sound",
        "original audio",
        "original",
        "son original",
        "sonido original",
        "som original",
        "suono originale",
    ),
    *("originalton", "оригинальный звук", "オリジナル楽曲", "原声", "none", "unknown", "no sound", "silence"),
)
"""Titles that many unrelated videos share; beginnings count ("original sound - name")."""


@dataclass(frozen=True, slots=True)
class LinkedVideo:
    """What of a record matters for groups and strata."""

    video_id: str
    label: str | None
    is_used: bool
    """Accepted, with a clip; others only join."""
    keys: tuple[tuple[str, str], ...]
    """(rule, value): videos that share one belong together."""
    path: str


def linked_video(record: VideoRecord, human_labels: tuple[str, ...] = (), twin: str | None = None) -> LinkedVideo:
    """A record as a member of groups. ``twin``: the video that it is a near-duplicate of."""
    row = {
        "video_id": record.video_id,
        "labels": record.labels,
        "human_labels": human_labels,
        "creator": record.source.creator,
        "status": record.status,
        "reasons": record.reasons,
        "clip_path": record.clip.path if record.clip is not None else None,
        "sha256": record.source.sha256,
        "sound": record.source.sound,
        "derived_from": derived_from(record.source),
    }
    return linked_row(row, twin)


LINK_COLUMNS = [
    *("video_id", "labels", "human_labels", "creator", "status", "reasons", "clip_path"),
    *("sha256", "sound", "derived_from"),
]
"""What :func:`linked_row` needs of the manifest."""


def linked_row(row: Mapping[str, Any], twin: str | None = None) -> LinkedVideo:
    """A row of the manifest (:data:`LINK_COLUMNS`) as a member of groups."""
    video_id, creator, sound = row["video_id"], row["creator"], row["sound"]
    keys = [("source", f"sha:{row['sha256']}")] if row["sha256"] else []
    keys += [("source", named) for named in row["derived_from"] or ()]
    if creator:
        keys.append(("creator", creator.strip().casefold()))
    if sound and not is_generic(sound):
        keys.append(("sound", sound.strip().casefold()))
    copies = [twin] if twin else []
    copies += [reason.split(":", 1)[1] for reason in row["reasons"] or () if reason.startswith("duplicate_of:")]
    keys += [("duplicate", kept) for kept in copies] + [("duplicate", video_id)]
    labels = row["human_labels"] or row["labels"]
    used = row["status"] == "accepted" and row["clip_path"] is not None
    return LinkedVideo(
        video_id, labels[0] if labels else None, used, tuple(dict.fromkeys(keys)), row["clip_path"] or ""
    )


def derived_from(source: Source) -> list[str]:
    """What the metadata say a video was cut from, as ``name:value``."""
    return [f"{name}:{source.metadata[name]}" for name in SOURCE_KEYS if source.metadata.get(name)]


def is_generic(sound: str) -> bool:
    """Whether a sound's name says nothing about what is heard."""
    name = sound.strip().casefold()
    return not name or name.startswith(tuple(title.casefold() for title in GENERIC_SOUNDS))


class Links:
    """Who shares what, as numbers: built once, asked for groups with all rules or without one."""

    def __init__(self, videos: Iterable[LinkedVideo], without: Collection[str] = ()) -> None:
        self.ids: list[str] = []
        codes: dict[tuple[str, str], int] = {}
        who, what, rule = array("q"), array("q"), bytearray()
        for place, video in enumerate(videos):
            self.ids.append(video.video_id)
            for key in video.keys if video.video_id not in without else ():
                who.append(place)
                what.append(codes.setdefault(key, len(codes)))
                rule.append(RULES.index(key[0]))
        self._keys = len(codes)
        self._who, self._what = np.frombuffer(who, np.int64), np.frombuffer(what, np.int64)
        self._rule = np.frombuffer(rule, np.uint8)

    def groups(self, rule_off: str | None = None) -> np.ndarray:
        """(V,) int64: the number of each video's group."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = len(self.ids)
        kept = np.ones(len(self._who), bool) if rule_off is None else self._rule != RULES.index(rule_off)
        who, what = self._who[kept], self._what[kept]
        size = count + self._keys
        graph = coo_array((np.ones(len(who), np.int8), (who, what + count)), shape=(size, size))
        return np.asarray(connected_components(graph, directed=False)[1][:count], np.int64)


def groups(videos: Iterable[LinkedVideo], without: Collection[str] = (), rule_off: str | None = None) -> dict[str, str]:
    """The group of every video, named after its first member by id.

    Args:
        videos: used ones and those that only join.
        without: ids that join nothing (they stand on no side).
        rule_off: a rule to leave out, to see what it does.
    """
    links = Links(videos, without)
    name: dict[int, str] = {}
    numbers = links.groups(rule_off).tolist()
    for video_id, number in zip(links.ids, numbers, strict=True):
        name[number] = min(video_id, name.get(number, video_id))
    return {video_id: name[number] for video_id, number in zip(links.ids, numbers, strict=True)}


def moved_by_rule(videos: list[LinkedVideo], without: Collection[str]) -> dict[str, int]:
    """For each rule the used videos that stand in a group only because of it.

    Without the rule a group falls into parts; the largest part stays, the videos of the others were moved to it.
    """
    links = Links(videos, without)
    whole = links.groups()
    used = np.array([video.is_used and video.video_id not in without for video in videos], bool)
    return {rule: _moved(whole[used], links.groups(rule)[used]) for rule in RULES}


def _moved(whole: np.ndarray, parts: np.ndarray) -> int:
    if not len(whole):
        return 0
    # A part lies in one group, so its number alone tells it from all others.
    _, first, sizes = np.unique(parts, return_index=True, return_counts=True)
    largest = np.zeros(int(whole.max()) + 1, np.int64)
    np.maximum.at(largest, whole[first], sizes)
    return len(whole) - int(largest.sum())


def used_members(videos: Iterable[LinkedVideo], group_of: Mapping[str, str]) -> Iterator[tuple[str, list[LinkedVideo]]]:
    """The used videos of every group that has any."""
    members: dict[str, list[LinkedVideo]] = {}
    for video in videos:
        if video.is_used:
            members.setdefault(group_of[video.video_id], []).append(video)
    yield from members.items()
