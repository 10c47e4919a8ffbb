"""Still pictures that are zoomed over, and videos that are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tiktokactions.curation.still import evenly_moved_share

RNG = np.random.default_rng(0)
PHOTO = cv2.GaussianBlur(cv2.resize(RNG.integers(0, 256, (60, 80, 3), np.uint8), (480, 360)), (0, 0), 2)


def seen(zoom: float = 1.0, turn: float = 0.0, x: float = 0.0, y: float = 0.0, noise: float = 2.0) -> np.ndarray:
    """The photo as a camera shows it, 240x180, with noise."""
    matrix = np.asarray(cv2.getRotationMatrix2D((240, 180), turn, zoom), np.float64)
    matrix[:, 2] += np.array([x - 120, y - 90], np.float64)
    picture = cv2.warpAffine(PHOTO, matrix, (240, 180)).astype(np.float32)
    return np.clip(picture + RNG.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def with_someone(picture: np.ndarray, step: int) -> np.ndarray:
    picture = picture.copy()
    cv2.rectangle(picture, (60 + 9 * step, 60), (90 + 9 * step, 150), (30, 90, 200), -1)
    return picture


PHASES = {
    "zoom in": ([seen(1 + 0.02 * i) for i in range(10)], True),
    "zoom out": ([seen(1.3 - 0.02 * i) for i in range(10)], True),
    "slow zoom": ([seen(1 + 0.006 * i) for i in range(10)], True),
    "pan": ([seen(x=3.0 * i) for i in range(10)], True),
    "zoom and turn": ([seen(1 + 0.02 * i, turn=0.4 * i) for i in range(10)], True),
    "zoom after a pause": ([seen(1 + 0.02 * max(0, i - 2)) for i in range(10)], True),
    "at rest": ([seen() for _ in range(10)], False),
    "hand-held": ([seen(x=float(RNG.normal(0, 5)), y=float(RNG.normal(0, 5))) for _ in range(10)], False),
    "someone walks": ([with_someone(seen(), i) for i in range(10)], False),
    "someone walks in a zoom": ([with_someone(seen(1 + 0.02 * i), i) for i in range(10)], False),
    "other pictures": ([RNG.integers(0, 256, (180, 240, 3), np.uint8) for _ in range(10)], False),
    "black": ([np.zeros((180, 240, 3), np.uint8)] * 10, False),
    "one": ([seen()], False),
}


@pytest.mark.parametrize("name", PHASES)
def test_one_picture_that_moves_evenly(name: str) -> None:
    frames, is_zoomed = PHASES[name]
    assert (evenly_moved_share(frames) >= 0.7) == is_zoomed
