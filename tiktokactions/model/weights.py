"""Weights from anywhere into our models: run folders, safetensors, official checkpoints, Hugging Face folders."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from tiktokactions.model.autoencoder import MaskedAutoencoder
from tiktokactions.model.classification import VideoClassifier
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.huggingface import from_huggingface
from tiktokactions.model.official import (
    Kind,
    config_of,
    differences,
    expect_shapes,
    kind_of,
    measures,
    official_names,
    official_shapes,
)
from tiktokactions.model.run import Kind as KindOfRun
from tiktokactions.model.run import Run, RunError, read_record
from tiktokactions.model.tensor_files import Tensors, WeightsError, read_json, read_safetensors, read_state_dict

__all__ = ["LoadReport", "ReadWeights", "WeightsError", "load_into", "read_weights"]

_DEEPSPEED = "mp_rank_00_model_states.pt"


@dataclass(frozen=True)
class ReadWeights:
    """Weights as they were found."""

    source: str
    """The path that was read, for messages."""
    format: Literal["run", "safetensors", "torch", "deepspeed", "huggingface"]
    kind: Kind
    tensors: Tensors
    """float32 on the CPU, by official names; an encoder alone has them without ``encoder.``."""
    config: ModelConfig | None = None
    """Where the files tell it; else :func:`tiktokactions.model.official.config_of` derives one from the tensors."""
    labels: tuple[str, ...] | None = None
    """Names of the classes in order, where the files tell them."""


def read_weights(path: str | Path) -> ReadWeights:
    """Read weights, whatever holds them.

    Args:
        path: one of

            - a run's folder or one of its checkpoints (the averaged weights where there are any, as in evaluation), or
              a ``.safetensors`` in it; the model is described in ``run.json``,
            - any other ``.safetensors`` with official names,
            - an official ``.pth`` of VideoMAE or VideoMAE V2, one of MMAction2 or Lightning, or a folder of deepspeed;
              nothing in it is executed,
            - a Hugging Face folder: ``config.json`` with ``model_type`` videomae, and safetensors or ``.bin``;
              or OpenGVLab's of VideoMAE V2.

    Raises:
        WeightsError: none of these, or files that are damaged or contradict each other.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        on_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)) and not path.suffix
        hint = f". If it is a name on the Hugging Face hub: hf download {path}, and give the folder that this prints"
        raise WeightsError(
            f"{path}: no such file or folder; expected a run, a .safetensors, a .pth or a Hugging Face folder"
            + (hint if on_hub else "")
        )
    if path.suffix == ".safetensors":
        run = _run_of(path.parent)
        if run is not None:
            return _read_run(run, path)
        if path.name == "model.safetensors" and (path.parent / "config.json").is_file():
            return _read_huggingface(path.parent)
        return _official(path, "safetensors", read_safetensors(path))
    return _official(path, "torch", read_state_dict(path))


def _read_folder(folder: Path) -> ReadWeights:
    run = _run_of(folder)
    if run is not None:
        return _read_run(run, Run(folder).weights)
    if (folder / "config.json").is_file():
        if str(read_json(folder / "config.json").get("model_type")).lower().startswith("videomaev2"):
            weights = folder / "model.safetensors"  # OpenGVLab's, with a model of its own
            return _official(weights, "safetensors", read_safetensors(weights))
        return _read_huggingface(folder)
    if (folder / _DEEPSPEED).is_file():
        if (folder / "mp_rank_01_model_states.pt").exists():
            raise WeightsError(
                f"{folder}: a model split over several files; expected {_DEEPSPEED} alone. Merge them first."
            )
        return _official(folder, "deepspeed", read_state_dict(folder / _DEEPSPEED))
    files = sorted(p.name for p in folder.iterdir() if p.suffix in (".pth", ".pt", ".safetensors"))
    there = f"it has {', '.join(files)}: name one of them" if files else "it has no weights"
    raise WeightsError(f"{folder}: expected run.json, config.json or {_DEEPSPEED} in the folder; {there}")


def _run_of(folder: Path) -> Path | None:
    """The run that a folder is, or that it is a checkpoint of."""
    candidates = [folder, folder.parent.parent] if folder.parent.name == "checkpoints" else [folder]
    return next((run for run in candidates if (run / "run.json").is_file()), None)


