"""What can go wrong in any command, and how options and errors of the rooms reach the person who typed."""

from __future__ import annotations

import os
from pathlib import Path

from tiktokactions.errors import UsageError


def on_disk(path: str | os.PathLike[str], what: str) -> Path:
    """As :func:`tiktokactions.files.on_disk`, which is loaded with the first path."""
    from tiktokactions import files

    return files.on_disk(path, what)


def missing_for_training() -> list[str]:
    import importlib.util

    return [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]


def need_torch(decoder: str = "pyav") -> None:
    """Raises :class:`UsageError` where what trains, or the decoder that was chosen, is not installed."""
    missing = missing_for_training()
    if missing:
        raise UsageError(f"this command needs {' and '.join(missing)}: pip install 'tiktokactions[train]'")
    if decoder == "torchcodec":
        from tiktokactions.video.torchcodec_backend import import_torchcodec

        import_torchcodec()
