"""Copies by corners and motion: made footage, each transformation, and what must not be taken for a copy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tiktokactions.copies.matcher import matches, same_footage
from tiktokactions.copies.transformations import TRANSFORMATIONS, Footage, captions, end_card
from tiktokactions.curation.description import THUMB_PX, Description, describe, thumb_indices


def wandering(seed: int, room: int | None = None, seconds: float = 6, per_second: int = 8) -> Footage:
    """A patterned ball that wanders before a patterned wall; the wall is the room's, the way and the ball are the seed's."""
    random = np.random.default_rng(seed)
    wall = _pattern(np.random.default_rng(1000 + (seed if room is None else room)), 240, 320)
    ball = _pattern(random, 96, 96)
    frames = []
    times_s = [number / per_second for number in range(int(seconds * per_second))]
    way = random.uniform(0.4, 1.6, 4), random.uniform(0, 6, 4)
    for time_s in times_s:
        waves = np.sin(way[0] * time_s * 2 + way[1])
        x, y = int(110 + 50 * waves[0] + 50 * waves[1]), int(70 + 35 * waves[2] + 30 * waves[3])
        frame = wall.copy()
        frame[y : y + 96, x : x + 96] = ball
        frames.append(frame)
    return Footage(frames, times_s)


def _pattern(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    coarse, fine = (
        cv2.resize(random.integers(0, 255, (height // n, width // n, 3), np.uint8), (width, height), interpolation=0)
        for n in (24, 8)
    )
    return np.asarray(cv2.addWeighted(coarse, 0.5, fine, 0.5, 0), np.uint8)


def described(footage: Footage) -> Description:
    return describe(footage.frames, footage.times_s)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_transformed_copy_is_found(name: str) -> None:
    footage, other = wandering(1), wandering(2)
    copy = TRANSFORMATIONS[name](footage, other, np.random.default_rng(0))
    match = same_footage(described(footage), described(copy))
    assert match is not None
    assert match.mirrored == name.startswith("mirror")
    assert match.seconds >= 2


NOT_COPIES = {
    "another room": (wandering(1), wandering(2)),
    "same room, another action": (wandering(1, room=7), wandering(2, room=7)),
    "same captions": tuple(captions(wandering(i), wandering(9), np.random.default_rng(0)) for i in (1, 2)),
    "same end card": tuple(end_card(wandering(i), wandering(9), np.random.default_rng(0)) for i in (1, 2)),
    "both beside other footage": (wandering(3, room=5), wandering(4, room=6)),
}


@pytest.mark.parametrize("name", NOT_COPIES)
def test_what_only_looks_alike_is_no_copy(name: str) -> None:
    one, other = NOT_COPIES[name]
    assert same_footage(described(one), described(other)) is None


def test_still_footage_is_a_copy_of_an_equally_long_one_alone() -> None:
    still = Footage([wandering(1).frames[0]] * 40, [i / 8 for i in range(40)])
    shorter = Footage(still.frames[:20], still.times_s[:20])
    assert same_footage(described(still), described(still)) is not None
    assert same_footage(described(still), described(shorter)) is None


def test_a_description_survives_its_bytes() -> None:
    before = described(wandering(1))
    after = Description.from_bytes(before.to_bytes())
    assert (after.codes == before.codes).all() and (after.frames == before.frames).all()
    assert np.abs(after.points_xy - before.points_xy).max() <= 1 / 16
    assert np.allclose(after.scales, before.scales)
    assert after.thumbs.shape == (len(after.times_s), THUMB_PX, THUMB_PX)
    assert np.abs(after.thumbs.astype(int) - before.thumbs).mean() < 6
    with pytest.raises(ValueError, match="version 9"):
        Description.from_bytes(b"\x09" + before.to_bytes()[1:])


@pytest.mark.parametrize(
    ("seconds", "per_second", "expected"), [(1, 8, 8), (4, 30, 32), (12, 30, 64), (60, 30, 129), (0.1, 10, 1)], ids=str
)
def test_thumbs_are_thinned_evenly(seconds: float, per_second: int, expected: int) -> None:
    times_s = [number / per_second for number in range(round(seconds * per_second))]
    chosen = thumb_indices(times_s)
    assert abs(len(chosen) - expected) <= 1
    assert times_s[chosen[0]] == pytest.approx(max(0, (times_s[-1] - 32) / 2), abs=1 / per_second)
    gaps = np.diff([times_s[i] for i in chosen])
    assert len(gaps) == 0 or gaps.max() <= 2 * gaps.min() + 1e-9


def test_pairs_between_and_new_ones() -> None:
    originals = {f"v{i}": wandering(i) for i in range(6)}
    copies = {
        f"copy-of-v{i}": TRANSFORMATIONS["crop 20 %"](originals[f"v{i}"], originals["v0"], np.random.default_rng(0))
        for i in (1, 3)
    }
    all_of_them = {name: described(footage) for name, footage in (originals | copies).items()}
    expected = [("copy-of-v1", "v1"), ("copy-of-v3", "v3")]
    assert [(m.a, m.b) for m in matches(all_of_them)] == expected
    assert [(m.a, m.b) for m in matches(all_of_them, new={"copy-of-v3"})] == expected[1:]
    assert [
        (m.a, m.b) for m in matches(all_of_them, between=({"copy-of-v1"}, set(originals)), strongest=True)
    ] == expected[:1]
    assert matches({}) == []
