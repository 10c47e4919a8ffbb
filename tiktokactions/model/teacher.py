"""Distillation: a trained model, whose outputs for the same clips another one learns to give."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.errors import UsageError
from tiktokactions.model.classification import VideoClassifier, classifier, label_loss, soft_target_loss
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.official import config_of
from tiktokactions.model.options import FinetuneOptions
from tiktokactions.model.weights import load_into, read_weights, with_positions


class Teacher:
    """A frozen model, and what of it is learned: its logits, or its features.

    Args:
        model: takes clips of the student's size.
        columns: of its logits, in the order of the student's classes; None: its features.
    """

    def __init__(self, model: VideoClassifier, columns: Tensor | None, options: FinetuneOptions) -> None:
        self.model, self.columns, self.options = model.eval().requires_grad_(False), columns, options

    @property
    def dim(self) -> int | None:
        """Of its features, where these are learned."""
        return self.model.config.embed_dim if self.columns is None else None

    def loss(self, label: Tensor, outputs: Tensor, classes: int, video: Tensor, machine: Hardware) -> Tensor:
        """The loss of the labels and that of the teacher, as ``distill_weight`` mixes them.

        Args:
            label: the loss of the labels.
            outputs: (B, classes), or (B, classes + D of the teacher): what the student makes of ``video``.
        """
        model = self.model.to(machine.device)
        with torch.no_grad(), machine.autocast():
            told = model.features(video) if self.columns is None else model(video)
        if self.columns is None:
            said = F.mse_loss(outputs[:, classes:].float(), F.layer_norm(told.float(), told.shape[-1:]))
        elif self.options.multi_label:
            said = label_loss(outputs, told[:, self.columns].float().sigmoid())
        else:
            said = soft_target_loss(outputs, told[:, self.columns].float().softmax(-1))
        weight = self.options.distill_weight
        return label * (1 - weight) + said * weight


def load_teacher(options: FinetuneOptions, config: ModelConfig, labels: Sequence[str]) -> Teacher | None:
    """The teacher that is asked for, whatever its size: positions and tubelets are fitted to the student's clips.

    Raises:
        WeightsError: weights that cannot be read.
        ValueError: a teacher that does not know the classes, or that cannot see clips of this size.
    """
    if options.teacher is None:
        return None
    read, where = read_weights(options.teacher), f"`teacher` {options.teacher}"
    size = (config.height, config.width)
    known = read.config or config_of(read.tensors, source=read.source)
    own = with_positions(model_config(known, frames=config.frames, image_size=size), read, "interpolate")
    columns = None
    if options.distill == "logits":
        if read.kind != "finetune":
            raise UsageError(f"{where}: it tells no classes; expected a fine-tuned model, or `distill` features")
        names = read.labels or (tuple(labels) if own.classes == len(labels) else ())
        unknown = [label for label in labels if label not in names]
        if unknown:
            raise UsageError(f"{where}: it does not know {', '.join(unknown[:5])}; expected a teacher of all classes")
        columns = torch.tensor([names.index(label) for label in labels])
    model = classifier(own if own.classes else dataclasses.replace(own, classes=1))
    load_into(model, read.tensors, what=str(options.teacher))
    return Teacher(model, columns, options)
