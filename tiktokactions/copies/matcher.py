"""Which videos show the same footage, whatever was done to one of them: words propose, local geometry and time verify.

1. **Points.** A few frames of each video, at most 320 pixels long, give ORB points (Rublee et al., 2011), their
   256-bit descriptors, and those of the mirror image.
2. **Proposals.** Selected bits of a descriptor are its words. Two videos that share rare words meet; words that many
   videos share say nothing and are passed over.
3. **Geometry.** RANSAC fits a similarity (shift, scale, rotation) to the nearest descriptors. What it explains is taken
   away and it fits again, because a watermark, a frame or the other half of a duet may be explained first.
4. **Time.** The same room fits as well as the same footage does, so that geometry alone decides nothing. Small grey
   pictures, several a second, are laid over each other with the fitted transform. Of each the median over time is taken
   away: what stays put (a room, a caption, a watermark) is gone, what moves is left. The two are copies where the rest
   is alike along one line of time (any shift, 0.8 to 1.25 times the speed), and more so than away from it.

Footage that hardly moves has nothing to compare in step: it must be the same picture, nearly all of it.

**Limits.** Every call looks the words of all videos up anew, also with ``new``; only the comparisons are fewer. Small
pictures in a duet or a corner, and what shows too little movement, are missed most (``benchmarks/copies.py``).
"""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONG_SIDE_PX = 320
FRAMES, POINTS = 6, 70
"""Frames of a video that give points, and the most points of one."""
THUMBS, THUMB_PX = 24, 32

WORD_BITS, TABLES = 44, 12
MOST_SHARED = 60
"""A word that more videos have says nothing."""
MIN_VOTES = 2

NEAREST_BITS = 64
"""Descriptors that differ in more of the 256 bits are not the same point."""
FITS = 4
MIN_INLIERS, INLIER_PX = 7, 5.0
SCALES = (0.2, 5.0)
MIN_COVER = 0.02
"""Share of the picture that the matched points must span."""

SPEEDS = (1.0, 1.1, 1 / 1.1, 1.25, 0.8)
MIN_COMMON_SHARE, MIN_COMMON = 0.4, 6
"""Share of the shorter video's small pictures, and number of them, that a line of time must cover."""
MIN_OVERLAP_PX = 40
MOTION_LEVELS = 2.0
MIN_IN_STEP, MIN_ADVANTAGE = 0.5, 0.3
STILL_ALIKE, STILL_COVER = 0.98, 0.5

_CHOSEN = [np.random.default_rng(table).permutation(256)[:WORD_BITS] for table in range(TABLES)]
_BITS_SET = np.int64(1) << np.arange(WORD_BITS, dtype=np.int64)


@dataclass(frozen=True)
class Match:
    """Two videos of the same footage, ``a`` before ``b``. ``score``: how well they move in step, 0 to 1."""

    a: str
    b: str
    score: float
    mirrored: bool


@dataclass(frozen=True)
class Description:
    """What is kept of a video of P points and T small pictures: some 40 kB."""

    width: int
    """Of the frames that gave the points, at most 320 pixels long; ``height`` too."""
    height: int
    points_xy: NDArray[np.float32]
    """(P, 2) pixels."""
    bits: NDArray[np.uint8]
    """(P, 32)."""
    bits_mirrored: NDArray[np.uint8]
    """(P, 32): of the same points in the mirror image."""
    thumbs: NDArray[np.uint8]
    """(T, 32, 32) grey; the whole picture, its sides stretched to be equal."""
    times_s: NDArray[np.float32]
    """(T,)."""

    def to_bytes(self) -> bytes:
        file = io.BytesIO()
        size = np.array([self.width, self.height], np.int32)
        np.savez_compressed(
            file,
            size=size,
            points_xy=self.points_xy,
            bits=self.bits,
            bits_mirrored=self.bits_mirrored,
            thumbs=self.thumbs,
            times_s=self.times_s,
        )
        return file.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Description:
        with np.load(io.BytesIO(data), allow_pickle=False) as saved:
            width, height = saved["size"].tolist()
            names = ("points_xy", "bits", "bits_mirrored", "thumbs", "times_s")
            return Description(width, height, *(saved[name] for name in names))


