"""Files that hold tensors: safetensors and PyTorch's pickles, read without running anything that they say."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from tiktokactions.errors import UsageError
from tiktokactions.files.changes import unfinished
from tiktokactions.records import JsonObject

Tensors = dict[str, Tensor]

_STATE_KEYS = ("model", "module", "state_dict")
"""Where training scripts keep the weights in their checkpoint, the first one wins."""
_UNKNOWN_GLOBAL = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")
"""How torch's restricted unpickler names a class or function that it does not know."""
_UNREADABLE = (
    *(UnpicklingError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, EOFError, OSError),
    *(struct.error, zipfile.BadZipFile, AssertionError),
)
"""What torch.load raises for damaged, foreign and hostile files (UnicodeDecodeError is a ValueError)."""


class WeightsError(UsageError):
    """Weights that cannot be read or do not fit; the message says what, where, got, expected, and what to do."""


def read_safetensors(path: Path) -> Tensors:
    """Raises :class:`WeightsError` where the file is damaged."""
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error}). Fetch or export it again.") from error


def read_json(path: Path) -> JsonObject:
    """The JSON object in a file. Raises :class:`WeightsError` where there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(data, dict):
        raise WeightsError(f"{path}: got a JSON {type(data).__name__}, expected an object with names")
    return data


# --- pickles of torch.save -----------------------------------------------------------------------------------------


class Inert:
    """Stands for every class and function that a pickle names and torch does not itself allow. It does nothing."""

    def __new__(cls, *arguments: object, **named: object) -> Inert:
        return super().__new__(cls)

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_torch_file(path: Path) -> object:
    """What ``torch.save`` wrote, with tensors on the CPU and :class:`Inert` in place of all other objects.

    Official checkpoints hold an ``argparse.Namespace`` and more beside their tensors. None of it is imported or called:
    torch's restricted unpickler stops at each class or function that it does not know and names it, and then gets the
    stand-in under that name.

    Raises:
        WeightsError: the file is damaged, no such file, or asks for what the restricted unpickler refuses.
    """
    stand_ins: list[Callable[..., object] | tuple[Callable[..., object], str]] = []
    try:
        with open(path, "rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
        while True:
            try:
                with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Detected pickle protocol")  # what it cannot read, it refuses
                    # Mapped, the optimizer's state that makes two thirds of a checkpoint is never read.
                    return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
            except UnpicklingError as error:
                unknown = _UNKNOWN_GLOBAL.search(str(error))
                if unknown is None:
                    raise
                stand_in = (Inert, unknown[1] if "." in unknown[1] else f"builtins.{unknown[1]}")
                if stand_in in stand_ins:
                    raise
                stand_ins.append(stand_in)
    except _UNREADABLE as error:
        raise WeightsError(
            f"{path}: its tensors cannot be read: the file is damaged, or it asks for code to be run, and none was run "
            f"({_reason(error)}). Fetch it again, or save its state dict alone, as safetensors, with the program that "
            "wrote it."
        ) from error


def _reason(error: BaseException) -> str:
    """The last line of torch's long explanations (which advise to load unsafely), whole for others."""
    lines = [line for line in str(error).splitlines() if line.strip() and "documentation of torch.load" not in line]
    return f"{type(error).__name__}: {lines[-1].strip() if lines else 'no details'}"


def read_state_dict(path: Path) -> Tensors:
    """The weights of PyTorch's files, see :func:`read_torch_file` and :func:`state_dict_in`."""
    return state_dict_in(read_torch_file(path), str(path))


def state_dict_in(checkpoint: object, source: str) -> Tensors:
    """The weights inside what :func:`read_torch_file` returned: under model, module or state_dict, or all of it.

    Raises:
        WeightsError: no state dict there, or one that holds other things than tensors of real numbers.
    """
    if not isinstance(checkpoint, Mapping):
        raise WeightsError(
            f"{source}: got a {_kind(checkpoint)}, expected a dict of tensors or a checkpoint that has one"
        )
    key = next((key for key in _STATE_KEYS if key in checkpoint), None)
    state = checkpoint if key is None else checkpoint[key]
    where = source if key is None else f"{source}, '{key}'"
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(
            f"{where}: got a {_kind(state)}, expected a dict of tensors. Save model.state_dict(), not the model."
        )
    strangers = [f"{name} ({_kind(value)})" for name, value in state.items() if not isinstance(value, Tensor)]
    if strangers:
        raise WeightsError(
            f"{where}: expected nothing but tensors (or a checkpoint with one of the keys {', '.join(_STATE_KEYS)}), "
            f"got also {', '.join(strangers[:10])}{' …' if len(strangers) > 10 else ''}"
        )
    return {str(name): value for name, value in state.items()}


def _kind(value: object) -> str:
    return "pickled object" if isinstance(value, Inert) else type(value).__name__


# --- writing -------------------------------------------------------------------------------------------------------


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write so that ``path`` holds the old file or all of the new one."""
    plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    with unfinished(path) as file:
        try:
            # transformers refuses files without this entry.
            safetensors.torch.save_file(plain, file, metadata={"format": "pt"})
        except SafetensorError as error:
            # The number of the system's error is only in the text: "... (os error 28)".
            said = re.search(r"os error (\d+)", str(error))
            number = int(said[1]) if said else errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from error


def write_torch_file(path: Path, data: Mapping[str, object]) -> None:
    """``torch.save``, so that ``path`` holds the old file or all of the new one."""
    # By name, torch refuses files that begin with a dot.
    with unfinished(path) as name, name.open("wb") as file:
        torch.save(data, file)
