"""Whole pictures as corners: the picture inside flat borders, at several times, shrunk to one patch and coded like it.

Corners are rare in soft, dark and small footage. What was re-encoded, scaled, mirrored or set between bars is recognised by
its whole picture then.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tiktokactions.curation.description import CODE_BYTES, PATCH_PX, THUMB_PX, Description, code_patches

FLAT = 4.0
"""Standard deviation of a row or column of a thumb, over its pixels and all times, up to which it is a border."""
SMALLEST_PX = 8
SPREAD = 6.0
"""Standard deviation of a picture below which it is too flat to be told from others."""


def whole_pictures(description: Description, most: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Codes (N, 32) of up to ``most`` pictures, evenly spread, and their places (N, 4): x and y of the middle, size, and the
    width of the picture, in pixels of the description."""
    left, top, right, bottom = inside(description.thumbs)
    times = np.unique(np.linspace(0, len(description.thumbs) - 1, most).round().astype(int))
    patches = [
        cv2.resize(description.thumbs[i, top:bottom, left:right], (PATCH_PX + 1,) * 2, interpolation=cv2.INTER_LINEAR)
        for i in times.tolist()
    ]
    told = [patch for patch in patches if patch.std() >= SPREAD]
    if not told:
        return np.empty((0, CODE_BYTES), np.uint8), np.empty((0, 4), np.float32)
    width, height = description.size_px
    middle = (left + right) / 2 / THUMB_PX * width, (top + bottom) / 2 / THUMB_PX * height
    size = (right - left) / THUMB_PX * width / PATCH_PX
    return code_patches(np.stack(told)), np.tile(np.array([*middle, size, width], np.float32), (len(told), 1))


def inside(thumbs: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the picture without flat borders, in pixels of the thumbs."""
    edges = []
    for spread in (thumbs.std(axis=(0, 1)), thumbs.std(axis=(0, 2))):
        lively = np.flatnonzero(spread > FLAT)
        is_enough = len(lively) and lively[-1] + 1 - lively[0] >= SMALLEST_PX
        edges.append((int(lively[0]), int(lively[-1]) + 1) if is_enough else (0, THUMB_PX))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom
