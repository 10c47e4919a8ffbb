"""Which clips show a passage of the same footage: frames hashed several times a second, matched as sequences.

A clip is a sequence of 256-bit perceptual hashes of frames (the signs of the 16 x 16 lowest frequencies of the picture inside
flat borders, squeezed to a square), own clips ten times a second, foreign ones five times. Trimmed, re-encoded, scaled,
letterboxed and mirrored copies give nearly the same sequence, or a part of it.

**Match.** For every shift of one clip against the other at which they overlap by 2 s (by four fifths of a shorter one), each
foreign frame is compared with the own frame of that time, or the one before or after it, whichever is nearest: offsets that
are no multiple of the sampling cost little. At the shift of the least mean distance, with D the distances (bits of 256) of
frames of the same time:

- *distance* = median of D;
- *motion* = mean distance between frames of one clip that are at least half a second apart, in the clip where that is less;
- *agreement* = (mean distance of frames at least half a second apart across the clips, minus mean of D) / motion: about 1
  where one changes in step with the other, about 0 where both only look alike (a person in the same room).

It is a passage of the same footage where the distance is at most :data:`FAR_BITS` and the agreement at least
:data:`AGREEMENT`. Footage that hardly moves has no agreement to measure: it needs a distance up to :data:`STILL_BITS`.

**Index.** All pairs are never compared in full. Every fourth own frame goes into an index by 63 low-frequency bits: two clips
are compared where frames of theirs agree in at least two of seven groups of nine of these bits and differ in at most
:data:`CANDIDATE_BITS` of all 63.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tiktokactions import video
from tiktokactions.curation.quality import FLAT_LUMA_DEVIATION, inside_borders, picture_borders

OWN_PER_SECOND, FOREIGN_PER_SECOND = 10, 5
STEP = OWN_PER_SECOND // FOREIGN_PER_SECOND
SIDE = 16
BITS = SIDE * SIDE
OVERLAP = 2 * FOREIGN_PER_SECOND
"""Frames of the foreign clip; of shorter clips four fifths, and no fewer than :data:`OVERLAP_AT_LEAST`."""
OVERLAP_AT_LEAST = 5
APART = FOREIGN_PER_SECOND // 2
FAR_BITS, AGREEMENT = 72, 0.6
STILL_MOTION_BITS, STILL_BITS = 3.0, 2
LONG_SIDE_PX = 320
"""Edges of letterbox bars are found to a pixel of this."""
UNSURE_SHARE = 0.1
PICTURES_AT_ONCE = 600
"""Kept in memory until they are hashed, some 100 MB: a long film is hashed, and its borders are found, part by part."""

GROUPS, GROUP_BITS = 7, 9
CANDIDATE_BITS = 12
INDEXED = 4
PAIRS_AT_ONCE = 2_000_000

_PICTURE = 64
_DCT = np.array(
    [[np.cos(np.pi * (2 * x + 1) * u / (2 * _PICTURE)) for x in range(_PICTURE)] for u in range(SIDE)], np.float32
)
_MIRROR = np.where(np.arange(SIDE) % 2, -1.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Sequenced:
    """The hashes of one clip; frames too flat to be told from others have none."""

    plain: np.ndarray
    """(F, 32) uint8."""
    mirrored: np.ndarray
    """(F, 32) uint8: of the mirror images."""
    sure: np.ndarray
    """(F, 32) uint8: the bits that no noise turns over, those of waves that are not weak (:data:`UNSURE_SHARE`)."""
    present: np.ndarray
    """(F,) bool: the frame has a hash."""


@dataclass(frozen=True)
class Passage:
    """What two clips have in common."""

    own: int
    foreign: int
    """Places of the two."""
    own_start_s: float
    foreign_start_s: float
    seconds: float
    mirrored: bool
    distance: float
    agreement: float


# --- hashing -------------------------------------------------------------------------------------------------------


def hash_video(path: Path, per_second: int) -> Sequenced:
    """Hashes of the frames on screen at every 1 / ``per_second`` s.

    Raises:
        VideoError: a file that cannot be decoded.
    """
    pictures: list[np.ndarray] = []
    parts: list[Sequenced] = []
    size = (0, 0)
    with video.VideoFile(path, skip_loop_filter="noref") as opened:
        for frame in opened.frames():
            while PICTURES_AT_ONCE * len(parts) + len(pictures) <= frame.time_s * per_second + 1e-6:
                if not any(size):
                    size = frame.fitted(LONG_SIDE_PX)
                pictures.append(frame.bgr(*size))
                if len(pictures) == PICTURES_AT_ONCE:
                    parts.append(hash_pictures(pictures))
                    pictures = []
    if pictures or not parts:
        parts.append(hash_pictures(pictures))
    columns = zip(*((part.plain, part.mirrored, part.sure, part.present) for part in parts), strict=True)
    return Sequenced(*(np.concatenate(column) for column in columns))


def hash_pictures(pictures: Sequence[np.ndarray]) -> Sequenced:
    """``pictures``: BGR uint8 (H, W, 3), of one clip."""
    borders = picture_borders(pictures)
    small = np.empty((len(pictures), _PICTURE, _PICTURE), np.float32)
    present = np.empty(len(pictures), bool)
    for place, picture in enumerate(pictures):
        luma = cv2.cvtColor(inside_borders(picture, borders), cv2.COLOR_BGR2GRAY)
        small[place] = cv2.resize(luma, (_PICTURE, _PICTURE), interpolation=cv2.INTER_AREA)
        present[place] = small[place].std() >= FLAT_LUMA_DEVIATION
    waves = _DCT @ small @ _DCT.T  # (F, 16, 16); turning the picture over turns the sign of every odd wave across
    flat = waves.reshape(len(waves), BITS)
    strength = np.abs(flat - np.median(flat, axis=1, keepdims=True))
    sure = np.packbits(strength >= np.quantile(strength, UNSURE_SHARE, axis=1, keepdims=True), axis=1)
    return Sequenced(_signs(flat), _signs((waves * _MIRROR).reshape(flat.shape)), sure, present)


def _signs(flat: np.ndarray) -> np.ndarray:
    return np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1)


# --- comparing two clips -------------------------------------------------------------------------------------------


def compare(own: Sequenced, foreign: Sequenced, mirrored: bool) -> tuple[float, float, float, int, int]:
    """(distance, agreement, motion, shift, overlap) at the best shift: own frame ``shift + STEP * j`` is shown with
    foreign frame ``j``. The distance is infinite where they cannot overlap."""
    if not (own.present.any() and foreign.present.any()):
        return np.inf, 0.0, 0.0, 0, 0
    a = _spread(own.plain, own.sure)
    b = _spread(foreign.mirrored if mirrored else foreign.plain, foreign.sure)
    across = _distances(a, b)
    across[~own.present] = np.nan
    across[:, ~foreign.present] = np.nan
    padded = np.pad(across, ((1, 1), (0, 0)), constant_values=np.nan)
    near = np.fmin(np.fmin(padded[:-2], padded[1:-1]), padded[2:])
    least = min(OVERLAP, max(OVERLAP_AT_LEAST, int(0.8 * min(len(a) / STEP, len(b)))))
    best = (np.inf, 0, np.zeros(0, int))
    for shift in range(-STEP * (len(b) - least), len(a) - STEP * (least - 1)):
        j = np.arange(max(0, -(shift // STEP)), min(len(b), (len(a) - 1 - shift) // STEP + 1))
        along = near[shift + STEP * j, j]
        there = ~np.isnan(along)
        if there.sum() >= least and (mean := float(along[there].mean())) < best[0]:
            best = (mean, shift, j[there])
    mean, shift, j = best
    if not len(j):
        return np.inf, 0.0, 0.0, 0, 0
    i = shift + STEP * j
    apart = np.abs(j[:, None] - j[None]) >= APART
    if not apart.any():
        return np.inf, 0.0, 0.0, 0, 0
    motion = min(float(_distances(a[i], a[i])[apart].mean()), float(_distances(b[j], b[j])[apart].mean()))
    agreement = (float(near[np.ix_(i, j)][apart].mean()) - mean) / max(motion, 1e-9)
    return float(np.median(near[i, j])), agreement, motion, shift, len(j)


def is_same(distance: float, agreement: float, motion: float) -> bool:
    if motion < STILL_MOTION_BITS:
        return distance <= STILL_BITS
    return distance <= FAR_BITS and agreement >= AGREEMENT


def _spread(packed: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """(F, 32) uint8 as (F, 256) float32 of -1 and 1, 0 where unsure: distances are products of matrices then."""
    bits = np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
    return bits * np.unpackbits(sure, axis=1)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(A, B): bits that differ among those sure in both, of 256."""
    both = np.abs(a) @ np.abs(b).T
    found: np.ndarray = (both - a @ b.T) / 2 * BITS / np.maximum(both, 1)
    return found


