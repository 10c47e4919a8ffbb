"""RandAugment, the same for all frames of a clip: fifteen operations whose strength grows with the magnitude.

They give what Pillow's own operations give, to the bit, and so what the reference gives; but for all frames at once, for
no more of the picture than is asked for, and on any device. Frames are uint8 (T, H, W, 3).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tiktokactions.errors import UsageError

FILL = 128
"""What shows where a picture was moved away."""
MOST = 10.0
"""The largest magnitude."""
APPLIED = 0.5
"""Chance of a drawn operation to be applied."""
PIXELS_AT_ONCE = 1 << 16
"""Of all frames, where they are moved by index: bounds the memory."""

Level = tuple[float | int, ...] | None
Window = tuple[int, int, int, int]
"""Top, left, height and width of a part of the picture."""
Matrix = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Frames:
    """Frames that are computed as far as they are looked at."""

    size: tuple[int, int]
    """Height and width."""
    part: Callable[[Window], Tensor]
    """uint8 (T, height, width, 3) of a window."""

    @property
    def all(self) -> Tensor:
        return self.part((0, 0, *self.size))


Apply = Callable[..., Tensor]
"""From frames, a window and the level to the window of the changed frames."""


@dataclass(frozen=True)
class Policy:
    """``rand-m7-n4-mstd0.5-inc1``: magnitude 7 with spread 0.5, four operations, increasing ones."""

    magnitude: float
    operations: int
    spread: float


@lru_cache
def read_policy(text: str) -> Policy:
    """Raises ``ValueError`` for anything but ``rand-mM-nN-mstdS-inc1``."""
    found = re.fullmatch(r"rand-m(\d+(?:\.\d+)?)-n(\d+)(?:-mstd(\d+(?:\.\d+)?))?-inc1", text)
    if found is None or float(found[1]) > MOST or int(found[2]) < 1:
        raise UsageError(
            f"`augment`: got {text!r}, expected 'none' or RandAugment as rand-m7-n4-mstd0.5-inc1"
            " (m: magnitude 0 to 10, n: operations, mstd: spread of the magnitude)"
        )
    return Policy(float(found[1]), int(found[2]), float(found[3] or 0))


def rand_augment(frames: Frames, rng: np.random.Generator, policy: str) -> Frames:
    """Apply a random policy to a clip.

    Raises:
        ValueError: a policy that cannot be read.
    """
    asked = read_policy(policy)
    for number in rng.integers(len(OPERATIONS), size=asked.operations):
        name = list(OPERATIONS)[int(number)]
        if rng.random() < APPLIED:
            magnitude = min(MOST, max(0.0, rng.normal(asked.magnitude, asked.spread)))
            frames = changed(frames, name, signed_level(name, magnitude, rng))
    return frames


def changed(frames: Frames, name: str, level: Sequence[float | int]) -> Frames:
    """Frames after one operation."""
    apply = OPERATIONS[name].apply
    return Frames(frames.size, lambda window: apply(frames, window, *level))


def signed_level(name: str, magnitude: float, rng: np.random.Generator) -> tuple[float | int, ...]:
    """The arguments of an operation at a magnitude, with a random direction where it has one."""
    operation = OPERATIONS[name]
    level = operation.level(magnitude)
    if level is None:
        return ()
    if not operation.direction or rng.random() >= 0.5:
        return level
    return (-level[0] if operation.direction == "sign" else 2 - level[0],)


# --- another level for every level ---------------------------------------------------------------------------------


def look_up(frames_thwc: Tensor, tables: Tensor) -> Tensor:
    """Replace every value by ``tables``, uint8 (T or 1, 3 or 1, 256): of each frame and colour, or the same for all."""
    if frames_thwc.device.type != "cpu":
        return look_up_by_index(frames_thwc, tables)
    found = np.empty(frames_thwc.shape, np.uint8)
    per_frame = tables.expand(len(found), -1, -1).transpose(1, 2).contiguous().numpy()  # OpenCV has the colour last
    for frame, table, out in zip(frames_thwc.numpy(), per_frame, found, strict=True):
        cv2.LUT(frame, table[None], out)
    return torch.from_numpy(found)


def look_up_by_index(frames_thwc: Tensor, tables: Tensor) -> Tensor:
    """:func:`look_up` on any device."""
    t, c = len(frames_thwc), frames_thwc.shape[3]
    first = 256 * torch.arange(t * c, device=frames_thwc.device).view(t, 1, 1, c)
    return tables.expand(t, c, 256).flatten()[frames_thwc.long() + first]


def histograms(frames_thwc: Tensor) -> Tensor:
    """int64 (T, 3, 256)."""
    if frames_thwc.device.type != "cpu":
        return histograms_by_index(frames_thwc)
    counts = [[cv2.calcHist([f], [k], None, [256], [0, 256]).ravel() for k in range(3)] for f in frames_thwc.numpy()]
    return torch.from_numpy(np.array(counts, np.int64))


def histograms_by_index(frames_thwc: Tensor) -> Tensor:
    """:func:`histograms` on any device."""
    levels = frames_thwc.flatten(1, 2).transpose(1, 2).long()
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.int64, device=levels.device)
    return counts.scatter_add_(2, levels, torch.ones_like(levels))


def _fixed(table: Callable[..., Tensor]) -> Apply:
    """An operation on single values; ``table`` makes of all levels, int64 (256,), what they become."""

    def apply(frames: Frames, window: Window, *level: float) -> Tensor:
        part = frames.part(window)
        return look_up(part, table(_levels(part.device), *level).to(torch.uint8)[None, None])

    return apply


def _levels(device: torch.device) -> Tensor:
    return torch.arange(256, device=device)


def _autocontrast(frames: Frames, window: Window) -> Tensor:
    """Spread the levels that occur over all."""
    occur = histograms(frames.all) > 0
    low, high = occur.int().argmax(2), 255 - occur.flip(2).int().argmax(2)
    scale = 255.0 / (high - low).clamp(min=1).double()
    levels = _levels(occur.device)
    spread = (levels * scale[..., None] + (-low * scale)[..., None]).clamp(0, 255).to(torch.uint8)
    return look_up(frames.part(window), torch.where((high > low)[..., None], spread, levels.to(torch.uint8)))


def _equalize(frames: Frames, window: Window) -> Tensor:
    """Make all levels about as frequent."""
    counts = histograms(frames.all)
    levels = _levels(counts.device)
    highest = 255 - (counts > 0).flip(2).int().argmax(2, keepdim=True)
    step = (counts.sum(2, keepdim=True) - counts.gather(2, highest)) // 255
    below = counts.cumsum(2) - counts
    even = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255).to(torch.uint8)
    return look_up(frames.part(window), torch.where(step > 0, even, levels.to(torch.uint8)))


# --- mixed with something plainer ----------------------------------------------------------------------------------


def _mixed(plain: Tensor, frames: Tensor, factor: float) -> Tensor:
    """``plain`` for factor 0, ``frames`` for 1, more than these beyond; truncated, computed in float32."""
    plain = plain.float()
    return ((frames.float() - plain) * factor).add_(plain).clamp_(0, 255).to(torch.uint8)


def _in_cache(frames_thwc: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """``compute`` of the frames: one after the other on a CPU, for whose cache a whole clip is too large."""
    at_once = 1 if frames_thwc.device.type == "cpu" else len(frames_thwc)
    return torch.cat([compute(some) for some in frames_thwc.split(at_once)])


def _grey(frames_thwc: Tensor) -> Tensor:
    """int32 (T, H, W, 1), as Pillow weighs the colours."""
    red, green, blue = frames_thwc.int().split(1, 3)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _color(frames: Frames, window: Window, factor: float) -> Tensor:
    return _in_cache(frames.part(window), lambda part: _mixed(_grey(part), part, factor))


def _contrast(frames: Frames, window: Window, factor: float) -> Tensor:
    mean = (_in_cache(frames.all, lambda part: _grey(part).flatten(1).double().mean(1)) + 0.5).floor()
    return look_up(frames.part(window), _mixed(mean[:, None, None], _levels(mean.device), factor))


def _sharpness(frames: Frames, window: Window, factor: float) -> Tensor:
    """Mixed with the mean of 3 × 3 pixels in which the middle counts five times; the picture's edge stays as it is."""
    (top, left, height, width), (rows, columns) = window, frames.size
    above, before = min(top, 1), min(left, 1)
    below, after = min(rows - top - height, 1), min(columns - left - width, 1)
    inner = (slice(None), slice(above, above + height), slice(before, before + width))

    def sharper(part: Tensor) -> Tensor:
        smooth, wide = part.clone(), part.short()
        lines = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
        total = lines[:, :, :-2] + lines[:, :, 1:-1] + lines[:, :, 2:] + 4 * wide[:, 1:-1, 1:-1]
        smooth[:, 1:-1, 1:-1] = ((total * 2 + 13).float() / 26).to(torch.uint8)
        return _mixed(smooth[inner], part[inner], factor)

    needed = (top - above, left - before, height + above + below, width + before + after)
    return _in_cache(frames.part(needed), sharper)


