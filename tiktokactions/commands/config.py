"""Options in a TOML file: ``name = value``, with the names of the options, checked as strictly as in Python."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tomllib
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from tiktokactions.commands.options import Config
from tiktokactions.commands.signatures import (
    Hint,
    callbacks_of,
    flag_of_field,
    flags_of,
    kind_of,
    own_parameters,
    unmarked,
)
from tiktokactions.errors import UsageError
from tiktokactions.options import as_type, check_bounds_of, is_required

Kinds = Mapping[str, tuple[Hint, str | None]]
"""What may be set: of which type it is, and the word that stands for None, if there is one."""


class ConfigError(UsageError):
    """A configuration file that cannot be used."""


def read_config(file: str | os.PathLike[str], kind: type, names: Collection[str] = ()) -> dict[str, object]:
    """The options of a dataclass (of ``names`` only, if there are any) that a TOML file sets.

    Raises:
        ConfigError: a file that cannot be read, a name that is no option, a value of another type.
    """
    kinds = {name: found for name, found in _kinds_of_fields(kind).items() if name in names or not names}
    return checked(read_toml(file), kinds, str(file))


def read_toml(file: str | os.PathLike[str]) -> dict[str, object]:
    """Raises :class:`ConfigError` for a file that cannot be read."""
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def checked(told: Mapping[str, object], kinds: Kinds, where: str) -> dict[str, object]:
    """What a TOML table sets, each value of its option's type.

    Raises:
        ConfigError: a name that is no option, or a value of another type; the message begins with ``where``.
    """
    if unknown := sorted(set(told) - set(kinds)):
        raise ConfigError(f"{where}: unknown name {', '.join(unknown)}; expected some of {', '.join(sorted(kinds))}")
    with said_of(where):
        return {n: None if value == kinds[n][1] else as_type(n, value, kinds[n][0]) for n, value in told.items()}


@contextlib.contextmanager
def said_of(where: str) -> Iterator[None]:
    """Mistakes in options are said of the file, which names them as they are."""
    try:
        yield
    except UsageError as error:
        raise ConfigError(f"{where}: {error}".replace("`", "")) from error


def checked_call(function: Callable[..., object], told: Mapping[str, object], where: str) -> dict[str, object]:
    """The arguments of a command that a TOML table sets, by the names of its signature or as they are typed (``from``).

    Raises:
        ConfigError: as :func:`checked`, or an argument that is missing.
    """
    own = {name: found for name, found in own_parameters(function).items() if name not in callbacks_of(function)}
    kinds: dict[str, tuple[Hint, str | None]]
    kinds = {name: (_accepted(unmarked(hint)[0]), None) for name, (_, hint) in own.items()}
    typed = {flags_of(*found)[-1].removeprefix("--"): name for name, found in own.items() if flags_of(*found)}
    fields: type | None = getattr(function, "options", None)
    if fields is not None:
        kinds = _kinds_of_fields(fields) | kinds
        typed |= {flag_of_field(field): field.name for field in dataclasses.fields(fields)}
    called = {name: name if name in kinds else typed.get(name, name) for name in told}
    if twice := [name for name in told if list(called.values()).count(called[name]) > 1]:
        raise ConfigError(f"{where}: {' and '.join(twice)} are one option; give it once")
    found = checked({called[name]: value for name, value in told.items()}, kinds, where)
    if fields is not None:
        with said_of(where):
            check_bounds_of(fields, found)
    needed = [name for name, (parameter, _) in own.items() if parameter.default is parameter.empty]
    needed += [field.name for field in dataclasses.fields(fields) if is_required(field)] if fields else []
    if missing := [name for name in needed if name not in found]:
        raise ConfigError(f"{where}: {', '.join(missing)} must be given")
    return found


def _kinds_of_fields(kind: type) -> dict[str, tuple[Hint, str | None]]:
    hints = typing.get_type_hints(kind)
    return {field.name: (hints[field.name], field.metadata.get("none")) for field in dataclasses.fields(kind)}


def _accepted(hint: Hint) -> Hint:
    """The type that is typed; where several values are taken, one alone will do; a table of options, where that is taken."""
    kind = kind_of(hint)[0]
    if typing.get_origin(kind) is list:
        one = str | int if hint == Sequence[str | int] else typing.get_args(kind)[0]
        return list[one] | one  # type: ignore[valid-type]
    return kind | dict[str, typing.Any] if hint == Config else kind
