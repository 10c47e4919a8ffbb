"""Whether two videos show the same footage, whatever people did to one of them: cropped, captioned, mirrored, framed by a
blurred copy of itself, put into a corner, sped up, trimmed, filtered.

Two tests, one after the other, on what :mod:`tiktokactions.curation.description` kept:

1. **Geometry.** Corners of the two with like codes must agree on one scale and shift (RANSAC), or their whole pictures inside
   flat borders must be alike. This says *where* the picture of one lies in the picture of the other. Two clips filmed in one
   room, or with one watermark, pass it too.
2. **In step.** The thumbs are brought into register by that scale and shift, and every cell of them says how it changes in
   half a second: a wall, a caption that stays and the brightness count for nothing, a cut or a flash counts once. The
   correlation of these changes, at the best shift in time and at speeds of 1, 1.1 and 1 / 1.1, is the score. Most copies
   reach 0.6 to 1; other footage under the same captions, watermark or end card stays under 0.35. Only the same person doing
   the same action before the same camera comes near 0.6, so more is asked of two pictures with one framing, and of whole
   pictures.

Of footage in which hardly anything moves, noise drowns the step. It is a copy if the registered pictures are the same to
within noise and what moves is a little in step, or nothing moves and it is equally long.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tiktokactions.copies.proposals import FEWEST_VOTES, WHOLE, Index, indexed
from tiktokactions.copies.whole_pictures import inside, whole_pictures
from tiktokactions.curation.description import THUMB_PX, Description, mirror_codes

NEAR_BITS = 56
"""Codes of the same corner differ in at most this many of 256 bits."""
FEWEST_CORNERS = 6
FEWEST_WHOLE = 3
WHOLE_STRETCH = 0.15
"""Whole pictures are compared whose shapes (log of width / height) differ by no more."""
REACH_PX = 4.0
"""A corner agrees with a scale and shift if it lands within this distance, at :data:`description.LONG_SIDE_PX`."""
MOST_TURN = 0.1
SMALLEST, LARGEST = 0.15, 6.5
"""Scales of one picture in the other."""
SMALLEST_SHARE = 0.15
"""Share of width and height that the two pictures must have in common."""
GRID = 16
"""Registered thumbs have this many cells each way."""
CHANGE_S = 0.5
CELL_NOISE = 0.15
"""Change of a cell, in standard deviations of a picture, that is mostly noise."""
SPEEDS = (1.0, 1.1, 1 / 1.1)
SHIFT_S = 0.125
SURE = 0.9
"""At this score no other speed is tried."""
OVERLAP_S = 2.0
"""Seconds that must agree; of shorter videos four fifths."""
FEWEST_THUMBS = 6
IN_STEP = 0.45
IN_STEP_SAME_FRAMING = 0.65
"""Where both pictures have the same framing, as two clips of one fixed camera have, more is asked."""
SAME_FRAMING = 0.05
STILL_MOTION, HARDLY_MOTION = 0.02, 0.08
"""Change of the cells that change most, in standard deviations of a picture: below it nothing moves, or hardly anything."""
HARDLY_IN_STEP = 0.2
STILL_LIKENESS = 0.985
BRIEF_S, BRIEF_LIKENESS = 5.5, 0.997
"""So alike must pictures be that are hardly in step for less long: chance is in step for a while before one fixed camera."""
STILL_DURATION_SHARE = 0.05


@dataclass(frozen=True)
class Match:
    """Videos ``a`` and ``b`` show the same footage.

    ``score``: correlation of what changes, up to 1. ``scale``: of a's picture in b's. ``a_start_s``, ``b_start_s``: where the
    common part begins; ``seconds``: how long it is, by a's clock. ``speed``: seconds of b for one second of a.
    """

    a: str
    b: str
    score: float
    mirrored: bool
    scale: float
    a_start_s: float
    b_start_s: float
    seconds: float
    speed: float


def matches(
    descriptions: Mapping[str, Description],
    *,
    new: Set[str] | None = None,
    between: tuple[Set[str], Set[str]] | None = None,
    strongest: bool = False,
) -> list[Match]:
    """All pairs of videos that show the same footage, the smaller id first, sorted.

    Args:
        descriptions: by id; a mapping that reads each when it is asked for keeps memory small.
        new: only pairs with at least one of these.
        between: only pairs of one video of either set.
        strongest: compare pairs on half the votes, which finds more and costs more.
    """
    ids = sorted(descriptions)
    index = Index()
    for video_id in ids:
        index.add(indexed(descriptions[video_id]))
    is_new = None if new is None else np.array([video_id in new for video_id in ids], bool)
    found: dict[tuple[str, str], Match] = {}
    for one, other, mirrored in index.pairs(is_new, FEWEST_VOTES // 2 if strongest else FEWEST_VOTES).tolist():
        names = ids[one], ids[other]
        if names not in found and (between is None or _across(names, between)):
            match = same_footage(descriptions[names[0]], descriptions[names[1]], names, bool(mirrored))
            found |= {names: match} if match is not None else {}
    return [*found.values()]


def _across(names: tuple[str, str], between: tuple[Set[str], Set[str]]) -> bool:
    one, other = names
    return (one in between[0] and other in between[1]) or (one in between[1] and other in between[0])


def same_footage(
    a: Description, b: Description, names: tuple[str, str] = ("", ""), mirrored: bool | None = None
) -> Match | None:
    """Compare two videos, as they are or ``mirrored``, or both (None). Gives None where they are not the same footage."""
    if mirrored is not None:
        return _compare(a, b, mirrored, names)
    return _compare(a, b, False, names) or _compare(a, b, True, names)


def _compare(a: Description, b: Description, mirrored: bool, names: tuple[str, str]) -> Match | None:
    for find in (placement, whole_placement):
        if (placed := find(a, b, mirrored)) is not None:
            same_framing = not mirrored and a.size_px == b.size_px and abs(placed[0] - 1) < SAME_FRAMING
            needed = IN_STEP_SAME_FRAMING if same_framing or find is whole_placement else IN_STEP
            if (match := _at(placed, needed, a, b, mirrored, names)) is not None:
                return match
    return None


def _at(
    placed: tuple[float, float, float],
    needed: float,
    a: Description,
    b: Description,
    mirrored: bool,
    names: tuple[str, str],
) -> Match | None:
    """The match of two videos that lie over each other like this, if their score is what is ``needed``."""
    registered = _registered(a, b, placed, mirrored)
    if registered is None:
        return None
    pictures_a, pictures_b = (_flat(pictures) for pictures in registered)
    step = _in_step(pictures_a, a.times_s, pictures_b, b.times_s)
    if step is None:
        return None
    score, a_start_s, b_start_s, seconds, speed, motion = step
    if score < needed and motion < HARDLY_MOTION:
        length_a, length_b = np.ptp(a.times_s), np.ptp(b.times_s)
        equally_long = abs(length_a - length_b) <= STILL_DURATION_SHARE * max(length_a, length_b)
        likeness = _likeness(pictures_a.mean(axis=0), pictures_b.mean(axis=0))
        is_still = motion < STILL_MOTION and equally_long
        alike = STILL_LIKENESS if is_still or seconds >= BRIEF_S else BRIEF_LIKENESS
        if likeness >= alike and (score >= HARDLY_IN_STEP or is_still):
            score = needed = likeness
    if score < needed:
        return None
    return Match(*names, score, mirrored, placed[0], a_start_s, b_start_s, seconds, speed)


def _likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Correlation of two pictures; 0 where one is flat."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(1e-6, np.sqrt((a * a).sum() * (b * b).sum())))


# --- geometry --------------------------------------------------------------------------------------------------------


def placement(a: Description, b: Description, mirrored: bool) -> tuple[float, float, float] | None:
    """Scale and shift (pixels of b) that bring corners of ``a``, mirrored or not, onto the like corners of ``b``."""
    if not len(a.codes) or not len(b.codes):
        return None
    bits, nearest = cv2.batchDistance(
        mirror_codes(a.codes) if mirrored else a.codes, b.codes, dtype=cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1
    )
    alike = np.flatnonzero(bits.ravel() <= NEAR_BITS)
    if len(alike) < FEWEST_CORNERS:
        return None
    from_xy, to_xy = a.points_xy[alike], b.points_xy[nearest.ravel()[alike]]
    if mirrored:
        from_xy[:, 0] = a.size_px[0] - from_xy[:, 0]
    cv2.setRNGSeed(0)  # the same answer for the same pair, whatever was compared before
    affine, inliers = cv2.estimateAffinePartial2D(
        from_xy, to_xy, method=cv2.RANSAC, ransacReprojThreshold=REACH_PX, maxIters=500, confidence=0.99
    )
    if affine is None:
        return None
    scale = float(np.hypot(affine[0, 0], affine[1, 0]))
    places = {(int(x) // 8, int(y) // 8) for x, y in to_xy[inliers.ravel().astype(bool)]}
    if len(places) < FEWEST_CORNERS or abs(affine[1, 0]) > MOST_TURN * scale or not SMALLEST < scale < LARGEST:
        return None
    return scale, float(affine[0, 2]), float(affine[1, 2])


def whole_placement(a: Description, b: Description, mirrored: bool) -> tuple[float, float, float] | None:
    """The same where the whole pictures inside their borders are alike, at several times."""
    (codes_a, places_a), (codes_b, places_b) = (whole_pictures(one, WHOLE) for one in (a, b))
    shapes = []
    for one in (a, b):
        left, top, right, bottom = inside(one.thumbs)
        shapes.append((right - left) * one.size_px[0] / ((bottom - top) * one.size_px[1]))
    if not len(codes_a) or not len(codes_b) or abs(np.log(shapes[0] / shapes[1])) > WHOLE_STRETCH:
        return None
    codes_a = mirror_codes(codes_a) if mirrored else codes_a
    bits = cv2.batchDistance(codes_a, codes_b, dtype=cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)[0].ravel()
    if (bits <= NEAR_BITS).sum() < min(FEWEST_WHOLE, len(bits)):
        return None
    (x_a, y_a, size_a, width_a), (x_b, y_b, size_b, _) = places_a[0].tolist(), places_b[0].tolist()
    scale = size_b / size_a
    return scale, x_b - scale * (width_a - x_a if mirrored else x_a), y_b - scale * y_a


def _registered(
    a: Description, b: Description, placed: tuple[float, float, float], mirrored: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """The part of the picture that both have, on one grid: (T, 16, 16) of each. None where they have too little in common."""
    scale, shift_x, shift_y = placed
    (width_a, height_a), (width_b, height_b) = a.size_px, b.size_px
    left, top = max(0.0, shift_x), max(0.0, shift_y)
    right, bottom = min(width_b, shift_x + scale * width_a), min(height_b, shift_y + scale * height_a)
    if right - left < SMALLEST_SHARE * width_b or bottom - top < SMALLEST_SHARE * height_b:
        return None
    centres = (np.arange(GRID) + 0.5) / GRID
    x_b, y_b = left + centres * (right - left), top + centres * (bottom - top)
    x_a, y_a = (x_b - shift_x) / scale, (y_b - shift_y) / scale
    if mirrored:
        x_a = width_a - x_a
    cell_x, cell_y = (right - left) / GRID, (bottom - top) / GRID
    return (
        _sampled(a.thumbs, x_a / width_a, y_a / height_a, cell_x / scale / width_a, cell_y / scale / height_a),
        _sampled(b.thumbs, x_b / width_b, y_b / height_b, cell_x / width_b, cell_y / height_b),
    )


def _sampled(
    thumbs: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64], cell_width: float, cell_height: float
) -> NDArray[np.float32]:
    """Thumbs (T, 32, 32) read at ``x`` and ``y`` (shares of width and height), each cell averaged: (T, 16, 16)."""
    across = thumbs.reshape(-1, THUMB_PX) @ _weights(x, cell_width).T
    columns = across.reshape(len(thumbs), THUMB_PX, GRID).transpose(1, 0, 2).reshape(THUMB_PX, -1)
    return (_weights(y, cell_height) @ columns).reshape(GRID, len(thumbs), GRID).transpose(1, 0, 2)


def _weights(centres: NDArray[np.float64], cell: float) -> NDArray[np.float32]:
    """(16, 32): how much each pixel of a thumb counts in each cell; a triangle as wide as the cell, at least a pixel."""
    pixels = (np.arange(THUMB_PX) + 0.5) / THUMB_PX
    reach = max(cell, 1 / THUMB_PX)
    weights = np.maximum(0, 1 - np.abs(np.clip(centres, pixels[0], pixels[-1])[:, None] - pixels) / reach)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


# --- in step ---------------------------------------------------------------------------------------------------------


def _flat(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without brightness and contrast: (T, 16, 16) -> (T, 256), mean 0 and standard deviation about 1."""
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / (flat.std(axis=1, keepdims=True) + 3)


