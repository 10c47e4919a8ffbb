"""What is random in a step of fine-tuning, whichever processes and batches it is cut into.

A run belongs to the videos of its steps. It draws in the batches that a step was cut into when the run began, and whoever
goes on with it takes from these draws what its own batches need: so the losses stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tiktokactions.model.classification import Drops, VideoClassifier, draw_drops
from tiktokactions.model.mixing import mix
from tiktokactions.model.options import FinetuneOptions
from tiktokactions.model.run import RunError, RunInfo

DROPS_STREAM, MIX_STREAM = 1, 2
"""Tell apart the random numbers that are drawn from one seed and step."""


@dataclass(frozen=True)
class Layout:
    """The batches of a step: one after another in time, and within each time one of every process."""

    batch_size: int
    """Videos."""
    accumulate: int
    processes: int


def layout_of(begun: RunInfo, options: FinetuneOptions) -> Layout:
    """How the run was begun. Raises ``RunError`` where videos that are mixed would no longer be in one batch."""
    batch_size, accumulate = int(begun.options["batch_size"]), int(begun.options["accumulate"])
    if (options.mixup or options.cutmix) and options.batch_size % batch_size:
        raise RunError(
            f"`batch_size` {options.batch_size}: this run pairs the clips of {batch_size} videos by mixup and CutMix;"
            f" expected a multiple of {batch_size} (fewer processes go on with a larger `accumulate`)"
        )
    return Layout(batch_size, accumulate, begun.derived.processes)


def step_drops(model: VideoClassifier, options: FinetuneOptions, begun: Layout, step: int) -> Drops | None:
    """What stochastic depth and head dropout leave out of all clips of a step, in the order of its videos."""
    parts = []
    for number in range(step * begun.accumulate, (step + 1) * begun.accumulate):
        seed = np.random.SeedSequence((options.seed, DROPS_STREAM, number)).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed >> np.uint64(1)))
        drops = draw_drops(model, begun.batch_size * begun.processes * options.num_samples, generator)
        if drops is None:
            return None
        parts.append(drops)
    return Drops.joined(parts)


def mixed(
    video: Tensor, label: Tensor, classes: int, options: FinetuneOptions, begun: Layout, step: int, first: int
) -> tuple[Tensor, Tensor]:
    """The clips of a batch and their targets after mixup and CutMix.

    Args:
        video: float (B, 3, T, H, W).
        label: int64 (B,), or float (B, classes).
        first: the number of the batch's first video in its step.
    """
    clips = begun.batch_size * options.num_samples
    parts = []
    pieces = zip(video.split(clips), label.split(clips), strict=True)
    for number, (some, labels) in enumerate(pieces, first // begun.batch_size):
        time, process = divmod(number, begun.processes)
        rng = np.random.default_rng([options.seed, MIX_STREAM, step * begun.accumulate + time, process])
        parts.append(
            mix(some, labels, classes, rng, mixup=options.mixup, cutmix=options.cutmix, smoothing=options.smoothing)
        )
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
