"""Export model weights for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tiktokactions.commands.options import AnyPath, need_torch, on_disk
from tiktokactions.files import disk_errors
from tiktokactions.takedowns.derived import register


def export(run: AnyPath, output: AnyPath, *, to: Literal["huggingface", "official"] = "huggingface") -> Path:
    """Export a trained model: its weights as other programs read them.

    Args:
        run: a run, a ``.pth`` file or a Hugging Face folder.
        output: a folder for ``huggingface`` (``from_pretrained`` opens it), a ``.pth`` file for ``official``.
        to: the program that reads it: Hugging Face's transformers, or the official VideoMAE code.

    Raises:
        UsageError: nothing to export there, or the extra ``train`` is not installed.

    Example:
        tiktokactions export runs/finetuned -o huggingface/ --to huggingface
    """
    need_torch()
    with disk_errors():
        from tiktokactions.model.export import export

        register([run], output, "weights")
        return export(on_disk(run, "a run"), on_disk(output, "an export"), to=to)
