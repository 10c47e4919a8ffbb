"""Models as folders of Hugging Face ``transformers``, written and read without it.

``VideoMAEForPreTraining`` and ``VideoMAEForVideoClassification`` compute what our models compute, with these differences:

- Clips are (B, T, 3, H, W) there, (B, 3, T, H, W) here.
- Pre-training there decodes every hidden token: ``MaskedAutoencoder(video, mask)`` without a decoder mask. Output
  (B, hidden, t·p·p·3) is the same to the order of its numbers: the channel runs fastest.
- The layer norms in the blocks have the epsilon of the configuration (we write 1e-6; published folders say 1e-12), but
  ``decoder.norm`` and ``fc_norm`` always have 1e-5 where the reference has 1e-6. Nothing in a folder can change that; it
  moves outputs by about 5e-6 of their size.
- Query, key and value are three layers; their biases are ``q_bias`` and ``v_bias`` in files, in ours as in what
  transformers saves. transformers 5.0 up to pull request 48675 (September 2026) reads these as zeros, for all folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from tiktokactions.files import write_json
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.huggingface_config import checked_settings, config_from, describe, labels_from, preprocessing
from tiktokactions.model.official import (
    Kind,
    expect_exportable,
    expect_shapes,
    expect_sines,
    kind_of,
    official_names,
    official_shapes,
)
from tiktokactions.model.tensor_files import (
    Tensors,
    WeightsError,
    read_json,
    read_safetensors,
    read_state_dict,
    write_safetensors,
)

_ENCODER = "videomae."
"""What the classes with an output put before the encoder's names."""


# --- writing -------------------------------------------------------------------------------------------------------


def to_huggingface(
    config: ModelConfig,
    tensors: Tensors,
    folder: str | Path,
    *,
    labels: Sequence[str] | None = None,
    normalised_target: bool = True,
) -> Path:
    """Write a folder that ``from_pretrained`` opens: config.json, model.safetensors, preprocessor_config.json.

    Args:
        config: the model.
        tensors: a complete state dict by official names: pre-training with its decoder, or the classifier with its head.
        folder: made where it is not there; files of these three names are replaced.
        labels: names of the classes, in the order of the head's rows.
        normalised_target: what pre-training reconstructed (``norm_pix_loss``).

    Returns:
        The folder.

    Raises:
        WeightsError: tensors that are not those of ``config``, or another number of labels than classes.
    """
    folder = Path(folder)
    official = official_names(tensors, str(folder))
    kind = kind_of(official)
    if kind == "encoder":
        raise WeightsError(f"{folder}: an encoder alone has no outputs; export a pre-training model or a classifier")
    advice = "Export with the configuration that the weights were trained with."
    expect_shapes(official, official_shapes(config, kind), str(folder), advice)
    expect_exportable(config, str(folder))
    described = describe(config, kind, labels, str(folder)) | {"norm_pix_loss": normalised_target}
    write_safetensors(folder / "model.safetensors", _their_tensors(official, config, kind))
    write_json(folder / "config.json", described)
    write_json(folder / "preprocessor_config.json", preprocessing(config))
    return folder


# --- names ---------------------------------------------------------------------------------------------------------


def _layers(config: ModelConfig, kind: Kind) -> Iterator[tuple[str, str]]:
    """Layers that have a weight and a bias: (official name, name in transformers)."""
    encoder = "encoder." if kind == "pretrain" else ""
    yield f"{encoder}patch_embed.proj", f"{_ENCODER}embeddings.patch_embeddings.projection"
    for ours, theirs in _blocks(config, kind):
        yield f"{ours}norm1", f"{theirs}layernorm_before"
        yield f"{ours}attn.proj", f"{theirs}attention.output.dense"
        yield f"{ours}norm2", f"{theirs}layernorm_after"
        yield f"{ours}mlp.fc1", f"{theirs}intermediate.dense"
        yield f"{ours}mlp.fc2", f"{theirs}output.dense"
    if kind == "pretrain":
        yield "encoder.norm", f"{_ENCODER}layernorm"
        yield "decoder.norm", "decoder.norm"
        yield "decoder.head", "decoder.head"
    elif kind == "finetune":
        yield "fc_norm", "fc_norm"
        yield "head", "classifier"


def _blocks(config: ModelConfig, kind: Kind) -> Iterator[tuple[str, str]]:
    encoder = "encoder." if kind == "pretrain" else ""
    for index in range(config.depth):
        yield f"{encoder}blocks.{index}.", f"{_ENCODER}encoder.layer.{index}."
    if kind == "pretrain":
        for index in range(config.decoder_depth):
            yield f"decoder.blocks.{index}.", f"decoder.decoder_layers.{index}."


