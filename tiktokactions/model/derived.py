"""Every number that follows from the options of a training, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from tiktokactions.errors import UsageError
from tiktokactions.model.autoencoder import MaskedAutoencoder
from tiktokactions.model.classification import VideoClassifier
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.optim import scaled_lr
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.run import Derived


class TooFewClipsError(UsageError):
    """Fewer clips than one step needs."""


def steps_per_epoch(clips: int, options: PretrainOptions | FinetuneOptions, processes: int) -> int:
    """Optimizer steps in an epoch; clips that do not fill the last one wait for the next epoch's order.

    Raises:
        TooFewClipsError: not even one step.
    """
    wanted = options.batch_size * options.accumulate * processes
    if clips < wanted:
        factors = {"batches": options.accumulate, "processes": processes}
        times = "".join(f" × {number} {of}" for of, number in factors.items() if number > 1)
        raise TooFewClipsError(
            f"{clips} clips, fewer than one step takes (`batch_size` {options.batch_size}{times});"
            f" choose `batch_size` {max(1, clips // (options.accumulate * processes))} or smaller"
        )
    return clips // wanted


def derived_numbers(
    model: MaskedAutoencoder | VideoClassifier,
    options: PretrainOptions | FinetuneOptions,
    clips: int,
    processes: int,
    *masks: Tensor,
    **more: int,
) -> Derived:
    """Every number that follows from the options.

    Args:
        masks: what the model takes beside one clip.
        more: numbers that only one kind of training has.
    """
    is_probe = isinstance(options, FinetuneOptions) and options.linear_probe
    per_epoch = 0 if is_probe else steps_per_epoch(clips, options, processes)
    batch = options.batch_size * options.accumulate * processes
    return Derived(
        processes=processes,
        videos_per_step=batch,
        clips_per_step=batch * options.num_samples,
        steps_per_epoch=per_epoch,
        steps=per_epoch * options.epochs,
        warmup_steps=int(options.warmup * per_epoch),
        lr=scaled_lr(options.base_lr, batch),
        min_lr=scaled_lr(options.min_lr, batch),
        tokens=model.config.tokens,
        parameters=sum(p.numel() for p in model.parameters()),
        flop_per_clip=flop_per_clip(model, *masks),
        **more,
    )


@torch.no_grad()
def flop_per_clip(model: MaskedAutoencoder | VideoClassifier, *masks: Tensor) -> int:
    """Operations of the model's matrix products for one clip: of the forward pass, and twice as many of the backward one.

    Nothing is computed: they follow from shapes.
    """
    config, was_training = model.config, model.training
    video = torch.empty(1, 3, config.frames, config.height, config.width, device="meta")
    weights = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    with FlopCounterMode(display=False) as counter:
        functional_call(model.eval(), weights, (video, *masks))
    model.train(was_training)
    return 3 * counter.get_total_flops()


def described(derived: Derived, config: ModelConfig, machine: Hardware) -> Iterator[str]:
    """The derived numbers in sentences."""
    classes = f" {derived.classes} classes," if derived.classes else ""
    yield (
        f"{config.name}: {derived.parameters:,} parameters,{classes} clips of {config.frames} × {config.height} ×"
        f" {config.width} ({derived.tokens} tokens), on {machine.describe()}"
    )
    if derived.visible_tokens:
        yield (
            f"{derived.visible_tokens} tokens are seen by the encoder, {derived.decoded_tokens} are decoded;"
            f" {derived.supervised_tokens} of those were hidden and count in the loss"
        )
    if derived.steps:
        first = f", {derived.first_layer_lr:.3g} in the first layer" if derived.first_layer_lr else ""
        yield (
            f"{derived.steps:,} steps ({derived.steps_per_epoch:,} an epoch, {derived.warmup_steps:,} of warm-up) of"
            f" {derived.videos_per_step} videos, {derived.clips_per_step} clips; learning rate {derived.lr:.3g} to"
            f" {derived.min_lr:.3g}{first}"
        )
