"""Which part of a scene becomes the clip: all of it, or the ten seconds with people in which they move most.

The paper keeps "only the most relevant 10-second segment, typically featuring the most significant action" (Appendix D) and
does not say how it was found. Here, time without a person is worth nothing. Time with one is worth a constant, so that
people who stand still beat an empty picture, and as much again for the usual motion where people are: the mean luma change
per pixel in the person boxes (grown by half their size on every side), from the grid that the decode pass measured. Motion
elsewhere has a tenth of the weight.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from tiktokactions.records import Sample, Scene, Segment

STEP_S = 0.1
"""Relevance is computed, and starts are tried, in steps of this. Motion is known per second and spread evenly within it."""
AROUND = 0.5
"""A box is grown by this share of its size on each side, so that a swinging arm or a thrown ball counts."""
ELSEWHERE = 0.1
"""The weight of motion anywhere in the picture, compared with motion where people are."""
SAME_SHARE = 0.999
"""Windows with at least this share of the best one's relevance are equally good; the middle one is taken."""

SURE_S = 4.0
"""Between two frames with people that are no further apart than this, people are taken to be in the picture."""
DOUBTFUL_S = 1.5
"""Where one of two neighbouring frames shows nobody, frames between them are looked at until they are this near."""


def relevance_per_step(
    grid: np.ndarray, samples: Sequence[Sample], scene: Scene, width: int, height: int, person_score: float
) -> np.ndarray:
    """What each :data:`STEP_S` of a scene is worth for a clip.

    Args:
        grid: motion ``(seconds, 8, 8)``, float, upright.
        samples: the frames that were searched, in order of time, with their boxes. People are in the picture if they are in
            the frames before and after, and near a frame that shows them; where, is told by the boxes of both. If nobody is
            in any frame, motion anywhere counts.
        scene: the scene in whose seconds ``grid`` was measured.
        width: of the picture that the boxes are measured in, pixels.
        height: of the same.
        person_score: boxes count from this score on.

    Returns:
        float64 ``(steps,)``; the last step may reach beyond the scene.
    """
    middles_s = (np.arange(max(1, np.ceil(scene.duration_s / STEP_S - 1e-6))) + 0.5) * STEP_S
    seconds = np.minimum(middles_s.astype(int), len(grid) - 1)
    anywhere = grid.mean(axis=(1, 2), dtype=np.float64)[seconds]
    masks = np.array([_people_mask(sample, width, height, person_score, grid.shape[1]) for sample in samples])
    if not masks.any():
        return anywhere
    times_s = np.array([sample.time_s for sample in samples]) - scene.start_s
    seen, following = np.asarray(masks.any(axis=(1, 2))), np.searchsorted(times_s, middles_s, side="right")
    before, after = np.maximum(following - 1, 0), np.minimum(following, len(samples) - 1)
    is_near = [seen[i] & (np.abs(middles_s - times_s[i]) <= DOUBTFUL_S / 2) for i in (before, after)]
    has_people = (seen[before] & seen[after]) | is_near[0] | is_near[1]
    cells = masks[before] | masks[after]
    size = cells.sum(axis=(1, 2))
    moving = (grid[seconds] * cells).sum(axis=(1, 2), dtype=np.float64) / np.maximum(size, 1) + ELSEWHERE * anywhere
    usual = moving[has_people].mean() if has_people.any() else 0.0
    return np.where(has_people, moving / usual + 1 if usual > 0 else 1.0, 0.0)


def best_score(sample: Sample) -> float:
    """The highest score of a person in a frame, 0 where nobody is."""
    return max((person.score for person in sample.people), default=0.0)


def doubtful_times(samples: Sequence[Sample], start_s: float, end_s: float, person_score: float) -> list[float]:
    """Times within a window at which one has to look to know whether people are there; empty if that is clear.

    ``samples``: what was searched before, in order of time.
    """
    seen = [best_score(sample) >= person_score for sample in samples]
    times_s = [sample.time_s for sample in samples]
    # Before the first frame and after the last one nothing is known of the other side.
    gaps = [(2 * start_s - times_s[0], times_s[0], seen[0]), (times_s[-1], 2 * end_s - times_s[-1], seen[-1])]
    gaps += [(t, u, a and b) for (t, a), (u, b) in itertools.pairwise(zip(times_s, seen, strict=True))]
    middles_s = [(t + u) / 2 for t, u, both in gaps if u - t > (SURE_S if both else DOUBTFUL_S)]
    return sorted(time_s for time_s in middles_s if start_s <= time_s <= end_s)


