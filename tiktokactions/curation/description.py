"""What is kept of a video to recognise copies of it: corners that survive crops, and small pictures that tell the motion.

A description is made of frames that were decoded anyway. Two parts of it do two jobs:

- *corners*: the strongest corners of a few frames over an image pyramid, each with a 256-bit upright BRIEF code
  (Calonder 2010). Edits move and scale a picture but hardly ever turn it, so the codes are not turned either. The pattern
  of compared points is its own mirror image: the code of the mirrored corner is the same bits in another order.
- *thumbs*: grey pictures of 32 x 32 pixels, four to eight a second, which say what moves where and when.

Of footage that is longer than :data:`LONGEST_S` the middle is described.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tiktokactions.video.orientation import Orientation

VERSION = 2
LONG_SIDE_PX = 288
"""Frames are shrunk to this before corners are looked for."""
FRAMES = 5
"""Frames whose corners are kept, evenly spread."""
CORNERS = 80
"""Corners kept of a frame, over all levels of the pyramid."""
LEVEL_SCALES = tuple(1.35**-level for level in range(5))
PATCH_PX = 24
CODE_BITS = 256
CODE_BYTES = CODE_BITS // 8
THUMB_PX = 32
THUMBS_PER_SECOND, FEWEST_PER_SECOND = 8, 4
MOST_THUMBS = 64
"""So many are kept, unless that would be fewer than :data:`FEWEST_PER_SECOND`."""
LONGEST_S = 32.0
_HEADER = struct.Struct("<BHHHHf")
JPEG_QUALITY = 85
MOST_GAIN = 16.0


@dataclass(frozen=True)
class Description:
    """``size_px``: width and height of the frames that the corners lie in."""

    size_px: tuple[int, int]
    points_xy: NDArray[np.float32]
    """(N, 2) pixels."""
    scales: NDArray[np.float32]
    """(N,) size of each corner: 1 at the finest level of the pyramid."""
    frames: NDArray[np.uint8]
    """(N,) which of the frames each corner was found in."""
    codes: NDArray[np.uint8]
    """(N, 32)."""
    times_s: NDArray[np.float32]
    """(T,) times of the thumbs."""
    thumbs: NDArray[np.float32]
    """(T, 32, 32) grey, 0 to 255."""

    def to_bytes(self) -> bytes:
        """Compact and the same on every machine; read back by :meth:`from_bytes`.

        The thumbs lose a little, as a JPEG does. What is coded is how each differs from their mean, enlarged as far as there
        is room, so that footage that hardly moves loses no more of its motion than other footage."""
        points, thumbs = len(self.points_xy), len(self.times_s)
        levels = np.rint(np.log(self.scales) / np.log(1 / LEVEL_SCALES[1])).astype(np.uint8)
        mean = self.thumbs.mean(axis=0).round()
        differing = self.thumbs - mean
        gain = float(np.float32(min(MOST_GAIN, 127 / max(1.0, float(np.quantile(np.abs(differing), 0.999))))))
        sheet = np.clip((differing * gain + 128).round(), 0, 255).astype(np.uint8)
        sheet = sheet.transpose(1, 0, 2).reshape(THUMB_PX, thumbs * THUMB_PX)
        encoded, jpeg = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert encoded
        return b"".join(
            [
                _HEADER.pack(VERSION, *self.size_px, points, thumbs, gain),
                np.rint(self.points_xy * 8).astype("<u2").tobytes(),
                levels.tobytes(),
                self.frames.tobytes(),
                self.codes.tobytes(),
                self.times_s.astype("<f4").tobytes(),
                mean.astype(np.uint8).tobytes(),
                jpeg.tobytes(),
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Description:
        """Raises:
        ValueError: the bytes are not a description, or one of another version.
        """
        if data[:1] != bytes([VERSION]):
            raise ValueError(f"description of version {data[0] if data else 'none'}, expected {VERSION}")
        _, width, height, points, thumbs, gain = _HEADER.unpack_from(data)
        at = _HEADER.size

        def part(size: int) -> bytes:
            nonlocal at
            at += size
            return data[at - size : at]

        points_xy = (np.frombuffer(part(4 * points), "<u2").reshape(-1, 2) / 8).astype(np.float32)
        scales = (LEVEL_SCALES[1] ** -np.frombuffer(part(points), np.uint8).astype(np.float64)).astype(np.float32)
        frames = np.frombuffer(part(points), np.uint8)
        codes = np.frombuffer(part(CODE_BYTES * points), np.uint8).reshape(-1, CODE_BYTES)
        times_s = np.frombuffer(part(4 * thumbs), "<f4").astype(np.float32)
        mean = np.frombuffer(part(THUMB_PX * THUMB_PX), np.uint8).reshape(THUMB_PX, THUMB_PX)
        sheet = cv2.imdecode(np.frombuffer(data, np.uint8, -1, at), cv2.IMREAD_GRAYSCALE)
        if sheet is None:
            raise ValueError("description without its thumbs")
        differing = (np.asarray(sheet, np.float32).reshape(THUMB_PX, thumbs, THUMB_PX).transpose(1, 0, 2) - 128) / gain
        return cls((width, height), points_xy, scales, frames, codes, times_s, np.clip(differing + mean, 0, 255))


def mirror_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 32): the codes of the same corners in the mirrored picture."""
    return np.concatenate([codes[:, CODE_BYTES // 2 :], codes[:, : CODE_BYTES // 2]], axis=1)


def thumb_indices(times_s: Sequence[float]) -> list[int]:
    """The frames that become thumbs, evenly spread over the footage, or over the middle of long footage."""
    chosen: list[int] = []
    if not len(times_s):
        return chosen
    begin_s, end_s = middle_of(times_s[0], times_s[-1])
    gap_s = min(max(1 / THUMBS_PER_SECOND, (end_s - begin_s) / (MOST_THUMBS - 1)), 1 / FEWEST_PER_SECOND)
    for number, time_s in enumerate(times_s):
        if begin_s + gap_s * len(chosen) - 1e-3 <= time_s <= end_s + 1e-3:
            chosen.append(number)
    return chosen


def middle_of(start_s: float, end_s: float) -> tuple[float, float]:
    """Which seconds of footage are described."""
    left_out_s = max(0.0, (end_s - start_s - LONGEST_S) / 2)
    return start_s + left_out_s, end_s - left_out_s


def slot(time_s: float) -> int:
    """Of the frames in one slot the first may become a thumb."""
    return int(time_s * THUMBS_PER_SECOND + 1e-3)


def corner_times(times_s: Sequence[float]) -> list[float]:
    """Times at which frames are looked at for corners, spread evenly over those of the thumbs."""
    length_s = times_s[-1] - times_s[0]
    return [times_s[0] + (i + 0.5) / FRAMES * length_s for i in range(FRAMES)]


def describe(frames: Sequence[NDArray[np.uint8]], times_s: Sequence[float]) -> Description:
    """Describe a video by frames of one size in order, uint8 ``(height, width)`` grey or ``(height, width, 3)`` BGR, and
    their times in seconds. Eight frames a second are enough; more are thinned.

    Raises:
        ValueError: no frames, or not one time for each.
    """
    if not len(frames) == len(times_s) > 0:
        raise ValueError(f"got {len(frames)} frames and {len(times_s)} times, expected as many of both, at least one")
    chosen = thumb_indices(times_s)
    thumbs = [_shrunk(frames[i], (THUMB_PX, THUMB_PX)) for i in chosen]
    thumb_times_s = [times_s[i] for i in chosen]
    looked_at = sorted({int(np.abs(np.subtract(times_s, time_s)).argmin()) for time_s in corner_times(thumb_times_s)})
    return described([frames[i] for i in looked_at], thumbs, thumb_times_s)


def described(
    looked_at: Sequence[NDArray[np.uint8]], thumbs: Sequence[NDArray[np.uint8]], times_s: Sequence[float]
) -> Description:
    """Put together of what was chosen: ``looked_at``, upright frames in which corners are looked for, as of
    :func:`describe`; ``thumbs``, (32, 32) each, and their ``times_s``."""
    height, width = looked_at[0].shape[:2]
    shrink = LONG_SIDE_PX / max(width, height)
    size_px = max(8, round(width * shrink)), max(8, round(height * shrink))
    parts = [_corners(_shrunk(frame, size_px)) for frame in looked_at]
    return Description(
        size_px,
        np.concatenate([points for points, _, _ in parts]),
        np.concatenate([scales for _, scales, _ in parts]),
        np.repeat(np.arange(len(parts), dtype=np.uint8), [len(scales) for _, scales, _ in parts]),
        np.concatenate([codes for _, _, codes in parts]),
        np.array(times_s, np.float32),
        np.stack(thumbs).astype(np.float32),
    )


class Thumbs:
    """The thumbs of a whole video, gathered while it is decoded, eight a second: a kilobyte each."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self._thumbs: list[NDArray[np.uint8]] = []

    def add(self, time_s: float, luma: NDArray[np.uint8]) -> None:
        """The next frame, (height, width), not yet turned upright."""
        if not self.times_s or slot(time_s) > slot(self.times_s[-1]):
            self.times_s.append(time_s)
            self._thumbs.append(_shrunk(luma, (THUMB_PX, THUMB_PX)))

    def between(
        self, start_s: float, end_s: float, orientation: Orientation
    ) -> tuple[list[NDArray[np.uint8]], list[float]]:
        """Upright thumbs of the footage in ``[start_s, end_s)`` and their times; none of one without a frame among these."""
        there = [i for i, time_s in enumerate(self.times_s) if start_s - 1e-3 <= time_s < end_s - 1e-3]
        chosen = [there[i] for i in thumb_indices([self.times_s[i] for i in there])]
        return [orientation.of_pixels(self._thumbs[i]) for i in chosen], [self.times_s[i] for i in chosen]


def _shrunk(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Grey, of ``size`` (width, height)."""
    grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _corners(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Points (N, 2), scales (N,) and codes (N, 32) of one frame, strongest first on each level."""
    height, width = grey.shape
    points, scales, codes = [np.empty((0, 2), np.float32)], [np.empty(0, np.float32)], [np.empty((0, 32), np.uint8)]
    pattern = _pattern()
    margin = PATCH_PX // 2 + 1
    area = sum(scale * scale for scale in LEVEL_SCALES)
    for scale in LEVEL_SCALES:
        size = round(width * scale), round(height * scale)
        if min(size) < 2 * margin + 8:
            break
        level = grey if scale == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        wanted = int(CORNERS * scale * scale / area) + 4
        inside = level[margin:-margin, margin:-margin]
        found = cv2.goodFeaturesToTrack(inside, 4 * wanted, 0.001, 6)
        if found is None:
            continue
        xy = _spread(np.asarray(found, np.float32).reshape(-1, 2), size, wanted).round().astype(int) + margin
        smooth = cv2.GaussianBlur(level, (5, 5), 1.4)
        x, y = xy[:, :1], xy[:, 1:]
        bits = smooth[y + pattern[:, 1], x + pattern[:, 0]] < smooth[y + pattern[:, 3], x + pattern[:, 2]]
        points.append((xy * (width / size[0], height / size[1])).astype(np.float32))
        scales.append(np.full(len(xy), 1 / scale, np.float32))
        codes.append(np.packbits(bits, axis=1))
    return np.concatenate(points), np.concatenate(scales), np.concatenate(codes)


def _spread(points_xy: NDArray[np.float32], size: tuple[int, int], wanted: int) -> NDArray[np.float32]:
    """The ``wanted`` first of points sorted by strength, in turn from 4 x 4 tiles: a caption must not take them all."""
    column, row = (points_xy * 4 / size).astype(int).T
    tile = row * 4 + column
    by_tile = np.argsort(tile, kind="stable")
    sizes = np.bincount(tile, minlength=16)
    turn = np.empty(len(tile), int)
    turn[by_tile] = np.arange(len(tile)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return points_xy[np.argsort(turn, kind="stable")[:wanted]]


def code_patches(patches: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Codes (N, 32) of whole patches (N, PATCH_PX + 1, PATCH_PX + 1)."""
    pattern, middle = _pattern(), PATCH_PX // 2
    ahead, behind = (patches[:, middle + pattern[:, y], middle + pattern[:, y - 1]] for y in (1, 3))
    return np.packbits(ahead < behind, axis=1)


@functools.cache
def _pattern() -> NDArray[np.int64]:
    """(256, 4): x and y of the two points that each bit compares. Bit i + 128 is the mirror image of bit i."""
    random = np.random.default_rng(0)
    half: list[NDArray[np.int64]] = []
    while len(half) < CODE_BITS // 2:
        points = np.clip(random.normal(0, PATCH_PX / 5, 4).round(), -PATCH_PX // 2 + 1, PATCH_PX // 2 - 1).astype(
            np.int64
        )
        if (points[:2] != points[2:]).any():
            half.append(points)
    drawn = np.array(half)
    return np.concatenate([drawn, drawn * (-1, 1, -1, 1)])
