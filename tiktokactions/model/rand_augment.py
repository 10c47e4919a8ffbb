"""RandAugment, the same for all frames of a clip: fifteen operations whose strength grows with the magnitude.

The operations are Pillow's own, so that results are the reference's to the bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from tiktokactions.errors import UsageError

FILL = (128, 128, 128)
"""What shows where a picture was moved away."""
MOST = 10.0
"""The largest magnitude."""
APPLIED = 0.5
"""Chance of a drawn operation to be applied."""

Level = tuple[float | int, ...] | None
Apply = Callable[..., Image.Image]


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


def rand_augment(frames_thwc: np.ndarray, rng: np.random.Generator, policy: str) -> np.ndarray:
    """Apply a random policy to a clip: uint8 (T, H, W, 3) to the same shape.

    Raises:
        ValueError: a policy that cannot be read.
    """
    asked = read_policy(policy)
    drawn = []
    for number in rng.integers(len(OPERATIONS), size=asked.operations):
        name = list(OPERATIONS)[int(number)]
        if rng.random() < APPLIED:
            magnitude = min(MOST, max(0.0, rng.normal(asked.magnitude, asked.spread)))
            drawn.append((OPERATIONS[name].apply, signed_level(name, magnitude, rng)))
    if not drawn:
        return frames_thwc
    pictures = [Image.fromarray(frame) for frame in frames_thwc]
    for apply, level in drawn:
        pictures = [apply(picture, *level) for picture in pictures]
    return np.stack([np.asarray(picture) for picture in pictures])


def signed_level(name: str, magnitude: float, rng: np.random.Generator) -> tuple[float | int, ...]:
    """The arguments of an operation at a magnitude, with a random direction where it has one."""
    operation = OPERATIONS[name]
    level = operation.level(magnitude)
    if level is None:
        return ()
    if not operation.direction or rng.random() >= 0.5:
        return level
    return (-level[0] if operation.direction == "sign" else 2 - level[0],)


# --- the operations ------------------------------------------------------------------------------------------------


def _affine(picture: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC, fillcolor=FILL
    )


def _rotate(picture: Image.Image, degrees: float) -> Image.Image:
    return picture.rotate(degrees, resample=Image.Resampling.BICUBIC, fillcolor=FILL)


def _shear_x(picture: Image.Image, factor: float) -> Image.Image:
    return _affine(picture, (1, factor, 0, 0, 1, 0))


def _shear_y(picture: Image.Image, factor: float) -> Image.Image:
    return _affine(picture, (1, 0, 0, factor, 1, 0))


def _translate_x(picture: Image.Image, share: float) -> Image.Image:
    return _affine(picture, (1, 0, share * picture.size[0], 0, 1, 0))


def _translate_y(picture: Image.Image, share: float) -> Image.Image:
    return _affine(picture, (1, 0, 0, 0, 1, share * picture.size[1]))


def _posterize(picture: Image.Image, bits: int) -> Image.Image:
    # Zero bits, which the largest magnitude asks for, are refused by Pillow's own function.
    return picture.point([i & ~(2 ** (8 - bits) - 1) for i in range(256)] * 3)


def _solarize_add(picture: Image.Image, added: int) -> Image.Image:
    return picture.point([min(255, i + added) if i < 128 else i for i in range(256)] * 3)


def _enhance(kind: type) -> Apply:
    def apply(picture: Image.Image, factor: float) -> Image.Image:
        enhanced: Image.Image = kind(picture).enhance(factor)
        return enhanced

    return apply


def _share_of(largest: float) -> Callable[[float], Level]:
    return lambda magnitude: (magnitude / MOST * largest,)


@dataclass(frozen=True)
class Operation:
    apply: Apply
    level: Callable[[float], Level]
    """Arguments at a magnitude from 0 to 10; None: it has none."""
    direction: str = ""
    """``sign``: half of the time negative; ``around 1``: the factor moves up; empty: neither."""


def _none(magnitude: float) -> Level:
    return None


def _enhancement(magnitude: float) -> Level:
    return (round(1.0 + magnitude * 0.09, 6),)


OPERATIONS: dict[str, Operation] = {
    "AutoContrast": Operation(ImageOps.autocontrast, _none),
    "Equalize": Operation(ImageOps.equalize, _none),
    "Invert": Operation(ImageOps.invert, _none),
    "Rotate": Operation(_rotate, _share_of(30.0), "sign"),
    "PosterizeIncreasing": Operation(_posterize, lambda m: (4 - int(m / MOST * 4),)),
    "SolarizeIncreasing": Operation(ImageOps.solarize, lambda m: (256 - int(m / MOST * 256),)),
    "SolarizeAdd": Operation(_solarize_add, lambda m: (int(m / MOST * 110),)),
    "ColorIncreasing": Operation(_enhance(ImageEnhance.Color), _enhancement, "around 1"),
    "ContrastIncreasing": Operation(_enhance(ImageEnhance.Contrast), _enhancement, "around 1"),
    "BrightnessIncreasing": Operation(_enhance(ImageEnhance.Brightness), _enhancement, "around 1"),
    "SharpnessIncreasing": Operation(_enhance(ImageEnhance.Sharpness), _enhancement, "around 1"),
    "ShearX": Operation(_shear_x, _share_of(0.3), "sign"),
    "ShearY": Operation(_shear_y, _share_of(0.3), "sign"),
    "TranslateXRel": Operation(_translate_x, _share_of(0.45), "sign"),
    "TranslateYRel": Operation(_translate_y, _share_of(0.45), "sign"),
}
