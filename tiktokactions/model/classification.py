"""The classifier for fine-tuning: the encoder over all tokens, their mean, one linear layer (VideoMAE V2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tiktokactions.errors import UsageError
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.vit import NORM_EPS, PatchEmbedding, make_blocks, patchify, positions_of, run_blocks


def classifier(
    config: ModelConfig, *, drop_path: float = 0.0, head_dropout: float = 0.0, init_scale: float = 0.001
) -> VideoClassifier:
    """A freshly initialised classifier of ``config.classes`` classes, with the official state-dict keys.

    Args:
        drop_path: stochastic depth of the last block; it rises linearly from 0 in the first.
        head_dropout: dropout before the last layer.
        init_scale: factor on the last layer's initial weights.

    Raises:
        ValueError: no classes, or rates outside [0, 1).
    """
    if config.classes < 1:
        raise UsageError(f"classifier: got {config.classes} classes, expected 1 or more (model_config(..., classes=n))")
    for name, rate in (("drop_path", drop_path), ("head_dropout", head_dropout)):
        if not 0 <= rate < 1:
            raise UsageError(f"{name}: got {rate}, expected 0 or more and below 1")
    return VideoClassifier(config, drop_path, head_dropout, init_scale)


class VideoClassifier(nn.Module):
    positions: Tensor

    def __init__(self, config: ModelConfig, drop_path: float, head_dropout: float, init_scale: float) -> None:
        super().__init__()
        self.config = config
        self.head_dropout = head_dropout
        self.patch_embed = PatchEmbedding(config, config.embed_dim)
        self.blocks = make_blocks(config.embed_dim, config.depth, config.heads, config.mlp_dim, drop_path)
        self.fc_norm = nn.LayerNorm(config.embed_dim, eps=NORM_EPS)
        self.head = nn.Linear(config.embed_dim, config.classes)
        self.register_buffer("positions", positions_of(config, config.embed_dim), persistent=False)
        self.pool = LayerAttention(config) if config.pooling == "attention" else None
        self.projection: nn.Linear | None = None
        """Of the features to those of a teacher, while these are learned."""
        self.checkpoint_activations = False
        self.apply(_initialise)
        with torch.no_grad():
            self.head.weight.mul_(init_scale)
            self.head.bias.mul_(init_scale)

    def forward(self, video: Tensor, drops: Drops | None = None) -> Tensor:
        """Logits of clips.

        Args:
            video: float (B, 3, T, H, W), normalised with ImageNet's mean and standard deviation.
            drops: which clips take which branch (training); None in training draws them from torch's generator.

        Returns:
            (B, classes); while a teacher's features are learned (B, classes + D of the teacher).
        """
        if drops is None and self.training:
            drops = draw_drops(self, len(video), None)
        feature = self.features(video, None if drops is None else drops.keep_branches)
        if drops is not None and drops.keep_features is not None:
            feature = feature * (drops.keep_features.to(feature.device, feature.dtype) / (1 - self.head_dropout))
        if self.projection is None or not self.training:
            return self.head(feature)
        return torch.cat((self.head(feature), self.projection(feature)), dim=1)

    def features(self, video: Tensor, keep_branches: Tensor | None = None) -> Tensor:
        """What the last layer sees: (B, D), the normalised mean over all tokens, or what the attention takes of them."""
        if self.pool is not None:
            return self.fc_norm(self.pool(self._blocks_seen(video)))
        return self.fc_norm(self.tokens(video, keep_branches).mean(1))

    def tokens(self, video: Tensor, keep_branches: Tensor | None = None) -> Tensor:
        """(B, N, D): what the encoder makes of every token."""
        x = self.patch_embed(patchify(video, self.config)) + self.positions
        return run_blocks(self.blocks, x, keep_branches, self.checkpoint_activations)

    @torch.no_grad()
    def _blocks_seen(self, video: Tensor) -> list[Tensor]:
        """(B, N, D) of every block; the encoder is not learned."""
        x, seen = self.patch_embed(patchify(video, self.config)) + self.positions, []
        for block in self.blocks:
            x = block(x)
            seen.append(x)
        return seen


class LayerAttention(nn.Module):
    """The attentive probe: one learned query attends to the tokens of all blocks, which are mixed with learned weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        self.heads = config.heads
        self.mix = nn.Parameter(torch.zeros(config.depth))
        self.query = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, dim), std=0.02))
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """(B, N, D) of every block to (B, D)."""
        weights = self.layer_weights()
        x = torch.stack([w * F.layer_norm(y, y.shape[-1:]) for w, y in zip(weights, layers, strict=True)]).sum(0)
        kv = (self.query.expand(len(x), -1, -1), *self.kv(x).chunk(2, dim=-1))
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in kv)
        return self.proj(F.scaled_dot_product_attention(q.to(k.dtype), k, v).transpose(1, 2).flatten(1))

    def layer_weights(self) -> Tensor:
        """float (depth,), summing to 1: how much each block counts."""
        return self.mix.softmax(0)


