"""What moves within a rectangle of a picture that rests."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tiktokactions.curation.screens import screen_score

RNG = np.random.default_rng(5)
ROOM = cv2.GaussianBlur(RNG.integers(0, 256, (240, 320, 3), np.uint8), (0, 0), 4)


def noisy(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture + RNG.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def filmed(size: float, turn: float) -> list[np.ndarray]:
    """A film that fills a screen of this share of the room's width, tilted by some degrees."""
    matrix = np.asarray(cv2.getRotationMatrix2D((160, 120), turn, size), np.float64)
    inside = cv2.warpAffine(np.full((240, 320), 255, np.uint8), matrix, (320, 240)) > 127
    films = (cv2.resize(RNG.integers(0, 256, (6, 8, 3), np.uint8), (320, 240)) for _ in range(10))
    return [noisy(np.where(inside[..., None], cv2.warpAffine(film, matrix, (320, 240)), ROOM)) for film in films]


def walker(shaken: float) -> list[np.ndarray]:
    found = []
    for step in range(10):
        picture = ROOM.copy()
        cv2.ellipse(picture, (60 + 20 * step, 110 + 8 * (step % 3)), (12, 45), 10, 0, 360, (20, 60, 200), -1)
        move = np.array([[1, 0, RNG.normal(0, shaken)], [0, 1, RNG.normal(0, shaken)]])
        found.append(noisy(cv2.warpAffine(picture, move, (320, 240), borderMode=cv2.BORDER_REPLICATE)))
    return found


@pytest.mark.parametrize(
    ("pictures", "least", "most"),
    [
        pytest.param(filmed(0.5, 0), 0.9, 1.0, id="screen"),
        pytest.param(filmed(0.4, 12), 0.9, 1.0, id="tilted"),
        pytest.param(filmed(1.0, 0), 0.0, 0.0, id="the whole picture"),
        pytest.param(filmed(0.1, 0), 0.0, 0.0, id="too small to watch"),
        pytest.param(walker(0.0), 0.0, 0.85, id="somebody walks"),
        pytest.param(walker(6.0), 0.0, 0.85, id="hand-held"),
        pytest.param([noisy(ROOM) for _ in range(10)], 0.0, 0.0, id="at rest"),
        pytest.param([noisy(ROOM)], 0.0, 0.0, id="one"),
    ],
)
def test_screens(pictures: list[np.ndarray], least: float, most: float) -> None:
    assert least <= screen_score(pictures) <= most