def person_share(samples: Sequence[Sample], width: int, height: int, person_score: float) -> float | None:
    """The median share of the picture that the largest person takes, over the frames with one; None without any."""
    shares = [
        max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes) / (width * height)
        for sample in samples
        if (boxes := [person.xyxy for person in sample.people if person.score >= person_score])
    ]
    return round(float(np.median(shares)), 4) if shares else None


def person_motion(
    grid: np.ndarray, samples: Sequence[Sample], start_s: float, width: int, height: int, person_score: float
) -> float | None:
    """Motion where people are, as a share of that and motion elsewhere (both per pixel): 0.5 where they are alike.

    ``grid``: as in :func:`relevance_per_step`; it begins at the source time ``start_s``. Each sample is compared in its own
    second. None if nobody is seen, people fill the picture, or nothing moves.
    """
    here, elsewhere = [], []
    for sample in samples:
        mask = _people_mask(sample, width, height, person_score, grid.shape[1], around=0.0)
        second = int(sample.time_s - start_s)
        if mask.any() and not mask.all() and 0 <= second < len(grid):
            here.append(float(grid[second][mask].mean()))
            elsewhere.append(float(grid[second][~mask].mean()))
    total = sum(here) + sum(elsewhere)
    return round(sum(here) / total, 4) if total > 0 else None


def _people_mask(
    sample: Sample, width: int, height: int, person_score: float, cells: int, around: float = AROUND
) -> np.ndarray:
    """Grid cells that a grown person box touches, bool ``(cells, cells)``."""
    mask = np.zeros((cells, cells), bool)
    for person in sample.people:
        if person.score < person_score:
            continue
        x0, y0, x1, y1 = person.xyxy
        grow_x, grow_y = around * (x1 - x0), around * (y1 - y0)
        columns = _cells((x0 - grow_x) / width, (x1 + grow_x) / width, cells)
        rows = _cells((y0 - grow_y) / height, (y1 + grow_y) / height, cells)
        mask[rows, columns] = True
    return mask


def _cells(start: float, end: float, cells: int) -> slice:
    first = min(cells - 1, max(0, int(start * cells)))
    return slice(first, max(first + 1, min(cells, int(np.ceil(end * cells)))))


def fits_whole(scene: Scene, max_clip_s: float, frame_s: float) -> bool:
    """Whether the whole scene becomes the clip: it may be longer than that by less than half a frame."""
    return scene.duration_s < max_clip_s + frame_s / 2


def choose_segment(scene: Scene, relevance: np.ndarray, max_clip_s: float) -> Segment:
    """The most relevant ``max_clip_s`` seconds of a longer scene; ``relevance`` is :func:`relevance_per_step`'s.

    Of equally relevant windows the middle one is taken, so that a short action is in the middle of its clip.
    """
    edges_s = np.minimum(np.arange(len(relevance) + 1) * STEP_S, scene.duration_s)
    total = np.concatenate([[0.0], np.cumsum(relevance * np.diff(edges_s))])
    last_start_s = scene.duration_s - max_clip_s
    starts_s = np.append(np.arange(0.0, last_start_s, STEP_S), last_start_s)
    held = np.interp(starts_s + max_clip_s, edges_s, total) - np.interp(starts_s, edges_s, total)
    best = np.flatnonzero(held >= held.max() * SAME_SHARE)
    run_end = best[0] + int(np.argmin(np.append(np.diff(best) == 1, False)))  # the first run of equally good starts
    start_s = float(starts_s[(best[0] + run_end) // 2])
    start_s = scene.start_s + round(start_s, 3) if start_s < last_start_s else scene.end_s - max_clip_s
    return Segment(start_s, start_s + max_clip_s)
