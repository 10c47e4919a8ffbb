"""Descriptions of files: of clips, of videos of others, and of long films part by part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tiktokactions import video
from tiktokactions.curation.description import Description, describe, slot
from tiktokactions.files import local_file

LONG_SIDE_PX = 320
PART_S, STEP_S = 16.0, 12.0
"""A long film is described in parts of this length, which begin this far apart."""
NEW_S = 1.0
"""What is left at the end is described if it shows so much that no part shows."""


def pictures(path: str) -> Iterator[tuple[float, np.ndarray]]:
    """Times in seconds and upright frames of a file, (H, W, 3) uint8 BGR of at most 320 pixels, eight a second.

    Raises:
        VideoError: a file that cannot be decoded.
    """
    size, last = (0, 0), -1
    with local_file(path) as local, video.VideoFile(local, skip_loop_filter="noref") as opened:
        for frame in opened.frames():
            if slot(frame.time_s) > last:
                last = slot(frame.time_s)
                if not any(size):
                    size = frame.fitted(LONG_SIDE_PX)
                yield frame.time_s, frame.bgr(*size)


def describe_file(path: str) -> list[Description]:
    """A file in parts that overlap; a short one is a single part. Memory does not grow with its length.

    Raises:
        VideoError: a file that cannot be decoded.
    """
    parts: list[Description] = []
    kept: list[tuple[float, np.ndarray]] = []
    shown_s = -np.inf
    for time_s, picture in pictures(path):
        if kept and time_s >= kept[0][0] + PART_S:
            parts.append(_part(kept))
            shown_s = kept[-1][0]
            kept = [one for one in kept if one[0] >= kept[0][0] + STEP_S]
        kept.append((time_s, picture))
    if kept and kept[-1][0] >= shown_s + NEW_S:
        parts.append(_part(kept))
    return parts


def _part(kept: list[tuple[float, np.ndarray]]) -> Description:
    return describe([picture for _, picture in kept], [time_s for time_s, _ in kept])
