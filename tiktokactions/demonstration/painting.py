"""Painting: a person's looks, the room behind, and a camera that is never quite still, drawn frame by frame."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from tiktokactions.demonstration.figures_in_motion import JOINTS, Body

OVERSAMPLING = 2  # drawn at twice the size and averaged: smooth edges
_SUBPIXEL_BITS = 4
CAMERA_DISTANCE = 4.5  # body heights
_SKIN = ((255, 224, 196), (241, 194, 160), (214, 160, 120), (176, 118, 80), (132, 84, 56), (96, 60, 42))
_HAIR = ((40, 30, 26), (92, 58, 34), (150, 96, 50), (218, 180, 110), (176, 70, 40), (200, 200, 204))

Colour = tuple[int, int, int]
_AT = {name: index for index, name in enumerate(JOINTS)}


@dataclass(frozen=True)
class Looks:
    """Colours are RGB."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_trousers: bool
    background: np.ndarray
    """uint8 (side, side, 3), larger than the picture; its middle row is the edge between wall and floor."""

    @staticmethod
    def draw(rng: np.random.Generator, picture_side: int) -> Looks:
        """A person in front of a background, in clothes that differ from the wall."""
        background = _background(rng, 2 * round(picture_side * OVERSAMPLING * 0.625))
        wall = background.reshape(-1, 3).mean(axis=0)
        clothes = [_vivid(rng) for _ in range(12)]
        clothes.sort(key=lambda colour: -np.abs(np.subtract(colour, wall)).sum())
        shirt, trousers = clothes[rng.integers(4)], clothes[4 + rng.integers(4)]
        return Looks(
            skin=_SKIN[rng.integers(len(_SKIN))],
            hair=_HAIR[rng.integers(len(_HAIR))],
            shirt=shirt,
            trousers=trousers,
            shoes=_vivid(rng),
            long_sleeves=bool(rng.random() < 0.75),
            long_trousers=bool(rng.random() < 0.85),
            background=background,
        )


def _vivid(rng: np.random.Generator) -> Colour:
    return _hsv(rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.85, 1))


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _background(rng: np.random.Generator, side: int) -> np.ndarray:
    """A wall and a floor, each a gradient with a texture, and a few objects."""
    picture = np.empty((side, side, 3), np.float32)
    edge = side // 2  # an even side: both parts are of one height
    for part, darker in ((slice(None, edge), 0.0), (slice(edge, None), 0.12)):
        hue, value = rng.random(), rng.uniform(0.22, 0.38) - darker
        first, last = (
            _hsv((hue + rng.uniform(0, 0.15)) % 1, rng.uniform(0, 0.4), value + rng.uniform(-0.07, 0.07))
            for _ in range(2)
        )
        along = np.linspace(0, 1, side)[None, :, None] if rng.random() < 0.5 else np.linspace(0, 1, edge)[:, None, None]
        picture[part] = np.asarray(first) * (1 - along) + np.asarray(last) * along
        picture[part] += _texture(rng, side)[part]
    for _ in range(rng.integers(0, 3)):
        _put_something(picture, rng, edge)
    return cv2.GaussianBlur(np.clip(picture, 0, 255).astype(np.uint8), (0, 0), rng.uniform(0.8, 2.0))


def _texture(rng: np.random.Generator, side: int) -> np.ndarray:
    """Brightness to add, float32 (side, side, 1): clouds, stripes or checks, or next to nothing."""
    strength, cells = rng.uniform(0, 2), int(rng.integers(3, 12))
    kind = rng.integers(4)
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    if kind == 0:
        grid = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        wave = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    elif kind == 1:
        angle = rng.uniform(0, np.pi)
        wave = np.sin((np.cos(angle) * across + np.sin(angle) * down) * 2 * np.pi * cells / side)
    elif kind == 2:
        wave = np.sign(np.sin(across * np.pi * cells / side) * np.sin(down * np.pi * cells / side)) * 0.7
    else:
        wave = rng.uniform(-1, 1, (side, side)) * 0.4
    return (strength * wave).astype(np.float32)[:, :, None]


