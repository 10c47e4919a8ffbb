"""What people usually do to a video before they post it again, as functions on frames: to plant copies and to measure what
the matcher finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""(height, width, 3)."""


@dataclass(frozen=True)
class Footage:
    """Frames of one size, uint8 ``(height, width, 3)``, and their times in seconds."""

    frames: Sequence[Frame]
    times_s: Sequence[float]


Transformation = Callable[[Footage, Footage, np.random.Generator], Footage]
"""Of footage, of other footage that some need (beside it, around it), with chance for places."""

CAPTIONS = ("WAIT FOR IT", "this is so cool", "no way he did that", "part 2 soon", "follow for more")


def captions(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """Two lines of text that change every second and a half."""
    first = int(random.integers(len(CAPTIONS)))

    def lines(time_s: float) -> list[str]:
        number = first + int(time_s / 1.5)
        return [CAPTIONS[number % len(CAPTIONS)], CAPTIONS[(number + 2) % len(CAPTIONS)]]

    drawn = [_text(frame, lines(time_s), 0.7) for frame, time_s in zip(footage.frames, footage.times_s, strict=True)]
    return Footage(drawn, footage.times_s)


def crop(share: float) -> Transformation:
    """Leaves out ``share`` of width and height and enlarges the rest."""

    def cropped(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
        height, width = footage.frames[0].shape[:2]
        kept_height, kept_width = int(height * (1 - share)), int(width * (1 - share))
        top = int(random.random() * (height - kept_height))
        left = int(random.random() * (width - kept_width))
        return _each(
            footage, lambda frame: _resized(frame[top : top + kept_height, left : left + kept_width], width, height)
        )

    return cropped


def blurred_frame(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """The whole picture in the middle of its own blurred enlargement, of the other orientation."""
    height, width = footage.frames[0].shape[:2]
    long, short = max(width, height), round(max(width, height) * 9 / 16)
    canvas = (short, long) if width >= height else (long, short)

    def framed(frame: Frame) -> Frame:
        background = cv2.GaussianBlur(_covering(frame, *canvas), (0, 0), long / 45)
        return _in_the_middle(frame, np.asarray(background, np.uint8))

    return _each(footage, framed)


def bars(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """Black bars to the other orientation's format."""
    height, width = footage.frames[0].shape[:2]
    canvas = (width, int(width * 16 / 9)) if width >= height else (int(height * 16 / 9), height)
    return _each(footage, lambda frame: _in_the_middle(frame, np.zeros((canvas[1], canvas[0], 3), np.uint8)))


def duet(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """Other footage to its right, equally high."""
    height = footage.frames[0].shape[0]
    beside = [_resized(frame, round(frame.shape[1] * height / frame.shape[0]), height) for frame in other.frames]
    return _numbered(footage, lambda frame, number: np.hstack([frame, beside[number % len(beside)]]))


def picture_in_picture(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """In a corner of other footage, half as wide or high as that."""
    (height, width), (outer_height, outer_width) = footage.frames[0].shape[:2], other.frames[0].shape[:2]
    scale = 0.5 * min(outer_width / width, outer_height / height)
    inner_width, inner_height = int(width * scale), int(height * scale)
    right, low = random.integers(0, 2, 2)
    left = outer_width - 4 - inner_width if right else 4
    top = outer_height - 4 - inner_height if low else 4

    def placed(frame: Frame, number: int) -> Frame:
        outer = other.frames[number % len(other.frames)].copy()
        outer[top : top + inner_height, left : left + inner_width] = _resized(frame, inner_width, inner_height)
        return outer

    return _numbered(footage, placed)


def end_card(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """A still card after the end, a third as long."""
    height, width = footage.frames[0].shape[:2]
    card = _text(np.full((height, width, 3), (20, 20, 60), np.uint8), ["Follow @someone", "for more"], 0.4)
    step_s = (footage.times_s[-1] - footage.times_s[0]) / max(1, len(footage.times_s) - 1)
    more = max(1, len(footage.frames) // 3)
    times_s = [footage.times_s[-1] + step_s * (number + 1) for number in range(more)]
    return Footage([*footage.frames, *[card] * more], [*footage.times_s, *times_s])


def jumping_watermark(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """A logo and a name that change their corner every two seconds."""
    name = f"@user{random.integers(10_000)}"
    marked = []
    for frame, time_s in zip(footage.frames, footage.times_s, strict=True):
        height, width = frame.shape[:2]
        odd = int(time_s / 2) % 2
        x, y = (int(0.04 * width), int(0.12 * height)) if odd else (int(0.55 * width), int(0.9 * height))
        drawn = np.ascontiguousarray(frame).copy()
        cv2.putText(drawn, name, (x, y), cv2.FONT_HERSHEY_DUPLEX, height / 500, (255, 255, 255), 1, cv2.LINE_AA)
        cv2.circle(drawn, (x + width // 5, y - int(0.08 * height)), max(2, int(0.03 * height)), (255, 60, 90), -1)
        marked.append(drawn)
    return Footage(marked, footage.times_s)


def faster(factor: float) -> Transformation:
    return lambda footage, other, random: Footage(footage.frames, [time_s / factor for time_s in footage.times_s])


def trim(start_share: float, end_share: float) -> Transformation:
    """Leaves out these shares of the duration."""

    def trimmed(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
        begin, end = footage.times_s[0], footage.times_s[-1]
        first, last = begin + start_share * (end - begin), end - end_share * (end - begin)
        kept = [number for number, time_s in enumerate(footage.times_s) if first <= time_s <= last]
        return Footage([footage.frames[i] for i in kept], [footage.times_s[i] - footage.times_s[kept[0]] for i in kept])

    return trimmed


def colour_filter(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """Faded and warm."""
    mix = np.array([[0.5, 0.45, 0.1], [0.3, 0.5, 0.1], [0.2, 0.35, 0.3]], np.float32)
    return _each(footage, lambda frame: _rounded(frame.astype(np.float32) @ mix.T * 1.05 + 8))


def brighter(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """More brightness and contrast."""
    return _each(footage, lambda frame: _rounded((frame.astype(np.float32) - 128) * 1.3 + 150))


def compressed(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    """Half as large, with few bits, and enlarged again."""
    height, width = footage.frames[0].shape[:2]

    def poor(frame: Frame) -> Frame:
        small = _resized(frame, max(2, width // 2), max(2, height // 2))
        data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 22])[1]
        return _resized(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8), width, height)

    return _each(footage, poor)


def mirror(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
    return _each(footage, lambda frame: np.ascontiguousarray(frame[:, ::-1]))


def one_after_the_other(*steps: Transformation) -> Transformation:
    def together(footage: Footage, other: Footage, random: np.random.Generator) -> Footage:
        for step in steps:
            footage = step(footage, other, random)
        return footage

    return together


TRANSFORMATIONS: Mapping[str, Transformation] = MappingProxyType(
    {
        "captions": captions,
        "crop 10 %": crop(0.1),
        "crop 20 %": crop(0.2),
        "blurred frame": blurred_frame,
        "bars": bars,
        "duet": duet,
        "picture in picture": picture_in_picture,
        "end card": end_card,
        "jumping watermark": jumping_watermark,
        "1.1 x speed": faster(1.1),
        "trimmed start": trim(0.25, 0),
        "trimmed both ends": trim(0.15, 0.2),
        "colour filter": colour_filter,
        "brighter": brighter,
        "few bits": compressed,
        "mirror": mirror,
        "mirror, crop 10 %, captions": one_after_the_other(mirror, crop(0.1), captions),
        "trimmed, 1.1 x speed, watermark, filter": one_after_the_other(
            trim(0.1, 0.1), faster(1.1), jumping_watermark, colour_filter
        ),
    }
)


def _each(footage: Footage, change: Callable[[Frame], Frame]) -> Footage:
    return Footage([change(frame) for frame in footage.frames], footage.times_s)


def _numbered(footage: Footage, change: Callable[[Frame, int], Frame]) -> Footage:
    return Footage([change(frame, number) for number, frame in enumerate(footage.frames)], footage.times_s)


def _rounded(frame: NDArray[np.float32]) -> Frame:
    return np.clip(frame, 0, 255).astype(np.uint8)


def _resized(frame: Frame, width: int, height: int) -> Frame:
    shrinks = width * height < frame.shape[0] * frame.shape[1]
    resized = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def _covering(frame: Frame, width: int, height: int) -> Frame:
    """Enlarged until it covers the canvas, and cut to it."""
    scale = max(width / frame.shape[1], height / frame.shape[0])
    large = _resized(frame, int(frame.shape[1] * scale) + 1, int(frame.shape[0] * scale) + 1)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def _in_the_middle(frame: Frame, canvas: Frame) -> Frame:
    scale = min(canvas.shape[1] / frame.shape[1], canvas.shape[0] / frame.shape[0])
    inner = _resized(frame, int(frame.shape[1] * scale), int(frame.shape[0] * scale))
    top, left = (canvas.shape[0] - inner.shape[0]) // 2, (canvas.shape[1] - inner.shape[1]) // 2
    framed = canvas.copy()
    framed[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return framed


def _text(frame: Frame, lines: Sequence[str], at: float) -> Frame:
    drawn = np.ascontiguousarray(frame).copy()
    height, width = drawn.shape[:2]
    size = height / 360
    for number, line in enumerate(lines):
        place = int(0.06 * width), int(at * height + number * 38 * size)
        for colour, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
            weight = max(1, round(thickness * size))
            cv2.putText(drawn, line, place, cv2.FONT_HERSHEY_DUPLEX, size, colour, weight, cv2.LINE_AA)
    return drawn
