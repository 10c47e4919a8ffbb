"""Which videos belong together because one would give away another: the groups that a split must not tear apart.

Videos are joined by the file they were cut from (bytes, or a source named in their metadata), by their creator, as
near-duplicates, and by their sound. Rejected near-duplicates join too: whoever posted a copy may have posted the original.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tiktokactions.records import VideoRecord

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


@dataclass(frozen=True)
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
    labels = human_labels or record.labels
    source = record.source
    keys = [("source", f"sha:{source.sha256}")] if source.sha256 else []
    keys += [("source", f"{name}:{source.metadata[name]}") for name in SOURCE_KEYS if source.metadata.get(name)]
    if source.creator:
        keys.append(("creator", source.creator.strip().casefold()))
    if source.sound and not is_generic(source.sound):
        keys.append(("sound", source.sound.strip().casefold()))
    copies = [twin] if twin else []
    copies += [reason.split(":", 1)[1] for reason in record.reasons if reason.startswith("duplicate_of:")]
    keys += [("duplicate", kept) for kept in copies] + [("duplicate", record.video_id)]
    used = record.status == "accepted" and record.clip is not None
    path = record.clip.path if record.clip is not None else ""
    return LinkedVideo(record.video_id, labels[0] if labels else None, used, tuple(dict.fromkeys(keys)), path)


def is_generic(sound: str) -> bool:
    """Whether a sound's name says nothing about what is heard."""
    name = sound.strip().casefold()
    return not name or name.startswith(tuple(title.casefold() for title in GENERIC_SOUNDS))


def groups(videos: Iterable[LinkedVideo], without: Collection[str] = (), rule_off: str | None = None) -> dict[str, str]:
    """The group of every video, named after one of its members.

    Args:
        videos: used ones and those that only join.
        without: ids that join nothing (they stand on no side).
        rule_off: a rule to leave out, to see what it does.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    first_with: dict[tuple[str, str], str] = {}
    members = []
    for video in videos:
        members.append(video.video_id)
        root(video.video_id)
        if video.video_id in without:
            continue
        for key in video.keys:
            if key[0] != rule_off:
                a, b = root(first_with.setdefault(key, video.video_id)), root(video.video_id)
                parent[max(a, b)] = min(a, b)
    return {member: root(member) for member in members}


def moved_by_rule(videos: list[LinkedVideo], without: Collection[str]) -> dict[str, int]:
    """For each rule the used videos that stand in a group only because of it.

    Without the rule a group falls into parts; the largest part stays, the videos of the others were moved to it.
    """
    whole = groups(videos, without)
    used = [video.video_id for video in videos if video.is_used and video.video_id not in without]
    return {rule: _moved(whole, groups(videos, without, rule), used) for rule in RULES}


def _moved(whole: Mapping[str, str], parts: Mapping[str, str], used: list[str]) -> int:
    sizes = Counter((whole[i], parts[i]) for i in used)
    largest: dict[str, int] = {}
    for (group, _), size in sizes.items():
        largest[group] = max(size, largest.get(group, 0))
    return len(used) - sum(largest.values())


def used_members(videos: Iterable[LinkedVideo], group_of: Mapping[str, str]) -> Iterator[tuple[str, list[LinkedVideo]]]:
    """The used videos of every group that has any."""
    members: dict[str, list[LinkedVideo]] = {}
    for video in videos:
        if video.is_used:
            members.setdefault(group_of[video.video_id], []).append(video)
    yield from members.items()