def _put_something(picture: np.ndarray, rng: np.random.Generator, edge: int) -> None:
    side = len(picture)
    x, y = int(rng.integers(side)), int(rng.uniform(0.1, 0.75) * side)
    width, height = (int(size) for size in rng.uniform(0.05, 0.22, 2) * side)
    # Like what is behind it, so that the figure stays the brightest thing in the picture.
    colour = tuple(0.9 * picture[y, x].astype(float) + 0.1 * np.array(_vivid(rng)))
    kind = rng.integers(3)
    if kind == 0:  # a picture, a window, a box
        cv2.rectangle(picture, (x - width, y - height), (x + width, y + height), colour, -1)
    elif kind == 1:  # a lamp, a ball
        cv2.circle(picture, (x, y), min(width, height), colour, -1)
    else:  # a post, a trunk, a door: it stands on the floor
        cv2.rectangle(picture, (x - width // 3, edge - 2 * height), (x + width // 3, edge + height // 2), colour, -1)


# --- the camera ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Camera:
    """How one clip is filmed, whatever the action."""

    yaw: float
    """Radians by which the figure is turned away from the camera."""
    height_px: float
    """Of a figure at the middle of the scene, in drawn (oversampled) pixels."""
    affine: np.ndarray
    """(T, 2, 3): from still to drawn pixels, both with the origin at the figure's feet in the middle of the clip."""
    feet_xy: tuple[float, float]
    gain: np.ndarray
    """Brightness of each frame and channel, (T, 1, 1, 3)."""
    noise: float
    """Standard deviation, of 255."""

    @staticmethod
    def draw(rng: np.random.Generator, times_s: np.ndarray, side: int) -> Camera:
        drawn = side * OVERSAMPLING
        middle = times_s - times_s.mean()
        tilt = np.radians(rng.uniform(-5, 5)) + np.radians(rng.uniform(0, 0.2)) * _wobble(rng, times_s)
        zoom = np.exp(rng.uniform(-0.01, 0.01) * middle)
        pan = drawn * rng.uniform(-0.008, 0.008, 2) * [1, 0.5] * middle[:, None]
        shake = drawn * rng.uniform(0, 0.001) * np.stack([_wobble(rng, times_s), _wobble(rng, times_s)], axis=-1)
        affine = np.empty((len(times_s), 2, 3))
        affine[:, 0, 0] = affine[:, 1, 1] = zoom * np.cos(tilt)
        affine[:, 1, 0] = zoom * np.sin(tilt)
        affine[:, 0, 1] = -affine[:, 1, 0]
        affine[:, :, 2] = pan + shake
        flicker = 1 + rng.uniform(0, 0.005) * _wobble(rng, times_s)
        return Camera(
            yaw=rng.uniform(-np.pi / 8, np.pi / 8),
            height_px=drawn * rng.uniform(0.66, 0.76),
            affine=affine,
            feet_xy=(drawn * rng.uniform(0.43, 0.57), drawn * rng.uniform(0.88, 0.94)),
            gain=flicker[:, None, None, None] * rng.uniform(0.85, 1.12) * rng.uniform(0.95, 1.05, 3),
            noise=rng.uniform(0, 1),
        )

    def project(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (T, J, 3) to drawn pixels (T, J, 2) and how near each is to the camera (T, J), in body heights."""
        x, y, z = np.moveaxis(joints, -1, 0)
        across = np.cos(self.yaw) * x + np.sin(self.yaw) * z
        near = np.cos(self.yaw) * z - np.sin(self.yaw) * x
        scale = self.height_px * CAMERA_DISTANCE / (CAMERA_DISTANCE - near)
        # The camera looks down a little: what is nearer stands lower in the picture.
        still = np.stack([scale * across, -scale * y + 0.12 * self.height_px * near], axis=-1)
        drawn = np.einsum("tij,tnj->tni", self.affine[:, :, :2], still) + self.affine[:, None, :, 2]
        return drawn + self.feet_xy, near


def _wobble(rng: np.random.Generator, times_s: np.ndarray) -> np.ndarray:
    """A smooth unsteadiness between -1 and 1, (T,)."""
    rates_hz, phases = rng.uniform(0.4, 2.2, 2), rng.uniform(0, 2 * np.pi, 2)
    return np.mean(np.sin(2 * np.pi * np.outer(times_s, rates_hz) + phases), axis=1)


# --- drawing ---------------------------------------------------------------------------------------------------------


def paint_clip(
    body: Body, looks: Looks, camera: Camera, joints: np.ndarray, side: int, rng: np.random.Generator
) -> np.ndarray:
    """All frames of a clip, uint8 RGB (T, side, side, 3); ``joints`` (T, 17, 3) as ``joints_of`` gives them."""
    points, near = camera.project(joints)
    # The shadow lies on the floor, under the pelvis: it stays there when somebody jumps.
    on_floor = joints[:, :1] * [1, 0, 1]
    shadows, _ = camera.project(on_floor)
    grain = rng.normal(0, camera.noise, (side * 2, side * 2, 3)).astype(np.float32)
    frames = np.empty((len(joints), side, side, 3), np.uint8)
    for index in range(len(joints)):
        drawn = _backdrop(looks.background, camera, index, side * OVERSAMPLING)
        _shade_floor(drawn, shadows[index, 0], camera.height_px)
        _paint_figure(drawn, body, looks, camera.height_px, points[index], near[index])
        small = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
        left, top = rng.integers(side, size=2)
        lit = small * camera.gain[index].astype(np.float32) + grain[top : top + side, left : left + side]
        frames[index] = np.clip(lit + 0.5, 0, 255).astype(np.uint8)
    return frames


def _backdrop(background: np.ndarray, camera: Camera, index: int, drawn_side: int) -> np.ndarray:
    """The background as this frame sees it, its wall ending a little behind the figure's feet."""
    middle = len(background) / 2
    matrix = camera.affine[index].copy()
    anchor = matrix[:, :2] @ [middle, middle + 0.1 * camera.height_px]
    matrix[:, 2] += np.array(camera.feet_xy) - anchor
    return cv2.warpAffine(
        background, matrix, (drawn_side, drawn_side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _shade_floor(drawn: np.ndarray, at: np.ndarray, height_px: float) -> None:
    half_width, half_height = int(0.19 * height_px), int(0.05 * height_px)
    x, y = (round(float(place)) for place in at)
    left, top = max(0, x - half_width), max(0, y - half_height)
    part = drawn[top : max(0, y + half_height), left : max(0, x + half_width)]
    if part.size:
        mask = np.full(part.shape, 255, np.uint8)
        cv2.ellipse(mask, (x - left, y - top), (half_width, half_height), 0, 0, 360, (150, 150, 150), -1, cv2.LINE_AA)
        cv2.multiply(part, mask, dst=part, scale=1 / 255)


def _paint_figure(
    drawn: np.ndarray, body: Body, looks: Looks, height_px: float, points: np.ndarray, near: np.ndarray
) -> None:
    """Limbs from the farthest to the nearest, the trunk and the head where their depth puts them."""
    unit = height_px * body.girth
    strokes = []
    for name in ("left", "right"):
        first = _AT[f"{name}_shoulder"]
        shoulder, elbow, hand, hip, knee, ankle, toe = range(first, first + 7)
        strokes += [
            ((shoulder, elbow), 0.058, looks.shirt),
            ((elbow, hand), 0.048, looks.shirt if looks.long_sleeves else looks.skin),
            ((hand, hand), 0.056, looks.skin),
            ((hip, knee), 0.082, looks.trousers),
            ((knee, ankle), 0.064, looks.trousers if looks.long_trousers else looks.skin),
            ((ankle, toe), 0.05, looks.shoes),
        ]
    parts = [
        (near[[start, end]].mean(), partial(_stroke, drawn, points[start], points[end], share * unit, colour))
        for (start, end), share, colour in strokes
    ]
    parts.append((near[[_AT["pelvis"], _AT["neck"]]].mean(), partial(_paint_trunk, drawn, points, unit, looks.shirt)))
    parts.append((near[_AT["head"]], partial(_paint_head, drawn, points, body.head * height_px, looks)))
    for _, paint in sorted(parts, key=lambda part: part[0]):
        paint()


def _stroke(drawn: np.ndarray, start: np.ndarray, end: np.ndarray, width_px: float, colour: Colour) -> None:
    """A capsule with a darker rim, so that a limb in front of the trunk can be seen."""
    first, last = _fixed(start), _fixed(end)
    thick = max(2, round(width_px))
    cv2.line(drawn, first, last, _darker(colour, 0.62), thick + 3, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.line(drawn, first, last, colour, thick, cv2.LINE_AA, _SUBPIXEL_BITS)


def _paint_trunk(drawn: np.ndarray, points: np.ndarray, unit: float, colour: Colour) -> None:
    corners = [points[_AT[name]] for name in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
    outline = np.array([_fixed(corner) for corner in corners], np.int32)
    for shade, extra in ((0.62, 3), (1.0, 0)):
        paint = _darker(colour, shade)
        cv2.polylines(drawn, [outline], True, paint, max(2, round(0.07 * unit)) + extra, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.fillConvexPoly(drawn, cv2.convexHull(outline), paint, cv2.LINE_AA, _SUBPIXEL_BITS)


def _paint_head(drawn: np.ndarray, points: np.ndarray, radius_px: float, looks: Looks) -> None:
    centre, neck = points[_AT["head"]], points[_AT["neck"]]
    _stroke(drawn, neck, centre, 0.7 * radius_px, looks.skin)
    up = (centre - neck) / max(1e-6, float(np.hypot(*(centre - neck))))
    radius = round(radius_px * (1 << _SUBPIXEL_BITS))
    cv2.circle(drawn, _fixed(centre + 0.22 * radius_px * up), radius, looks.hair, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.circle(
        drawn, _fixed(centre - 0.1 * radius_px * up), int(radius * 0.86), looks.skin, -1, cv2.LINE_AA, _SUBPIXEL_BITS
    )


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """Pixels to OpenCV's fixed-point coordinates."""
    return round(float(point[0]) * (1 << _SUBPIXEL_BITS)), round(float(point[1]) * (1 << _SUBPIXEL_BITS))


def _darker(colour: Colour, share: float) -> Colour:
    return int(colour[0] * share), int(colour[1] * share), int(colour[2] * share)
