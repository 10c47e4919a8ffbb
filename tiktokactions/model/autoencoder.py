"""Pre-training of VideoMAE V2 (dual masking): hide most tokens, encode the rest, reconstruct half of what is hidden.

Shapes: B clips, N tokens of the grid, V visible ones, K decoded ones, D encoder and E decoder channels.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from tiktokactions.model.config import TOKEN_CHANNELS, ModelConfig
from tiktokactions.model.vit import NORM_EPS, PatchEmbedding, make_blocks, patchify, positions_of, run_blocks

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def pretraining_model(config: ModelConfig) -> MaskedAutoencoder:
    """A freshly initialised model for pre-training, with the official state-dict keys."""
    return MaskedAutoencoder(config)


class MaskedAutoencoder(nn.Module):
    """Encoder over visible tokens, a narrow decoder over visible and mask tokens."""

    decoder_positions: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.mask_token = nn.Parameter(torch.empty(1, 1, config.decoder_dim))
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.encoder_to_decoder = nn.Linear(config.embed_dim, config.decoder_dim, bias=False)
        self.register_buffer("decoder_positions", positions_of(config, config.decoder_dim), persistent=False)
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.02, b=0.02)
        self.checkpoint_activations = False

    def forward(self, video: Tensor, encoder_mask: Tensor, decoder_mask: Tensor | None = None) -> Tensor:
        """Reconstruct the decoded tokens.

        Args:
            video: float (B, 3, T, H, W), normalised with ImageNet's mean and standard deviation.
            encoder_mask: bool (B, N), True = hidden from the encoder; as many in every clip. Or int64 (B, V), the numbers of
                the visible tokens: of these a compiled model is one graph, and no GPU is waited for.
            decoder_mask: bool (B, N), True = not decoded; None decodes what is hidden. Or int64 (B, K), those decoded.

        Returns:
            (B, K, t·p·p·3), in the order of the tokens; within a token the channel runs fastest.

        Raises:
            ValueError: clips or masks of another shape, or masks that differ in number between clips.
        """
        visible = kept_tokens(encoder_mask, self.config).to(video.device)
        decoded = kept_tokens(~encoder_mask if decoder_mask is None else decoder_mask, self.config).to(video.device)
        encoded = self.encoder(patchify(video, self.config), visible, self.checkpoint_activations)
        seen = self.encoder_to_decoder(encoded) + self.decoder_positions[visible]
        asked = self.mask_token + self.decoder_positions[decoded]
        # (B, V + K, E): a visible token that is also decoded occurs twice
        x = torch.cat((seen, asked.to(seen.dtype)), dim=1)
        return self.decoder(x, decoded.shape[1], self.checkpoint_activations)


class Encoder(nn.Module):
    positions: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config, config.embed_dim)
        self.blocks = make_blocks(config.embed_dim, config.depth, config.heads, config.mlp_dim)
        self.norm = nn.LayerNorm(config.embed_dim, eps=NORM_EPS)
        self.register_buffer("positions", positions_of(config, config.embed_dim), persistent=False)
        self.apply(_initialise)

    def forward(self, patches: Tensor, visible: Tensor, checkpoint_activations: bool = False) -> Tensor:
        """Pixels (B, N, 3·t·p·p) and numbers (B, V) of the visible tokens to (B, V, D)."""
        x = self.patch_embed(take_tokens(patches, visible)) + self.positions[visible]
        return self.norm(run_blocks(self.blocks, x, None, checkpoint_activations))


class Decoder(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.decoder_dim
        self.blocks = make_blocks(dim, config.decoder_depth, config.decoder_heads, config.decoder_mlp_dim)
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.head = nn.Linear(dim, config.decoder_values)
        self.apply(_initialise)

    def forward(self, x: Tensor, decoded: int, checkpoint_activations: bool = False) -> Tensor:
        """(B, V + K, E) to (B, K, t·p·p·3): only the last K tokens are reconstructed."""
        # The final block skips the other tokens, whose outputs would be thrown away.
        x = run_blocks(self.blocks, x, None, checkpoint_activations, last=decoded)
        return self.head(self.norm(x[:, -decoded:]))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


# --- tokens --------------------------------------------------------------------------------------------------------


def kept_tokens(mask: Tensor, config: ModelConfig) -> Tensor:
    """The numbers of the tokens where a mask (B, N) is False: int64 (B, kept), rising. Numbers are left as they are.

    Raises:
        ValueError: a mask of another shape, or clips that keep different numbers of tokens.
    """
    if mask.dtype == torch.int64:
        return mask
    if mask.ndim != 2 or mask.shape[1] != config.tokens or mask.dtype != torch.bool:
        raise ValueError(f"mask: got {mask.dtype} {tuple(mask.shape)}, expected bool (clips, {config.tokens})")
    kept = (~mask).sum(1)
    if not bool((kept == kept[0]).all()):
        raise ValueError(f"mask: got {kept.tolist()} tokens kept, expected as many in every clip")
    return (~mask).nonzero()[:, 1].view(len(mask), int(kept[0]))


def take_tokens(tokens: Tensor, numbers: Tensor) -> Tensor:
    """(B, N, C) and (B, n) to (B, n, C)."""
    return tokens.gather(1, numbers[:, :, None].expand(-1, -1, tokens.shape[2]))


# --- target and loss -----------------------------------------------------------------------------------------------


def reconstruction_target(video: Tensor, decoder_mask: Tensor, config: ModelConfig, normalise: bool = True) -> Tensor:
    """What the decoded tokens should become.

    Args:
        video: float (B, 3, T, H, W), normalised with ImageNet's mean and standard deviation.
        decoder_mask: bool (B, N), True = not decoded; or int64 (B, K), the numbers of those decoded.
        normalise: every token and channel to mean 0 and variance 1 over its pixels (a constant one to 0).

    Returns:
        float32 (B, K, t·p·p·3), channel fastest: the output of :class:`MaskedAutoencoder`.
    """
    decoded = kept_tokens(decoder_mask, config).to(video.device)
    patches = take_tokens(patchify(video.float(), config), decoded)
    b, k, _ = patches.shape
    pixels = patches.view(b, k, TOKEN_CHANNELS, config.token_pixels)
    mean, std = imagenet_moments(video.device)
    pixels = pixels * std + mean  # back to [0, 1]
    if normalise:
        variance, centre = torch.var_mean(pixels, dim=-1, keepdim=True)
        pixels = (pixels - centre) / (variance.sqrt() + 1e-6)
    return pixels.transpose(2, 3).reshape(b, k, config.token_values)


@lru_cache
def imagenet_moments(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of pixels from 0 to 1, (3, 1) each; made once, since a copy to a GPU waits for it."""
    with torch.inference_mode(False):
        mean, std = (torch.tensor(v, device=device)[:, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    return mean, std


def reconstruction_loss(output: Tensor, target: Tensor, supervised: Tensor) -> Tensor:
    """Mean squared error over the tokens that are decoded and were hidden.

    Args:
        output, target: (B, K, t·p·p·3).
        supervised: bool (B, K), see :func:`supervised_tokens`.
    """
    weight = supervised.to(output.device, torch.float32)
    per_token = (output.float() - target).square().mean(-1)
    return (per_token * weight).sum() / weight.sum()


def supervised_tokens(encoder_mask: Tensor, decoder_mask: Tensor, config: ModelConfig) -> Tensor:
    """bool (B, K): which of the decoded tokens were hidden from the encoder."""
    return encoder_mask.gather(1, kept_tokens(decoder_mask, config))