@dataclass(frozen=True)
class Drops:
    """What one training step leaves out of a batch: drawn outside the model, so that it follows from the step's seed."""

    keep_branches: Tensor
    """bool (depth, 2, B): which clips take a block's attention and MLP branch."""
    keep_features: Tensor | None
    """bool (B, D): which features survive the dropout before the head; None without dropout."""

    def part(self, first: int, end: int) -> Drops:
        """The clips ``first <= i < end`` of the batch."""
        features = None if self.keep_features is None else self.keep_features[first:end]
        return Drops(self.keep_branches[:, :, first:end], features)

    def sent(self, send: Callable[[Tensor], Tensor], branches: bool) -> Drops:
        """On the device. ``branches`` False leaves those on the CPU, where the blocks look up which clips they compute."""
        features = None if self.keep_features is None else send(self.keep_features)
        return Drops(send(self.keep_branches) if branches else self.keep_branches, features)

    @classmethod
    def joined(cls, parts: Sequence[Drops]) -> Drops:
        """Of all clips of these, one after the other."""
        features = [part.keep_features for part in parts if part.keep_features is not None]
        return cls(torch.cat([part.keep_branches for part in parts], dim=2), torch.cat(features) if features else None)


def draw_drops(model: VideoClassifier, clips: int, generator: torch.Generator | None) -> Drops | None:
    """Draw stochastic depth and head dropout for ``clips`` clips; None where the model has neither."""
    if model.head_dropout == 0 and not any(block.drop_path for block in model.blocks):
        return None
    rates = torch.tensor([block.drop_path for block in model.blocks])
    keep = torch.rand(len(rates), 2, clips, generator=generator) >= rates[:, None, None]
    features = None
    if model.head_dropout:
        features = torch.rand(clips, model.config.embed_dim, generator=generator) >= model.head_dropout
    return Drops(keep, features)


def soft_target_loss(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy with targets that are distributions: mean over the batch of −Σ weight · target · log softmax(logits).

    Args:
        logits: (B, classes).
        target: float (B, classes).
        weights: float (classes,); None: all 1.
    """
    if weights is not None:
        target = target * weights
    return (-target * F.log_softmax(logits.float(), dim=-1)).sum(-1).mean()


def label_loss(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, where every label is told by itself: mean over the batch and the classes.

    Args:
        logits, target: (B, classes); a target of nan adds nothing, and the mean is over all places, so that it does not
            depend on how clips are put into batches.
        weights: float (classes,), of a yes beside a no; None: all 1.
    """
    known = ~target.isnan()
    losses = F.binary_cross_entropy_with_logits(
        logits.float(), target.nan_to_num(), pos_weight=weights, reduction="none"
    )
    return torch.where(known, losses, 0.0).mean()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