# --- moved -----------------------------------------------------------------------------------------------------------


def moved(frames: Frames, window: Window, matrix: Matrix) -> Tensor:
    """What an affine map shows: pixel (x, y) is taken from (a·x + b·y + c, d·x + e·y + f), by Pillow's bicubic filter."""
    part = frames.part((0, 0, 1, 1))
    if part.device.type != "cpu":
        return moved_by_index(frames, window, matrix)
    (top, left, height, width), (a, b, c, d, e, f) = window, matrix
    if (d, e, f) == (0, 1, 0) and _is_odd(b, c):
        return torch.from_numpy(_shifted(frames.part((top, 0, height, frames.size[1])).numpy(), top, left, width, b, c))
    if (a, b, c) == (1, 0, 0) and _is_odd(d, f):
        columns = _upended(frames.part((0, left, frames.size[0], width)).numpy())
        return torch.from_numpy(_upended(_shifted(columns, left, top, height, d, f)))
    shifted = (a, b, c + a * left + b * top, d, e, f + d * left + e * top)
    pictures = [Image.fromarray(frame) for frame in frames.all.numpy()]
    how: dict[str, Any] = {"resample": Image.Resampling.BICUBIC, "fillcolor": (FILL,) * 3}
    turned = [picture.transform((width, height), Image.Transform.AFFINE, shifted, **how) for picture in pictures]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in turned]))


