"""What people do to videos before they post them again, as functions on frames: for benchmarks and for planted copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(H, W, 3), BGR."""


@dataclass(frozen=True)
class Shot:
    """Frames of one size and their times in seconds, in order."""

    frames: tuple[Picture, ...]
    times_s: tuple[float, ...]

    def each(self, change: Callable[[Picture], Picture]) -> Shot:
        return replace(self, frames=tuple(change(frame) for frame in self.frames))

    def between(self, first: float, last: float) -> Shot:
        """From share ``first`` of its frames to share ``last``, beginning at 0 s."""
        kept = slice(round(first * len(self.frames)), max(1, round(last * len(self.frames))))
        times_s = self.times_s[kept]
        return Shot(self.frames[kept], tuple(time_s - times_s[0] for time_s in times_s))


Transformation = Callable[[Shot, Shot], Shot]
"""Gives the changed copy of the first shot. The second is another video, for those that show two."""


def caption(shot: Shot, other: Shot) -> Shot:
    """Two lines of text, at the top and at the bottom."""
    return shot.each(lambda frame: _written(_written(frame, "wait for it...", 0.05, 0.15), "SO FUNNY LOL", 0.05, 0.9))


def crop_10(shot: Shot, other: Shot) -> Shot:
    return shot.each(lambda frame: _cropped(frame, 0.1))


def crop_20(shot: Shot, other: Shot) -> Shot:
    return shot.each(lambda frame: _cropped(frame, 0.2))


def blurred_letterbox(shot: Shot, other: Shot) -> Shot:
    """The other orientation; the blurred picture fills what is left."""
    return shot.each(_on_blur)


def letterbox(shot: Shot, other: Shot) -> Shot:
    """Black borders up to the other orientation."""
    return shot.each(lambda frame: _centred(frame, np.zeros_like(_turned(frame))))


def duet(shot: Shot, other: Shot) -> Shot:
    """Beside another video, half as wide each."""
    return _with_other(shot, other, lambda frame, beside: np.concatenate([_half(frame), _half(beside)], axis=1))


def picture_in_picture(shot: Shot, other: Shot) -> Shot:
    """Small, in a corner of another video."""
    return _with_other(shot, other, _in_corner)


def end_card(shot: Shot, other: Shot) -> Shot:
    """A still card for another fifth of the time."""
    height, width = shot.frames[0].shape[:2]
    card = _written(np.full((height, width, 3), 30, np.uint8), "follow for more", 0.1, 0.5)
    count = max(1, len(shot.frames) // 5)
    step_s = _step_s(shot)
    later = tuple(shot.times_s[-1] + step_s * (i + 1) for i in range(count))
    return Shot(shot.frames + (card,) * count, shot.times_s + later)


def jumping_watermark(shot: Shot, other: Shot) -> Shot:
    """A name that changes its corner every two seconds."""
    corners = ((0.05, 0.15), (0.5, 0.9), (0.5, 0.15), (0.05, 0.9))
    marked = (
        _written(frame, "@someone", *corners[int(time_s / 2) % 4])
        for frame, time_s in zip(shot.frames, shot.times_s, strict=True)
    )
    return replace(shot, frames=tuple(marked))


def faster(shot: Shot, other: Shot) -> Shot:
    """At 1.1 times the speed."""
    return replace(shot, times_s=tuple(time_s / 1.1 for time_s in shot.times_s))


def trim_start(shot: Shot, other: Shot) -> Shot:
    """Without the first quarter."""
    return shot.between(0.25, 1)


def trim_ends(shot: Shot, other: Shot) -> Shot:
    """Without the first and the last 15 %."""
    return shot.between(0.15, 0.85)


def colour_filter(shot: Shot, other: Shot) -> Shot:
    """Warm and faded."""
    gain, lift = np.array([0.7, 0.95, 1.15]), np.array([25, 15, 5])
    return shot.each(lambda frame: np.clip(frame * gain * 0.85 + lift, 0, 255).astype(np.uint8))


def low_bitrate(shot: Shot, other: Shot) -> Shot:
    """Compressed again at a low quality (JPEG 12 stands in for it)."""
    import cv2

    def compressed(frame: Picture) -> Picture:
        data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 12])[1]
        return _picture(cv2.imdecode(data, cv2.IMREAD_COLOR))

    return shot.each(compressed)


def mirror(shot: Shot, other: Shot) -> Shot:
    return shot.each(lambda frame: np.ascontiguousarray(frame[:, ::-1]))


def scale(shot: Shot, other: Shot) -> Shot:
    """To 60 % of the size."""
    return shot.each(lambda frame: _resized(frame, round(frame.shape[1] * 0.6), round(frame.shape[0] * 0.6)))


