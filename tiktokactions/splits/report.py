"""What a split came to: clips by side and label, what could not be had, and which groups and rules are behind it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tiktokactions.dataset.assignments import NOWHERE, Assignment
from tiktokactions.files import Place
from tiktokactions.records import JsonObject
from tiktokactions.splits.leak_groups import RULES, Linked, moved_by_rule
from tiktokactions.splits.placing import nearest_sum, targets, whole_numbers
from tiktokactions.splits.sounds import SoundApart

if TYPE_CHECKING:
    from tiktokactions.splits.certificate import Certificate
    from tiktokactions.splits.foreign import ForeignCheck

CHAINS = 5
"""The largest groups, which are told of."""
TOLERANCE = 0.1
"""Share of the wanted clips by which a side or a label may be off, and a clip at least, before it counts as missed."""
RULE_NAMES = dict(zip(RULES, ("one source video", "one creator", "near-duplicates", "one sound"), strict=True))


@dataclass(frozen=True)
class Missed:
    """A side, or a label on a side, that could not have the clips it was to have."""

    side: str
    label: str | None
    """None: the side as a whole. ``""``: clips without a label."""
    wanted: float
    possible: int
    """The nearest number that its groups allow, if nothing else mattered."""
    chosen: int
    clips: int
    """Clips of the label, or of the dataset, on all sides."""
    groups: int
    """Groups that these clips form."""
    kept: int
    """Clips of these that keep the side that their group had before."""


@dataclass(frozen=True)
class Chain:
    """A large group, and what holds it together."""

    clips: int
    videos: int
    side: str
    because: tuple[str, ...]
    """The strongest links, as a person reads them."""


@dataclass(frozen=True)
class SplitReport:
    """What ``dataset split`` did; the contents of ``splits/report.json``."""

    dataset: str
    clips: int
    sides: dict[str, int]
    """Clips on every side; ``none``: on none."""
    wanted: dict[str, float]
    """Clips that were asked for on every side."""
    labels: dict[str, dict[str, int]]
    """Clips of every label, by side."""
    groups: int
    largest_group: int
    """Clips in the largest group, which stands on one side whole."""
    moved: dict[str, int]
    """For each rule the clips that stand with others only because of it."""
    bridging: tuple[str, ...]
    """Videos on no side: they belong to groups of two."""
    missing_labels: dict[str, tuple[str, ...]]
    """Labels that a side has no clip of, although it was to have clips. Of a clip with several, its first label counts."""
    possible_labels: dict[str, int]
    """How many labels these sides could have clips of: see :func:`_possible_labels`."""
    missed: tuple[Missed, ...]
    """What could not be had as it was asked for: sides first, then labels."""
    chains: tuple[Chain, ...]
    """The largest groups of more than one clip."""
    sounds: str
    """Whether videos of one sound stand together: ``on``, or ``off`` and why."""
    sounds_apart: tuple[SoundApart, ...]
    """Sounds whose videos may stand on different sides all the same."""
    unplaced: int
    """Clips that no side was to have."""
    new: int
    """Clips that were given a side this time."""
    options: JsonObject
    certificate: Certificate | None = None
    """Copies between the sides; not in ``splits/report.json``, but in ``splits/certificate.json``."""
    check_against: ForeignCheck | None = None
    """What was found among foreign videos, where that was asked for; not in ``splits/report.json``."""


def aimed_at(wanted: Sequence[float], clips: int, groups: int) -> list[int]:
    """Whole numbers of clips for every side, and last for none: what nobody asked for."""
    scale = min(1.0, clips / max(sum(wanted), 1e-9))
    aims = whole_numbers([value * scale for value in wanted], groups)
    return [*aims, max(0, clips - sum(aims))]


def counted(linked: Linked, side: np.ndarray, sides: int) -> tuple[np.ndarray, list[int]]:
    """(sides, L) used clips of every label on every side, and the clips of every side; ``side`` (V,): -1 for none."""
    there = linked.is_used & (side >= 0) & (side < sides)
    clips = np.bincount(side[there], minlength=sides).tolist()
    labels = len(linked.label_names)
    shown = there[linked.labelled]
    cells = side[linked.labelled[shown]] * labels + linked.labelled_as[shown]
    return np.bincount(cells, minlength=sides * labels).reshape(sides, labels).astype(float), clips


def make_report(
    dataset: Place,
    linked: Linked,
    before: Mapping[str, Assignment],
    after: Mapping[str, Assignment],
    wanted: Mapping[str, float],
    options: JsonObject,
    sounds: str,
    apart: tuple[SoundApart, ...],
) -> SplitReport:
    nowhere = linked.are({video_id for video_id, a in after.items() if a.side == NOWHERE})
    group = linked.groups(nowhere)
    sizes = np.bincount(group[linked.is_used])
    used = np.flatnonzero(linked.is_used).tolist()
    names = [linked.label_names[label] or "" for label in linked.label[linked.is_used].tolist()]
    stands = [after[linked.ids[place]].side if linked.ids[place] in after else "" for place in used]
    sides = Counter(stands)
    by_label: dict[str, dict[str, int]] = {label: dict.fromkeys(wanted, 0) for label in sorted(set(names))}
    for name, side in zip(names, stands, strict=True):
        if side:
            by_label[name][side] = by_label[name].get(side, 0) + 1
    missing = {
        side: labels
        for side in wanted
        if wanted[side] > 0 and (labels := tuple(label for label, n in by_label.items() if label and not n[side]))
    }
    return SplitReport(
        dataset=str(dataset),
        clips=len(used),
        sides={side: sides[side] for side in (*wanted, NOWHERE)},
        wanted={side: round(value, 3) for side, value in wanted.items()},
        labels=by_label,
        groups=int((sizes > 0).sum()),
        largest_group=int(sizes.max()),
        moved=moved_by_rule(linked, nowhere, group),
        bridging=tuple(sorted(linked.ids[i] for i in np.flatnonzero(linked.is_used & nowhere).tolist())),
        missing_labels=missing,
        possible_labels={side: _possible_labels(linked, group, before, after, side) for side in missing},
        missed=_missed(linked, group, before, after, wanted),
        chains=_chains(linked, group, nowhere, after),
        sounds=sounds,
        sounds_apart=apart,
        unplaced=sides[""],
        new=sum(linked.ids[i] not in before for i in used),
        options=options,
    )


def _missed(
    linked: Linked,
    group: np.ndarray,
    before: Mapping[str, Assignment],
    after: Mapping[str, Assignment],
    wanted: Mapping[str, float],
) -> tuple[Missed, ...]:
    number = {side: at for at, side in enumerate(wanted)}

    def sides_in(given: Mapping[str, Assignment]) -> np.ndarray:
        return np.fromiter((number.get(given[i].side, -1) if i in given else -1 for i in linked.ids), int, len(group))

    had, has = sides_in(before), sides_in(after)
    # Groups that stood on a side already stay there; only the others could have been placed otherwise.
    is_fixed = np.isin(group, group[had >= 0])
    chosen, clips = counted(linked, has, len(wanted))
    fixed, fixed_clips = counted(linked, np.where(is_fixed, has, -1), len(wanted))
    free = linked.is_used & ~is_fixed & (has >= 0)
    on_sides = linked.is_used & (has >= 0)
    aims = aimed_at(list(wanted.values()), sum(clips), len(np.unique(group[on_sides])))
    found = []
    for at, side in enumerate(wanted):
        if _is_missed(aims[at], clips[at]) or (aims[at] == 0 and wanted[side] > 0):
            sizes = np.unique(group[free], return_counts=True)[1].tolist()
            possible = fixed_clips[at] + nearest_sum(sizes, aims[at] - fixed_clips[at])
            groups = len(np.unique(group[on_sides]))
            found.append(Missed(side, None, aims[at], possible, clips[at], sum(clips), groups, int(sum(fixed_clips))))
    shown = linked.labelled_as, group[linked.labelled]
    names = [name or "" for name in linked.label_names]
    is_shown, is_free = on_sides[linked.labelled], free[linked.labelled]
    total = chosen.sum(axis=0)
    pairs = np.unique(np.stack(shown)[:, is_shown], axis=1)
    # What rare labels got beyond their share, so that every side has some, was wanted as well.
    aim = targets(aims, total, np.bincount(pairs[0], minlength=len(names)))
    quota = np.array(aims)[:, None] / max(sum(aims), 1) * total
    off = np.abs(chosen - quota[: len(wanted)])
    for label in sorted(np.flatnonzero((off > 1).any(axis=0)).tolist(), key=names.__getitem__):
        its = shown[0] == label
        for at, side in enumerate(wanted):
            if all(_is_missed(many[at, label], chosen[at, label]) for many in (quota, aim)):
                sizes = np.unique(shown[1][its & is_free], return_counts=True)[1].tolist()
                there = int(fixed[at, label])
                possible = there + nearest_sum(sizes, quota[at, label] - there)
                groups = len(np.unique(shown[1][its & is_shown]))
                told = round(float(quota[at, label]), 2), possible, int(chosen[at, label]), int(total[label]), groups
                found.append(Missed(side, names[label], *told, int(fixed[:, label].sum())))
    return tuple(found)


def _possible_labels(
    linked: Linked, group: np.ndarray, before: Mapping[str, Assignment], after: Mapping[str, Assignment], side: str
) -> int:
    """Labels that a side of this size could have clips of: those it has, or whole groups that come from elsewhere and leave
    every other side that has the label one of its own."""
    first, used = linked.label.tolist(), np.flatnonzero(linked.is_used).tolist()
    stands = {i: found.side for i in used if (found := after.get(linked.ids[i])) and found.side != NOWHERE}
    fixed = set(group[[i for i, video_id in enumerate(linked.ids) if video_id in before]].tolist())
    size, labels = Counter(group[list(stands)].tolist()), dict[int, set[int]]()
    groups_of, sides_of = dict[int, set[int]](), dict[int, set[str]]()
    for i, its_side in stands.items():
        if linked.label_names[first[i]]:
            labels.setdefault(int(group[i]), set()).add(first[i])
            groups_of.setdefault(first[i], set()).add(int(group[i]))
            sides_of.setdefault(first[i], set()).add(its_side)
    had = {label for label, sides in sides_of.items() if side in sides}
    kept = {int(group[i]) for i, its_side in stands.items() if its_side == side and group[i] in fixed}
    covered = {label for number in kept for label in labels.get(number, ())}
    room = sum(its_side == side for its_side in stands.values()) - sum(size[number] for number in kept)
    for number in sorted(labels.keys() - fixed, key=lambda number: size[number] / len(labels[number])):
        can = {label for label in labels[number] if label in had or len(groups_of[label]) > len(sides_of[label])}
        if size[number] <= room and can - covered:
            covered |= can
            room -= size[number]
    return max(len(covered), len(had))


def _is_missed(wanted: float, chosen: float) -> bool:
    is_rounded = math.floor(wanted + 1e-9) <= chosen <= math.ceil(wanted - 1e-9)
    return not is_rounded and abs(chosen - wanted) > max(1.0, TOLERANCE * wanted) - 1e-9


def _chains(
    linked: Linked, group: np.ndarray, nowhere: np.ndarray, after: Mapping[str, Assignment]
) -> tuple[Chain, ...]:
    clips = np.bincount(group[linked.is_used & ~nowhere], minlength=int(group.max(initial=0)) + 1)
    found = []
    for number in np.argsort(-clips, kind="stable")[:CHAINS].tolist():
        if clips[number] < 2:
            break
        is_member = (group == number) & ~nowhere
        links = is_member[linked.who]
        what, first, count = np.unique(linked.what[links], return_index=True, return_counts=True)
        rule = linked.rule[links][first]
        best = sorted(range(len(what)), key=lambda i: (-int(count[i]), int(what[i])))[:3]
        sides = sorted(
            {after[linked.ids[i]].side for i in np.flatnonzero(is_member).tolist() if linked.ids[i] in after}
        )
        because = tuple(
            f"{RULE_NAMES[RULES[rule[i]]]}{_named(RULES[rule[i]], linked.names[int(what[i])].as_py())}, {count[i]} videos"
            for i in best
            if count[i] > 1
        )
        found.append(Chain(int(clips[number]), int(is_member.sum()), " and ".join(sides), because))
    return tuple(found)


def _named(rule: str, value: str) -> str:
    return f" ({value})" if rule in ("creator", "sound") else f" of {value}" if rule == "duplicate" else ""


def report_text(report: SplitReport) -> str:
    """The report as a person reads it."""
    lines = [
        f"{report.clips:,} clips in {report.groups:,} groups that stay together (the largest has {report.largest_group:,})"
    ]
    for side, count in report.sides.items():
        if side in report.wanted:
            lines.append(f"  {side:6} {count:>8,} clips ({report.wanted[side]:,.10g} wanted)")
    if report.unplaced:
        lines.append(f"{report.unplaced:,} clips stand on no side, because none was to have them")
    moved = ", ".join(f"{RULE_NAMES[rule]} {count:,}" for rule, count in report.moved.items())
    lines.append(f"clips that stand with others only because of: {moved}")
    lines.append(f"shared sounds keep videos together: {report.sounds}")
    if report.sounds_apart:
        lines += _apart_text(report.sounds_apart)
    for chain in report.chains:
        if chain.clips > max(2, report.clips / 20):
            share = f"{chain.clips / report.clips:.0%} of the clips"
            lines.append(f"a group of {chain.clips:,} clips ({share}) on {chain.side}: {'; '.join(chain.because)}")
    labels = sum(map(bool, report.labels))
    for side, missing in report.missing_labels.items():
        lines.append(
            f"attention: {side}: wanted clips of all {labels:,} labels, possible {report.possible_labels[side]:,} with"
            f" {report.sides[side]:,} clips in whole groups, chosen {labels - len(missing):,}; none of {_some(missing)}"
        )
    if report.missed:
        lines += _missed_text(report.missed)
    if report.bridging:
        many = f"{len(report.bridging)} videos belong to groups on two sides"
        lines.append(f"attention: {many} and stand on none: {_some(report.bridging)}")
    return "\n".join(lines)


def _apart_text(apart: Sequence[SoundApart]) -> list[str]:
    why = {
        "library": "so many videos use them",
        "large": "the group would grow too large (`chain`)",
        "sides": "they would join videos that stand on two sides already",
    }
    lines = []
    for reason, told in why.items():
        its = [one for one in apart if one.because == reason]
        if its:
            named = _some([f"{one.sound} ({one.videos} videos)" for one in its])
            lines.append(f"  sounds that do not, because {told}: {named}")
    return [*lines, "  so two sides may hold videos of one of these sounds, perhaps of one dance"]


def _missed_text(missed: Sequence[Missed]) -> list[str]:
    whole = [one for one in missed if one.label is None]
    labels = [one for one in missed if one.label is not None]
    lines = []
    for one in [*whole, *labels[:10]]:
        what = one.side if one.label is None else f"{one.side}, {one.label or '(no label)'}"
        kept = f", and {one.kept:,} clips on the sides that they had" if one.kept else ""
        lines.append(
            f"attention: {what}: wanted {one.wanted:g} of {one.clips:,} clips, possible {one.possible:,} with whole groups"
            f" ({one.groups:,} of them){kept}, chosen {one.chosen:,}"
        )
    if len(labels) > 10:
        lines.append(
            f"attention: {len(labels) - 10:,} more labels are off their share; all: splits/report.json, missed"
        )
    return lines


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
