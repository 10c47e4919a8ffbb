"""Pictures of a training: learning curves, and what the model reconstructs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tiktokactions.model.augment import normalise
from tiktokactions.model.autoencoder import MaskedAutoencoder, take_tokens
from tiktokactions.model.config import TOKEN_CHANNELS, ModelConfig
from tiktokactions.model.masking import tube_mask
from tiktokactions.model.run import read_log
from tiktokactions.model.samples import PretrainClips
from tiktokactions.model.vit import patchify
from tiktokactions.plots import ACCEPTED, MUTED, REVIEW, new_figure, save_figure, style
from tiktokactions.records import JsonObject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAMES_SHOWN = 8
CLIP_ROW_IN = 0.75


@style()
def draw_curves(run: Path) -> list[Path]:
    """``curves.svg`` and ``.png``: loss and learning rate over the steps, and the accuracy on the val side if known."""
    log = read_log(run)
    trained = [line for line in log if "loss" in line]
    score = "val_map" if any("val_map" in line for line in log) else "val_top1"
    looked = [line for line in log if score in line]
    figure = new_figure(8, 5.2 if looked else 4)
    axes = figure.subplots(3 if looked else 2, 1, sharex=True, height_ratios=[3, 2, 1] if looked else [3, 1])
    _curve(axes[0], trained, "loss", "loss")
    if looked:
        _curve(axes[1], looked, score, score.replace("_top1", " top-1").replace("_map", " mAP"), REVIEW)
        axes[1].set_ylim(0, 1)
    _curve(axes[-1], trained, "lr", "learning rate", MUTED)
    axes[-1].set_xlabel("step")
    axes[0].set_title(run.name)
    return save_figure(figure, run / "curves")


def _curve(axes: Axes, lines: list[JsonObject], name: str, label: str, color: str = ACCEPTED) -> None:
    marker = "o" if len(lines) < 30 else None
    axes.plot([x["step"] for x in lines], [x[name] for x in lines], color=color, marker=marker, markersize=3)
    axes.set_ylabel(label)
    axes.grid(True)


@style()
def draw_reconstructions(stem: Path, model: MaskedAutoencoder, dataset: PretrainClips, clips: int) -> list[Path]:
    """Original, masked and reconstructed frames of the first clips: the same clips and masks every time.

    A model that predicts normalised tokens leaves out their mean and contrast: these are taken from the original.
    """
    clips = min(clips, len(dataset))
    video = torch.stack([dataset[(0, i)]["video"][0] for i in range(clips)])
    masks = [tube_mask(model.config.grid, dataset.options.mask_ratio, np.random.default_rng(i)) for i in range(clips)]
    rows = reconstruct(model, video, torch.from_numpy(np.stack(masks)), dataset.options.normalize_target)
    shown = np.linspace(0, model.config.frames - 1, min(FRAMES_SHOWN, model.config.frames)).round().astype(int)
    figure = new_figure(8, 0.4 + 3 * CLIP_ROW_IN * clips * 1.25)
    grid = figure.subplots(3 * clips, len(shown), squeeze=False)
    for clip in range(clips):
        for kind, (name, frames) in enumerate(rows.items()):
            for column, frame in enumerate(shown):
                axes = grid[3 * clip + kind][column]
                axes.imshow(frames[clip, :, frame].permute(1, 2, 0).numpy(), interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                if column == 0:
                    axes.set_ylabel(name, fontsize=7)
    stem.parent.mkdir(parents=True, exist_ok=True)
    return save_figure(figure, stem)


@torch.inference_mode()
def reconstruct(model: MaskedAutoencoder, video: Tensor, hidden: Tensor, normalised_target: bool) -> dict[str, Tensor]:
    """What the model makes of the hidden tokens.

    Args:
        video: uint8 (B, 3, T, H, W).
        hidden: bool (B, N), True = hidden from the encoder.
        normalised_target: whether the model was trained on normalised tokens.

    Returns:
        ``original``, ``masked``, ``reconstructed``: each float (B, 3, T, H, W) in [0, 1], on the CPU.
    """
    config, device = model.config, model.mask_token.device
    was_training = model.training
    model.eval()
    predicted = model(normalise(video.to(device)), hidden).float().cpu()
    model.train(was_training)
    original = video.float() / 255
    tokens = patchify(original, config)
    numbers = hidden.nonzero()[:, 1].view(len(hidden), -1)
    b, k = numbers.shape
    made = predicted.view(b, k, config.token_pixels, TOKEN_CHANNELS).transpose(2, 3)
    if normalised_target:
        true = take_tokens(tokens, numbers).view(b, k, TOKEN_CHANNELS, config.token_pixels)
        variance, mean = torch.var_mean(true, dim=-1, keepdim=True)
        made = made * (variance.sqrt() + 1e-6) + mean
    where = numbers[:, :, None].expand(-1, -1, config.token_values)
    grey = torch.full_like(made, 0.5).reshape(b, k, config.token_values)
    return {
        "original": original,
        "masked": unpatchify(tokens.scatter(1, where, grey), config),
        "reconstructed": unpatchify(tokens.scatter(1, where, made.reshape(b, k, -1)), config).clamp(0, 1),
    }


def unpatchify(patches: Tensor, config: ModelConfig) -> Tensor:
    """Undo :func:`tiktokactions.model.vit.patchify`: (B, N, 3·t·p·p) to (B, 3, T, H, W)."""
    (slots, rows, columns), t, p = config.grid, config.tubelet, config.patch
    x = patches.view(len(patches), slots, rows, columns, TOKEN_CHANNELS, t, p, p)
    return x.permute(0, 4, 1, 5, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)
