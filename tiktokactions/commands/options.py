"""How a command says what it takes: its signature, its docstring, and the options dataclass named by :func:`takes`.

The command line, TOML files, docs/commands.md and the Python reference are derived from these and repeat nothing.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from tiktokactions.errors import UsageError
from tiktokactions.options import is_required

Function = TypeVar("Function", bound=Callable[..., object])

AnyPath = str | os.PathLike[str]
"""A file or folder: a path, the address of an object in a store, or a noun that lies there (Dataset, Run)."""
AnyPaths = AnyPath | Sequence[AnyPath]
Config = Mapping[str, object] | AnyPath | None
"""Options of another command: a TOML file, or a dict."""
Kept = Annotated[Callable[[str], None], "kept"]
"""Receives lines worth keeping: the command line prints each on standard error."""
Passing = Annotated[Callable[[str], None], "passing"]
"""Receives lines that each replace the one before; they are only shown on a terminal."""


@dataclass(frozen=True)
class Typed:
    """How a parameter is typed if not by its name: ``Annotated[Sequence[str], Typed("from")]``."""

    flag: str = ""
    metavar: str = ""


def nothing(told: object) -> None:
    """The default of every callback that tells progress."""


def takes(kind: type, *names: str) -> Callable[[Function], Function]:
    """The command's ``**options`` are the fields of this dataclass; with ``names`` only these."""

    def mark(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        fields = [f for f in dataclasses.fields(kind) if f.name in names or not names]
        more = [
            inspect.Parameter(
                f.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if is_required(f) else f.default,
                annotation=f.type,
            )
            for f in fields
            if f.name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        function.options = kind  # type: ignore[attr-defined]
        return function

    return mark


def path_list(paths: AnyPaths) -> list[str]:
    """One path or several, as strings."""
    return [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]


def on_disk(path: str | os.PathLike[str], what: str) -> Path:
    """As :func:`tiktokactions.files.on_disk`, which is loaded with the first path."""
    from tiktokactions import files

    return files.on_disk(path, what)


def missing_for_training() -> list[str]:
    return [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]


def need_torch(decoder: str = "pyav", tracker: str | None = None) -> None:
    """Raises :class:`UsageError` where what trains, or the decoder or the tracker that was chosen, is not installed."""
    missing = missing_for_training()
    if missing:
        raise UsageError(f"this command needs {' and '.join(missing)}: pip install 'tiktokactions[train]'")
    if tracker is not None and importlib.util.find_spec(tracker) is None:
        raise UsageError(f"`track` {tracker}: it is not installed; pip install {tracker}")
    if decoder == "torchcodec":
        from tiktokactions.video.torchcodec_backend import import_torchcodec

        import_torchcodec()
