"""Which part of a scene becomes the clip: all of it, or the ten seconds in which people move most.

The paper keeps "only the most relevant 10-second segment, typically featuring the most significant action" (Appendix D) and
does not say how it was found. Here, relevance is motion where people are: the mean luma change per pixel in the person boxes
(grown by half their size on every side), from the grid that the decode pass measured. Motion elsewhere in the picture has a
tenth of the weight, so that it decides if the people stand still.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tiktokactions.records import Sample, Scene, Segment

STEP_S = 0.1
"""The step between the starts that are tried. Motion is known per second and spread evenly within it."""
AROUND = 0.5
"""A box is grown by this share of its size on each side, so that a swinging arm or a thrown ball counts."""
ELSEWHERE = 0.1
"""The weight of motion anywhere in the picture, compared with motion where people are."""
SAME_SHARE = 0.999
"""Windows with at least this share of the best one's motion are equally good; the middle one is taken."""


def relevance_per_second(
    grid: np.ndarray, samples: Sequence[Sample], scene_start_s: float, width: int, height: int, person_score: float
) -> np.ndarray:
    """Motion where people are, per second of the scene.

    Args:
        grid: motion ``(seconds, 8, 8)``, float, upright.
        samples: the sampled frames with their boxes. A second uses the boxes of the samples before and after it; if the
            whole scene has no box, motion anywhere counts.
        scene_start_s: source time at which ``grid`` begins.
        width: of the picture that the boxes are measured in, pixels.
        height: of the same.
        person_score: boxes count from this score on.

    Returns:
        float64 ``(seconds,)``.
    """
    anywhere = grid.mean(axis=(1, 2), dtype=np.float64)
    masks = [_people_mask(sample, width, height, person_score, grid.shape[1]) for sample in samples]
    if not any(mask.any() for mask in masks):
        return anywhere
    by_sample = np.array(masks)
    # Between two samples the boxes of both count; before the first and after the last only its own.
    near = np.concatenate([by_sample[:1], by_sample[:-1] | by_sample[1:], by_sample[-1:]])
    near[~near.any(axis=(1, 2))] = by_sample.any(axis=0)
    times_s = [sample.time_s - scene_start_s for sample in samples]
    cells = near[np.searchsorted(times_s, np.arange(len(grid)) + 0.5, side="right")]
    relevance = (grid * cells).sum(axis=(1, 2), dtype=np.float64) / cells.sum(axis=(1, 2))
    return relevance + ELSEWHERE * anywhere


def _people_mask(sample: Sample, width: int, height: int, person_score: float, cells: int) -> np.ndarray:
    """Grid cells that a grown person box touches, bool ``(cells, cells)``."""
    mask = np.zeros((cells, cells), bool)
    for person in sample.people:
        if person.score < person_score:
            continue
        x0, y0, x1, y1 = person.xyxy
        grow_x, grow_y = AROUND * (x1 - x0), AROUND * (y1 - y0)
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
    """The most relevant ``max_clip_s`` seconds of a longer scene.

    Of equally relevant windows the middle one is taken, so that a short action is in the middle of its clip.
    """
    edges_s = np.append(np.arange(len(relevance), dtype=np.float64), scene.duration_s)
    edges_s[-1] = max(edges_s[-1], edges_s[-2])
    total = np.concatenate([[0.0], np.cumsum(relevance * np.diff(edges_s))])
    last_start_s = scene.duration_s - max_clip_s
    starts_s = np.append(np.arange(0.0, last_start_s, STEP_S), last_start_s)
    held = np.interp(starts_s + max_clip_s, edges_s, total) - np.interp(starts_s, edges_s, total)
    best = np.flatnonzero(held >= held.max() * SAME_SHARE)
    run_end = best[0] + int(np.argmin(np.append(np.diff(best) == 1, False)))  # the first run of equally good starts
    start_s = float(starts_s[(best[0] + run_end) // 2])
    start_s = scene.start_s + round(start_s, 3) if start_s < last_start_s else scene.end_s - max_clip_s
    return Segment(start_s, start_s + max_clip_s)
