"""Exports a model: as a folder for Hugging Face ``transformers``, or as a checkpoint for the official code."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tiktokactions.model.config import ModelConfig
from tiktokactions.model.huggingface import to_huggingface
from tiktokactions.model.official import config_of, expect_exportable
from tiktokactions.model.tensor_files import WeightsError, read_json, write_torch_file
from tiktokactions.model.weights import ReadWeights, read_weights

_FOLDER_FILES = {"config.json", "model.safetensors", "preprocessor_config.json"}


def export(
    source: str | Path, output: str | Path, *, to: Literal["huggingface", "official"], config: ModelConfig | None = None
) -> Path:
    """Write the weights of a run, or any that :func:`read_weights` reads, in another form.

    Args:
        source: see :func:`read_weights`; a run with averaged weights gives these.
        output: a folder for ``huggingface`` (new, empty or an earlier export); a ``.pth`` for ``official``, which holds
            ``{"model": state dict}`` and opens with ``torch.load(weights_only=True)``.
        to: the form.
        config: the model of weights that come without one; None derives it from their shapes.

    Returns:
        ``output``.

    Raises:
        WeightsError: weights that cannot be read, or an output that holds something else.
    """
    output = Path(output)
    weights = read_weights(source)
    if to == "official":
        if output.suffix not in (".pth", ".pt"):
            raise WeightsError(f"{output}: expected the name of a .pth file for official weights")
        if weights.config is not None:
            expect_exportable(weights.config, str(output))
        write_torch_file(output, {"model": {name: tensor.clone() for name, tensor in weights.tensors.items()}})
        return output
    if output.exists():
        strangers = sorted({p.name for p in output.iterdir()} - _FOLDER_FILES) if output.is_dir() else [output.name]
        if strangers or output.resolve() == Path(source).resolve():
            raise WeightsError(f"{output}: expected a new or empty folder, got {', '.join(strangers) or 'the source'}")
    config = config or weights.config or config_of(weights.tensors, source=weights.source)
    normalised = _normalised_target(weights)
    return to_huggingface(config, weights.tensors, output, labels=weights.labels, normalised_target=normalised)


def _normalised_target(weights: ReadWeights) -> bool:
    """What pre-training reconstructed: as a run says, else the method's default."""
    folder = Path(weights.source).parent
    if weights.format != "run" or not (folder / "run.json").is_file():
        return True
    return bool(read_json(folder / "run.json").get("options", {}).get("normalize_target", True))
