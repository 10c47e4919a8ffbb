"""Which ten seconds of a scene become the clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tiktokactions.curation.segment import (
    choose_segment,
    doubtful_times,
    fits_whole,
    person_motion,
    person_share,
    relevance_per_step,
)
from tiktokactions.records import PersonBox, Sample, Scene

LONG = Scene(5.0, 45.0, 150, 1350)


TENTHS = [3.0 * k - 0.03 for k in range(1, 11)]
"""Times at which 30 s are sampled."""


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
    worth = np.repeat([1.0 if i in busy else 0.0 for i in range(40)], 10)
    segment = choose_segment(LONG, worth, 10.0)
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
        segment = choose_segment(scene, random.random(int(np.ceil(duration_s * 10))), 10.0)
        assert scene.start_s <= segment.start_s < segment.end_s <= scene.end_s + 1e-9
        assert segment.duration_s == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("duration_s", "whole"), [(3.5, True), (10.0, True), (10.016, True), (10.02, False), (12.0, False)]
)
def test_scenes_within_half_a_frame_of_the_limit_are_left_whole(duration_s: float, whole: bool) -> None:
    assert fits_whole(Scene(0, duration_s, 0, 1), 10.0, 1 / 30) is whole


def relevance(grid: np.ndarray, samples: Sequence[Sample], score: float = 0.4) -> np.ndarray:
    return relevance_per_step(grid, samples, Scene(0, len(grid), 0, 30 * len(grid)), 400, 400, score)


def looks(seconds: Sequence[float], people: Sequence[bool], x: float = 10) -> list[Sample]:
    """Frames at these times, with or without a person at ``x``."""
    box = (PersonBox((x, 10, x + 50, 300), 0.9),)
    return [Sample(t, round(30 * t), box if has else ()) for t, has in zip(seconds, people, strict=True)]


def test_motion_counts_where_people_are() -> None:
    """Traffic on the right is stronger, but the person on the left dances later."""
    grid = grid_of([0] * 10 + [4] * 10 + [0] * 10, column=0) + grid_of([9] * 10 + [0] * 20, column=7)
    person = looks([3.0], [True])
    assert choose_segment(Scene(0, 30, 0, 900), relevance(grid, person), 10.0).start_s == pytest.approx(10, abs=0.2)
    unseen = relevance(grid, person, score=0.95)
    assert choose_segment(Scene(0, 30, 0, 900), unseen, 10.0).start_s == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(
    ("people", "start_s", "end_s"),
    [
        ([True] * 5 + [False] * 5, 0, 15.75),
        ([False] * 5 + [True] * 5, 17.25, 30),
        ([False] * 4 + [True] * 2 + [False] * 4, 8, 25),
        ([True] + [False] * 6 + [True] * 3, 20, 30),
    ],
    ids=["first half", "second half", "in the middle", "longer at the end"],
)
def test_time_without_people_is_worth_nothing(people: list[bool], start_s: float, end_s: float) -> None:
    """Wherever nobody is, the whole picture moves ten times as much."""
    grid = grid_of([1.0 if people[second // 3] else 10.0 for second in range(30)])
    worth = relevance(grid, looks(TENTHS, people))
    segment = choose_segment(Scene(0, 30, 0, 900), worth, 10.0)
    assert start_s <= segment.start_s
    assert segment.end_s <= end_s + 0.1


def test_people_who_move_beat_people_who_stand_as_long() -> None:
    grid = grid_of([1] * 22 + [5] * 5 + [1] * 3)
    segment = choose_segment(Scene(0, 30, 0, 900), relevance(grid, looks(TENTHS, [True] * 10)), 10.0)
    assert segment.start_s <= 22
    assert segment.end_s >= 27


def test_where_people_stand_still_any_motion_decides() -> None:
    grid = grid_of([0] * 15 + [5] * 8 + [0] * 7, column=7)
    segment = choose_segment(Scene(0, 30, 0, 900), relevance(grid, looks([3.0], [True])), 10.0)
    assert segment.start_s <= 15
    assert segment.end_s >= 23


@pytest.mark.parametrize(
    ("seconds", "people", "expected_s"),
    [
        ([3, 6, 9, 12], [1, 1, 1, 1], []),
        ([3, 6, 9, 12], [1, 1, 0, 1], [7.5, 10.5]),
        ([3, 6, 9, 12], [0, 0, 0, 0], [2.0, 4.5, 7.5, 10.5]),
        ([1, 6, 11, 16], [1, 1, 1, 1], [3.5, 8.5]),
        ([3, 4.5, 6, 7.5, 9, 10.5, 12], [1, 0, 1, 0, 1, 1, 1], []),
        ([8], [1], [2.0, 12.0]),
    ],
    ids=["sure", "one without", "nobody", "far apart", "near enough", "nothing known of the ends"],
)
def test_times_at_which_one_has_to_look(seconds: list[float], people: list[int], expected_s: list[float]) -> None:
    times_s = doubtful_times(looks(seconds, [bool(p) for p in people]), 2.0, 12.0, person_score=0.4)
    assert times_s == expected_s


@pytest.mark.parametrize(
    ("here", "elsewhere", "expected"),
    [(4.0, 0.0, 1.0), (0.0, 4.0, 0.0), (3.0, 3.0, 0.5), (1.0, 3.0, 0.25), (0.0, 0.0, None)],
    ids=["only people", "a presenter before a game", "a pan", "more elsewhere", "nothing moves"],
)
def test_motion_of_people_beside_the_rest(here: float, elsewhere: float, expected: float | None) -> None:
    grid = np.full((30, 8, 8), elsewhere, np.float32)
    grid[:, :6, :2] = here  # the box below touches these cells
    seen = looks([3.0, 9.0, 15.0], [True, False, True])
    seen += [Sample(20.0, 600, (PersonBox((0, 0, 400, 400), 0.9),)), Sample(99.0, 2970, seen[0].people)]
    assert person_motion(grid, seen, 0.0, 400, 400, 0.4) == expected
    assert person_motion(grid, seen, 0.0, 400, 400, 0.95) is None


def test_share_of_the_largest_person() -> None:
    two = (PersonBox((0, 0, 40, 40), 0.9), PersonBox((100, 0, 300, 200), 0.5))
    seen = [Sample(0, 0, two), Sample(1, 1, two[:1]), Sample(2, 2, two), Sample(3, 3)]
    assert person_share(seen, 400, 400, 0.4) == 0.25
    assert person_share(seen, 400, 400, 0.8) == 0.01
    assert person_share(seen[3:], 400, 400, 0.4) is None
