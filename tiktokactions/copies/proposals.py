"""Which pairs of many videos are worth a comparison: those with several like corners at places that agree.

All pairs are never compared. Every video puts some codes into the index: of its corners, and of its whole picture inside flat
borders at several times, as if the picture were one large corner. These and their mirror images are sorted by :data:`TABLES`
parts of their bits; each is compared with the few that follow it. So common codes (letters, edges of black bars) meet only a
few others, however many videos there are, and rare ones meet their like. Codes that differ in few bits vote for their pair
of videos, with the scale and shift that would bring one corner onto the other: a pair is proposed where :data:`FEWEST_VOTES`
agree on these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiktokactions.copies.whole_pictures import whole_pictures
from tiktokactions.curation.description import CODE_BYTES, FRAMES, Description

TABLES = 8
"""Orders of the codes: by each of two of their four words, begun at a quarter of its bits. The other two words are those of
the mirror images, which are sorted with them."""
NEIGHBOURS = 8
INDEXED = 120
"""Corners of a video in the index."""
WHOLE = 24
"""Whole pictures of a video in the index."""
NEAR_BITS = 48
FEWEST_VOTES = 3
SCALE_STEP = 0.4
"""Octaves within which scales agree."""
SHIFT_CELL_PX = 32
ENTRIES_AT_ONCE = 1_000_000
PREFIX_BITS = 16
"""Codes that differ in the first bits of an order lie too far apart to meet."""


@dataclass(frozen=True)
class Indexed:
    """What the index holds of one video: about 6 kB."""

    codes: NDArray[np.uint8]
    """(N, 32)."""
    places: NDArray[np.float16]
    """(N, 4): x, y and size of each corner, and the width of the picture."""


def indexed(description: Description) -> Indexed:
    """Corners of every other frame, evenly from all levels of the pyramid, and whole pictures."""
    looked_at = range(0, FRAMES, 2)
    each = INDEXED // len(looked_at)
    chosen = []
    for number in looked_at:
        there = np.flatnonzero(description.frames == number)
        chosen.append(there[np.linspace(0, len(there) - 1, min(each, len(there))).astype(int)] if len(there) else there)
    corners = np.concatenate(chosen)
    codes, whole_places = whole_pictures(description, WHOLE)
    width = np.full(len(corners), description.size_px[0])
    places = np.column_stack([description.points_xy[corners], description.scales[corners], width])
    return Indexed(
        np.concatenate([description.codes[corners], codes]),
        np.concatenate([places, whole_places]).astype(np.float16),
    )


class Index:
    """The indexed codes of videos, packed."""

    def __init__(self) -> None:
        self._codes = bytearray()
        self._places = bytearray()
        self._counts: list[int] = []

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, video: Indexed) -> None:
        """One more video; its number is how many were added before."""
        self._codes += video.codes.tobytes()
        self._places += video.places.astype(np.float16).tobytes()
        self._counts.append(len(video.codes))

    def pairs(
        self,
        is_new: NDArray[np.bool_] | None = None,
        votes: int = FEWEST_VOTES,
        side: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int64]:
        """(K, 3) pairs of numbers, the smaller first, and 1 where they are alike mirrored, 0 where as they are.

        Args:
            is_new: (V,) only pairs with at least one of these.
            votes: how many codes must agree.
            side: (V,) only pairs of a video on this side and one that is not.
        """
        everybody = np.ones(len(self), bool)
        codes = _Codes(
            np.frombuffer(self._codes, np.uint64).reshape(-1, CODE_BYTES // 8),
            np.frombuffer(self._places, np.float16).reshape(-1, 4).astype(np.float32),
            np.repeat(np.arange(len(self), dtype=np.int64), self._counts),
            everybody if is_new is None else is_new,
            side,
        )
        met = [pairs for table in range(TABLES) for pairs in codes.meetings(table)]
        if not met:
            return np.empty((0, 3), np.int64)
        proposed = codes.agreed(np.unique(np.concatenate(met)), votes)  # two that meet in several tables vote once
        pair, mirrored = np.divmod(proposed, 2)
        return np.stack([pair // len(self), pair % len(self), mirrored], axis=1)


class _Codes:
    """All codes as they are (entries 0 to N - 1) and mirrored (N to 2N - 1)."""

    def __init__(
        self,
        words: NDArray[np.uint64],
        places: NDArray[np.float32],
        owner: NDArray[np.int64],
        is_new: NDArray[np.bool_],
        side: NDArray[np.bool_] | None,
    ) -> None:
        self.count, self.words, self.owner = len(words), words, owner
        self.halves = words.reshape(-1, 2)
        self.videos = len(is_new)
        self.x, self.y, self.scale, self.width = places.T
        self.fresh = is_new[owner]
        self.side = None if side is None else side[owner]

    def meetings(self, table: int) -> Iterator[NDArray[np.int64]]:
        """Codes of two videos that are alike and lie side by side in this order: ``(first * N + second) * 2``, and 1 more
        where one of them is mirrored. The code of the smaller video comes first."""
        order = self._order(table)
        for start in range(0, len(order) - 1, ENTRIES_AT_ONCE):
            entries = order[start : start + ENTRIES_AT_ONCE + NEIGHBOURS]
            is_mirrored = entries >= self.count
            place = entries - self.count * is_mirrored
            sorted_by = np.take(self.halves, 2 * place + is_mirrored, axis=0).T.copy()
            others = np.take(self.halves, 2 * place + 1 - is_mirrored, axis=0).T.copy()
            for step in range(1, NEIGHBOURS + 1):
                end = min(ENTRIES_AT_ONCE, len(entries) - step)
                # Most of those that are not alike differ too much in the half by which they were not sorted.
                bits = np.bitwise_count(others[:, :end] ^ others[:, step : end + step]).sum(axis=0, dtype=np.uint8)
                near = np.flatnonzero(bits <= NEAR_BITS)
                rest = np.bitwise_count(sorted_by[:, near] ^ sorted_by[:, near + step]).sum(axis=0, dtype=np.uint8)
                near = near[bits[near] + rest <= NEAR_BITS]
                a, b, mirrored = place[near], place[near + step], is_mirrored[near] ^ is_mirrored[near + step]
                worth = (self.owner[a] != self.owner[b]) & (self.fresh[a] | self.fresh[b])
                if self.side is not None:
                    worth &= self.side[a] != self.side[b]
                a, b, mirrored = a[worth], b[worth], mirrored[worth]
                low, high = np.minimum(a, b), np.maximum(a, b)  # codes lie in the order of their videos
                yield (low * self.count + high) * 2 + mirrored

    def _order(self, table: int) -> NDArray[np.int64]:
        """Entries sorted by the bits of a table; where few videos are new, only those that may meet one of them."""
        word, turn = table % 2, np.uint64(table // 2 * 64 // (TABLES // 2))
        keys = np.concatenate([self.words[:, word], self.words[:, (word + 2) % 4]])
        if turn:
            keys = keys << turn | keys >> (np.uint64(64) - turn)
        there = None
        if 8 * self.fresh.sum() < self.count:
            prefix = keys >> np.uint64(64 - PREFIX_BITS)
            is_met = np.zeros(1 << PREFIX_BITS, bool)
            is_met[prefix[np.concatenate([self.fresh, self.fresh])]] = True
            there = np.flatnonzero(is_met[prefix])
            keys = keys[there]
        order = stable_order(keys)
        return order if there is None else there[order]

    def agreed(self, meetings: NDArray[np.int64], votes: int) -> NDArray[np.int64]:
        """``(smaller * videos + larger) * 2 + mirrored`` of pairs whose meetings agree ``votes`` times on scale and shift."""
        first, second = np.divmod(meetings // 2, self.count)
        mirrored = meetings % 2
        x_first = np.where(mirrored, self.width[first] - self.x[first], self.x[first])
        scale = self.scale[second] / self.scale[first]
        octave = np.clip(np.rint(np.log2(scale) / SCALE_STEP).astype(np.int64) + 16, 0, 31)
        cell = SHIFT_CELL_PX * np.maximum(1, scale)
        shift_x, shift_y = (self.x[second] - scale * x_first) / cell, (self.y[second] - scale * self.y[first]) / cell
        pair = (self.owner[first] * self.videos + self.owner[second]) * 2 + mirrored
        found = []
        for offset in (0.0, 0.5):  # votes on both sides of the edge of a cell meet in the cells of the other grid
            cells_x, cells_y = (np.floor(shift + offset).astype(np.int64) for shift in (shift_x, shift_y))
            place = (octave * 512 + np.clip(cells_x, -255, 255) + 255) * 512 + np.clip(cells_y, -255, 255) + 255
            ballots, count = np.unique(pair * (32 * 512 * 512) + place, return_counts=True)
            found.append(ballots[count >= votes] // (32 * 512 * 512))
        return np.unique(np.concatenate(found))


def stable_order(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """What ``np.argsort(keys, kind="stable")`` gives, in a fifth of the time: numbers are sorted that hold the place of each
    key in their last bits, and then the few keys that differ in no other bits."""
    bits = np.uint64(len(keys).bit_length())
    packed = np.sort(keys >> bits << bits | np.arange(len(keys), dtype=np.uint64))
    first = packed >> bits
    order = (packed ^ first << bits).astype(np.int64)
    alike = first[1:] == first[:-1]
    tied = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
    order[tied] = order[tied][np.lexsort((keys[order[tied]], first[tied]))]
    return order