def _official(path: Path, format: Literal["safetensors", "torch", "deepspeed"], tensors: Tensors) -> ReadWeights:
    if any(name.startswith("videomae.") for name in tensors):
        raise WeightsError(
            f"{path}: tensors with the names of Hugging Face, whose number of heads stands in config.json only; "
            "give the folder that has both."
        )
    official = official_names(tensors, str(path))
    return ReadWeights(str(path), format, kind_of(official), official)


def _read_huggingface(folder: Path) -> ReadWeights:
    config, tensors, labels = from_huggingface(folder)
    return ReadWeights(str(folder), "huggingface", kind_of(tensors), tensors, config, labels)


@dataclass(frozen=True)
class _RunModel:
    """Of ``run.json`` what says how to read its weights."""

    kind: KindOfRun
    model: ModelConfig
    labels: tuple[str, ...] | None = None


def _read_run(folder: Path, weights: Path) -> ReadWeights:
    where = folder / "run.json"
    try:
        about = read_record(where, _RunModel)
    except RunError as error:
        raise WeightsError(str(error)) from error
    config, kind, labels = about.model, about.kind, about.labels
    if kind == "finetune" and labels is not None and len(labels) != config.classes:
        raise WeightsError(f"{where}: got {len(labels)} labels, expected {config.classes}, the classes of the model")
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such file; has the run ended? Start the same command again to finish it.")
    tensors = official_names(read_safetensors(weights), str(weights))
    advice = f"They must be those of the model in {where}; was one of the two files replaced?"
    expect_shapes(tensors, official_shapes(config, kind), str(weights), advice)
    return ReadWeights(str(weights), "run", kind, tensors, config, labels)


def trained_grid(read: ReadWeights) -> tuple[int, int, int] | None:
    """The grid whose positions these weights have learned: as their files tell, else that of the published model."""
    try:
        config = read.config or config_of(read.tensors, source=read.source)
    except WeightsError:
        return None  # a geometry that was never published
    return config.position_grid or config.grid


def with_positions(
    config: ModelConfig, read: ReadWeights | None, positions: Literal["interpolate", "sines"]
) -> ModelConfig:
    """A model that begins with these weights: where its grid is another than theirs, its positions are interpolated."""
    grid = None if read is None or positions == "sines" else trained_grid(read)
    return dataclasses.replace(config, position_grid=None if grid == config.grid else grid)