# --- comparing all -------------------------------------------------------------------------------------------------


def find_passages(own: Sequence[Sequenced], foreign: Sequence[Sequenced]) -> Iterator[Passage]:
    """Pairs with a passage of the same footage, by own and foreign clip."""
    for mine, other, mirrored in candidates(own, foreign):
        distance, agreement, motion, shift, frames = compare(own[mine], foreign[other], mirrored)
        if is_same(distance, agreement, motion):
            start = max(0, -(shift // STEP))
            yield Passage(
                own=mine,
                foreign=other,
                own_start_s=(shift + STEP * start) / OWN_PER_SECOND,
                foreign_start_s=start / FOREIGN_PER_SECOND,
                seconds=frames / FOREIGN_PER_SECOND,
                mirrored=mirrored,
                distance=distance,
                agreement=round(agreement, 3),
            )


def candidates(own: Sequence[Sequenced], foreign: Sequence[Sequenced]) -> list[tuple[int, int, bool]]:
    """(own, foreign, mirrored) of the clips that have a frame in common as far as the index can tell."""
    mine, whose = _low_bits([clip.plain[::INDEXED] for clip in own], [clip.present[::INDEXED] for clip in own])
    found: set[tuple[int, int, bool]] = set()
    for mirrored in (False, True):
        hashes = [clip.mirrored if mirrored else clip.plain for clip in foreign]
        theirs, others = _low_bits(hashes, [clip.present for clip in foreign])
        pairs: set[int] = set()
        for pair in itertools.combinations(range(GROUPS), 2):
            keys, wanted = _keys(mine, pair), _keys(theirs, pair)
            order = np.argsort(keys, kind="stable")
            first = np.searchsorted(keys[order], wanted, "left")
            count = np.searchsorted(keys[order], wanted, "right") - first
            for chunk in _chunks(count):
                many = count[chunk]
                place = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first[chunk], many)
                a, b = order[place], np.repeat(np.arange(chunk.start, chunk.stop), many)
                near = np.bitwise_count(mine[a] ^ theirs[b]) <= CANDIDATE_BITS
                pairs.update(np.unique(whose[a[near]] * len(foreign) + others[b[near]]).tolist())
        found.update((*divmod(number, len(foreign)), mirrored) for number in pairs)
    return sorted(found)


def _low_bits(hashes: Sequence[np.ndarray], present: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) uint64 of the 63 low-frequency bits of all frames that have a hash, and (N,) int64: of which clip."""
    if not hashes:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    kept = [clip[there] for clip, there in zip(hashes, present, strict=True)]
    whose = np.repeat(np.arange(len(kept)), [len(clip) for clip in kept])
    packed = np.concatenate(kept).reshape(-1, SIDE, SIDE // 8)[:, :8, 0]  # (N, 8): rows of eight bits each
    low = np.ascontiguousarray(packed).view(">u8")[:, 0].astype(np.uint64)
    return low & np.uint64(2**63 - 1), whose  # the first bit is the mean brightness


def _keys(low: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    first, second = (low >> np.uint64(GROUP_BITS * group) & np.uint64(2**GROUP_BITS - 1) for group in pair)
    keys: np.ndarray = (first << np.uint64(GROUP_BITS) | second).astype(np.int64)
    return keys


def _chunks(count: np.ndarray) -> Iterator[slice]:
    """Slices in which the counts add up to no more than fits into memory (of one alone whatever it is)."""
    start, total = 0, 0
    for place, value in enumerate(count.tolist()):
        if total + value > PAIRS_AT_ONCE and place > start:
            yield slice(start, place)
            start, total = place, 0
        total += value
    if total:
        yield slice(start, len(count))
