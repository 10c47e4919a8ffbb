"""Whether a video is one still picture that is zoomed or panned over, as photo posts are.

The sampled frames are laid over each other by the similarity that fits their corners. A picture that only moves leaves
nothing over, and moves evenly; a person who acts leaves something over, and a hand that holds a camera is not even.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

LONG_SIDE_PX = 256
MOST_CORNERS = 150
FEWEST_CORNERS = 8
BLOCKS = 12
LEFT_OVER_LEVELS = 12.0
"""Mean luma difference in the three most different of 12x12 blocks. Zooms over photos leave up to 11, people who move 18 and
more in some pair of frames (22 real videos; 18 zooms over their frames at JPEG quality 60)."""
SHORTEST_MOVE_PX = 0.5
UNEVEN_PX, UNEVEN_SHARE = 0.5, 0.3
"""A move may differ from the usual one by the larger of these: pixels of a corner, or this share of its way."""


def evenly_moved_share(images_bgr: Sequence[np.ndarray]) -> float:
    """Share of the successive pairs of frames that show one picture, moved as in most other pairs; 0 if it does not move.

    ``images_bgr``: uint8 (H, W, 3) each, in order, all of one size.
    """
    scale = LONG_SIDE_PX / max(images_bgr[0].shape[:2])
    greys = [cv2.cvtColor(cv2.resize(i, None, fx=scale, fy=scale), cv2.COLOR_BGR2GRAY) for i in images_bgr]
    pairs = list(pairwise(greys))
    moves: list[np.ndarray] = []
    for number, (before, after) in enumerate(pairs):
        move = _move(before, after)
        if move is not None:
            moves.append(move)
        elif number + 1 - len(moves) > len(pairs) // 2:
            return 0.0  # most of them show that it is not one picture
    if not moves:
        return 0.0
    usual = np.median(moves, axis=0)
    way_px = float(np.abs(usual).max())
    if way_px < SHORTEST_MOVE_PX:
        return 0.0
    even = sum(float(np.abs(move - usual).max()) <= max(UNEVEN_PX, UNEVEN_SHARE * way_px) for move in moves)
    return round(even / len(pairs), 4)


def _move(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """How far the four corners of the picture moved, (4, 2) pixels; None if the two are not one picture."""
    points = cv2.goodFeaturesToTrack(before, MOST_CORNERS, 0.01, 5)
    if points is None:
        return None
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, winSize=(21, 21), maxLevel=3)  # type: ignore[call-overload]
    tracked = status.ravel() == 1
    if tracked.sum() < FEWEST_CORNERS:
        return None
    similarity, _ = cv2.estimateAffinePartial2D(points[tracked], found[tracked], ransacReprojThreshold=1.0)
    if similarity is None:
        return None
    height, width = before.shape
    laid_over = cv2.warpAffine(before, similarity, (width, height))
    inside = cv2.erode(
        cv2.warpAffine(np.full_like(before, 255), similarity, (width, height)), np.ones((9, 9), np.uint8)
    )
    left_over = cv2.GaussianBlur(cv2.absdiff(laid_over, after), (5, 5), 0).astype(np.float32)
    left_over[inside < 255] = 0
    blocks = cv2.resize(left_over, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    if np.sort(blocks, axis=None)[-3:].mean() > LEFT_OVER_LEVELS:
        return None
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    return corners @ similarity[:, :2].T + similarity[:, 2] - corners