def _is_odd(slope: float, offset: float) -> bool:
    """Whether no interpolated level can be a whole number but for rounding, on which side of it Pillow alone knows."""
    return all(abs(number * 1e4 - round(number * 1e4)) > 1e-6 for number in (slope or offset, offset or slope))


def _shifted(lines: np.ndarray, top: int, left: int, width: int, slope: float, offset: float) -> np.ndarray:
    """Lines (T, L, N, 3), of which number ``l`` moves by ``slope · (top + l + ½) + offset``: ``width`` pixels from ``left``.

    All pixels of a line, in all frames, have the same four weights: a filter.
    """
    length = lines.shape[2]
    padded = np.pad(lines, ((0, 0), (0, 0), (2, 2), (0, 0)), "edge")
    found = np.full((*lines.shape[:2], width, 3), FILL, np.uint8)
    blocks = [(0, padded[t], found[t]) for t in range(len(lines))]
    if slope:
        blocks = [(line, padded[:, line], found[:, line]) for line in range(lines.shape[1])]
    for line, source, out in blocks:
        shift = slope * (top + line + 0.5) + offset
        whole = math.floor(shift)
        d = shift - whole
        begin, end = max(left, math.ceil(-0.5 - shift)), min(left + width, math.ceil(length - 0.5 - shift))
        if begin < end:
            weights = np.array([[-d + 2 * d**2 - d**3, 1 - 2 * d**2 + d**3, d + d**2 - d**3, d**3 - d**2]])
            source = source[:, begin + whole + 1 : end + whole + 4]
            # What is added lifts whole levels that came out just below.
            levels = cv2.filter2D(source, cv2.CV_64F, weights, anchor=(0, 0), delta=1e-9)[:, :-3]
            out[:, begin - left : end - left] = levels.clip(0, 255)
    return found


def _upended(frames: np.ndarray) -> np.ndarray:
    return np.stack([cv2.transpose(frame) for frame in frames])


def moved_by_index(frames: Frames, window: Window, matrix: Matrix) -> Tensor:
    """:func:`moved` on any device."""
    top, left, height, width = window
    rows, columns = frames.size
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (left, left + width) for y in (top, top + height)]
    from_x, to_x = _covered([a * x + b * y + c for x, y in corners], columns)
    from_y, to_y = _covered([d * x + e * y + f for x, y in corners], rows)
    part = frames.part((from_y, from_x, to_y - from_y, to_x - from_x))
    frames_count, device = len(part), part.device
    # All frames of a pixel lie together, so that its place and its weights are computed once.
    pixels = part.reshape(frames_count, -1).t().contiguous().view(-1, 3 * frames_count).short()
    found = torch.empty(height * width, pixels.shape[1], dtype=torch.uint8, device=device)
    number = torch.arange(height * width, device=device)
    x, y = number % width + (left + 0.5), number // width + (top + 0.5)
    x_in, y_in = x.double() * a + y.double() * b + c, x.double() * d + y.double() * e + f
    outside = (x_in < 0) | (x_in >= columns) | (y_in < 0) | (y_in >= rows)
    across, dx = _taps(x_in, columns, from_x, to_x - from_x)
    down, dy = _taps(y_in, rows, from_y, to_y - from_y)
    # Of four pixels in a line, or of four such lines, the places of each.
    places = [[row * (to_x - from_x) + column for column in across] for row in down]
    if (d, e, f) == (0, 1, 0):
        places = places[1:2]
    elif (a, b, c) == (1, 0, 0):
        places, dx = [[line[1] for line in places]], dy
    for some in (slice(n, n + PIXELS_AT_ONCE) for n in range(0, len(number), PIXELS_AT_ONCE)):
        lines = [_cubic([pixels.index_select(0, place[some]) for place in line], dx[some]) for line in places]
        value = lines[0] if len(lines) == 1 else _cubic(lines, dy[some])
        found[some] = value.clamp_(0, 255).short()
        found[some].masked_fill_(outside[some, None], FILL)
    return found.view(-1, frames_count).t().contiguous().view(frames_count, height, width, 3)


