"""Which ten seconds of a scene become the clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tiktokactions.curation.segment import choose_segment, fits_whole, relevance_per_second
from tiktokactions.records import PersonBox, Sample, Scene

LONG = Scene(5.0, 45.0, 150, 1350)


def grid_of(per_second: Sequence[float], column: int | None = None) -> np.ndarray:
    grid = np.zeros((len(per_second), 8, 8), np.float32)
    columns = slice(None) if column is None else slice(column, column + 1)
    grid[:, :, columns] = np.array(per_second, np.float32)[:, None, None]
    return grid


@pytest.mark.parametrize(
    ("busy", "start_s", "end_s"),
    [
        (range(22, 30), 21.0 + 5, 31.0 + 5),
        (range(3), 0.0 + 5, 10.0 + 5),
        (range(37, 40), 30.0 + 5, 40.0 + 5),
        (range(0), 15.0 + 5, 25.0 + 5),
    ],
    ids=["in the middle", "at the start", "at the end", "no motion: the middle"],
)
def test_the_window_lies_around_the_motion(busy: range, start_s: float, end_s: float) -> None:
    relevance = np.array([1.0 if i in busy else 0.0 for i in range(40)])
    segment = choose_segment(LONG, relevance, 10.0)
    assert segment.duration_s == pytest.approx(10.0)
    inside = sum(1 for i in busy if segment.start_s <= i + 5 and i + 6 <= segment.end_s)
    assert inside == len(busy)
    if len(busy) != 3:
        assert segment.start_s == pytest.approx(start_s, abs=0.11)
        assert segment.end_s == pytest.approx(end_s, abs=0.11)


def test_the_window_never_leaves_the_scene() -> None:
    random = np.random.default_rng(3)
    for _ in range(200):
        duration_s = float(random.uniform(10.1, 70))
        scene = Scene(2.5, 2.5 + duration_s, 75, 75 + round(duration_s * 30))
        segment = choose_segment(scene, random.random(int(np.ceil(duration_s))), 10.0)
        assert scene.start_s <= segment.start_s < segment.end_s <= scene.end_s + 1e-9
        assert segment.duration_s == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("duration_s", "whole"), [(3.5, True), (10.0, True), (10.016, True), (10.02, False), (12.0, False)]
)
def test_scenes_within_half_a_frame_of_the_limit_are_left_whole(duration_s: float, whole: bool) -> None:
    assert fits_whole(Scene(0, duration_s, 0, 1), 10.0, 1 / 30) is whole


def test_motion_counts_where_people_are() -> None:
    """Traffic on the right is stronger, but the person on the left dances later."""
    grid = grid_of([0] * 10 + [4] * 10 + [0] * 10, column=0) + grid_of([9] * 10 + [0] * 20, column=7)
    person = Sample(3.0, 90, (PersonBox((10, 10, 60, 300), 0.9),))
    relevance = relevance_per_second(grid, [person], 0.0, 400, 400, person_score=0.4)
    assert choose_segment(Scene(0, 30, 0, 900), relevance, 10.0).start_s == pytest.approx(10, abs=0.2)
    unseen = relevance_per_second(grid, [person], 0.0, 400, 400, person_score=0.95)
    assert choose_segment(Scene(0, 30, 0, 900), unseen, 10.0).start_s == pytest.approx(0, abs=0.2)


def test_a_second_without_boxes_takes_those_of_the_whole_scene() -> None:
    """The person (left) was only detected at the start; later traffic on the right must not win."""
    grid = grid_of([0] * 20 + [4] * 10, column=0) + grid_of([0] * 10 + [9] * 10 + [0] * 10, column=7)
    seen = Sample(1.0, 30, (PersonBox((10, 10, 60, 300), 0.9),))
    unseen = tuple(Sample(float(t), 30 * t) for t in range(4, 30, 3))
    relevance = relevance_per_second(grid, (seen, *unseen), 0.0, 400, 400, person_score=0.4)
    assert choose_segment(Scene(0, 30, 0, 900), relevance, 10.0).start_s == pytest.approx(20, abs=0.2)


def test_where_people_stand_still_any_motion_decides() -> None:
    grid = grid_of([0] * 15 + [5] * 8 + [0] * 7, column=7)
    person = Sample(3.0, 90, (PersonBox((10, 10, 30, 300), 0.9),))
    relevance = relevance_per_second(grid, [person], 0.0, 400, 400, person_score=0.4)
    segment = choose_segment(Scene(0, 30, 0, 900), relevance, 10.0)
    assert segment.start_s <= 15
    assert segment.end_s >= 23
