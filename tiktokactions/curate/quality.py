"""Scores of the picture itself, measured on the sampled frames: borders, brightness, sharpness, and perceptual hashes.

They are stored with every video and decide nothing unless a threshold is set; the hashes find near-duplicates
(:mod:`tiktokactions.dataset.duplicates`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from tiktokactions.records import Quality

Borders = tuple[float, float, float, float]

LONG_SIDE = 416
"""Pictures are judged at this long side in pixels, so that sharpness compares across resolutions."""

BAR_TOLERANCE = 20
"""Levels (0 to 255, any channel) by which a pixel of a bar may stray from the bar's colour: compression noise."""
FLAT_LINE_SHARE = 0.03
"""A line of pixels is flat where at most this share of it strays from the bar's colour in any frame."""
CAPTION_LINE_SHARE = 0.6
"""A line inside a bar may stray up to this share (a caption), as long as flat lines follow before the picture."""
PICTURE_LINE_SHARE = 0.6
"""The picture must begin sharply: within three lines of the bar's end this share strays, or it is no bar."""
MIN_BAR_SHARE = 0.01
MIN_PICTURE_SHARE = 0.1

FLAT_LUMA_DEVIATION = 4.0
"""Pictures whose luma, shrunk to 32x32, has a smaller standard deviation than this get no hash."""

DEFINITIONS = """\
- **borders**: left, top, right, bottom as a fraction of width or height. A bar is a run of lines from the edge inwards
  that keep one colour (any colour, within 20 of 255 levels, 97 % of the line) in all sampled frames, and that ends
  sharply in the picture: one of the next three lines differs over 60 % of its length in some frame. So dark surroundings that fade into
  the picture are no bar. A caption inside a bar belongs to the bar. Bars under 1 % count as none, and so does everything
  where less than 10 % of the width or height would be left (a black or one-coloured picture has no borders).
- **brightness**: mean luma (Rec. 601, 0 black to 255 white) inside the borders, over all sampled frames.
- **sharpness**: variance of the Laplacian (kernel 0 1 0, 1 -4 1, 0 1 0) of the luma inside the borders with the whole
  picture's long side at 416 pixels, the median over the sampled frames. Pictures from smaller sources are enlarged and
  score low.
- **orientation**: `square` where width and height differ by at most 2 %, else `portrait` or `landscape`.
"""
"""What the scores mean, as Markdown for ``docs/formats.md``."""


def picture_borders(images_bgr: Sequence[np.ndarray]) -> Borders:
    """Flat bars common to all frames as fractions (left, top, right, bottom) of width and height; 0 where there is none.

    ``images_bgr``: uint8 (H, W, 3) each; frames of another size than the first are resized to it.
    """
    if not images_bgr:
        return (0.0, 0.0, 0.0, 0.0)
    first = images_bgr[0]
    height, width = first.shape[:2]
    darkest = first.copy()
    brightest = first.copy()
    for image in images_bgr[1:]:
        if image.shape != first.shape:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        np.minimum(darkest, image, out=darkest)
        np.maximum(brightest, image, out=brightest)

    left, top, right, bottom = 0, 0, width, height
    for _ in range(2):  # twice: bars of one colour around bars of another
        inside = np.s_[top:bottom, left:right]
        above, below = _bars(darkest[inside], brightest[inside])
        top, bottom = top + above, bottom - below
        inside = np.s_[top:bottom, left:right]
        before, after = _bars(darkest[inside].swapaxes(0, 1), brightest[inside].swapaxes(0, 1))
        left, right = left + before, right - after
    if right - left < MIN_PICTURE_SHARE * width or bottom - top < MIN_PICTURE_SHARE * height:
        return (0.0, 0.0, 0.0, 0.0)
    fractions = (left / width, top / height, 1 - right / width, 1 - bottom / height)
    return tuple(round(f, 4) if f >= MIN_BAR_SHARE else 0.0 for f in fractions)  # type: ignore[return-value]


def _bars(darkest: np.ndarray, brightest: np.ndarray) -> tuple[int, int]:
    """Lines of bar above and below. Both arrays (H, W, 3): per pixel the extremes over all frames."""
    return _bar(darkest, brightest), _bar(darkest[::-1], brightest[::-1])


def _bar(darkest: np.ndarray, brightest: np.ndarray) -> int:
    """How many lines from the top belong to a bar."""
    lines = len(darkest)
    edge = slice(0, max(1, lines // 100))
    colour = np.median(np.concatenate([darkest[edge], brightest[edge]]).reshape(-1, 3), axis=0).round()
    low = np.clip(colour - BAR_TOLERANCE, 0, 255).astype(np.uint8)
    high = np.clip(colour + BAR_TOLERANCE, 0, 255).astype(np.uint8)
    if not _strays(darkest[edge], brightest[edge], low, high).mean() <= FLAT_LINE_SHARE:
        return 0
    strays = _strays(darkest, brightest, low, high)
    picture_columns = strays.mean(axis=0) > FLAT_LINE_SHARE  # the bars at the sides are no part of a line
    if not picture_columns.any():
        return 0
    share = strays[:, picture_columns].mean(axis=1)
    too_full = np.flatnonzero(share > CAPTION_LINE_SHARE)
    last = too_full[0] if len(too_full) else lines - 1
    for end in range(int(last), 0, -1):
        if share[end - 1] <= FLAT_LINE_SHARE < share[end] and share[end : end + 3].max() >= PICTURE_LINE_SHARE:
            return end
    return 0


def _strays(darkest: np.ndarray, brightest: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(H, W) True where a pixel leaves [low, high] in any channel of any frame."""
    return ((darkest < low) | (brightest > high)).any(axis=2)
