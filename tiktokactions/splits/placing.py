"""Which side each group goes to, so that every side gets its clips and every label its share of them.

The aim is exact: whole numbers of clips for the sides, by largest remainder. Groups (G of them, S sides, L labels) are
placed whole. What is kept small is the sum of squared differences between the clips of each label on each side and the
label's share of that side (for clips on their own, the least sum is what the largest remainders give). A share below one
clip counts as almost one, where the label has groups enough (:func:`targets`): rare labels come before the remainders of
common ones. Three steps:

1. *Groups above the smallest size*, the largest first: each where the squares, of its labels and of the side as a whole,
   grow least, measured against how far the filling has come, among the sides that still have room for it.
2. *Groups of the smallest size*: each side in turn, the smallest first, gets as many as it still wants, always the cheapest
   next one. Costs only rise as clips move, so an old cost in the queue is a lower bound and is reckoned again when its turn
   comes.
3. *Corrections*: groups move or change places where that brings a side nearer to its number of clips; then groups of one
   size change places where a label has too many clips on one side and too few on another.

All steps but the last are linear in the number of clips, and the last is bounded.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Labels = tuple[tuple[int, int], ...]
"""Label and how many clips of a group have it."""

LOOKED_AT = 40
"""Groups that are tried as partners in an exchange."""
PAIRED = 8
"""Sides with too many clips, and sides with too few, that are paired at a time."""
EXCHANGES = 20_000
"""Attempts to exchange groups for the sake of a label."""
EMPTY = 100.0
"""What a label costs that a side has no clip of, although it should: as much as ten clips too many."""
RARE = 0.001
"""How far below one clip a share of nothing counts."""


@dataclass(frozen=True)
class Group:
    """Clips that stay together."""

    members: Sequence[int]
    labels: Labels

    @property
    def size(self) -> int:
        return len(self.members)


def whole_numbers(wanted: Sequence[float], groups: int = 0) -> list[int]:
    """Whole numbers with the rounded sum of those given, by largest remainder; ties go to the smaller one.

    What is above 0 stays above 0, where there are as many groups as such numbers.
    """
    found = [int(value + 1e-9) for value in wanted]
    by_rest = sorted(range(len(wanted)), key=lambda i: (round(found[i] - wanted[i], 9), wanted[i]))
    for i in by_rest[: round(sum(wanted)) - sum(found)]:
        found[i] += 1
    asked = [i for i, value in enumerate(wanted) if value > 0]
    for i in asked if len(asked) <= groups else ():
        largest = max(asked, key=found.__getitem__)
        if not found[i] and found[largest] > 1:
            found[i], found[largest] = 1, found[largest] - 1
    return found


@dataclass
class Sides:
    """How full the sides are while groups are placed.

    ``clips``, ``aims``: clips there and wanted, (S,). ``over``: clips of a label on a side above its share, (S, L).
    """

    clips: list[int]
    aims: list[int]
    over: list[list[float]]
    none: list[list[float]]
    """(S, L) below this, a side has no clip of a label and should; -inf where it need not."""
    groups: list[dict[int, Group]] = field(default_factory=list)
    """Those placed by this very run, by number."""

    def room(self, side: int) -> int:
        return self.aims[side] - self.clips[side]

    def cost(self, labels: Labels, side: int, less: Labels = ()) -> float:
        """What the squares of a side grow by, if clips come and others (``less``) go."""
        over, none, change = self.over[side], self.none[side], dict(labels)
        for label, n in less:
            change[label] = change.get(label, 0) - n
        found = 0.0
        for label, n in change.items():
            now = over[label]
            found += n * (2 * now + n) + EMPTY * ((now + n < none[label]) - (now < none[label]))
        return found

    def put(self, number: int, group: Group, side: int) -> None:
        self.groups[side][number] = group
        self._count(group, side, 1)

    def move(self, number: int, here: int, there: int) -> None:
        group = self.groups[here].pop(number)
        self._count(group, here, -1)
        self.put(number, group, there)

    def _count(self, group: Group, side: int, sign: int) -> None:
        self.clips[side] += sign * group.size
        for label, n in group.labels:
            self.over[side][label] += sign * n

    def gain(self, one: Group, here: int, there: int, other: Group | None = None) -> float:
        """By how much the squares fall if a group moves, in exchange for another."""
        back = other.labels if other else ()
        return -self.cost(one.labels, there, back) - self.cost(back, here, one.labels)


def place(groups: Sequence[Group], have: np.ndarray, clips: Sequence[int], aims: Sequence[int]) -> list[int]:
    """The side of every group.

    Args:
        groups: in the order in which equals have their turn.
        have: (S, L) clips of each label that have a side already.
        clips: (S,) clips that have a side already.
        aims: (S,) whole numbers of clips wanted altogether.
    """
    if not groups:
        return []
    total, units = have.sum(axis=0), (have > 0).sum(axis=0)
    for group in groups:
        for label, n in group.labels:
            total[label] += n
            units[label] += 1
    wanted = targets(aims, total, units)
    # Small sides are after whole shares first; folds, and what is trained on, after a clip of every label.
    least = np.where(np.array(aims) * 2 > max(aims[:-1]), RARE, 1.0)
    least[-1] = np.inf
    none = np.where(wanted >= least[:, None], 0.5 - wanted, -np.inf)
    sides = Sides(list(clips), list(aims), (have - wanted).tolist(), none.tolist(), [{} for _ in aims])
    smallest = min(group.size for group in groups)
    large = [number for number, group in enumerate(groups) if group.size > smallest]
    _place_large(sides, sorted(large, key=lambda number: -groups[number].size), groups)
    _fill(sides, [number for number, group in enumerate(groups) if group.size == smallest], groups)
    _correct_totals(sides)
    _correct_labels(sides)
    where = {number: side for side, placed in enumerate(sides.groups) for number in placed}
    return [where[number] for number in range(len(groups))]


def targets(aims: Sequence[int], total: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(S, L) clips wanted of each label on each side: its share, but on small sides (test before val) almost one at least, as
    long as the label has a group for every side. What they get more, the largest side gets less.

    Args:
        aims: (S,) clips wanted altogether; last of those that stand on no side.
        total: (L,) clips of each label.
        units: (L,) groups of each label, as far as known: those to place, and the sides that have it already.
    """
    share = np.array(aims) / max(sum(aims), 1)
    wanted = share[:, None] * total
    largest = int(np.argmax(share))
    spare = units - 1
    for side in (0, *range(len(aims) - 2, 0, -1)):
        if not 0 < share[side] <= share[largest] / 2:
            continue
        # The larger of two small shares still comes first.
        raised = np.where((wanted[side] < 1) & (spare > 0), 1 - RARE * (1 - wanted[side]), wanted[side])
        wanted[largest] -= raised - wanted[side]
        wanted[side] = raised
        spare = spare - (total > 0)
    return wanted


