"""From decoded frames to what a model sees: crops, resizing, mirroring, erasing; the reference's rules (VideoMAE V2).

Frames come as uint8 (T, H, W, 3); sizes are (height, width); every random choice is drawn from the generator given.
:mod:`tiktokactions.model.rand_augment` holds RandAugment, :mod:`tiktokactions.model.mixing` mixup and CutMix.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.errors import UsageError
from tiktokactions.model.autoencoder import imagenet_moments
from tiktokactions.model.rand_augment import Frames, rand_augment

Size = tuple[int, int]
"""Height and width in pixels."""
Box = tuple[int, int, int, int]

SCALES = (1.0, 0.875, 0.75, 0.66)
SNAP_PX = 3
"""A crop side this close to the target's becomes equal to it."""
CROP_RATIO = (3 / 4, 4 / 3)
CROP_TRIES = ERASE_TRIES = 10
ERASED_AREA = (0.02, 1 / 3)
ERASED_ASPECT = (0.3, 1 / 0.3)


def normalise(video: Tensor) -> Tensor:
    """Pixels 0 to 255 to ImageNet's mean 0 and standard deviation 1.

    Args:
        video: uint8 or float (..., 3, T, H, W).

    Returns:
        float32 of the same shape.
    """
    return normalise_(video.to(torch.float32, copy=True))


def normalise_(video: Tensor) -> Tensor:
    """:func:`normalise` in place, for a float32 video: on a CPU, fresh memory costs more than the arithmetic."""
    mean, std = (moment[..., None, None] * 255 for moment in imagenet_moments(video.device))
    return video.sub_(mean).mul_(1 / std)


# --- pre-training --------------------------------------------------------------------------------------------------


def pretrain_view(frames_thwc: np.ndarray, size: Size, rng: np.random.Generator) -> Tensor:
    """One of the reference's multi-scale crops, resized as PIL's bilinear filter does (smoothed where it shrinks).

    Returns:
        uint8 (3, T, height, width).
    """
    width, height, left, top = multiscale_crop_box(frames_thwc.shape[2], frames_thwc.shape[1], size, rng)
    cropped = torch.from_numpy(frames_thwc[:, top : top + height, left : left + width])
    return resize_on_cpu(cropped, size, smoothed=True)


def multiscale_crop_box(width: int, height: int, size: Size, rng: np.random.Generator) -> Box:
    """Draw a crop: sides from four scales of the short side, neighbouring scales paired, at one of thirteen places.

    Returns:
        width, height, left, top.
    """
    pairs = multiscale_pairs(width, height, size)
    crop_w, crop_h = pairs[int(rng.integers(len(pairs)))]
    places = fixed_offsets(width, height, crop_w, crop_h)
    left, top = places[int(rng.integers(len(places)))]
    return crop_w, crop_h, left, top


def multiscale_pairs(width: int, height: int, size: Size) -> list[tuple[int, int]]:
    """Every (crop width, crop height) that can be drawn; repeated ones are more likely."""
    base = min(width, height)
    sides = [max(1, int(base * scale)) for scale in SCALES]
    heights = [size[0] if abs(side - size[0]) < SNAP_PX else side for side in sides]
    widths = [size[1] if abs(side - size[1]) < SNAP_PX else side for side in sides]
    near = [(w, h) for i, h in enumerate(heights) for j, w in enumerate(widths) if abs(i - j) <= 1]
    # Snapping may enlarge a side beyond a small picture.
    return [(min(w, width), min(h, height)) for w, h in near]


def fixed_offsets(width: int, height: int, crop_w: int, crop_h: int) -> list[tuple[int, int]]:
    """(left, top) of the corners, the middles of the edges, the centre and the quarter points."""
    w, h = (width - crop_w) // 4, (height - crop_h) // 4
    steps = [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)]
    return [(x * w, y * h) for x, y in steps]


# --- fine-tuning ---------------------------------------------------------------------------------------------------


def finetune_view(
    frames_thwc: Tensor,
    size: Size,
    rng: np.random.Generator,
    *,
    policy: str,
    flip: bool,
    erase: float,
    min_area: float = 0.08,
) -> tuple[Tensor, Tensor]:
    """RandAugment, random resized crop, mirroring; random erasing is drawn, for :func:`erase_` to do.

    Only what the crop shows is augmented, with the result of augmenting everything. All is computed where the frames are.

    Args:
        frames_thwc: uint8 (T, H, W, 3).
        policy: RandAugment's, or ``none``.
        flip: mirror half of the clips.
        erase: share of the clips with a box erased.
        min_area: smallest share of the picture that the crop keeps.

    Returns:
        Pixels 0 to 255 (3, T, height, width), uint8 on a CPU and float32 elsewhere; int64 (5,), see :func:`erased_box`.
    """
    height, width = frames_thwc.shape[1:3]

    def part(window: Box) -> Tensor:
        top, left, rows, columns = window
        return frames_thwc[:, top : top + rows, left : left + columns]

    frames = Frames((height, width), part)
    if policy != "none":
        frames = rand_augment(frames, rng, policy)
    crop = random_resized_crop_box(height, width, rng, min_area)
    cropped = frames.part(crop)
    video = resize_on_cpu(cropped, size) if cropped.device.type == "cpu" else resize(cropped, size)
    if flip and rng.random() < 0.5:
        video = video.flip(-1)
    return video, erased_box(size, rng, erase)


