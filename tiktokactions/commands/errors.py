"""What can go wrong in any command, and how options and errors of the rooms reach the person who typed."""

from __future__ import annotations

import os
from pathlib import Path

from tiktokactions.errors import UsageError


def on_disk(path: str | os.PathLike[str], what: str) -> Path:
    """``path``, which lies on a disk of this machine; ``what`` says what cannot lie elsewhere ("reviews.sqlite").

    Raises:
        UsageError: it names an object store.
    """
    from tiktokactions.files import ObjectPath, located

    place = located(path)
    if isinstance(place, ObjectPath):
        raise UsageError(f"{place}: {what} cannot lie on an object store; name a place on a disk of this machine")
    return place


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