def describe(frames: Sequence[NDArray[np.uint8]], times_s: Sequence[float]) -> Description:
    """Describe a video by evenly spaced frames, 3 to 5 a second where there are as many: all serve, at most 24 and 6.

    Args:
        frames: (H, W, 3) BGR or (H, W) grey, upright, all of one size.
        times_s: of each frame, in order.

    Raises:
        ValueError: no frame, or not one time per frame.
    """
    import cv2

    if not frames or len(frames) != len(times_s):
        raise ValueError(
            f"describe: got {len(frames)} frames and {len(times_s)} times, expected one each, at least one"
        )
    kept = _spread(len(frames), THUMBS)
    thumbs = [_grey(cv2.resize(frames[i], (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)) for i in kept]
    height, width = frames[0].shape[:2]
    shrink = min(1.0, LONG_SIDE_PX / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    orb = cv2.ORB_create(nfeatures=POINTS, scaleFactor=1.3, nlevels=5, edgeThreshold=16, fastThreshold=10)  # type: ignore[attr-defined]
    points: list[NDArray[np.float32]] = [np.empty((0, 2), np.float32)]
    plain: list[NDArray[np.uint8]] = [np.empty((0, 32), np.uint8)]
    mirrored: list[NDArray[np.uint8]] = [np.empty((0, 32), np.uint8)]
    for i in _spread(len(frames), FRAMES):
        grey = _grey(cv2.resize(frames[i], size, interpolation=cv2.INTER_AREA))
        found, bits = orb.detectAndCompute(grey, None)
        for number, point in enumerate(found):
            point.class_id = number
        turned = [
            cv2.KeyPoint(
                size[0] - 1 - p.pt[0], p.pt[1], p.size, (180 - p.angle) % 360, p.response, p.octave, p.class_id
            )
            for p in found
        ]
        turned, bits_turned = orb.compute(np.ascontiguousarray(grey[:, ::-1]), turned)
        both = [point.class_id for point in turned]  # a point at the edge may have no mirror image
        if both:
            points.append(np.array([found[number].pt for number in both], np.float32))
            plain.append(bits[both])
            mirrored.append(bits_turned)
    return Description(
        *size,
        np.concatenate(points),
        np.concatenate(plain),
        np.concatenate(mirrored),
        np.stack(thumbs),
        np.array([times_s[i] for i in kept], np.float32),
    )


def _spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of ``count`` places, evenly spread."""
    return list(range(count)) if count <= wanted else [int((i + 0.5) * count / wanted) for i in range(wanted)]


def _grey(picture: object) -> NDArray[np.uint8]:
    import cv2

    array = np.asarray(picture, np.uint8)
    return array if array.ndim == 2 else np.asarray(cv2.cvtColor(array, cv2.COLOR_BGR2GRAY), np.uint8)


def matches(
    descriptions: Mapping[str, Description],
    *,
    new: Set[str] | None = None,
    between: tuple[Set[str], Set[str]] | None = None,
    strongest: bool = False,
) -> list[Match]:
    """Every pair of videos that show the same footage, in order of their ids.

    Args:
        descriptions: by video id.
        new: compare only pairs of which at least one is among these.
        between: compare only pairs of one video of the first set with one of the second.
        strongest: look at every such pair, however few words it shares: some 10 to 30 ms each.
    """
    found = []
    for a, b in sorted(_proposed(descriptions, new, between, strongest)):
        match = compare(descriptions[a], descriptions[b])
        if match is not None:
            found.append(Match(a, b, *match))
    return found


def _proposed(
    descriptions: Mapping[str, Description],
    new: Set[str] | None,
    between: tuple[Set[str], Set[str]] | None,
    strongest: bool,
) -> Iterator[tuple[str, str]]:
    """Pairs that are worth a comparison, the smaller id first, each once."""
    ids = sorted(descriptions)

    def is_asked(a: str, b: str) -> bool:
        if new is not None and a not in new and b not in new:
            return False
        return between is None or (a in between[0] and b in between[1]) or (b in between[0] and a in between[1])

    if strongest:
        yield from (pair for pair in itertools.combinations(ids, 2) if is_asked(*pair))
        return
    is_new = np.array([new is None or video_id in new for video_id in ids], bool)
    votes = Counter[int]()
    for table in range(TABLES):
        met = _meetings([descriptions[video_id] for video_id in ids], table)
        met = met[:, is_new[met[0]] | is_new[met[1]]]
        pairs, counts = np.unique(met[0] * len(ids) + met[1], return_counts=True)
        votes.update(dict(zip(pairs.tolist(), counts.tolist(), strict=True)))
    for pair, shared in votes.items():
        a, b = ids[pair // len(ids)], ids[pair % len(ids)]
        if shared >= MIN_VOTES and is_asked(a, b):
            yield a, b


def _meetings(videos: Sequence[Description], table: int) -> NDArray[np.int64]:
    """(2, K) places in ``videos``, the smaller first, once for each word of the table that two of them share."""
    words, owners = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for place, described in enumerate(videos):
        for is_mirrored, bits in enumerate((described.bits, described.bits_mirrored)):
            words.append(_words(bits, table))
            owners.append(np.full(len(words[-1]), 2 * place + is_mirrored))
    word, owner = np.concatenate(words), np.concatenate(owners)
    order = np.lexsort((owner, word))
    word, owner = word[order], owner[order]
    _, first, size = np.unique(word, return_index=True, return_counts=True)
    size_here = np.repeat(size, size)
    here = np.flatnonzero((size_here > 1) & (size_here <= MOST_SHARED))
    left = np.repeat(first + size, size) - 1 - np.arange(len(word))  # how many of the word come after this one
    met = [np.empty((2, 0), np.int64)]
    for step in range(1, MOST_SHARED):
        here = here[left[here] >= step]
        a, b = owner[here], owner[here + step]
        # Owners come in order, so that of a plain and a mirrored one the later video is the mirrored.
        useful = (a % 2 == 0) & (a // 2 != b // 2)
        met.append(np.stack([a[useful] // 2, b[useful] // 2]))
    return np.concatenate(met, axis=1)


def _words(bits: NDArray[np.uint8], table: int) -> NDArray[np.int64]:
    """Chosen bits of descriptors (P, 32), each word once."""
    return np.unique(np.unpackbits(bits, axis=1)[:, _CHOSEN[table]].astype(np.int64) @ _BITS_SET)


def compare(a: Description, b: Description) -> tuple[float, bool] | None:
    """Score and whether ``b`` is mirrored, of two videos of the same footage; None for others."""
    best: tuple[float, bool] | None = None
    for mirrored in (False, True):
        for transform in _transforms(a, b, mirrored):
            score = _in_step(a, b, transform, mirrored)
            if score is not None and (best is None or score > best[0]):
                best = score, mirrored
        if best is not None:
            return best
    return None


# --- geometry --------------------------------------------------------------------------------------------------------


def _transforms(a: Description, b: Description, mirrored: bool) -> Iterator[NDArray[np.float64]]:
    """(2, 3) each: from pixels of ``a`` to pixels of ``b`` (of its mirror image)."""
    import cv2

    if min(len(a.bits), len(b.bits)) < MIN_INLIERS:
        return
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=False)
    theirs = b.bits_mirrored if mirrored else b.bits
    there = [(m.queryIdx, m.trainIdx) for m in matcher.match(a.bits, theirs) if m.distance <= NEAREST_BITS]
    back = [(m.trainIdx, m.queryIdx) for m in matcher.match(theirs, a.bits) if m.distance <= NEAREST_BITS]
    near = np.array(sorted({*there, *back}), np.int64).reshape(-1, 2)
    from_xy, to_xy = a.points_xy[near[:, 0]], b.points_xy[near[:, 1]]
    if mirrored:
        to_xy = np.stack([b.width - 1 - to_xy[:, 0], to_xy[:, 1]], axis=1)
    for _ in range(FITS):
        if len(from_xy) < MIN_INLIERS:
            return
        cv2.setRNGSeed(0)
        fitted, inside = cv2.estimateAffinePartial2D(from_xy, to_xy, ransacReprojThreshold=INLIER_PX, maxIters=1000)
        if fitted is None:
            return
        is_inside = inside[:, 0].astype(bool)
        if is_inside.sum() < MIN_INLIERS:
            return
        zoom = float(np.hypot(fitted[0, 0], fitted[1, 0]))
        spread = np.ptp(from_xy[is_inside], axis=0).prod() / (a.width * a.height)
        if SCALES[0] <= zoom <= SCALES[1] and spread >= MIN_COVER:
            yield np.asarray(fitted, np.float64)
        from_xy, to_xy = from_xy[~is_inside], to_xy[~is_inside]


# --- time ------------------------------------------------------------------------------------------------------------


def _in_step(a: Description, b: Description, transform: NDArray[np.float64], mirrored: bool) -> float | None:
    """How alike what moves is along the best line of time, where it is enough for the same footage."""
    import cv2

    to_px_a = np.diag([a.width / THUMB_PX, a.height / THUMB_PX, 1.0])
    to_thumb_b = np.diag([THUMB_PX / b.width, THUMB_PX / b.height, 1.0])
    whole = to_thumb_b @ np.vstack([transform, [0, 0, 1]]) @ to_px_a
    small, size = whole[:2], (THUMB_PX, THUMB_PX)
    shown = np.asarray(cv2.warpAffine(np.ones(size, np.float32), small, size))
    inside = shown > 0.99
    if inside.sum() < MIN_OVERLAP_PX:
        return None
    warped = np.stack([np.asarray(cv2.warpAffine(thumb, small, size))[inside] for thumb in a.thumbs]).astype(np.float32)
    plain = b.thumbs[:, :, ::-1] if mirrored else b.thumbs
    other = plain[:, inside].astype(np.float32)
    ground_a, ground_b = np.median(warped, axis=0), np.median(other, axis=0)
    moving_a, moving_b = warped - ground_a, other - ground_b
    if min(float(moving_a.std()), float(moving_b.std())) < MOTION_LEVELS:
        return _still(ground_a, ground_b, moving_a, moving_b, float(inside.mean()))
    alike = _unit(moving_a) @ _unit(moving_b).T
    best, advantage = _best_line(alike, a.times_s, b.times_s)
    return round(min(1.0, best), 4) if best >= MIN_IN_STEP and advantage >= MIN_ADVANTAGE else None


def _still(
    ground_a: NDArray[np.float32],
    ground_b: NDArray[np.float32],
    moving_a: NDArray[np.float32],
    moving_b: NDArray[np.float32],
    cover: float,
) -> float | None:
    """Of two of which one hardly moves: both must, and be one picture."""
    if max(float(moving_a.std()), float(moving_b.std())) >= 2 * MOTION_LEVELS or cover < STILL_COVER:
        return None
    alike = float(_unit((ground_a - ground_a.mean())[None]) @ _unit((ground_b - ground_b.mean())[None]).T)
    return round(min(1.0, alike), 4) if alike >= STILL_ALIKE else None


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-3)


def _best_line(
    alike: NDArray[np.float32], times_a: NDArray[np.float32], times_b: NDArray[np.float32]
) -> tuple[float, float]:
    """The mean of ``alike`` (Ta, Tb) along the best line of time, and by how much that exceeds the mean away from it."""
    if min(alike.shape) < 2:
        return 0.0, 0.0
    step_a, step_b = (float(np.diff(times).mean()) for times in (times_a, times_b))
    needed = max(MIN_COMMON, MIN_COMMON_SHARE * min(alike.shape))
    best, advantage = -1.0, 0.0
    for speed in SPEEDS:
        moved = times_a * speed
        shifts = np.arange(times_b[0] - moved[-1], times_b[-1] - moved[0], min(step_a, step_b) / 2)
        at = (moved[None, :] + shifts[:, None] - times_b[0]) / step_b
        place = np.rint(at).astype(np.int64)
        is_common = (place >= 0) & (place < len(times_b))
        count = is_common.sum(axis=1)
        values = np.where(is_common, alike[np.arange(len(times_a)), np.clip(place, 0, len(times_b) - 1)], 0).sum(axis=1)
        means = np.where(count >= needed, values / np.maximum(count, 1), -1)
        top = int(means.argmax())
        if means[top] > best:
            rest = (float(alike.sum()) - float(values[top])) / max(1, alike.size - int(count[top]))
            best, advantage = float(means[top]), float(means[top]) - rest
    return best, advantage
