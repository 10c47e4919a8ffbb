"""Which frames of a video, and which part of the picture, make a clip. Numbers only; the reference's rules (VideoMAE V2)."""

# ruff: noqa: PT028 - test_views() is no test; its name is the interface's
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tiktokactions.errors import UsageError

Mode = Literal["pretrain", "train", "validation", "test"]
Sampling = Literal["dense", "sparse"]


def frame_indices(
    frames: int,
    *,
    length: int = 16,
    stride: int = 4,
    mode: Mode,
    rng: np.random.Generator | None = None,
    sampling: Sampling = "dense",
) -> np.ndarray:
    """The frames of a clip of ``length`` from a video of ``frames``.

    ``dense`` takes a stretch of ``length * stride`` frames: in ``pretrain`` every ``stride``-th, in ``train`` evenly
    spread over a stretch that ends at random, in ``validation`` over the one in the middle. ``sparse`` (TSN) takes one
    frame of each of ``length`` equal parts of the video: a random one, in ``validation`` the middle one. ``test`` is
    every ``stride``-th frame of the whole video, for :func:`test_views` (``dense`` only).

    Args:
        frames: in the video, 1 or more.
        length: frames in the clip.
        stride: frames of the video from one of the clip to the next.
        mode: what the clip is for.
        rng: for ``pretrain`` and ``train``.
        sampling: see above.

    Returns:
        int64 (length,), rising; of mode ``test`` (n,), at least ``length`` long. The last frame is repeated where a
        video is too short.
    """
    if frames < 1:
        raise UsageError(f"frames: got {frames}, expected 1 or more")
    if sampling == "sparse":
        return _sparse(frames, length, mode, rng)
    if mode == "pretrain":
        return _every_stride(frames, length, stride, _generator(rng, mode))
    if mode == "test":
        indices = np.arange(0, frames, stride)
        return np.pad(indices, (0, max(0, length - len(indices))), mode="edge")
    return _spread(frames, length, stride, mode, rng)


def _every_stride(frames: int, length: int, stride: int, rng: np.random.Generator) -> np.ndarray:
    start = int(rng.integers(max(1, frames - length * stride + 1)))
    # The reference never steps onto a video's very last frame.
    steps = max(0, frames - 2 - start) // stride
    return start + stride * np.minimum(np.arange(length), steps)


def _spread(frames: int, length: int, stride: int, mode: Mode, rng: np.random.Generator | None) -> np.ndarray:
    span = length * stride
    if frames <= span:
        spread = np.linspace(0, frames, frames // stride)
        spread = np.concatenate([spread, np.full(length - len(spread), frames)])
        return np.clip(spread, 0, frames - 1).astype(np.int64)
    end = (span + frames) // 2 if mode == "validation" else int(_generator(rng, mode).integers(span, frames))
    return np.clip(np.linspace(end - span, end, length), end - span, end - 1).astype(np.int64)


def _sparse(frames: int, length: int, mode: Mode, rng: np.random.Generator | None) -> np.ndarray:
    if mode == "test":
        raise ValueError("sparse test views are not cut from one list of frames: use sparse_test_frames")
    if mode == "validation":
        return (frames / length * (np.arange(length) + 0.5)).astype(np.int64)
    part = frames // length
    if part == 0:
        return np.minimum(np.arange(length), frames - 1)
    return np.arange(length) * part + _generator(rng, mode).integers(part, size=length)


def sparse_test_frames(frames: int, *, length: int = 16, segments: int = 5) -> np.ndarray:
    """The frames of the ``segments`` sparse test views of a video, each spread over all of it.

    The first takes the first frame of each of ``length`` equal parts, the others begin later by equal shares of a part.

    Returns:
        int64 (segments, length).
    """
    later = np.arange(segments)[:, None] / segments
    return (frames / length * (np.arange(length) + later)).astype(np.int64)


def _generator(rng: np.random.Generator | None, mode: Mode) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"frame_indices: mode {mode!r} draws frames at random and needs rng")
    return rng


@dataclass(frozen=True)
class View:
    """One test view of a video."""

    segment: int
    crop: int
    start: int
    """Its first frame, counted in the list of every ``stride``-th frame."""
    left: int
    top: int


def test_views(
    strided_frames: int,
    height: int,
    width: int,
    *,
    length: int = 16,
    segments: int = 5,
    crops: int = 3,
    size: tuple[int, int] | None = None,
) -> list[View]:
    """The test views of a video, segment by segment: spread evenly along time and along the longer side.

    A single segment or crop is the one in the middle.

    Args:
        strided_frames: length of the list that ``frame_indices(mode="test")`` gives.
        height: of its frames, already resized.
        width: likewise.
        length: frames in a view.
        segments: views along time.
        crops: views along the longer side.
        size: (height, width) of a view; None: a square of the shorter side.
    """
    size_h, size_w = size or (min(height, width), min(height, width))
    spare_h, spare_w = height - size_h, width - size_w
    if spare_h < 0 or spare_w < 0:
        raise UsageError(f"test views of {size_h}x{size_w} pixels: frames are only {height}x{width}")
    starts = _spread_evenly(segments, max(0, strided_frames - length))
    tops = _spread_evenly(crops, spare_h) if spare_h >= spare_w else [spare_h // 2] * crops
    lefts = _spread_evenly(crops, spare_w) if spare_w > spare_h else [spare_w // 2] * crops
    return [View(s, c, starts[s], lefts[c], tops[c]) for s in range(segments) for c in range(crops)]


test_views.__test__ = False  # type: ignore[attr-defined]  # its name makes pytest take it for a test


def _spread_evenly(places: int, spare: int) -> list[int]:
    return [int(n * (spare / (places - 1))) for n in range(places)] if places > 1 else [spare // 2]