def _names(config: ModelConfig, kind: Kind) -> Iterator[tuple[str, str]]:
    """Tensors that both have: (official name, name in transformers). Queries, keys and values are one weight in ours."""
    for ours, theirs in _layers(config, kind):
        yield from ((f"{ours}.{part}", f"{theirs}.{part}") for part in ("weight", "bias"))
    for ours, theirs in _blocks(config, kind):
        yield from ((f"{ours}attn.{part}", f"{theirs}attention.attention.{part}") for part in ("q_bias", "v_bias"))
    if kind == "pretrain":
        yield from ((name, name) for name in ("mask_token", "encoder_to_decoder.weight"))


def _split(config: ModelConfig, kind: Kind) -> Iterator[tuple[str, list[str]]]:
    """Weights that are three in transformers: official name, and theirs for query, key and value."""
    for ours, theirs in _blocks(config, kind):
        yield f"{ours}attn.qkv.weight", [f"{theirs}attention.attention.{x}.weight" for x in ("query", "key", "value")]


def _their_tensors(official: Tensors, config: ModelConfig, kind: Kind) -> Tensors:
    theirs = {their_name: official[our_name] for our_name, their_name in _names(config, kind)}
    for our_name, parts in _split(config, kind):
        theirs |= {part: weight.clone() for part, weight in zip(parts, official[our_name].chunk(3), strict=True)}
    return theirs


def _our_tensors(theirs: Tensors, config: ModelConfig, kind: Kind) -> Tensors:
    """Takes what it knows out of ``theirs``. What is missing there is missing in the result."""
    ours = {our_name: theirs.pop(their_name) for our_name, their_name in _names(config, kind) if their_name in theirs}
    for our_name, parts in _split(config, kind):
        if theirs.keys() >= set(parts):
            ours[our_name] = torch.cat([theirs.pop(part) for part in parts])
    return ours


# --- reading -------------------------------------------------------------------------------------------------------


def from_huggingface(folder: str | Path) -> tuple[ModelConfig, Tensors, tuple[str, ...] | None]:
    """Read a folder that transformers' ``save_pretrained`` wrote, of any version, or :func:`to_huggingface`.

    Returns:
        Configuration, float32 tensors by official names, and the names of the classes where they have any.

    Raises:
        WeightsError: not a VideoMAE, files that are damaged or do not fit each other, or settings that our model cannot
            follow; the message names them.
    """
    folder = Path(folder)
    where = folder / "config.json"
    described = read_json(where)
    theirs = _with_stored_names(_their_files(folder), str(folder))
    kind: Kind = "finetune" if "classifier.weight" in theirs else kind_of(theirs)
    settings = checked_settings(described, kind, where)
    labels = labels_from(described, where) if kind == "finetune" else None
    classes = len(theirs["classifier.weight"]) if kind == "finetune" else 0
    config = config_from(settings, classes, where)
    ours, shapes = _our_tensors(theirs, config, kind), official_shapes(config, kind)
    if not settings.get("qv_bias", settings.get("qkv_bias", True)):
        biases = [name for name in shapes if name.endswith((".q_bias", ".v_bias"))]
        ours = {name: torch.zeros(shapes[name]) for name in biases} | ours
    if kind == "encoder":  # the last norm of pre-training: nothing that starts from an encoder alone uses it
        theirs = {name: tensor for name, tensor in theirs.items() if not name.startswith(f"{_ENCODER}layernorm.")}
    advice = "config.json and the weights must be of one VideoMAE model. Fetch the folder again."
    expect_shapes(ours | theirs, shapes, str(folder), advice)
    if labels is not None and len(labels) != config.classes:
        raise WeightsError(f"{where}: got {len(labels)} labels, expected {config.classes}, as the classifier")
    return config, official_names(ours, str(folder)), labels


def _their_files(folder: Path) -> Tensors:
    for name, read in (("model.safetensors", read_safetensors), ("pytorch_model.bin", read_state_dict)):
        if (folder / name).is_file():
            return read(folder / name)
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(read_json(index).get("weight_map", {}).values()))
            # Path.name: an index cannot lead outside its folder.
            return {key: value for shard in shards for key, value in read(folder / Path(shard).name).items()}
    raise WeightsError(f"{folder}: expected model.safetensors or pytorch_model.bin beside config.json, got neither")


def _with_stored_names(tensors: Tensors, source: str) -> Tensors:
    """With the prefix that a bare ``VideoMAEModel`` leaves out, and biases by their names in files."""
    bare = not any(name.startswith(_ENCODER) for name in tensors)
    renamed: Tensors = {}
    for name, tensor in tensors.items():
        if name.endswith("position_embeddings"):
            expect_sines(name, tensor, source)
            continue
        if name.endswith("attention.key.bias"):
            continue  # the same number added to all scores of a query is lost in the softmax
        name = f"{_ENCODER}{name}" if bare and name.startswith(("embeddings.", "encoder.", "layernorm.")) else name
        for current, stored in (("query.bias", "q_bias"), ("value.bias", "v_bias")):
            if name.endswith(f"attention.attention.{current}"):
                name = name.removesuffix(current) + stored
        renamed[name] = tensor
    return renamed
