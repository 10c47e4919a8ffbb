"""The video transformer that encoder, decoder and classifier share (VideoMAE V2; spec names, official state-dict keys).

Shapes: B clips, N tokens, D channels, T × H × W pixels; (T', H', W') is the grid of tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name for it)
from torch.utils.checkpoint import checkpoint

from tiktokactions.model.config import ModelConfig

NORM_EPS = 1e-6
"""Of every layer norm; transformers' default differs (1e-12)."""


def patchify(video: Tensor, config: ModelConfig) -> Tensor:
    """Cut clips into tokens.

    Args:
        video: (B, 3, T, H, W).

    Returns:
        (B, N, 3·t·p·p): every token's pixels, channel slowest, as the patch embedding's weight has them.

    Raises:
        ValueError: another number of channels, frames or pixels than the model was made for.
    """
    expected = (3, config.frames, config.height, config.width)
    if tuple(video.shape[1:]) != expected:
        raise ValueError(f"clip: got (channels, frames, height, width) = {tuple(video.shape[1:])}, expected {expected}")
    (slots, rows, columns), t, p = config.grid, config.tubelet, config.patch
    x = video.reshape(len(video), 3, slots, t, rows, p, columns, p)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(len(video), config.tokens, config.token_values)


def sine_positions(tokens: int, dim: int) -> Tensor:
    """Fixed sines over the flattened token number: column j has angle n / 10000^(2⌊j/2⌋/D); even sine, odd cosine.

    Returns:
        float32 (N, D), computed in float64.
    """
    column = torch.arange(dim, dtype=torch.float64)
    frequency = torch.pow(10000.0, -2 * torch.floor(column / 2) / dim)
    angle = torch.arange(tokens, dtype=torch.float64)[:, None] * frequency
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def positions_of(config: ModelConfig, dim: int) -> Tensor:
    """The table of a model: float32 (N, D). Of another grid than its own, bicubic in space and then linear in time.

    Sines count tokens along the rows, so that a table computed for another size gives a place other numbers than the
    weights have learned.
    """
    if config.position_grid is None or config.position_grid == config.grid:
        return sine_positions(config.tokens, dim)
    slots, rows, columns = config.grid
    table = sine_positions(math.prod(config.position_grid), dim).view(*config.position_grid, dim)
    spread = F.interpolate(table.permute(0, 3, 1, 2), (rows, columns), mode="bicubic")  # (slots, D, rows, columns)
    over_time = F.interpolate(spread.permute(2, 3, 1, 0).flatten(0, 1), slots, mode="linear")  # (places, D, slots)
    return over_time.permute(2, 0, 1).reshape(config.tokens, dim)


class PatchEmbedding(nn.Module):
    """A convolution whose stride is its kernel: one matrix product per token, so only the tokens asked for are made."""

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__()
        kernel = (config.tubelet, config.patch, config.patch)
        self.proj = nn.Conv3d(3, dim, kernel_size=kernel, stride=kernel)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, n, 3·t·p·p) pixels of tokens, as :func:`patchify` cuts them, to (B, n, D)."""
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class Attention(nn.Module):
    """Multi-head self-attention; queries and values have a bias, keys have none."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, last: int | None = None) -> Tensor:
        """(B, N, D) to (B, N, D). With ``last``, only the last ``last`` tokens are queries: (B, last, D)."""
        d = x.shape[2]
        bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        # Split along the channels: the gradients of the parts then meet in one copy, without a permutation after it.
        if last is None:
            q, k, v = F.linear(x, self.qkv.weight, bias).split(d, dim=2)
        else:
            q = F.linear(x[:, -last:], self.qkv.weight[:d], self.q_bias)
            k, v = F.linear(x, self.qkv.weight[d:], bias[d:]).split(d, dim=2)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))  # (B, heads, N, D/heads)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """``x += attention(norm1(x)); x += mlp(norm2(x))``, where a clip can skip either branch (stochastic depth)."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, mlp_dim)
        self.drop_path = drop_path
        self.skip_dropped = True
        """Leave dropped clips out of the computation; False keeps shapes fixed, as torch.compile likes them."""

    def forward(self, x: Tensor, keep: Tensor | None = None, last: int | None = None) -> Tensor:
        """(B, N, D) to (B, N, D).

        Args:
            keep: bool (2, B), which clips take the attention and the MLP branch; None: all.
            last: compute only this many tokens, the last ones: (B, last, D). They still attend to every token.
        """
        if last is not None:
            x = x[:, -last:] + self.attn(self.norm1(x), last)
            return x + self.mlp(self.norm2(x))
        x = self._add(x, self.norm1, self.attn, None if keep is None else keep[0])
        return self._add(x, self.norm2, self.mlp, None if keep is None else keep[1])

    def _add(self, x: Tensor, norm: nn.Module, branch: nn.Module, keep: Tensor | None) -> Tensor:
        if keep is None or self.drop_path == 0:
            return x + branch(norm(x))
        survivors = 1 / (1 - self.drop_path)
        if not self.skip_dropped:
            return x + branch(norm(x)) * (keep.to(x.device, x.dtype) * survivors)[:, None, None]
        kept = keep.nonzero()[:, 0]  # on the CPU, where these numbers are drawn
        if x.is_cuda:
            kept = kept.pin_memory()
        kept = kept.to(x.device, non_blocking=True)
        if len(kept) == len(x):
            return x + branch(norm(x)) * survivors
        if len(kept) == 0:
            return x + _zero_touching((*norm.parameters(), *branch.parameters())).to(x.dtype)
        added = branch(norm(x[kept])) * survivors
        return x.index_add(0, kept, added.to(x.dtype))


def _zero_touching(parameters: Iterable[nn.Parameter]) -> Tensor:
    """A zero that depends on all parameters: their gradient is then zero and not absent, as with no clip left out.

    Without a gradient they would escape weight decay and momentum, and DDP would wait forever.
    """
    return torch.stack([p.sum() * 0 for p in parameters]).sum()


def run_blocks(
    blocks: nn.ModuleList, x: Tensor, keep: Tensor | None, checkpoint_activations: bool, last: int | None = None
) -> Tensor:
    """``x`` (B, N, D) through all blocks. ``keep``: bool (depth, 2, B); ``last``: of the final block; see :class:`Block`."""
    for index, block in enumerate(blocks):
        kept = None if keep is None else keep[index]
        # A hook on the final block must see all of its tokens.
        computed = last if index == len(blocks) - 1 and not block._forward_hooks else None
        if checkpoint_activations and torch.is_grad_enabled():
            x = checkpoint(block, x, kept, computed, use_reentrant=False)
        else:
            x = block(x, kept, computed)
    return x


def make_blocks(dim: int, depth: int, heads: int, mlp_dim: int, drop_path: float = 0.0) -> nn.ModuleList:
    """Blocks whose drop-path rate rises linearly from 0 to ``drop_path``."""
    rates = torch.linspace(0, drop_path, depth, device="cpu").tolist()
    return nn.ModuleList(Block(dim, heads, mlp_dim, rate) for rate in rates)
