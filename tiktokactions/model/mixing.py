"""Mixup and CutMix over a batch, with soft targets (timm's batch mode, as the reference uses it)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

Box = tuple[int, int, int, int]
"""Top, bottom, left, right (half-open)."""


def mix(
    video: Tensor,
    label: Tensor,
    classes: int,
    rng: np.random.Generator,
    *,
    mixup: float = 0.8,
    cutmix: float = 1.0,
    probability: float = 1.0,
    switch: float = 0.5,
    smoothing: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Blend every clip with its partner (the batch in reverse), or paste a box of the partner into it.

    Args:
        video: float (B, 3, T, H, W).
        label: int64 (B,), or float (B, classes) with several labels, nan where unknown.
        mixup, cutmix: alpha of the Beta distribution of the share; 0 switches the method off.
        probability: share of the batches that are mixed.
        switch: share of the mixed batches that get CutMix, where both are on.
        smoothing: label smoothing.

    Returns:
        The mixed clips, and targets float32 (B, classes).

    Raises:
        ValueError: an odd batch, which has no pairs.
    """
    share, use_cutmix = draw_share(rng, mixup, cutmix, probability, switch)
    if share == 1.0:
        return video, soft_target(label, classes, 1.0, smoothing)
    if len(video) % 2:
        raise ValueError(f"mixup and CutMix: got a batch of {len(video)} clips, expected an even number")
    if not use_cutmix:
        return blend(video, share), soft_target(label, classes, share, smoothing)
    height, width = video.shape[-2:]
    box = cutmix_box(height, width, share, int(rng.integers(height)), int(rng.integers(width)))
    return paste(video, box), soft_target(label, classes, kept_share(height, width, box), smoothing)


def draw_share(
    rng: np.random.Generator, mixup: float, cutmix: float, probability: float, switch: float
) -> tuple[float, bool]:
    """How much of each clip stays (1: the batch is not mixed), and whether by CutMix."""
    if (mixup <= 0 and cutmix <= 0) or rng.random() >= probability:
        return 1.0, False
    use_cutmix = rng.random() < switch if mixup > 0 and cutmix > 0 else cutmix > 0
    alpha = cutmix if use_cutmix else mixup
    return float(rng.beta(alpha, alpha)), use_cutmix


def blend(video: Tensor, share: float) -> Tensor:
    """``share`` of each clip and the rest of its partner."""
    return video * share + video.flip(0) * (1.0 - share)


def cutmix_box(height: int, width: int, share: float, centre_y: int, centre_x: int) -> Box:
    """The box that leaves about ``share`` of the picture, cut off at its edges."""
    side = math.sqrt(1 - share)
    half_h, half_w = int(height * side) // 2, int(width * side) // 2
    rows = (max(0, centre_y - half_h), min(height, centre_y + half_h))
    return *rows, max(0, centre_x - half_w), min(width, centre_x + half_w)


def kept_share(height: int, width: int, box: Box) -> float:
    """The share of the picture outside the box."""
    top, bottom, left, right = box
    return 1.0 - (bottom - top) * (right - left) / float(height * width)


def paste(video: Tensor, box: Box) -> Tensor:
    """Each clip with the box of its partner, in all channels and frames."""
    top, bottom, left, right = box
    mixed = video.clone()
    mixed[..., top:bottom, left:right] = video.flip(0)[..., top:bottom, left:right]
    return mixed


def soft_target(label: Tensor, classes: int, share: float, smoothing: float) -> Tensor:
    """Targets of a batch whose clips keep ``share`` of themselves: float32 (B, classes).

    Each row sums to 1, or of clips with several labels (``label`` float (B, classes)) to about as many as it has. What is
    unknown of one of two mixed clips is unknown of both.
    """
    off = smoothing / classes
    if label.ndim == 2:
        own = label.cpu() * (1.0 - smoothing) + off
    else:
        own = torch.full((len(label), classes), off).scatter_(1, label.cpu()[:, None], 1.0 - smoothing + off)
    return own if share == 1.0 else own * share + own.flip(0) * (1.0 - share)