def brighter(shot: Shot, other: Shot) -> Shot:
    """More contrast and light."""
    return shot.each(lambda frame: np.clip(frame * 1.3 + 15.0, 0, 255).astype(np.uint8))


def combination(shot: Shot, other: Shot) -> Shot:
    """Mirrored, cropped by 10 %, faster and with a caption."""
    return caption(faster(crop_10(mirror(shot, other), other), other), other)


TRANSFORMATIONS: Mapping[str, Transformation] = {
    one.__name__: one
    for one in (
        *(caption, crop_10, crop_20, blurred_letterbox, letterbox, duet, picture_in_picture, end_card),
        *(jumping_watermark, faster, trim_start, trim_ends, colour_filter, low_bitrate, mirror, scale, brighter),
        combination,
    )
}


def _picture(array: object) -> Picture:
    return np.asarray(array, np.uint8)


def _resized(frame: Picture, width: int, height: int) -> Picture:
    import cv2

    return _picture(cv2.resize(frame, (max(2, width), max(2, height)), interpolation=cv2.INTER_AREA))


def _written(frame: Picture, text: str, x: float, y: float) -> Picture:
    """With white, outlined text at shares ``x`` and ``y`` of the picture, about a third as wide as it."""
    import cv2

    drawn = frame.copy()
    height, width = frame.shape[:2]
    at, size = (int(x * width), int(y * height)), width / 500
    for colour, thick in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_DUPLEX, size, colour, max(1, round(thick * size)), cv2.LINE_AA)
    return drawn


def _cropped(frame: Picture, share: float) -> Picture:
    """Without ``share`` of the width and of the height, off the middle."""
    height, width = frame.shape[:2]
    top, left = round(height * share * 0.7), round(width * share * 0.4)
    return frame[top : top + round(height * (1 - share)), left : left + round(width * (1 - share))].copy()


def _turned(frame: Picture) -> Picture:
    """Black, of the other orientation (9:16 for a wide picture, 16:9 for a tall one), as large along the short side."""
    height, width = frame.shape[:2]
    if width >= height:
        return np.zeros((2 * round(width * 8 / 9), width, 3), np.uint8)
    return np.zeros((height, 2 * round(height * 8 / 9), 3), np.uint8)


def _centred(frame: Picture, ground: Picture) -> Picture:
    height, width = frame.shape[:2]
    top, left = (ground.shape[0] - height) // 2, (ground.shape[1] - width) // 2
    drawn = ground.copy()
    drawn[top : top + height, left : left + width] = frame
    return drawn


def _on_blur(frame: Picture) -> Picture:
    import cv2

    wide, high = _turned(frame).shape[1], _turned(frame).shape[0]
    zoom = max(wide / frame.shape[1], high / frame.shape[0])
    ground = _resized(frame, round(frame.shape[1] * zoom) + 1, round(frame.shape[0] * zoom) + 1)
    top, left = (ground.shape[0] - high) // 2, (ground.shape[1] - wide) // 2
    blurred = cv2.GaussianBlur(ground[top : top + high, left : left + wide], (0, 0), wide / 25)
    return _centred(frame, _picture(blurred))


def _half(frame: Picture) -> Picture:
    """Half as wide, as high as before: the whole picture, with borders above and below."""
    height, width = frame.shape[:2]
    return _centred(_resized(frame, width // 2, height // 2), np.zeros((height, width // 2, 3), np.uint8))


def _in_corner(frame: Picture, ground: Picture) -> Picture:
    height, width = frame.shape[:2]
    small = _resized(frame, round(width * 0.45), round(height * 0.45))
    drawn = ground.copy()
    drawn[height - small.shape[0] - 4 : height - 4, width - small.shape[1] - 4 : width - 4] = small
    return drawn


def _with_other(shot: Shot, other: Shot, join: Callable[[Picture, Picture], Picture]) -> Shot:
    """Each frame joined with the frame of the other video at its time; that video begins anew at its end."""
    height, width = shot.frames[0].shape[:2]
    times_s = np.array(other.times_s)
    length_s = float(times_s[-1]) + _step_s(other)
    pairs = [
        (frame, other.frames[int(np.abs(times_s - time_s % length_s).argmin())])
        for frame, time_s in zip(shot.frames, shot.times_s, strict=True)
    ]
    return replace(shot, frames=tuple(join(frame, _resized(beside, width, height)) for frame, beside in pairs))


def _step_s(shot: Shot) -> float:
    count = len(shot.times_s)
    return (shot.times_s[-1] - shot.times_s[0]) / (count - 1) if count > 1 else 0.04
