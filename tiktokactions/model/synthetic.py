"""Synthetic videos: textured shapes that move, turn, pulse and deform before a drifting ground, after "Learning video
representations without natural videos" (arXiv 2410.24213). What they teach needs no real video at all.

A video follows from its number alone. Each frame is painted when it is asked for, so nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tiktokactions.video import ClipReader

FRAMES, RATE = 128, 25
SIDE_PX, TEXTURE_PX = 240, 128
STREAM = 0x5359
"""Keeps these random numbers apart from those of samples."""
CORNERS = (3, 4, 5, 6, 48, 48)
MOST_SHAPES = 8
FRAMES_SHOWN = 2
OWN = 0.7
"""Share of the shapes that show a cut-out, where there are frames to cut from."""


@dataclass(frozen=True)
class _Shape:
    """One shape. Lengths are pixels, times frames; pairs are (x, y)."""

    texture: np.ndarray
    """uint8 (TEXTURE_PX, TEXTURE_PX, 3)."""
    radius: float
    place: np.ndarray
    velocity: np.ndarray
    spin: float
    stretch: np.ndarray
    """By how much it pulses along its own axes, as shares of the radius."""
    beat: np.ndarray
    phase: np.ndarray
    corners: int
    waves: np.ndarray
    """(3, 3) amplitude, phase and speed of the outline's waves."""

    def pose(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """(2, 2) from its own coordinates, in which it reaches from -1 to 1, to pixels; and (2,) its centre."""
        turn, pulse = self.spin * at + self.phase[0], 1 + self.stretch * np.sin(self.beat * at + self.phase)
        axes = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        way = (self.place + self.velocity * at) % (2 * SIDE_PX)
        return self.radius * axes * pulse, np.where(way > SIDE_PX, 2 * SIDE_PX - way, way)  # comes back from an edge

    def paint(self, picture: np.ndarray, at: int, *, whole: bool = False) -> None:
        """Put it onto a picture, uint8 (SIDE_PX, SIDE_PX, 3). ``whole``: over all of it, without an outline."""
        axes, centre = self.pose(at)
        left, top, right, bottom = 0, 0, SIDE_PX, SIDE_PX
        if not whole:
            points = np.round((axes @ self._outline(at)).T + centre).astype(np.int32)
            left, top = np.clip(points.min(0), 0, SIDE_PX).tolist()
            right, bottom = np.clip(points.max(0) + 1, 0, SIDE_PX).tolist()
        if left == right or top == bottom:
            return
        inverse = np.linalg.inv(axes) * TEXTURE_PX / 2
        matrix = np.column_stack([inverse, TEXTURE_PX / 2 + inverse @ ((left, top) - centre)])
        flags, edge = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT
        look = cv2.warpAffine(self.texture, matrix, (right - left, bottom - top), flags=flags, borderMode=edge)
        mask = np.full(look.shape[:2], 255 if whole else 0, np.uint8)
        if not whole:
            cv2.fillPoly(mask, [points - (left, top)], 255)
        cv2.copyTo(look, mask, picture[top:bottom, left:right])

    def _outline(self, at: int) -> np.ndarray:
        """(2, corners) in its own coordinates: waves run around it."""
        angles = np.arange(self.corners) * 2 * math.pi / self.corners
        height, phase, speed = self.waves[:, :, None]
        waves = height * np.sin(np.arange(2, 5)[:, None] * angles + phase + speed * at)
        return np.asarray((1 + waves.sum(0)) * np.array([np.cos(angles), np.sin(angles)]))


class SyntheticVideo:
    """Answers to what training asks of :class:`tiktokactions.video.ClipReader`.

    Args:
        number: which video; the same number is the same video.
        shown: uint8 (n, height, width, 3) frames whose cut-outs shapes show; None: all textures are made.
    """

    frames = FRAMES
    span_s = (0.0, FRAMES / RATE)

    def __init__(self, number: int, shown: np.ndarray | None = None) -> None:
        rng = np.random.default_rng([number, STREAM])
        ground, *radii = 1.5 * SIDE_PX, *rng.uniform(0.08, 0.35, rng.integers(2, MOST_SHAPES + 1)) * SIDE_PX
        self._shapes = [_shape(radius, rng, shown) for radius in (ground, *radii)]

    @property
    def times_s(self) -> np.ndarray:
        return np.arange(FRAMES) / RATE

    def read(
        self, indices: Sequence[int] | np.ndarray, each: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> np.ndarray:
        """Frames by number, uint8 (n, SIDE_PX, SIDE_PX, 3), RGB; ``each`` is done to every frame."""
        pictures = map(self._picture, np.asarray(indices).tolist())
        return np.stack([picture if each is None else each(picture) for picture in pictures])

    def check(self) -> None:
        """There is no file that could be damaged."""

    def _picture(self, at: int) -> np.ndarray:
        picture = np.empty((SIDE_PX, SIDE_PX, 3), np.uint8)
        for number, shape in enumerate(self._shapes):
            shape.paint(picture, at, whole=number == 0)
        return picture


def showing(number: int, file: ClipReader) -> SyntheticVideo:
    """The synthetic video of this number, with cut-outs of a few frames of a real one. Raises ``UnreadableError``."""
    chosen = np.random.default_rng([number, STREAM, 1]).integers(file.frames, size=FRAMES_SHOWN)
    return SyntheticVideo(number, file.read(chosen))


def _shape(radius: float, rng: np.random.Generator, shown: np.ndarray | None) -> _Shape:
    texture = _texture(rng) if shown is None or rng.random() > OWN else _cut_out(shown, rng)
    speed = rng.normal(size=2) * 2
    waves = np.stack([rng.uniform(0, 0.15, 3), rng.uniform(0, 2 * math.pi, 3), rng.normal(size=3) * 0.15], 0)
    return _Shape(
        texture,
        radius,
        rng.uniform(0, 2 * SIDE_PX, 2),
        speed if radius < SIDE_PX else speed / 3,
        rng.normal() * 0.03,
        rng.uniform(0, 0.35, 2),
        rng.uniform(0.02, 0.25, 2),
        rng.uniform(0, 2 * math.pi, 2),
        int(rng.choice(CORNERS)),
        waves,
    )


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Noise of a random roughness and direction in random colours: from nearly plain to fine grain."""
    size = TEXTURE_PX
    x, y = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    along, across = rng.uniform(0.2, 1, 2)
    power = (along * x**2 + across * y**2 + size**-2.0) ** (-rng.uniform(0.7, 1.8) / 2)
    waves = rng.normal(size=(3, *power.shape, 2)) @ np.array([1, 1j]) * power
    noise = np.fft.irfft2(waves, (size, size)).transpose(1, 2, 0)
    mixed = noise / noise.std() @ rng.normal(size=(3, 3)) * rng.uniform(5, 50) + rng.uniform(0, 255, 3)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _cut_out(shown: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    frame = shown[rng.integers(len(shown))]
    sides = [max(1, int(side * rng.uniform(0.2, 0.7))) for side in frame.shape[:2]]  # a frame may be a single pixel
    top, left = (rng.integers(0, whole - side + 1) for whole, side in zip(frame.shape[:2], sides, strict=True))
    cut = frame[top : top + sides[0], left : left + sides[1]]
    return np.asarray(cv2.resize(cut, (TEXTURE_PX, TEXTURE_PX), interpolation=cv2.INTER_AREA))
