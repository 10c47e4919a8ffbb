"""A run's weights as other programs read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from tiktokactions.commands.errors import need_torch, on_disk
from tiktokactions.files import disk_errors


def export(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    to: Literal["huggingface", "official"] = "huggingface",
) -> Path:
    """Write a run's weights as other programs read them.

    Args:
        run: a finished run, or any weights file that ``init`` takes.
        output: a folder for ``huggingface`` (``from_pretrained`` opens it), a ``.pth`` file for ``official``.

    Raises:
        UsageError: nothing to export there, or the extra ``train`` is not installed.
    """
    need_torch()
    with disk_errors():
        from tiktokactions.model.export import export

        return export(on_disk(run, "a run"), on_disk(output, "an export"), to=to)
