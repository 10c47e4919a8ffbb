"""Scores of the picture, measured on the sampled frames: borders, brightness, sharpness, and perceptual hashes.

They are stored with every video and decide nothing unless a threshold is set. Subsets that are to be diverse compare videos
by the hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from tiktokactions.records import Quality

Borders = tuple[float, float, float, float]

LONG_SIDE = 416
"""Pictures are measured with this long side in pixels, so that sharpness is comparable across resolutions."""

BAR_TOLERANCE = 20
"""Levels (0 to 255, any of B, G, R) by which a pixel may stray from its bar's colour, due to compression."""
FLAT_LINE_SHARE = 0.03
"""A line of pixels is flat if at most this share of it strays from the bar's colour in any frame."""
CAPTION_LINE_SHARE = 0.6
"""A line inside a bar may stray up to this share (a caption), as long as flat lines follow before the picture."""
PICTURE_LINE_SHARE = 0.6
"""The picture must begin sharply: within three lines of the bar's end this share must stray, or it is no bar."""
HASH_SIZE = 16
"""Bits along each side of a hash: 16x16 = 256. With the usual 8x8, videos made in one room cannot be told apart."""
MIN_BAR_SHARE = 0.01
MIN_PICTURE_SHARE = 0.1

FLAT_LUMA_DEVIATION = 4.0
"""Pictures whose luma, shrunk to 32x32, has a smaller standard deviation than this get no hash."""

DEFINITIONS = """\
- **borders**: left, top, right, bottom as a fraction of width or height. A bar is a run of lines from the edge inwards
  that keep one colour (any colour, within 20 of 255 levels, 97 % of the line) in all sampled frames, and that ends
  sharply in the picture: one of the next three lines differs over 60 % of its length in some frame. So dark
  surroundings that fade into the picture are no bar. A caption inside a bar belongs to the bar. Bars under 1 % count as
  none, and so does everything where less than 10 % of the width or height would be left (a black or one-coloured
  picture has no borders). Missed: bars that meet a picture edge of their own colour (white bars above a white ceiling),
  and coloured bars under strong compression.
- **brightness**: mean luma (Rec. 601, 0 black to 255 white) inside the borders, over all sampled frames.
- **sharpness**: variance of the Laplacian (kernel 0 1 0, 1 -4 1, 0 1 0) of the luma inside the borders with the whole
  picture's long side at 416 pixels, the median over the sampled frames. Pictures from smaller sources are enlarged and
  score low.
- **orientation**: `square` where width and height differ by at most 2 %, else `portrait` or `landscape`.
"""
"""What the scores mean, as Markdown for ``docs/formats.md``."""


def picture_borders(images_bgr: Sequence[np.ndarray]) -> Borders:
    """The flat bars that all frames share, as fractions (left, top, right, bottom) of width and height; 0 for none.

    ``images_bgr``: uint8 (H, W, 3) each, one or more of one size.
    """
    height, width = images_bgr[0].shape[:2]
    darkest, brightest = np.min(images_bgr, axis=0), np.max(images_bgr, axis=0)
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
    """How many lines of bar lie above and below. Both arrays, (H, W, 3), hold the extremes of each pixel over all frames."""
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
    return np.any((darkest < low) | (brightest > high), axis=2)


def measure_quality(images_bgr: Sequence[np.ndarray], static_share: float, width: int, height: int) -> Quality:
    """The scores of a video from its sampled frames; :data:`DEFINITIONS` says what each means.

    ``images_bgr``: uint8 (H, W, 3), upright, about 416 pixels on the long side. ``width`` and ``height`` are those of
    the upright source picture; ``static_share`` was measured while decoding.
    """
    borders = picture_borders(images_bgr)
    lumas = [cv2.cvtColor(inside_borders(image, borders), cv2.COLOR_BGR2GRAY) for image in images_bgr]
    sharpness = [
        float(cv2.Laplacian(_at_long_side(luma, max(image.shape[:2])), cv2.CV_64F).var())
        for luma, image in zip(lumas, images_bgr, strict=True)
    ]
    return Quality(
        static_share=float(static_share),
        borders=borders,
        brightness=round(float(np.mean([luma.mean() for luma in lumas])), 3),
        sharpness=round(float(np.median(sharpness)), 3),
        orientation=_orientation(width, height),
    )


def inside_borders(image: np.ndarray, borders: Borders) -> np.ndarray:
    """The picture inside its bars, one line less at each bar, where the scaler blends both. A view, never empty."""
    height, width = image.shape[:2]
    left, top, right, bottom = (
        round(share * size) + (share > 0) for share, size in zip(borders, (width, height, width, height), strict=True)
    )
    if left + right >= width or top + bottom >= height:
        return image
    return image[top : height - bottom, left : width - right]


def _at_long_side(luma: np.ndarray, long_side: int) -> np.ndarray:
    """Scale by what brings the whole picture (``long_side`` pixels) to 416; within 2 % it is left alone."""
    scale = LONG_SIDE / long_side
    if abs(scale - 1) <= 0.02:
        return luma
    size = (max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale)))
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _orientation(width: int, height: int) -> Literal["portrait", "landscape", "square"]:
    if abs(width - height) <= 0.02 * max(width, height):
        return "square"
    return "portrait" if height > width else "landscape"


def frame_hashes(image_bgr: np.ndarray, borders: Borders) -> tuple[str, str]:
    """Perceptual hashes (pHash, 16x16 bits, 64 hex digits) of the picture inside the borders, and of its mirror image.

    Both are empty where the picture is too flat for its hash to be more than noise. The picture is squeezed to a square,
    so that copies of another aspect ratio agree.
    """
    import imagehash  # brings SciPy: only where hashes are made
    from PIL import Image

    luma = cv2.cvtColor(inside_borders(image_bgr, borders), cv2.COLOR_BGR2GRAY)
    # imagehash scales what it gets with a slow, good filter: give it twice what it needs, not the whole frame.
    small = cv2.resize(luma, (HASH_SIZE * 8, HASH_SIZE * 8), interpolation=cv2.INTER_AREA)
    if cv2.resize(small, (32, 32), interpolation=cv2.INTER_AREA).std() < FLAT_LUMA_DEVIATION:
        return "", ""
    plain, mirrored = (
        str(imagehash.phash(Image.fromarray(picture), hash_size=HASH_SIZE)) for picture in (small, cv2.flip(small, 1))
    )
    return plain, mirrored