def _place_large(sides: Sides, order: Sequence[int], groups: Sequence[Group]) -> None:
    """Step 1. ``over`` counts against the final share; here it is compared with the share of what has been placed so far."""
    number_of = range(len(sides.aims))
    to_come: dict[int, int] = {}
    for group in groups:
        for label, n in group.labels:
            to_come[label] = to_come.get(label, 0) + n
    left, missing = dict(to_come), sum(group.size for group in groups)
    start = [list(over) for over in sides.over] if order else []
    room_at_start, clips = [sides.room(side) for side in number_of], missing
    for number in order:
        group = groups[number]
        missing -= group.size
        for label, n in group.labels:
            left[label] -= n

        def cost(side: int, group: Group = group, missing: int = missing) -> float:
            # Ahead of the filling so far: what is there above the share, plus what the rest is going to add.
            ahead = room_at_start[side] * missing / clips - sides.room(side)
            found = group.size * (2 * ahead + group.size)
            for label, n in group.labels:
                still = -start[side][label] * left[label] / to_come[label]
                found += n * (2 * (sides.over[side][label] + still) + n)
            return round(found, 6)

        fits = [side for side in number_of if sides.room(side) >= group.size]
        best = min(fits, key=cost) if fits else max(number_of, key=lambda side: (sides.room(side), -cost(side)))
        sides.put(number, group, best)


def _fill(sides: Sides, numbers: Sequence[int], groups: Sequence[Group]) -> None:
    """Step 2, for groups of one size."""
    rooms = [max(0, sides.room(side)) for side in range(len(sides.aims))]
    scale = len(numbers) / max(sum(rooms), 1)
    counts = whole_numbers([room * scale for room in rooms])
    kinds: dict[Labels, list[int]] = {}
    for number in reversed(numbers):
        kinds.setdefault(groups[number].labels, []).append(number)
    # What is not handed out yet counts as standing on all the sides to come together.
    rest = [sum(over) for over in zip(*sides.over, strict=True)]
    for labels, waiting in kinds.items():
        for label, n in labels:
            rest[label] += n * len(waiting)
    *first, last = sorted(range(len(rooms)), key=lambda side: (sides.aims[side], -side))
    for side in first:
        rest = [everywhere - own for everywhere, own in zip(rest, sides.over[side], strict=True)]

        def entry(
            at: int, labels: Labels, side: int = side, rest: list[float] = rest
        ) -> tuple[float, int, int, Labels]:
            cost = sides.cost(labels, side) + sum(n * (n - 2 * rest[label]) for label, n in labels)
            # Among equals the label with more clips waiting gives one first: it keeps some to train on.
            return round(cost, 6), -len(kinds[labels]), at, labels

        queue = [entry(at, labels) for at, labels in enumerate(sorted(kinds, key=lambda kind: kinds[kind][-1]))]
        heapq.heapify(queue)
        for _ in range(counts[side]):
            while (now := entry(*queue[0][2:])) > queue[0]:
                heapq.heapreplace(queue, now)
            *_, at, labels = heapq.heappop(queue)
            number = kinds[labels].pop()
            sides.put(number, groups[number], side)
            for label, n in labels:
                rest[label] -= n
            if kinds[labels]:
                heapq.heappush(queue, entry(at, labels))
        for labels in [labels for labels, waiting in kinds.items() if not waiting]:
            del kinds[labels]
    for number in itertools.chain.from_iterable(kinds.values()):
        sides.put(number, groups[number], last)


def _correct_totals(sides: Sides) -> None:
    """Step 3a: the moves and exchanges that bring two sides nearest to their numbers, until none does."""
    by_size = [_by_size(placed) for placed in sides.groups]
    while True:
        best: tuple[int, int, int, int, int] | None = None
        by_room = sorted(range(len(sides.aims)), key=sides.room)
        for here, there in itertools.product(by_room[:PAIRED], by_room[::-1][:PAIRED]):
            surplus, lack = -sides.room(here), sides.room(there)
            if surplus <= 0 or lack <= 0 or not by_size[here]:
                continue
            own, theirs = np.array(sorted(by_size[here])), np.array([0, *sorted(by_size[there])])
            moved = own[:, None] - theirs
            off = np.abs(surplus - moved) + np.abs(lack - moved) - surplus - lack
            one, other = np.unravel_index(np.argmin(off), off.shape)
            best = min(best or (0,) * 5, (int(off[one, other]), here, there, int(own[one]), int(theirs[other])))
        if best is None or best[0] >= 0:
            return
        _, here, there, size, size_back = best
        partners = by_size[there][size_back] if size_back else []
        _exchange(sides, here, there, by_size[here][size], partners, -np.inf)
        for side in (here, there):
            by_size[side] = _by_size(sides.groups[side])


