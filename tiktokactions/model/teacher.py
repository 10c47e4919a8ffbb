"""Trained models that others learn from: their logits or features of a clip, or their features of its hidden tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.errors import UsageError
from tiktokactions.model.autoencoder import take_tokens
from tiktokactions.model.classification import VideoClassifier, classifier, label_loss, soft_target_loss
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.official import config_of
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.weights import ReadWeights, load_into, read_weights, with_positions


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
    where = f"`teacher` {options.teacher}"
    read, model = fitted(options.teacher, config)
    columns = None
    if options.distill == "logits":
        if read.kind != "finetune":
            raise UsageError(f"{where}: it tells no classes; expected a fine-tuned model, or `distill` features")
        names = read.labels or (tuple(labels) if model.config.classes == len(labels) else ())
        unknown = [label for label in labels if label not in names]
        if unknown:
            raise UsageError(f"{where}: it does not know {', '.join(unknown[:5])}; expected a teacher of all classes")
        columns = torch.tensor([names.index(label) for label in labels])
    return Teacher(model, columns, options)


def fitted(path: str, config: ModelConfig) -> tuple[ReadWeights, VideoClassifier]:
    """Any weights, and the classifier that they make of clips as those of ``config``; an encoder has a head nobody asks."""
    read = read_weights(path)
    known = read.config or config_of(read.tensors, source=read.source)
    size = (config.height, config.width)
    own = with_positions(model_config(known, frames=config.frames, image_size=size), read, "interpolate")
    model = classifier(own if own.classes else dataclasses.replace(own, classes=1))
    load_into(model, read.tensors, what=path)
    return read, model


def target_encoder(options: PretrainOptions, config: ModelConfig) -> VideoClassifier | None:
    """The frozen encoder whose features pre-training predicts of hidden tokens; None where it predicts pixels.

    Raises:
        ValueError: an encoder whose tokens are others.
    """
    if options.target == "pixels":
        return None
    model = fitted(options.target, config)[1].eval().requires_grad_(False)
    if model.config.grid != config.grid:
        raise UsageError(
            f"`target` {options.target}: its tokens make a grid of {model.config.grid}, expected {config.grid};"
            " choose its `tubelet` and `patch`"
        )
    return model


@torch.no_grad()
def latent_target(encoder: VideoClassifier, video: Tensor, decoded: Tensor) -> Tensor:
    """(B, K, D): the features, normalised, of the tokens that are decoded, of clips with nothing hidden (SALT)."""
    tokens = encoder.to(video.device).tokens(video).float()
    return take_tokens(F.layer_norm(tokens, tokens.shape[-1:]), decoded)
