"""The official state dict of VideoMAE and VideoMAE V2: its names, its shapes, and the model that they belong to.

Pre-training has ``encoder.*``, ``encoder_to_decoder.weight``, ``mask_token`` and ``decoder.*``; the classifier has the
encoder's names without their prefix, ``fc_norm.*`` and ``head.*``. Position tables are computed; stored sines are dropped.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from tiktokactions.model.config import SIZES, ModelConfig, model_config
from tiktokactions.model.tensor_files import Tensors, WeightsError
from tiktokactions.model.vit import sine_positions

Kind = Literal["pretrain", "finetune", "encoder"]
"""Encoder and decoder; encoder and classifier; the encoder alone."""
Shapes = dict[str, tuple[int, ...]]

_WRAPPERS = ("module.", "backbone.", "_orig_mod.")
_MMACTION = {
    "patch_embed.projection.": "patch_embed.proj.",
    "mlp.layers.0.0.": "mlp.fc1.",
    "mlp.layers.1.": "mlp.fc2.",
    "cls_head.fc_cls.": "head.",
}
"""Names of MMAction2, and ours."""
_UNSUPPORTED = {
    "gamma_1": "LayerScale",
    "gamma_2": "LayerScale",
    "cls_token": "a class token",
    "scale": "cosine attention",
    "logit_scale": "cosine attention",
    "relative_position_bias_table": "relative positions",
}
_DECODER_HEADS = {size.decoder_dim: size.decoder_heads for size in SIZES.values()} | {640: 8}
"""By width; 640 is the huge model of the first VideoMAE."""


def official_names(tensors: Mapping[str, Tensor], source: str) -> Tensors:
    """Weights as float32 by official names, whatever wrapped them: torch.compile, DDP, deepspeed, a ``backbone``, the
    attribute of a Lightning module or of a model on the hub; names of MMAction2 are translated.

    What lies beside such an attribute (weights of a loss, numbers of a metric) is left out, but a head is not. Names of
    pre-training keep ``encoder.``; where there is no decoder it is taken off. Position tables are left out.

    Raises:
        WeightsError: parts that this model does not have (LayerScale, class tokens …), two names that become one, or
            numbers that are not floating point.
    """
    renamed: Tensors = {}
    holder = _holder_of(tensors, source)
    for name, tensor in tensors.items():
        if not _unwrapped(name).startswith((holder, "head.", "fc_norm.")):
            continue  # of a loss or a metric beside the model
        plain = _unwrapped(_unwrapped(name).removeprefix(holder))
        if plain in renamed:
            raise WeightsError(
                f"{source}: {name} stands for {plain}, which the file has already; expected each name once"
            )
        if not tensor.is_floating_point():
            raise WeightsError(f"{source}: {name}: got {tensor.dtype}, expected floating-point numbers")
        renamed[plain] = tensor
    found = {name: _UNSUPPORTED[name.rpartition(".")[2]] for name in renamed if name.rpartition(".")[2] in _UNSUPPORTED}
    if found:
        raise WeightsError(
            f"{source}: these weights have {' and '.join(sorted(set(found.values())))} ({', '.join(found)}), which is not "
            "supported: VideoMAE V2 was published without. Use other weights."
        )
    if kind_of(renamed) != "pretrain":
        renamed = {name.removeprefix("encoder."): tensor for name, tensor in renamed.items()}
    kept: Tensors = {}
    for name, tensor in renamed.items():
        if name.rpartition(".")[2] == "pos_embed":
            expect_sines(name, tensor, source)
            continue
        if name.startswith("projection."):  # of a distillation that goes on
            continue
        is_image = name.endswith("patch_embed.proj.weight") and tensor.ndim == 4  # of pictures: a token has one frame
        kept[name] = (tensor[:, :, None] if is_image else tensor).detach().to(torch.float32)
    return kept


def expect_sines(name: str, table: Tensor, source: str) -> None:
    """Raises :class:`WeightsError` for positions that were learned: our models compute theirs."""
    sines = sine_positions(*table.shape[-2:])
    close = 1e-4 if table.dtype in (torch.float32, torch.float64) else 1e-2
    if not torch.allclose(table.detach().float().reshape(-1, *table.shape[-2:]).cpu(), sines, rtol=0, atol=close):
        raise WeightsError(
            f"{source}: {name}: these positions were learned, which is not supported: VideoMAE V2 was published with"
            " sines. Use weights that were trained with sines."
        )


def expect_exportable(config: ModelConfig, where: str) -> None:
    """Raises :class:`WeightsError` for a model that no other program has: interpolated positions, an attentive probe."""
    if config.target_dim is not None:
        raise WeightsError(
            f"{where}: this decoder predicts features, which other programs do not; fine-tune it to export"
        )
    if config.pooling != "mean":
        raise WeightsError(f"{where}: other programs do not have the attentive probe; export what it was begun with")
    if config.position_grid not in (None, config.grid):
        raise WeightsError(
            f"{where}: the positions of this model are interpolated from a grid of {config.position_grid}, and other"
            " programs compute their own; train with `positions` 'sines' to export"
        )


def _unwrapped(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    name = name.replace("._orig_mod.", ".")  # parts of a model can be compiled too
    for theirs, ours in _MMACTION.items():
        name = name.replace(theirs, ours)
    return name


def _holder_of(names: Iterable[str], source: str) -> str:
    """What stands before all names of the model, because it is an attribute of something: ``model.``, ``net.encoder.`` …"""
    plain = (_unwrapped(name).partition("patch_embed.proj.") for name in names if "patch_embed.proj" in name)
    found = sorted({before.removesuffix("encoder.") for before, _, _ in plain})
    if len(found) > 1:
        raise WeightsError(
            f"{source}: holds several models ({', '.join(map(repr, found))}); save the weights of one alone"
        )
    return found[0] if found else ""


def kind_of(names: Iterable[str]) -> Kind:
    """What a state dict is, by its official names."""
    names = set(names)
    if names & {"mask_token", "encoder_to_decoder.weight"} or any(name.startswith("decoder.") for name in names):
        return "pretrain"
    return "finetune" if "head.weight" in names else "encoder"


def official_shapes(config: ModelConfig, kind: Kind) -> Shapes:
    """Every name of a complete state dict and its shape; ``encoder`` without a last norm, ``finetune`` with a head."""
    prefix = "encoder." if kind == "pretrain" else ""
    kernel = (config.embed_dim, 3, config.tubelet, config.patch, config.patch)
    shapes: Shapes = {f"{prefix}patch_embed.proj.weight": kernel, f"{prefix}patch_embed.proj.bias": (config.embed_dim,)}
    for index in range(config.depth):
        shapes |= _block_shapes(f"{prefix}blocks.{index}.", config.embed_dim, config.mlp_dim)
    if kind == "finetune":
        dim = config.embed_dim
        if config.pooling == "attention":
            shapes |= {"pool.mix": (config.depth,), "pool.query": (1, 1, dim)}
            shapes |= _linear("pool.kv", 2 * dim, dim) | _linear("pool.proj", dim, dim)
        return shapes | _norm("fc_norm", dim) | _linear("head", config.classes, dim)
    if kind == "encoder":
        return shapes
    dim = config.decoder_dim
    for index in range(config.decoder_depth):
        shapes |= _block_shapes(f"decoder.blocks.{index}.", dim, config.decoder_mlp_dim)
    shapes |= _norm("encoder.norm", config.embed_dim) | _norm("decoder.norm", dim)
    shapes |= _linear("decoder.head", config.decoder_values, dim)
    return shapes | {"encoder_to_decoder.weight": (dim, config.embed_dim), "mask_token": (1, 1, dim)}


def _block_shapes(prefix: str, dim: int, mlp_dim: int) -> Shapes:
    attention: Shapes = {"attn.q_bias": (dim,), "attn.v_bias": (dim,), "attn.qkv.weight": (3 * dim, dim)}
    shapes = _norm("norm1", dim) | attention | _linear("attn.proj", dim, dim)
    shapes |= _norm("norm2", dim) | _linear("mlp.fc1", mlp_dim, dim) | _linear("mlp.fc2", dim, mlp_dim)
    return {prefix + name: shape for name, shape in shapes.items()}


def _norm(name: str, dim: int) -> Shapes:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def _linear(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


# --- do they fit? --------------------------------------------------------------------------------------------------


def expect_shapes(
    tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], what: str, advice: str
) -> None:
    """Raises :class:`WeightsError` naming every tensor that is missing, not known, or of another shape."""
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    other = [name for name in expected if name in tensors and tuple(tensors[name].shape) != tuple(expected[name])]
    if not (missing or unknown or other):
        return
    lines = [f"{what}: these weights do not fit. {advice}"]
    lines += [f"  expected, but not there: {name} {tuple(expected[name])}" for name in missing]
    lines += [f"  there, but not expected: {name} {tuple(tensors[name].shape)}" for name in unknown]
    lines += [f"  {name}: got {tuple(tensors[name].shape)}, expected {tuple(expected[name])}" for name in other]
    raise WeightsError("\n".join(lines))


def measures(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """What the shapes tell of the model, by the names of :class:`ModelConfig` (and ``mlp_dim``); no more than is there."""
    prefix = "encoder." if kind_of(tensors) == "pretrain" else ""
    found: dict[str, int] = {}
    patches = tensors.get(f"{prefix}patch_embed.proj.weight")
    if patches is not None and patches.ndim == 5:
        found |= {"embed_dim": patches.shape[0], "tubelet": patches.shape[2], "patch": patches.shape[3]}
    found["depth"] = _count_blocks(tensors, f"{prefix}blocks.")
    first = tensors.get(f"{prefix}blocks.0.mlp.fc1.weight")
    if first is not None and first.ndim == 2:
        found["mlp_dim"] = first.shape[0]
    bridge, head = tensors.get("encoder_to_decoder.weight"), tensors.get("head.weight")
    if bridge is not None and bridge.ndim == 2:
        found |= {"decoder_dim": bridge.shape[0], "decoder_depth": _count_blocks(tensors, "decoder.blocks.")}
    second = tensors.get("decoder.blocks.0.mlp.fc1.weight")
    if second is not None and second.ndim == 2:
        found["decoder_mlp_dim"] = second.shape[0]
    if head is not None:
        found["classes"] = head.shape[0]
    return found


def _count_blocks(names: Iterable[str], prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return 1 + max((int(match[1]) for match in map(pattern.match, names) if match), default=-1)


def differences(tensors: Mapping[str, Tensor], config: ModelConfig) -> str:
    """How the model of some weights differs from ``config``, in words; empty where the shapes tell no difference."""
    expected = {name: getattr(config, name) for name in ("embed_dim", "depth", "patch", "tubelet", "mlp_dim")}
    got = measures(tensors)
    if "decoder_dim" in got:
        names = ("decoder_dim", "decoder_depth", "decoder_mlp_dim")
        expected |= {name: getattr(config, name) for name in names}
    return ", ".join(f"{k}: got {got[k]}, expected {v}" for k, v in expected.items() if k in got and got[k] != v)


# --- which model do they belong to? --------------------------------------------------------------------------------


def config_of(
    tensors: Mapping[str, Tensor],
    *,
    frames: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    heads: int | None = None,
    decoder_heads: int | None = None,
    source: str = "weights",
) -> ModelConfig:
    """The model that official weights belong to, from the shapes of its tensors.

    Shapes tell neither the number of heads, which is the published one of each width unless given, nor the clip's
    size, which is the published 16 × 224 × 224 (``tiny``: 16 × 64 × 64) unless given.

    Raises:
        WeightsError: an unknown width and no ``heads``, tensors that are not of one such model, or a size that does not
            divide.
    """
    official = official_names(tensors, source)
    got = measures(official)
    if not {"embed_dim", "mlp_dim"} <= set(got):
        raise WeightsError(
            f"{source}: expected patch_embed.proj.weight and blocks.0.mlp.fc1.weight (with or without 'encoder.'), the "
            f"tensors of VideoMAE, got {', '.join(list(official)[:5]) or 'nothing'} …"
        )
    base = next((size for size in SIZES.values() if size.embed_dim == got["embed_dim"]), None)
    heads = heads or (base.heads if base else None)
    if heads is None:
        raise WeightsError(
            f"{source}: width {got['embed_dim']} is none of the published sizes; give its number of heads"
        )
    decoder_dim, decoder_heads = _decoder_of(got, base, heads, decoder_heads, source)
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size or (None, None)
    ratio = mlp_ratio(got["embed_dim"], got["mlp_dim"])
    try:
        return named(
            ModelConfig(
                name="custom",
                embed_dim=got["embed_dim"],
                depth=got["depth"],
                tubelet=got["tubelet"],
                patch=got["patch"],
                heads=heads,
                decoder_dim=decoder_dim,
                decoder_heads=decoder_heads,
                decoder_depth=got.get("decoder_depth", base.decoder_depth if base else 4),
                mlp_ratio=ratio,
                decoder_mlp_ratio=decoder_mlp_ratio(ratio, decoder_dim, got.get("decoder_mlp_dim")),
                frames=frames or 16,
                height=height or (base.height if base else 224),
                width=width or (base.width if base else 224),
                classes=got.get("classes", 0),
            )
        )
    except ValueError as error:
        raise WeightsError(f"{source}: {error}; give frames and image_size as the model was trained with") from error


def _decoder_of(
    got: dict[str, int], base: ModelConfig | None, heads: int, decoder_heads: int | None, source: str
) -> tuple[int, int]:
    """Width and heads of the decoder; without one in the weights the published, or one of half the encoder's heads."""
    if "decoder_dim" not in got:
        halves = max(1, heads // 2)
        return (base.decoder_dim, base.decoder_heads) if base else (got["embed_dim"] // heads * halves, halves)
    dim = got["decoder_dim"]
    known = decoder_heads or _DECODER_HEADS.get(dim)
    if known is None:
        raise WeightsError(f"{source}: a decoder of width {dim} is none of the published; give its number of heads")
    return dim, known


def mlp_ratio(embed_dim: int, mlp_dim: int) -> float:
    """The ratio for which ``int(embed_dim * ratio)`` is exactly ``mlp_dim``."""
    ratio = mlp_dim / embed_dim
    return ratio if int(embed_dim * ratio) == mlp_dim else math.nextafter(ratio, math.inf)


def decoder_mlp_ratio(ratio: float, decoder_dim: int, mlp_dim: int | None) -> float | None:
    """The decoder's own ratio; None where it is the encoder's, ``ratio``, or there is no decoder."""
    return None if mlp_dim in (None, int(decoder_dim * ratio)) else mlp_ratio(decoder_dim, mlp_dim or 0)


def named(config: ModelConfig) -> ModelConfig:
    """The same with the name of the published size that has this encoder; else ``custom``."""
    for name in SIZES:
        published = model_config(name)
        if all(getattr(config, key) == getattr(published, key) for key in ("embed_dim", "depth", "heads", "mlp_dim")):
            return dataclasses.replace(config, name=name)
    return dataclasses.replace(config, name="custom")
