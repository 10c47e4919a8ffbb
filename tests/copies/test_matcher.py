"""The matcher on made-up footage: what people do to videos is found, the same room and the same watermark are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import pytest

from tiktokactions.copies.matcher import Description, describe, matches
from tiktokactions.copies.transformations import TRANSFORMATIONS, Shot

FRAMES, WIDTH, HEIGHT = 32, 320, 240


def texture(seed: int, width: int, height: int) -> np.ndarray:
    """Rectangles of random grey: corners for ORB."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120, np.uint8)
    for _ in range(90):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        grey = int(rng.integers(20, 235))
        cv2.rectangle(picture, (x, y), (x + int(rng.integers(6, 40)), y + int(rng.integers(6, 40))), (grey,) * 3, -1)
    return picture


def footage(room: int, action: int) -> Shot:
    """Three textured things that move through a textured room, each on its own way."""
    rng = np.random.default_rng(1000 + action)
    things = [texture(2000 + 10 * action + i, 70, 90) for i in range(3)]
    speeds, phases = rng.uniform(0.5, 2.5, (3, 2)), rng.uniform(0, 2 * np.pi, (3, 2))
    ground = texture(room, WIDTH, HEIGHT)
    frames = []
    for number in range(FRAMES):
        frame = ground.copy()
        for thing, speed, phase in zip(things, speeds, phases, strict=True):
            at = 0.5 + 0.45 * np.sin(phase + speed * number * 0.25)
            x, y = int(at[0] * (WIDTH - 70)), int(at[1] * (HEIGHT - 90))
            frame[y : y + 90, x : x + 70] = thing
        frames.append(frame)
    return Shot(tuple(frames), tuple(0.25 * i for i in range(FRAMES)))


def described(shot: Shot) -> Description:
    return describe(shot.frames, shot.times_s)


def marked(shot: Shot) -> Shot:
    mark = texture(77, 90, 60)

    def with_mark(frame: np.ndarray) -> np.ndarray:
        drawn = frame.copy()
        drawn[:60, :90] = mark
        return drawn

    return shot.each(with_mark)


@pytest.fixture(scope="module")
def source() -> Shot:
    return footage(room=1, action=1)


@pytest.mark.parametrize("strongest", [False, True], ids=["proposed", "strongest"])
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_what_people_do_is_found(name: str, strongest: bool, source: Shot) -> None:
    copy = TRANSFORMATIONS[name](source, footage(room=2, action=2))
    stranger = footage(room=3, action=3)
    found = matches({"a": described(source), "b": described(copy), "c": described(stranger)}, strongest=strongest)
    assert [(one.a, one.b, one.mirrored) for one in found] == [("a", "b", name in ("mirror", "combination"))]
    assert 0.5 <= found[0].score <= 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: (footage(1, 1), footage(1, 2)), id="same room, another action"),
        pytest.param(lambda: (marked(footage(1, 1)), marked(footage(2, 2))), id="same watermark"),
        pytest.param(lambda: (marked(footage(1, 1)), marked(footage(1, 4))), id="same room and watermark"),
        pytest.param(lambda: (footage(1, 1), footage(2, 2)), id="nothing in common"),
    ],
)
def test_what_only_stands_still_in_both_is_no_copy(other: Callable[[], tuple[Shot, Shot]]) -> None:
    first, second = other()
    assert matches({"a": described(first), "b": described(second)}, strongest=True) == []


@pytest.fixture(scope="module")
def family(source: Shot) -> Mapping[str, Description]:
    """``a``, ``b`` and ``c`` show the same, ``x`` something else."""
    made = {name: TRANSFORMATIONS[change](source, source) for name, change in (("b", "crop_10"), ("c", "brighter"))}
    return {name: described(shot) for name, shot in {"a": source, "x": footage(9, 9), **made}.items()}


@pytest.mark.parametrize("strongest", [False, True], ids=["proposed", "strongest"])
def test_only_the_pairs_asked_for_are_compared(family: Mapping[str, Description], strongest: bool) -> None:
    def pairs(new: set[str] | None = None, between: tuple[set[str], set[str]] | None = None) -> list[str]:
        return [one.a + one.b for one in matches(family, new=new, between=between, strongest=strongest)]

    assert pairs() == ["ab", "ac", "bc"]
    assert pairs(new={"c"}) == ["ac", "bc"]
    assert pairs(new=set()) == []
    assert pairs(between=({"a"}, {"b", "x"})) == ["ab"]
    assert pairs(between=({"b", "x"}, {"a"})) == ["ab"]
    assert pairs(new={"x"}, between=({"a"}, {"b", "x"})) == []


def test_nothing_has_no_copies() -> None:
    assert matches({}) == matches({}, strongest=True) == []


@pytest.mark.parametrize("picture", [np.zeros((90, 160, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)], ids=str)
def test_pictures_without_points_are_described_and_match_nothing(picture: np.ndarray) -> None:
    blank = describe([picture], [0.0])
    assert len(blank.bits) == 0
    assert matches({"a": blank, "b": blank}, strongest=True) == []


def test_descriptions_survive_being_written_down(source: Shot) -> None:
    before = described(source)
    after = Description.from_bytes(before.to_bytes())
    assert (after.width, after.height) == (before.width, before.height)
    for name in ("points_xy", "bits", "bits_mirrored", "thumbs", "times_s"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert len(before.to_bytes()) < 60_000


@pytest.mark.parametrize(("frames", "times"), [(0, 0), (2, 1)], ids=["none", "a time missing"])
def test_frames_and_times_must_fit(frames: int, times: int) -> None:
    with pytest.raises(ValueError, match=f"got {frames} frames and {times} times"):
        describe([np.zeros((9, 9, 3), np.uint8)] * frames, [0.0] * times)