def _by_size(placed: Mapping[int, Group]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number, group in sorted(placed.items()):
        found.setdefault(group.size, []).append(number)
    return found


def _exchange(sides: Sides, here: int, there: int, ones: Sequence[int], others: Sequence[int], at_least: float) -> bool:
    """Move the best of some groups, in exchange for the best of others, if the squares fall by more than ``at_least``."""
    mine, theirs = sides.groups[here], sides.groups[there]
    one = max(ones[:LOOKED_AT], key=lambda number: (round(sides.gain(mine[number], here, there), 6), -number))
    if not others:
        if round(sides.gain(mine[one], here, there), 6) <= at_least:
            return False
        sides.move(one, here, there)
        return True
    gains = {number: round(sides.gain(mine[one], here, there, theirs[number]), 6) for number in others[:LOOKED_AT]}
    other = max(gains, key=lambda number: (gains[number], -number))
    if gains[other] <= at_least:
        return False
    sides.move(one, here, there)
    sides.move(other, there, here)
    return True


def _correct_labels(sides: Sides) -> None:
    """Step 3b: exchanges of groups of one size, for the labels that are furthest from their shares."""
    over = np.array(sides.over) - (np.array(sides.over) < sides.none)
    spread = over.max(axis=0) - over.min(axis=0)
    todo = [int(label) for label in np.argsort(-spread, kind="stable") if spread[label] > 1.0001]
    left = EXCHANGES
    while todo and left > 0:
        with_label = [_by_label(placed) for placed in sides.groups]
        by_size = [_by_size(placed) for placed in sides.groups]
        again = []
        for label in todo:
            column = [now[label] - (now[label] < none[label]) for now, none in zip(sides.over, sides.none, strict=True)]
            by_over = sorted(range(len(column)), key=column.__getitem__)
            pairs = itertools.product(by_over[::-1][:PAIRED], by_over[:PAIRED])
            for here, there in [(a, b) for a, b in pairs if column[a] - column[b] > 1.0001]:
                left -= 1
                if left > 0 and _swap_for(sides, label, here, there, with_label, by_size):
                    again.append(label)
                    break
        todo = again


def _by_label(placed: Mapping[int, Group]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number, group in sorted(placed.items()):
        for label, _ in group.labels:
            found.setdefault(label, []).append(number)
    return found


def _swap_for(
    sides: Sides,
    label: int,
    here: int,
    there: int,
    with_label: Sequence[Mapping[int, Sequence[int]]],
    by_size: Sequence[Mapping[int, Sequence[int]]],
) -> bool:
    """Exchange a group of ``here`` that has the label for one of its size of ``there``; the lists may be out of date."""
    mine, theirs = sides.groups[here], sides.groups[there]
    ones: dict[int, list[int]] = {}
    for number in itertools.islice((n for n in with_label[here].get(label, ()) if n in mine), LOOKED_AT):
        ones.setdefault(mine[number].size, []).append(number)
    for size, numbers in ones.items():
        others = list(itertools.islice((n for n in by_size[there].get(size, ()) if n in theirs), LOOKED_AT))
        if others and _exchange(sides, here, there, numbers, others, 1e-6):
            return True
    return False


def nearest_sum(sizes: Sequence[int], wanted: float) -> int:
    """The sum of some of these sizes that is nearest to what is wanted; the smaller of two as near.

    Exact: one bit for every sum that can be reached.
    """
    counts: dict[int, int] = {}
    for size in sizes:
        counts[size] = counts.get(size, 0) + 1
    reached = 1
    for size, count in counts.items():
        step = 1
        while count > 0:
            taken = min(step, count)
            reached |= reached << (size * taken)
            count -= taken
            step *= 2
    found = np.flatnonzero(np.unpackbits(np.frombuffer(_bytes(reached), np.uint8), bitorder="little"))
    return int(found[np.argmin(np.abs(found - wanted))])


def _bytes(bits: int) -> bytes:
    return bits.to_bytes(bits.bit_length() // 8 + 1, "little")