def resize(frames_thwc: Tensor, size: Size) -> Tensor:
    """Bilinearly, not smoothed, as the reference does it; float32 (3, T, height, width)."""
    pictures = frames_thwc.permute(0, 3, 1, 2).float()
    return F.interpolate(pictures, size, mode="bilinear", align_corners=False).transpose(0, 1)


def resize_on_cpu(frames_thwc: Tensor, size: Size, smoothed: bool = False) -> Tensor:
    """The same rounded to uint8: faster, and a quarter of the bytes on the way to a model."""
    # As a channels-last picture, the layout for which torch has a fast 8-bit filter.
    pictures = frames_thwc.permute(0, 3, 1, 2)
    if pictures.shape[2:] != size:
        pictures = F.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=smoothed)
    video = np.empty((3, len(pictures), *size), np.uint8)
    for t, frame in enumerate(pictures.permute(0, 2, 3, 1).numpy()):
        cv2.split(frame, list(video[:, t]))
    return torch.from_numpy(video)


def random_resized_crop_box(height: int, width: int, rng: np.random.Generator, min_area: float = 0.08) -> Box:
    """Area uniform, shape log-uniform between 3:4 and 4:3; after ten boxes that do not fit the largest one in the middle.

    Returns:
        top, left, height, width.
    """
    for _ in range(CROP_TRIES):
        area = height * width * rng.uniform(min_area, 1.0)
        ratio = math.exp(rng.uniform(math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    w, h = width, height
    if width / height < CROP_RATIO[0]:
        h = round(width / CROP_RATIO[0])
    elif width / height > CROP_RATIO[1]:
        w = round(height * CROP_RATIO[1])
    return (height - h) // 2, (width - w) // 2, h, w


def erased_box(size: Size, rng: np.random.Generator, probability: float = 0.25) -> Tensor:
    """With this probability a box to be erased: int64 (5,) top, left, height, width, seed of the noise; else zeros."""
    if rng.random() < probability:
        for _ in range(ERASE_TRIES):
            area = size[0] * size[1] * rng.uniform(*ERASED_AREA)
            aspect = math.exp(rng.uniform(math.log(ERASED_ASPECT[0]), math.log(ERASED_ASPECT[1])))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if h < size[0] and w < size[1]:
                top, left = int(rng.integers(size[0] - h + 1)), int(rng.integers(size[1] - w + 1))
                return torch.tensor([top, left, h, w, int(rng.integers(1 << 62))])
    return torch.zeros(5, dtype=torch.int64)


def erase_(video: Tensor, boxes: Tensor) -> Tensor:
    """Fill a box of all frames of each clip with fresh noise, in place.

    Args:
        video: float (B, 3, T, H, W), normalised.
        boxes: int64 (B, 5) on the CPU, see :func:`erased_box`.
    """
    for clip, (top, left, height, width, seed) in zip(video, boxes.tolist(), strict=True):
        if height and width:
            generator = torch.Generator(video.device).manual_seed(seed)
            clip[..., top : top + height, left : left + width].normal_(generator=generator)
    return video


# --- evaluation ----------------------------------------------------------------------------------------------------


def resize_short_side(frames_thwc: np.ndarray, side: int) -> np.ndarray:
    """The short side to ``side`` pixels, the long one in proportion and rounded down (OpenCV's bilinear filter).

    Returns:
        uint8 (T, H', W', 3).
    """
    height, width = frames_thwc.shape[1:3]
    if min(height, width) == side:
        return frames_thwc
    wanted = (side, int(side * height / width)) if width < height else (int(side * width / height), side)
    return np.stack([cv2.resize(frame, wanted, interpolation=cv2.INTER_LINEAR) for frame in frames_thwc])


def centre_crop(frames_thwc: np.ndarray, size: Size) -> np.ndarray:
    """The middle of the frames; uint8 (T, height, width, 3).

    Raises:
        ValueError: frames smaller than the crop.
    """
    height, width = frames_thwc.shape[1:3]
    if height < size[0] or width < size[1]:
        raise UsageError(
            f"centre crop: got frames of {height} × {width} pixels, expected at least {size[0]} × {size[1]}"
        )
    # Halves are rounded to the even number, as the reference rounds them.
    top, left = round((height - size[0]) / 2.0), round((width - size[1]) / 2.0)
    return frames_thwc[:, top : top + size[0], left : left + size[1]]


def evaluation_view(frames_thwc: np.ndarray, size: Size) -> Tensor:
    """The middle of frames that were resized; uint8 (3, T, height, width)."""
    return torch.from_numpy(centre_crop(frames_thwc, size)).permute(3, 0, 1, 2).contiguous()
