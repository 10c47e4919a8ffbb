"""Clips as a model takes them: read, cut into views, augmented, masked. Each video is decoded once for all of its samples.

What is random in a sample depends only on (seed, epoch, index, copy): not on the process that computes it, nor on the order.
Layouts: T frames, H × W pixels, N tokens, K samples of one video (``num_samples``), V test views.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tiktokactions.clips.cache import local_clip
from tiktokactions.clips.clip import Clip, ClipSet
from tiktokactions.model.augment import (
    erase_,
    evaluation_view,
    finetune_view,
    normalise,
    pretrain_view,
    resize_short_side,
)
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.labels import targets_of
from tiktokactions.model.masking import decoder_mask, site_motion, tube_mask
from tiktokactions.model.options import Decoder, EvaluateOptions, FinetuneOptions, PretrainOptions
from tiktokactions.model.synthetic import SyntheticVideo, showing
from tiktokactions.model.views import Mode, Sampling, frame_indices, sparse_test_frames, test_views
from tiktokactions.video import ClipReader, UnreadableError

Sample = dict[str, Tensor]
Key = tuple[int, int]
"""Epoch and index of a clip."""


def sample_rng(seed: int, epoch: int, index: int, copy: int | None = None) -> np.random.Generator:
    """The random numbers of one sample; without ``copy`` those that all samples of a clip share (which frames are read)."""
    # numpy ignores trailing zeros of a seed, so copies count from 1.
    return np.random.default_rng([seed, epoch, index, 0 if copy is None else copy + 1])


@contextlib.contextmanager
def open_clip(clip: Clip, decoder: Decoder = "pyav") -> Iterator[ClipReader | SyntheticVideo]:
    """Raises ``UnreadableError``, also where a clip in a tar file or on an object store cannot be fetched."""
    number = clip.synthetic
    if number is not None and not clip.file:
        yield SyntheticVideo(number)
        return
    file = contextlib.nullcontext(clip.file) if clip.stored is None else local_clip(clip.file, clip.stored)
    try:
        with file as path, ClipReader(path, clip.start_s, clip.end_s, decoder) as reader:
            yield reader if number is None else showing(number, reader)
    except UnreadableError as error:
        raise UnreadableError(clip.path, error.detail) from error


class _Clips(Dataset[Sample]):
    options: PretrainOptions | FinetuneOptions

    def __init__(self, clips: Sequence[Clip], config: ModelConfig, options: PretrainOptions | FinetuneOptions) -> None:
        self.clips, self.config, self.options = tuple(clips), config, options
        self.size = (config.height, config.width)

    def __len__(self) -> int:
        return len(self.clips)

    def _read(self, key: Key, mode: Mode, sampling: Sampling = "dense") -> np.ndarray:
        """The frames of a clip, uint8 (T, H, W, 3); for validation as small as the view that is cut out of them."""
        (epoch, index), options, length = key, self.options, self.config.frames
        rng = sample_rng(options.seed, epoch, index)
        with open_clip(self.clips[index], options.decoder) as reader:
            indices = frame_indices(
                reader.frames, length=length, stride=options.stride, mode=mode, rng=rng, sampling=sampling
            )
            return reader.read(indices, each=_shrink(self.size) if mode == "validation" else None)


class PretrainClips(_Clips):
    """Masked clips for pre-training.

    ``dataset[epoch, index]`` is ``video`` uint8 (K, 3, T, H, W), ``encoder_mask`` and ``decoder_mask`` bool (K, N) (True:
    hidden from the encoder; not decoded), ``index`` int64. Pixels stay bytes: they reach the
    device four times as fast, and it normalises them.

    Raises:
        UnreadableError: on access, the clip cannot be read.
    """

    options: PretrainOptions

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        options, config = self.options, self.config
        frames_thwc = self._read(key, "pretrain")
        videos, hidden, not_decoded = [], [], []
        for copy in range(options.num_samples):
            rng = sample_rng(options.seed, epoch, index, copy)
            videos.append(pretrain_view(frames_thwc, self.size, rng))
            moves = site_motion(videos[-1].numpy(), config.grid) if options.masking == "motion" else None
            hidden.append(tube_mask(config.grid, options.mask_ratio, rng, moves))
            not_decoded.append(decoder_mask(hidden[-1], config.grid, options.decoder_mask_ratio, rng))
        return {
            "video": torch.stack(videos),
            "encoder_mask": torch.from_numpy(np.stack(hidden)),
            "decoder_mask": torch.from_numpy(np.stack(not_decoded)),
            "index": torch.tensor(index),
        }


class _LabelledClips(_Clips):
    options: FinetuneOptions

    def __init__(
        self, clips: Sequence[Clip], labels: Sequence[str], config: ModelConfig, options: FinetuneOptions
    ) -> None:
        super().__init__(clips, config, options)
        data = ClipSet("training", "", self.clips, tuple(labels))
        self.targets = targets_of(data, labels, "the model", options.multi_label)


class FinetuneClips(_LabelledClips):
    """Augmented clips for fine-tuning.

    ``dataset[epoch, index]`` is ``video`` uint8 (K, 3, T, H, W), ``erased`` int64 (K, 5), the boxes that
    :func:`~tiktokactions.model.augment.erase_` fills; ``label`` int64 (K,), or float32 (K, classes) with ``multi_label``;
    ``index`` int64. Where ``augment_on`` is ``device`` it has ``frames``, uint8 (T, H, W, 3) as they were decoded, instead
    of the first two.

    Args:
        labels: class names in the order of their numbers.

    Raises:
        UnreadableError: on access, the clip cannot be read.
    """

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        frames_thwc = torch.from_numpy(self._read(key, "train", self.options.sampling))
        label = torch.stack([self.targets[index]] * self.options.num_samples)
        sample = {"label": label, "index": torch.tensor(index)}
        if self.options.augment_on == "device":
            return {"frames": frames_thwc} | sample
        return self._views(frames_thwc, epoch, index) | sample

    def on(self, machine: Hardware, batch: dict[str, Any], epoch: int) -> Tensor:
        """The clips of a batch on the device: float32 (B, 3, T, H, W), normalised, with erased boxes."""
        if "frames" in batch:
            clips = zip(batch["frames"], batch["index"].tolist(), strict=True)
            views = [self._views(machine.send(frames_thwc), epoch, index) for frames_thwc, index in clips]
            batch = {name: torch.cat([view[name] for view in views]) for name in ("video", "erased")}
        return erase_(normalise(machine.send(batch["video"])), batch["erased"])

    def _views(self, frames_thwc: Tensor, epoch: int, index: int) -> Sample:
        options = self.options
        how: dict[str, Any] = {name: getattr(options, name) for name in ("flip", "erase", "min_area")}
        rngs = [sample_rng(options.seed, epoch, index, copy) for copy in range(options.num_samples)]
        views = [finetune_view(frames_thwc, self.size, rng, policy=options.augment, **how) for rng in rngs]
        videos, erased = zip(*views, strict=True)
        return {"video": torch.stack(videos), "erased": torch.stack(erased)}


class ValidationClips(_LabelledClips):
    """One view from the middle of each clip.

    ``dataset[epoch, index]`` is ``video`` uint8 (3, T, H, W); ``label`` and ``index`` int64.
    """

    def __getitem__(self, key: Key) -> Sample:
        index = key[1]
        frames_thwc = self._read(key, "validation", self.options.sampling)
        video = evaluation_view(frames_thwc, self.size)
        return {"video": video, "label": self.targets[index], "index": torch.tensor(index)}


class TestClips(Dataset[Sample]):
    """All test views of each clip from one decode.

    ``dataset[epoch, index]`` is ``video`` uint8 (V, 3, T, H, W), segment by segment, and ``index`` int64.

    Raises:
        UnreadableError: on access, the clip cannot be read.
    """

    __test__ = False  # its name makes pytest take it for a test

    def __init__(
        self, clips: Sequence[Clip], config: ModelConfig, options: EvaluateOptions, stride: int, sampling: Sampling
    ) -> None:
        self.clips, self.config, self.options = tuple(clips), config, options
        self.stride, self.sampling = stride, sampling

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: Key) -> Sample:
        _, index = key
        size = (self.config.height, self.config.width)
        with open_clip(self.clips[index], self.options.decoder) as reader:
            frames_vt = self._frames_of_segments(reader.frames)
            numbers, places_vt = np.unique(frames_vt, return_inverse=True)
            frames_thwc = reader.read(numbers, each=_shrink(size))
        height, width = frames_thwc.shape[1:3]
        segments, crops = self.options.segments, self.options.crops
        views = test_views(len(numbers), height, width, length=0, segments=segments, crops=crops, size=size)
        frames_tchw = torch.from_numpy(frames_thwc).permute(0, 3, 1, 2)
        places_vt = places_vt.reshape(frames_vt.shape)
        video = torch.empty((len(views), 3, self.config.frames, *size), dtype=torch.uint8)
        for number, view in enumerate(views):
            cropped = frames_tchw[:, :, view.top : view.top + size[0], view.left : view.left + size[1]]
            video[number] = cropped[places_vt[view.segment]].transpose(0, 1)
        return {"video": video, "index": torch.tensor(index)}

    def _frames_of_segments(self, frames: int) -> np.ndarray:
        """int64 (segments, T): the frames of the video that each segment shows."""
        length = self.config.frames
        if self.sampling == "sparse":
            return sparse_test_frames(frames, length=length, segments=self.options.segments)
        strided = frame_indices(frames, length=length, stride=self.stride, mode="test")
        views = test_views(len(strided), 1, 1, length=length, segments=self.options.segments, crops=1)
        return np.stack([strided[view.start : view.start + length] for view in views])


def _shrink(size: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """Resizes one frame, uint8 (height, width, 3), so that views of ``size`` (height, width) just fit into it."""

    def shrink(frame_hwc: np.ndarray) -> np.ndarray:
        return resize_short_side(frame_hwc[None], short_side_for(frame_hwc.shape[0], frame_hwc.shape[1], size))[0]

    return shrink


def short_side_for(height: int, width: int, size: tuple[int, int]) -> int:
    """The short side at which a frame just covers ``size`` (height, width); for a square its side."""
    short = min(height, width)
    side = max(math.ceil(short * size[0] / height), math.ceil(short * size[1] / width))
    while int(side * height / short) < size[0] or int(side * width / short) < size[1]:
        side += 1  # the longer side is rounded down
    return side
