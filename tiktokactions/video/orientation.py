"""How a stored picture is turned to be upright: one rule for curation and for training, and the one that ffmpeg follows."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import av
import numpy as np


class Orientation(NamedTuple):
    """The stored picture is turned clockwise by ``rotation`` degrees (0, 90, 180, 270), then mirrored left to right."""

    rotation: int = 0
    mirrored: bool = False

    def of_pixels(self, picture: np.ndarray) -> np.ndarray:
        """An array (height, width, …) turned upright, as a view."""
        turned = np.rot90(picture, k=-self.rotation // 90) if self.rotation else picture
        return turned[:, ::-1] if self.mirrored else turned


def orientation_of(picture: av.VideoFrame) -> Orientation:
    """The nearest quarter turn of a frame's display matrix."""
    try:
        data = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV 18.1 knows not all of FFmpeg's kinds (not Exif), and then gives none
        return Orientation(round(-picture.rotation / 90) % 4 * 90)
    if data is None:
        return Orientation()
    # x' = a x + c y, y' = b x + d y, in 1/65536; y points down (ISO/IEC 14496-12, 6.2.2).
    a, b, _, c, d = np.frombuffer(cast(bytes, data), np.int32)[:5].tolist()
    if not any((a, b, c, d)):
        return Orientation()
    mirrored = a * d - b * c < 0
    if mirrored:  # first mirror (x' = -x'), then what is left is a turn
        a, c = -a, -c
    degrees = math.degrees(math.atan2(b - c, a + d))
    return Orientation(round(degrees / 90) % 4 * 90, mirrored)
