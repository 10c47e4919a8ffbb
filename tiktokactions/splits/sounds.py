"""Shared sounds: the weakest of the rules, the only one that may be left out, and the one that makes chains.

One sound joins creators, each creator joins sounds, and soon most of a dataset is one group. Frames do not show a sound, so
a link by sound is followed only where it costs little: not if clips are written without sound, not of a sound that many
videos use (it comes from a library), not where the group would grow too large, and not where it would join videos that
stand on two sides already. Links by source, creator and near-duplicate are always followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tiktokactions.dataset.assignments import NOWHERE, Assignment
from tiktokactions.splits.leak_groups import RULES, Linked, torn_between

LIBRARY_VIDEOS = 50
"""A sound of more videos than this comes from a library."""
SMALL_GROUP = 5
"""Clips that a group may always reach through shared sounds."""

SOUND = RULES.index("sound")


@dataclass(frozen=True)
class SoundApart:
    """A sound whose videos may stand on different sides."""

    sound: str
    videos: int
    clips: int
    """Clips of the group that the link would have made."""
    because: str
    """``library``: too many videos; ``large``: too large a group; ``sides``: it would join videos of two sides."""


def without_sounds(linked: Linked, silent: np.ndarray | None = None) -> Linked:
    """Without the links by sound of some videos, (V,) bool; of all where it is None."""
    kept = linked.rule != SOUND
    if silent is not None:
        kept |= ~silent[linked.who]
    return _with_links(linked, kept)


def bound_sounds(
    linked: Linked, before: Mapping[str, Assignment], largest_share: float
) -> tuple[Linked, tuple[SoundApart, ...]]:
    """Only the links by sound that are followed, and the sounds that are not, those of most videos first.

    Args:
        linked: all links.
        before: sides given earlier.
        largest_share: of the clips, that a group may reach through shared sounds.
    """
    names_of_sides = sorted({a.side for a in before.values()} - {NOWHERE})
    place = {side: i for i, side in enumerate(names_of_sides)}
    side = np.fromiter((place.get(before[i].side, -1) if i in before else -1 for i in linked.ids), int, len(linked.ids))
    nowhere = linked.are({i for i, a in before.items() if a.side == NOWHERE})
    nowhere = torn_between(without_sounds(linked), side, nowhere)
    group = linked.groups(nowhere, rule_off="sound")
    clips = np.bincount(group[linked.is_used], minlength=int(group.max(initial=-1)) + 1).tolist()
    stands = [0] * len(clips)
    for number, own in set(zip(group[side >= 0].tolist(), side[side >= 0].tolist(), strict=True)):
        stands[number] |= 1 << own
    limit = max(SMALL_GROUP, largest_share * int(linked.is_used.sum()))

    parent = list(range(len(clips)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    is_sound = (linked.rule == SOUND) & ~nowhere[linked.who]
    values, which, videos = np.unique(linked.what[is_sound], return_inverse=True, return_counts=True)
    names = linked.names.take(values).to_pylist()
    members: list[list[int]] = [[] for _ in names]
    for sound, number in np.unique(np.stack([which, group[linked.who[is_sound]]], 1), axis=0).tolist():
        members[sound].append(number)
    apart: dict[int, SoundApart] = {}
    # Sounds of few videos first: they are the ones that people made themselves.
    for sound in sorted(range(len(names)), key=lambda i: (int(videos[i]), names[i])):
        roots = sorted({root(number) for number in members[sound]})
        if len(roots) < 2:
            continue
        size, joined = sum(clips[number] for number in roots), 0
        for number in roots:
            joined |= stands[number]
        because = (
            "library"
            if videos[sound] > LIBRARY_VIDEOS
            else "sides"
            if joined & (joined - 1) and all(stands[number] != joined for number in roots)
            else "large"
            if size > limit
            else ""
        )
        if because:
            apart[int(values[sound])] = SoundApart(names[sound], int(videos[sound]), size, because)
            continue
        for number in roots[1:]:
            parent[number] = roots[0]
        clips[roots[0]], stands[roots[0]] = size, joined
    left_out = np.isin(linked.what, np.fromiter(apart, np.int64, len(apart)))
    told = sorted(apart.values(), key=lambda one: (-one.videos, one.sound))
    return _with_links(linked, ~left_out), tuple(told)


def _with_links(linked: Linked, kept: np.ndarray) -> Linked:
    return replace(linked, who=linked.who[kept], what=linked.what[kept], rule=linked.rule[kept])
