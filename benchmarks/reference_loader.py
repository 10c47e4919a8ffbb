"""The reference's own datasets (VideoMAE V2), from a checkout of its code; without one an imitation in own words.

The code is not part of this repository: `git clone https://github.com/OpenGVLab/VideoMAEv2`. It needs decord, pandas and
torchvision.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tiktokactions.model.augment import multiscale_crop_box
from tiktokactions.model.autoencoder import IMAGENET_MEAN as MEAN
from tiktokactions.model.autoencoder import IMAGENET_STD as STD
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.masking import running_cell_mask, tube_mask
from tiktokactions.model.samples import sample_rng
from tiktokactions.model.views import frame_indices, test_views


def own_dataset(checkout: Path, task: str, videos: Sequence[Path], copies: int, folder: Path) -> Any:
    """The reference's dataset for ``pretrain`` or ``finetune`` with the settings of its scripts.

    ``dataset[i]`` begins with a list of ``copies`` clips, float32 and normalised, made of one decode.
    """
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    listed = folder / f"reference-{task}.csv"
    line = "{} 0 -1\n" if task == "pretrain" else "{} 0\n"
    listed.write_text("".join(line.format(video) for video in videos))
    if task == "pretrain":
        masks = {"mask_type": "tube", "mask_ratio": 0.9, "decoder_mask_type": "run_cell", "decoder_mask_ratio": 0.5}
        clip = {"input_size": 224, "window_size": (8, 14, 14), "num_frames": 16, "sampling_rate": 4, "fname_tmpl": ""}
        given = {"data_root": "", "data_path": str(listed), "num_sample": copies}
        return importlib.import_module("dataset").build_pretraining_dataset(SimpleNamespace(**masks, **clip, **given))
    erasing = {"reprob": 0.25, "remode": "pixel", "recount": 1}
    given = {"num_sample": copies, "input_size": 224, "data_set": "Kinetics-400"}
    policy = {"aa": "rand-m7-n4-mstd0.5-inc1", "train_interpolation": "bicubic"}
    module = importlib.import_module("dataset.datasets")
    args = SimpleNamespace(**erasing, **given, **policy)
    return module.VideoClsDataset(str(listed), mode="train", clip_len=16, frame_sample_rate=4, crop_size=224, args=args)


def open_decord(path: Path) -> Any:
    """Raises ``SystemExit`` where decord is not installed."""
    try:
        decord = importlib.import_module("decord")
    except ModuleNotFoundError as error:
        raise SystemExit("the reference's loader needs decord: pip install decord2") from error
    return decord.VideoReader(str(path), num_threads=1)


def pretrain_sample(path: Path, config: ModelConfig, copies: int, key: tuple[int, int, int]) -> dict[str, Any]:
    """``copies`` masked clips of one decode, float32 (copies, 3, T, H, W) normalised, and their masks.

    Args:
        path: of the video.
        config: the model's geometry.
        copies: ``num_samples``.
        key: seed, epoch and index: the same frames, crops and masks are drawn as by our loader.
    """
    reader = open_decord(path)
    indices = frame_indices(len(reader), length=config.frames, mode="pretrain", rng=sample_rng(*key))
    # The reference asks PIL for RGB even where the picture is RGB already.
    pictures = [Image.fromarray(frame).convert("RGB") for frame in reader.get_batch(indices.tolist()).asnumpy()]
    videos, hidden, skipped = [], [], []
    for copy in range(copies):
        rng = sample_rng(*key, copy)
        width, height = pictures[0].size
        crop_w, crop_h, left, top = multiscale_crop_box(width, height, (config.height, config.width), rng)
        box = (left, top, left + crop_w, top + crop_h)
        resized = [p.crop(box).resize((config.width, config.height), Image.Resampling.BILINEAR) for p in pictures]
        videos.append(_to_normalised(resized))
        hidden.append(tube_mask(config.grid, 0.9, rng))
        skipped.append(running_cell_mask(config.grid, 0.5, rng))
    return {"video": torch.stack(videos), "encoder_mask": np.stack(hidden), "decoder_mask": np.stack(skipped)}


def _to_normalised(pictures: Sequence[Image.Image]) -> Tensor:
    """float32 (3, T, H, W)."""
    stacked = np.concatenate([np.asarray(p) for p in pictures], axis=2)  # (H, W, T * 3)
    video = torch.from_numpy(stacked).permute(2, 0, 1).contiguous().float().div(255)
    video = video.view(len(pictures), 3, *video.shape[1:]).transpose(0, 1)
    return video.sub_(torch.tensor(MEAN).view(3, 1, 1, 1)).div_(torch.tensor(STD).view(3, 1, 1, 1))


def test_view(path: Path, config: ModelConfig, number: int) -> Tensor:
    """One of the 15 test views as the reference makes it, with a decode of its own: float32 (3, T, S, S) normalised."""
    reader = open_decord(path)
    indices = frame_indices(len(reader), length=config.frames, mode="test")
    frames = reader.get_batch(indices.tolist()).asnumpy()
    height, width = frames.shape[1:3]
    side = config.height
    size = (side, int(side * height / width)) if width < height else (int(side * width / height), side)
    resized = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR) for frame in frames])
    view = test_views(len(indices), *resized.shape[1:3], length=config.frames)[number]
    taken = resized[view.start : view.start + config.frames, view.top : view.top + side, view.left : view.left + side]
    video = torch.from_numpy(taken).float().div(255).permute(3, 0, 1, 2)
    return video.sub(torch.tensor(MEAN).view(3, 1, 1, 1)).div(torch.tensor(STD).view(3, 1, 1, 1))
