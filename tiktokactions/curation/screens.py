"""Whether all that moves lies in a rectangle within a picture that rests: a screen that is filmed, a game with a frame around
it, a video set into a still.

The ten sampled frames are compared with each other. People who act before a resting camera leave a ragged patch; a screen
leaves a patch with straight sides that is full to its corners. A screen before a hand-held camera is not noticed.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

LONG_SIDE_PX = 160
CHANGED_LEVELS = 16
"""Luma by which a pixel has to differ between two of the frames."""
SMALLEST, LARGEST = 0.05, 0.85
"""Share of the picture that the rectangle takes."""


def screen_score(images_bgr: Sequence[np.ndarray]) -> float:
    """0 to 1: how well the patch in which something moves fills a rectangle (of any tilt), times how much of the rest is at
    rest; 0 where the rectangle is too small to be watched, or nearly the whole picture.

    ``images_bgr``: uint8 (H, W, 3) each, upright, all of one size.
    """
    scale = LONG_SIDE_PX / max(images_bgr[0].shape[:2])
    greys = [
        cv2.cvtColor(cv2.resize(i, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        for i in images_bgr
    ]
    spread = np.max(greys, axis=0) - np.min(greys, axis=0)
    changed = cv2.morphologyEx((spread >= CHANGED_LEVELS).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    patches, _ = cv2.findContours(changed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not patches:
        return 0.0
    patch = cv2.boxPoints(cv2.minAreaRect(max(patches, key=cv2.contourArea)))
    inside = cv2.fillPoly(np.zeros_like(changed), [np.rint(patch).astype(np.int32)], 1).astype(bool)
    if not SMALLEST <= inside.mean() <= LARGEST:
        return 0.0
    return round(float(changed[inside].mean() * (1 - changed[~inside].mean())), 4)