def _moving(flat: NDArray[np.float32], times_s: NDArray[np.float32]) -> NDArray[np.float32]:
    """How each cell changes in half a second, (T, 256). A cell that changes much counts little more than one that changes
    little, so that captions do not outvote the picture behind them; and so does a moment, such as a cut or a flash."""
    gap_s = float(np.ptp(times_s)) / max(1, len(times_s) - 1)
    lag = min(len(flat) - 1, max(1, round(CHANGE_S / gap_s))) if gap_s else 0
    change = np.zeros_like(flat)
    change[: len(flat) - lag] = flat[lag:] - flat[: len(flat) - lag]
    change /= np.sqrt((change * change).mean(axis=0)) + CELL_NOISE
    size = np.sqrt((change * change).mean(axis=1, keepdims=True))
    return change * np.minimum(1, np.quantile(size, 0.7) / (size + 1e-6))


def _in_step(
    flat_a: NDArray[np.float32], times_a: NDArray[np.float32], flat_b: NDArray[np.float32], times_b: NDArray[np.float32]
) -> tuple[float, float, float, float, float, float] | None:
    """(score, a_start_s, b_start_s, seconds, speed, motion) at the best shift and speed; None if too little overlaps."""
    moving_a, moving_b = _moving(flat_a, times_a), _moving(flat_b, times_b)
    products = moving_a @ moving_b.T
    power_a, power_b = (moving_a**2).sum(axis=1), (moving_b**2).sum(axis=1)
    best: tuple[float, float, NDArray[np.bool_], NDArray[np.int64]] | None = None
    best_score = -2.0
    for speed in SPEEDS:
        if best_score > SURE:
            break
        scaled = times_a * speed
        shifts = np.arange(times_b[0] - scaled[-1], times_b[-1] - scaled[0], SHIFT_S)
        at = scaled + shifts[:, None]
        after = np.searchsorted(times_b, at).clip(1, len(times_b) - 1) if len(times_b) > 1 else np.zeros(at.shape, int)
        before = np.maximum(after - 1, 0)
        nearest = np.where(np.abs(times_b[before] - at) < np.abs(times_b[after] - at), before, after)
        inside = (at >= times_b[0] - SHIFT_S) & (at <= times_b[-1] + SHIFT_S)
        count = inside.sum(axis=1)
        gap_s = np.ptp(scaled) / max(1, len(scaled) - 1)
        needed_s = min(OVERLAP_S, 0.8 * min(np.ptp(scaled), np.ptp(times_b)))
        enough = (count >= min(FEWEST_THUMBS, len(scaled))) & ((count - 1) * gap_s >= needed_s - gap_s)
        if not enough.any():
            continue
        across = (products[np.arange(len(scaled)), nearest] * inside).sum(axis=1)
        within = (power_a * inside).sum(axis=1) * (power_b[nearest] * inside).sum(axis=1)
        score = np.where(enough, across / np.sqrt(within + 1e-9), -2)
        top = int(score.argmax())
        if score[top] > best_score:
            best_score = float(score[top])
            best = speed, float(shifts[top]), inside[top], nearest[top]
    if best is None:
        return None
    speed, shift_s, inside_a, nearest_b = best
    both = flat_a[inside_a], flat_b[nearest_b[inside_a]]
    size_a, size_b = (float(np.quantile(flat.std(axis=0), 0.95)) for flat in both)
    score_s = best_score
    begins = int(np.flatnonzero(inside_a)[0])
    seconds = float(np.ptp(times_a[inside_a]))
    start_b = float(times_a[begins] * speed + shift_s)
    return score_s, float(times_a[begins]), max(start_b, 0.0), seconds, speed, min(size_a, size_b)
