"""What can go wrong in any command, and how options and errors of the rooms reach the person who typed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tiktokactions.errors import DiskFullError, UsageError


@contextlib.contextmanager
def disk_errors(dataset: Path) -> Iterator[None]:
    from tiktokactions.curation.one_video import NO_SPACE
    from tiktokactions.files import clear_staging

    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        clear_staging(dataset)
        raise DiskFullError(
            f"{dataset}: {os.strerror(error.errno)}. Everything finished so far is kept and no half-written file is left;"
            " make room and run the same command again."
        ) from error
    clear_staging(dataset)


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """What a person can put right becomes a ``UsageError``; the messages already say how."""
    from tiktokactions.curation.one_video import NO_SPACE

    try:
        yield
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise DiskFullError(
            f"{error.filename or 'the disk'}: {os.strerror(error.errno)}. The last checkpoint is kept and no half-written"
            " file counts; make room and give the same command again."
        ) from error


def on_disk(path: str | os.PathLike[str], what: str) -> Path:
    """``path``, which lies on a disk of this machine; ``what`` says what cannot lie elsewhere ("reviews.sqlite").

    Raises:
        UsageError: it names an object store.
    """
    from tiktokactions.files import ObjectPath, located

    try:
        place = located(path)
    except ValueError as error:
        raise UsageError(str(error)) from error
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

        try:
            import_torchcodec()
        except RuntimeError as error:
            raise UsageError(f"--decoder torchcodec: {error}") from error