def inflated(tensors: Tensors, tubelet: int) -> Tensors:
    """The same function of clips whose tokens have ``tubelet`` frames, where one number of frames divides the other.

    A patch embedding sees every frame several times with a share of its weights, or the sum of several frames' weights;
    a decoder says every frame several times, or the mean of several.
    """
    found = dict(tensors)
    for name, tensor in tensors.items():
        if name.endswith("patch_embed.proj.weight") and tensor.ndim == 5:
            own = tensor.shape[2]
            if tubelet % own == 0:
                found[name] = tensor.repeat_interleave(tubelet // own, 2) / (tubelet // own)
            elif own % tubelet == 0:
                found[name] = tensor.unflatten(2, (tubelet, own // tubelet)).sum(3)
            for part in {"decoder.head.weight", "decoder.head.bias"} & tensors.keys():  # rows: frame, pixel, channel
                if tubelet % own == 0:
                    frames = tensors[part].unflatten(0, (own, -1)).repeat_interleave(tubelet // own, 0)
                    found[part] = frames.flatten(0, 1)
                elif own % tubelet == 0:
                    found[part] = tensors[part].unflatten(0, (tubelet, own // tubelet, -1)).mean(1).flatten(0, 1)
    return found


# --- into a model --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadReport:
    """What happened to the tensors, by official names."""

    what: str
    loaded: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    """Of the model, but not in the weights: they keep their initial values."""
    left_out: tuple[str, ...] = ()
    """In the weights, but not of this model."""
    notes: tuple[str, ...] = ()
    """Why."""

    def __str__(self) -> str:
        return "; ".join((f"{self.what}: {len(self.loaded)} tensors loaded", *self.notes))


def load_into(model: nn.Module, tensors: Tensors, *, what: str) -> LoadReport:
    """Copy weights into a model of ours, or change nothing and raise.

    All must fit by name and shape, with these exceptions. From pre-training weights a classifier takes the encoder only,
    without its last norm; ``fc_norm`` and ``head`` start fresh. The head also starts fresh if the weights have none, or
    another number of classes; ``fc_norm`` also if there is only an encoder.

    Args:
        model: a :class:`MaskedAutoencoder` or :class:`VideoClassifier`, not yet compiled or distributed.
        tensors: by official names, with or without the prefixes of wrappers.
        what: where they are from, for messages.

    Raises:
        WeightsError: names or shapes that do not fit, all of them listed.
        TypeError: another model.
    """
    official = official_names(tensors, what)
    told: tuple[str, ...] = ()
    own = measures(official).get("tubelet")
    if isinstance(model, MaskedAutoencoder) and model.config.target_dim:
        own = None  # its decoder tells no frames
    if isinstance(model, (VideoClassifier, MaskedAutoencoder)) and own not in (None, model.config.tubelet):
        official = inflated(official, model.config.tubelet)
        told = (f"tubelets of {own} frames become tubelets of {model.config.tubelet}",)
    if isinstance(model, VideoClassifier):
        plan = _for_classifier(official, model.config, what)
    elif isinstance(model, MaskedAutoencoder):
        plan = _for_pretraining(official, model.config, what)
    else:
        raise TypeError(f"model: got {type(model).__name__}, expected MaskedAutoencoder or VideoClassifier, unwrapped")
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    begun = (*plan.fresh, *(() if "pool.mix" in plan.taken else ("pool.",)), "projection.")
    fresh = tuple(name for name in expected if name.startswith(begun))
    wanted = {name: shape for name, shape in expected.items() if name not in fresh}
    prefix = "encoder." if isinstance(model, VideoClassifier) else ""
    taken = {name.removeprefix(prefix): tensor for name, tensor in plan.taken.items()}
    expect_shapes(taken, wanted, what, _advice(official, model.config))
    model.load_state_dict(taken, strict=not fresh)
    left_out = tuple(name for name in official if name not in plan.taken)
    return LoadReport(what, tuple(taken), fresh, left_out, (*plan.notes, *told))


@dataclass(frozen=True)
class _Plan:
    taken: Tensors
    """By their names in the weights."""
    fresh: tuple[str, ...] = ()
    """Prefixes of the model's names that may keep their initial values."""
    notes: tuple[str, ...] = ()


def _for_pretraining(official: Tensors, config: ModelConfig, what: str) -> _Plan:
    if kind_of(official) != "pretrain":
        raise WeightsError(
            f"{what}: got an encoder without its decoder, expected the weights of pre-training (encoder.*, decoder.*, "
            "mask_token). Start from weights that have the decoder, or use these for fine-tuning."
        )
    if config.target_dim and len(official["decoder.head.weight"]) != config.target_dim:
        taken = {name: tensor for name, tensor in official.items() if not name.startswith("decoder.head.")}
        return _Plan(taken, ("decoder.head.",), ("decoder.head starts fresh: it predicted something else",))
    return _Plan(official)


def _for_classifier(official: Tensors, config: ModelConfig, what: str) -> _Plan:
    kind = kind_of(official)
    if kind == "pretrain":
        encoder = {name: tensor for name, tensor in official.items() if name.startswith("encoder.")}
        taken = {name: tensor for name, tensor in encoder.items() if not name.startswith("encoder.norm.")}
        note = "the encoder of pre-training: its last norm and the decoder left out, fc_norm and head start fresh"
        return _Plan(taken, ("fc_norm.", "head."), (note,))
    if kind == "encoder":
        taken = {name: tensor for name, tensor in official.items() if not name.startswith("norm.")}
        fresh = ("head.",) if "fc_norm.weight" in taken else ("fc_norm.", "head.")
        note = f"an encoder without a head: {' and '.join(part.rstrip('.') for part in fresh)} start fresh"
        return _Plan(taken, fresh, (note,))
    if "fc_norm.weight" not in official and "norm.weight" in official:
        raise WeightsError(
            f"{what}: got a classifier of the first token (norm.*, no fc_norm.*), expected one of the mean over all tokens. "
            "Take the head.* and norm.* out of the file to fine-tune from its encoder."
        )
    classes = len(official["head.weight"])
    if classes == config.classes:
        return _Plan(official)
    taken = {name: tensor for name, tensor in official.items() if not name.startswith("head.")}
    note = f"head: the weights have {classes} classes, the model has {config.classes}: it starts fresh"
    return _Plan(taken, ("head.",), (note,))


def _advice(official: Tensors, config: ModelConfig) -> str:
    other = differences(official, config)
    if other:
        return f"They are of another model than the one asked for ({other}). Ask for the model that they are of."
    return "They are incomplete, or of another kind of model. Fetch or export them again."