def _covered(places: list[float], length: int) -> tuple[int, int]:
    """The pixels that are needed to interpolate between the smallest and the largest place."""
    low, high = math.floor(min(places)) - 3, math.ceil(max(places)) + 3
    begin = min(max(low, 0), length - 1)
    return begin, max(min(high, length), begin + 1)


def _taps(place: Tensor, length: int, first: int, count: int) -> tuple[list[Tensor], Tensor]:
    """Numbers of the four pixels around a place, the edge repeated, and how far it lies beyond the second."""
    below = (place - 0.5).floor()
    number = below.long()
    taps = [(number + k).clamp_(0, length - 1).sub_(first).clamp_(0, count - 1) for k in (-1, 0, 1, 2)]
    return taps, (place - 0.5 - below)[:, None]


def _cubic(values: list[Tensor], d: Tensor) -> Tensor:
    """Between the second and the third of four, float64; step by step what Pillow computes, so that the last bit agrees."""
    v1, v2, v3, v4 = values
    slope = v3 - v1
    bend = (v1 - v2).mul_(2).add_(v3).sub_(v4)
    twist = (v2 - v1).sub_(v3).add_(v4)
    return twist.double().mul_(d).add_(bend.double()).mul_(d).add_(slope.double()).mul_(d).add_(v2.double())


def _rotate(frames: Frames, window: Window, degrees: float) -> Tensor:
    height, width = frames.size
    angle = -math.radians(degrees % 360.0)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    x, y = width / 2, height / 2
    return moved(frames, window, (cos, sin, cos * -x + sin * -y + 0.0 + x, -sin, cos, -sin * -x + cos * -y + 0.0 + y))


def _along(matrix_of: Callable[[float, tuple[int, int]], Matrix]) -> Apply:
    """A map that follows from the level and the (height, width) of the picture."""
    return lambda frames, window, level: moved(frames, window, matrix_of(level, frames.size))


# --- the operations ------------------------------------------------------------------------------------------------


def _share_of(largest: float) -> Callable[[float], Level]:
    return lambda magnitude: (magnitude / MOST * largest,)


@dataclass(frozen=True)
class Operation:
    apply: Apply
    level: Callable[[float], Level]
    """Arguments at a magnitude from 0 to 10; None: it has none."""
    direction: str = ""
    """``sign``: half of the time negative; ``around 1``: the factor moves up; empty: neither."""


def _enhancement(magnitude: float) -> Level:
    return (round(1.0 + magnitude * 0.09, 6),)


OPERATIONS: dict[str, Operation] = {
    "AutoContrast": Operation(_autocontrast, lambda m: None),
    "Equalize": Operation(_equalize, lambda m: None),
    "Invert": Operation(_fixed(lambda levels: 255 - levels), lambda m: None),
    "Rotate": Operation(_rotate, _share_of(30.0), "sign"),
    "PosterizeIncreasing": Operation(
        _fixed(lambda levels, bits: levels & ~(2 ** (8 - bits) - 1)), lambda m: (4 - int(m / MOST * 4),)
    ),
    "SolarizeIncreasing": Operation(
        _fixed(lambda levels, threshold: torch.where(levels < threshold, levels, 255 - levels)),
        lambda m: (256 - int(m / MOST * 256),),
    ),
    "SolarizeAdd": Operation(
        _fixed(lambda levels, added: torch.where(levels < 128, (levels + added).clamp(max=255), levels)),
        lambda m: (int(m / MOST * 110),),
    ),
    "ColorIncreasing": Operation(_color, _enhancement, "around 1"),
    "ContrastIncreasing": Operation(_contrast, _enhancement, "around 1"),
    "BrightnessIncreasing": Operation(
        _fixed(lambda x, factor: _mixed(torch.zeros_like(x), x, factor)), _enhancement, "around 1"
    ),
    "SharpnessIncreasing": Operation(_sharpness, _enhancement, "around 1"),
    "ShearX": Operation(_along(lambda factor, size: (1, factor, 0, 0, 1, 0)), _share_of(0.3), "sign"),
    "ShearY": Operation(_along(lambda factor, size: (1, 0, 0, factor, 1, 0)), _share_of(0.3), "sign"),
    "TranslateXRel": Operation(_along(lambda share, size: (1, 0, share * size[1], 0, 1, 0)), _share_of(0.45), "sign"),
    "TranslateYRel": Operation(_along(lambda share, size: (1, 0, 0, 0, 1, share * size[0])), _share_of(0.45), "sign"),
}
