"""The shapes of a model: sizes by name, and every count that follows from them. Needs no torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from tiktokactions.errors import UsageError

TOKEN_CHANNELS = 3


@dataclass(frozen=True)
class ModelConfig:
    """Encoder and decoder of one VideoMAE V2 model. Grid: ``frames/tubelet × height/patch × width/patch`` tokens.

    Raises:
        ValueError: sizes that do not divide; the message names them.
    """

    name: str
    embed_dim: int
    depth: int
    heads: int
    decoder_dim: int
    decoder_heads: int
    decoder_depth: int = 4
    mlp_ratio: float = 4.0
    """Width of the MLP over ``embed_dim``."""
    frames: int = 16
    height: int = 224
    width: int = 224
    tubelet: int = 2
    """Frames in a token."""
    patch: int = 16
    """Pixels on a token's side."""
    classes: int = 0
    """Outputs of the classifier; 0 for pre-training."""
    decoder_mlp_ratio: float | None = None
    """Of the decoder; None: as the encoder's, which is the reference's."""
    pooling: Literal["mean", "attention"] = "mean"
    """How a classifier makes one feature of the tokens; ``attention``: of all blocks, with weights that it learns."""
    target_dim: int | None = None
    """Numbers that the decoder predicts of a token, where these are another encoder's features; None: its pixels."""
    position_grid: tuple[int, int, int] | None = None
    """The grid whose table of positions is interpolated to this model's; None: the table is computed for its own."""

    def __post_init__(self) -> None:
        for name in ("embed_dim", "depth", "heads", "decoder_dim", "decoder_heads", "frames", "height", "width"):
            _expect(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        _expect(self.decoder_depth >= 0, "decoder_depth", self.decoder_depth, "0 or more")
        _expect(self.tubelet >= 1 and self.frames % self.tubelet == 0, "frames", self.frames, f"n × {self.tubelet}")
        for name in ("height", "width"):
            side = getattr(self, name)
            _expect(self.patch >= 1 and side % self.patch == 0, name, side, f"a multiple of the patch ({self.patch})")
        for name, heads in (("embed_dim", self.heads), ("decoder_dim", self.decoder_heads)):
            width = getattr(self, name)
            _expect(width % heads == 0, name, width, f"a multiple of {heads} heads")

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens in time, down and across."""
        return (self.frames // self.tubelet, self.height // self.patch, self.width // self.patch)

    @property
    def tokens(self) -> int:
        return math.prod(self.grid)

    @property
    def token_pixels(self) -> int:
        """Pixels in a token, channels not counted."""
        return self.tubelet * self.patch * self.patch

    @property
    def token_values(self) -> int:
        """Numbers in a token."""
        return TOKEN_CHANNELS * self.token_pixels

    @property
    def decoder_values(self) -> int:
        """What the decoder's head predicts of a token."""
        return self.token_values if self.target_dim is None else self.target_dim

    @property
    def mlp_dim(self) -> int:
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def decoder_mlp_dim(self) -> int:
        return int(self.decoder_dim * (self.decoder_mlp_ratio or self.mlp_ratio))


def _expect(holds: bool, name: str, got: object, expected: str) -> None:
    if not holds:
        raise UsageError(f"model {name}: got {got}, expected {expected}")


SIZES = {
    size.name: size
    for size in (
        ModelConfig("tiny", 192, 4, 3, 96, 3, decoder_depth=2, height=64, width=64),
        ModelConfig("vit-s", 384, 12, 6, 192, 3),
        ModelConfig("vit-b", 768, 12, 12, 384, 6),
        ModelConfig("vit-l", 1024, 24, 16, 512, 8),
        ModelConfig("vit-h", 1280, 32, 16, 512, 8),
        ModelConfig("vit-g", 1408, 40, 16, 512, 8, mlp_ratio=48 / 11, patch=14),
    )
}
"""The sizes of VideoMAE V2 (the paper's is vit-b) and ``tiny``, which learns on a CPU in minutes."""


def model_config(
    name: str | ModelConfig = "vit-b",
    *,
    image_size: int | tuple[int, int] | None = None,
    frames: int | None = None,
    tubelet: int | None = None,
    patch: int | None = None,
    decoder_depth: int | None = None,
    classes: int | None = None,
) -> ModelConfig:
    """A size by its name, or a given model, with another geometry where one is given.

    ``image_size`` is a side or (height, width).

    Raises:
        ValueError: unknown name, or sizes that do not divide.
    """
    if isinstance(name, str) and name not in SIZES:
        raise UsageError(f"model: got {name!r}, expected one of {', '.join(SIZES)}")
    config = SIZES[name] if isinstance(name, str) else name
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size or (None, None)
    given = {"height": height, "width": width, "frames": frames, "tubelet": tubelet, "patch": patch}
    given |= {"decoder_depth": decoder_depth, "classes": classes}
    return dataclasses.replace(config, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
