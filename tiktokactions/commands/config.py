"""Options in a TOML file: ``name = value``, with the names of an options dataclass, checked as strictly as in Python."""

from __future__ import annotations

import dataclasses
import os
import tomllib
import typing
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import msgspec

from tiktokactions.errors import UsageError


class ConfigError(UsageError):
    """A configuration file that cannot be used."""


def read_config(file: str | os.PathLike[str], kind: type, names: Collection[str] = ()) -> dict[str, object]:
    """The options of a dataclass (of ``names`` only, if there are any) that a TOML file sets.

    Raises:
        ConfigError: a file that cannot be read, a name that is no option, a value of another type.
    """
    path = Path(file)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name in names or not names}
    if unknown := sorted(set(told) - set(fields)):
        raise ConfigError(f"{path}: unknown name {', '.join(unknown)}; expected some of {', '.join(sorted(fields))}")
    found = {}
    for name, value in told.items():
        none_word = fields[name].metadata.get("none")
        try:
            found[name] = None if value == none_word else msgspec.convert(value, hints[name], dec_hook=_fraction)
        except (msgspec.ValidationError, ValueError) as error:
            raise ConfigError(f"{path}: {name} = {value!r}, expected {hints[name]} ({error})") from error
    return found


def _fraction(kind: type, value: object) -> Fraction:
    if kind is Fraction and type(value) in (int, float, str):
        return Fraction(str(value))
    raise NotImplementedError
