"""AdamW with the reference's settings: which weights decay, how fast each layer learns, and the rate at every step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypedDict

import torch
from torch import Tensor, nn

from tiktokactions.errors import UsageError
from tiktokactions.model.options import LR_BATCH

ADAM_EPS = 1e-8
NEVER_DECAYED = {"pos_embed", "cls_token", "mask_token"}


def scaled_lr(base_lr: float, batch: int) -> float:
    """The reference's rule: base × batch / 256; the batch counts videos of all processes, not copies of them."""
    return base_lr * batch / LR_BATCH


def schedule(
    lr: float, min_lr: float, *, epochs: int, steps_per_epoch: int, warmup_epochs: float = 0, warmup_lr: float = 0.0
) -> list[float]:
    """The learning rate of every optimizer step: a linear warm-up, then half a cosine that ends just above ``min_lr``.

    Raises:
        ValueError: a warm-up longer than the training.
    """
    warmup = int(warmup_epochs * steps_per_epoch)
    left = epochs * steps_per_epoch - warmup
    if left < 0:
        raise UsageError(f"`warmup_epochs`: got {warmup_epochs:g}, expected at most `epochs` ({epochs})")
    # The warm-up includes both ends: its last step already runs at the full rate.
    rising = [warmup_lr + (lr - warmup_lr) * i / (warmup - 1) if warmup > 1 else warmup_lr for i in range(warmup)]
    return rising + [min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * i / left)) for i in range(left)]


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: not to vectors (biases, norms) and not to tokens and positions."""
    return parameter.ndim > 1 and not name.endswith((".bias", ".scale")) and name not in NEVER_DECAYED


def layer_number(name: str, depth: int) -> int:
    """0 for the embeddings, i + 1 for block i, depth + 1 for what comes after."""
    if name.startswith("patch_embed") or name in NEVER_DECAYED:
        return 0
    if name.startswith("blocks."):
        return int(name.split(".")[1]) + 1
    return depth + 1


class Group(TypedDict):
    """Parameters that are updated alike, as torch's optimizers take them."""

    params: list[nn.Parameter]
    names: list[str]
    weight_decay: float
    lr_scale: float
    """Of the learning rate."""


def parameter_groups(
    model: nn.Module, weight_decay: float, *, layer_decay: float = 1.0, depth: int | None = None
) -> list[Group]:
    """Groups for an optimizer, one for each pair of layer and weight decay.

    Args:
        layer_decay: a layer's rate is ``layer_decay ** (depth + 1 - layer_number)`` of the full one; 1 leaves all alike.
        depth: number of blocks; needed where ``layer_decay`` is not 1.

    Returns:
        the groups; frozen parameters are in none of them.
    """
    if layer_decay != 1 and depth is None:
        raise ValueError("parameter_groups: layer_decay needs the depth of the model")
    groups: dict[tuple[int, float], Group] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = 0 if layer_decay == 1 or depth is None else layer_number(name, depth)
        scale = 1.0 if layer_decay == 1 or depth is None else layer_decay ** (depth + 1 - layer)
        decay = weight_decay if decays(name, parameter) else 0.0
        group = groups.setdefault((layer, decay), {"params": [], "names": [], "weight_decay": decay, "lr_scale": scale})
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def adamw(groups: list[Group], betas: tuple[float, float]) -> torch.optim.AdamW:
    """AdamW in one fused kernel, on CUDA and on the CPU; the rate is set before every step."""
    return torch.optim.AdamW([dict(group) for group in groups], lr=0.0, betas=betas, eps=ADAM_EPS, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


@torch.no_grad()
def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Global L2 norm of all gradients."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


class AverageWeights:
    """Exponential moving average of a model's weights, kept in float32."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone().float() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        for name, tensor in model.state_dict().items():
            self.tensors[name].lerp_(tensor.detach().float(), 1 - self.decay)
