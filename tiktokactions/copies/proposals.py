"""Which pairs of many videos are worth a comparison: those with several like corners at places that agree.

All pairs are never compared. A few codes of each video, and their mirror images, are sorted by :data:`TABLES` random choices
of 64 of their bits; each is compared with the few that follow it. So common codes (letters, edges of black bars) meet only a
few others, however many videos there are, and rare ones meet their like. Codes that differ in few bits vote for their pair
of videos, with the scale and shift that would bring one corner onto the other: a pair is proposed where :data:`FEWEST_VOTES`
agree on these.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tiktokactions.curation.description import CODE_BITS, CODE_BYTES, FRAMES, Description

TABLES = 8
NEIGHBOURS = 6
INDEXED = 120
"""Codes of a video in the index."""
NEAR_BITS = 48
FEWEST_VOTES = 3
SCALE_STEP = 0.4
"""Octaves within which scales agree."""
SHIFT_CELL_PX = 32
ENTRIES_AT_ONCE = 2_000_000


class Index:
    """The indexed corners of videos, packed: about 5 kB each."""

    def __init__(self) -> None:
        self._codes = bytearray()
        self._places = bytearray()
        self._counts: list[int] = []

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, description: Description) -> None:
        """One more video; its number is how many were added before."""
        chosen = indexed_corners(description)
        width = np.full(len(chosen), description.size_px[0])
        place = np.column_stack([description.points_xy[chosen], description.scales[chosen], width])
        self._codes += description.codes[chosen].tobytes()
        self._places += place.astype(np.float32).tobytes()
        self._counts.append(len(chosen))

    def pairs(self, is_new: NDArray[np.bool_] | None = None, votes: int = FEWEST_VOTES) -> NDArray[np.int64]:
        """(K, 2) pairs of numbers, the smaller first, each once. ``is_new`` (V,): only pairs with at least one of these."""
        corners = _Corners(
            np.frombuffer(self._codes, np.uint8).reshape(-1, CODE_BYTES),
            np.frombuffer(self._places, np.float32).reshape(-1, 4),
            np.repeat(np.arange(len(self), dtype=np.int64), self._counts),
            np.ones(len(self), bool) if is_new is None else is_new,
        )
        random = np.random.default_rng(0)
        met = [
            met for _ in range(TABLES) for met in corners.meetings(np.sort(random.permutation(CODE_BITS)[:64]), random)
        ]
        if not met:
            return np.empty((0, 2), np.int64)
        first, second = np.unique(np.concatenate(met), axis=0).T  # two corners that meet in several tables vote once
        proposed = np.unique(corners.agreed(first, second, len(self), votes))
        return np.stack([proposed // len(self), proposed % len(self)], axis=1)


class _Corners:
    """All corners as they are (entries 0 to N - 1) and mirrored (N to 2N - 1)."""

    def __init__(
        self,
        codes: NDArray[np.uint8],
        places: NDArray[np.float32],
        owner: NDArray[np.int64],
        is_new: NDArray[np.bool_],
    ) -> None:
        self.count = len(codes)
        half = CODE_BYTES // 2
        both = np.concatenate([codes, np.concatenate([codes[:, half:], codes[:, :half]], axis=1)])
        self.words = np.ascontiguousarray(both).view(np.uint64)
        self.owner = np.concatenate([owner, owner])
        self.fresh = is_new[self.owner]
        x, y, scale, width = places.T
        self.x, self.y = np.concatenate([x, width - x]), np.concatenate([y, y])
        self.scale, self.width = np.concatenate([scale, scale]), np.concatenate([width, width])

    def meetings(self, bits: NDArray[np.int64], random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """(K, 2) entries of two videos, at most one of them mirrored, with like codes that lie side by side when sorted by
        ``bits``. The entry of the smaller video comes first."""
        order = np.argsort(self._keys(random.permutation(bits)))
        for step in range(1, NEIGHBOURS + 1):
            for start in range(0, len(order) - step, ENTRIES_AT_ONCE):
                a = order[start : min(start + ENTRIES_AT_ONCE, len(order) - step)]
                b = order[start + step : start + step + len(a)]
                worth = self.owner[a] != self.owner[b]
                worth &= (a < self.count) | (b < self.count)
                worth &= self.fresh[a] | self.fresh[b]
                a, b = a[worth], b[worth]
                near = np.bitwise_count(self.words[a] ^ self.words[b]).sum(axis=1, dtype=np.int64) <= NEAR_BITS
                a, b = a[near], b[near]
                swapped = self.owner[a] > self.owner[b]
                yield np.stack([np.where(swapped, b, a), np.where(swapped, a, b)], axis=1)

    def _keys(self, bits: NDArray[np.int64]) -> NDArray[np.uint64]:
        keys = np.zeros(len(self.words), np.uint64)
        for bit in bits.tolist():
            keys = (keys << np.uint64(1)) | ((self.words[:, bit // 64] >> np.uint64(bit % 64)) & np.uint64(1))
        return keys

    def agreed(self, first: NDArray[np.int64], second: NDArray[np.int64], videos: int, votes: int) -> NDArray[np.int64]:
        """``smaller * videos + larger`` of the pairs whose meetings agree ``votes`` times on mirroring, scale and shift."""
        mirrored = (first >= self.count) | (second >= self.count)
        # Where the second is the mirrored one both are mirrored, so that it is always the first: the same relation.
        turned = second >= self.count
        x_first = np.where(turned, self.width[first] - self.x[first], self.x[first])
        x_second = np.where(turned, self.width[second] - self.x[second], self.x[second])
        scale = self.scale[second] / self.scale[first]
        octave = np.rint(np.log2(scale) / SCALE_STEP).astype(np.int64)
        cell = SHIFT_CELL_PX * np.maximum(1, scale)
        shift_x, shift_y = (x_second - scale * x_first) / cell, (self.y[second] - scale * self.y[first]) / cell
        pair = self.owner[first] * videos + self.owner[second]
        found = []
        for offset in (0.0, 0.5):  # votes on both sides of the edge of a cell meet in the cells of the other grid
            cells_x, cells_y = (np.floor(shift + offset).astype(np.int64) for shift in (shift_x, shift_y))
            place = ((octave + 16) * 512 + np.clip(cells_x, -255, 255) + 255) * 512 + np.clip(cells_y, -255, 255) + 255
            ballots, count = np.unique(np.stack([pair, place * 2 + mirrored]), axis=1, return_counts=True)
            found.append(ballots[0, count >= votes])
        return np.concatenate(found)


def indexed_corners(description: Description) -> NDArray[np.int64]:
    """Corners of every other frame, evenly from all levels of the pyramid."""
    looked_at = range(0, FRAMES, 2)
    each = INDEXED // len(looked_at)
    chosen = []
    for number in looked_at:
        there = np.flatnonzero(description.frames == number)
        chosen.append(there[np.linspace(0, len(there) - 1, min(each, len(there))).astype(int)] if len(there) else there)
    return np.concatenate(chosen)
