"""The config.json and preprocessor_config.json of a Hugging Face VideoMAE folder, for and from our configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tiktokactions.model.autoencoder import IMAGENET_MEAN, IMAGENET_STD
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.official import Kind, decoder_mlp_ratio, mlp_ratio, named
from tiktokactions.model.tensor_files import WeightsError
from tiktokactions.model.vit import NORM_EPS
from tiktokactions.records import JsonObject

_LARGEST_EPS = 1e-5
"""Of layer norms; ours is 1e-6, and up to here the difference cannot be seen in the outputs."""
_PAIRS = ("image_size", "patch_size")
"""Settings that are a side or [height, width]."""
_ARCHITECTURES = {"pretrain": "VideoMAEForPreTraining", "finetune": "VideoMAEForVideoClassification"}
_DEFAULTS: JsonObject = {
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "num_frames": 16,
    "tubelet_size": 2,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "use_mean_pooling": True,
    "decoder_num_attention_heads": 6,
    "decoder_hidden_size": 384,
    "decoder_num_hidden_layers": 4,
    "decoder_intermediate_size": 1536,
}
"""What transformers takes for names that a config.json leaves out."""
_OUR_NAMES = {
    "num_frames": "frames",
    "tubelet_size": "tubelet",
    "hidden_size": "embed_dim",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "decoder_num_attention_heads": "decoder_heads",
    "decoder_hidden_size": "decoder_dim",
    "decoder_num_hidden_layers": "decoder_depth",
}
"""Settings that are fields of :class:`ModelConfig` under other names."""


# --- writing -------------------------------------------------------------------------------------------------------


def describe(config: ModelConfig, kind: Kind, labels: Sequence[str] | None, where: str) -> JsonObject:
    """config.json."""
    described: JsonObject = {
        "architectures": [_ARCHITECTURES[kind]],
        "model_type": "videomae",
        **_DEFAULTS,
        **{theirs: getattr(config, ours) for theirs, ours in _OUR_NAMES.items()},
        "image_size": config.height if config.height == config.width else [config.height, config.width],
        "patch_size": config.patch,
        "intermediate_size": config.mlp_dim,
        "layer_norm_eps": NORM_EPS,
        "qkv_bias": True,  # the name that versions 4 and 5 both take
        "use_mean_pooling": kind == "finetune",  # False is what gives the encoder of pre-training its last norm
        "decoder_intermediate_size": config.decoder_mlp_dim,
    }
    if kind == "finetune":
        labels = [_unnamed(index) for index in range(config.classes)] if labels is None else labels
        if not len(labels) == len(set(labels)) == config.classes:
            raise WeightsError(
                f"{where}: got {len(set(labels))} different labels, expected {config.classes}, one per class"
            )
        described["id2label"] = {str(index): label for index, label in enumerate(labels)}
        described["label2id"] = {label: index for index, label in enumerate(labels)}
    return described


def _unnamed(index: int) -> str:
    """What transformers calls classes that nobody has named."""
    return f"LABEL_{index}"


def preprocessing(config: ModelConfig) -> JsonObject:
    """preprocessor_config.json: our evaluation view, but that transformers smooths where it makes frames smaller."""
    return {
        "image_processor_type": "VideoMAEImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": max(config.height, config.width)},
        "resample": 2,  # bilinear
        "do_center_crop": True,
        "crop_size": {"height": config.height, "width": config.width},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
    }


# --- reading -------------------------------------------------------------------------------------------------------


def checked_settings(described: JsonObject, kind: Kind, where: Path) -> JsonObject:
    """A config.json with its defaults. Raises :class:`WeightsError` naming every setting that we cannot follow."""
    settings = _DEFAULTS | described
    _expect_numbers(settings, where)
    mean_pooling = settings["use_mean_pooling"]
    # (setting, is it ours?, expected)
    checks = [
        ("model_type", settings.get("model_type") == "videomae", "videomae"),
        ("num_channels", settings["num_channels"] == 3, "3"),
        ("hidden_act", settings["hidden_act"] == "gelu", "gelu"),
        ("layer_norm_eps", settings["layer_norm_eps"] <= _LARGEST_EPS, f"≤ {_LARGEST_EPS}"),
    ]
    if kind == "finetune":
        checks.append(("use_mean_pooling", mean_pooling, "true (a classifier of the mean over all tokens)"))
    if kind == "pretrain":
        checks.append(("use_mean_pooling", not mean_pooling, "false (an encoder with its last norm)"))
    wrong = [f"{name}: got {settings.get(name)!r}, expected {ours}" for name, is_ours, ours in checks if not is_ours]
    if wrong:
        raise WeightsError(
            f"{where}: not a model that tiktokactions can follow: {'; '.join(wrong)}. Use another folder."
        )
    return settings


def _expect_numbers(settings: JsonObject, where: Path) -> None:
    for name, default in _DEFAULTS.items():
        value = settings[name]
        values = value if name in _PAIRS and isinstance(value, list) and len(value) == 2 else [value]
        expected = (int, float) if isinstance(default, float) else type(default)
        if not all(isinstance(number, expected) for number in values):
            raise WeightsError(f"{where}: {name}: got {value!r}, expected something like {default!r}")


def config_from(settings: JsonObject, classes: int, where: Path) -> ModelConfig:
    """Our configuration. Raises :class:`WeightsError` for sizes that do not divide."""
    height, width = _pair(settings["image_size"])
    patch, patch_width = _pair(settings["patch_size"])
    if patch != patch_width:
        raise WeightsError(f"{where}: patch_size: got {settings['patch_size']}, expected a square")
    try:
        ratio = mlp_ratio(settings["hidden_size"], settings["intermediate_size"])
        config = ModelConfig(
            name="custom",
            **{ours: settings[theirs] for theirs, ours in _OUR_NAMES.items()},
            mlp_ratio=ratio,
            decoder_mlp_ratio=decoder_mlp_ratio(
                ratio, settings["decoder_hidden_size"], settings["decoder_intermediate_size"]
            ),
            height=height,
            width=width,
            patch=patch,
            classes=classes,
        )
    except (ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{where}: {error}") from error
    return named(config)


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def labels_from(described: JsonObject, where: Path) -> tuple[str, ...] | None:
    """The classes in order; None where they are only numbered or not given."""
    by_id = described.get("id2label")
    if not by_id:
        return None
    try:
        labels = tuple(str(by_id[str(index)]) for index in range(len(by_id)))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{where}: id2label: expected names for the classes 0 to {len(by_id) - 1}") from error
    return None if labels == tuple(map(_unnamed, range(len(labels)))) else labels
