"""The options of a command from the frozen dataclass that holds them, typed or in a TOML file."""

from __future__ import annotations

import argparse
import dataclasses
import tomllib
import typing
from fractions import Fraction
from pathlib import Path
from typing import Any

from tiktokactions.cli.words import with_dashes
from tiktokactions.errors import UsageError


def add_options(parser: argparse.ArgumentParser, kind: type, titles: dict[str, str]) -> None:
    """Every field of an options dataclass as an option, in sections by its group, and ``--config``."""
    parser.add_argument("--config", metavar="FILE", help="TOML file that sets any of these options by name")
    types = typing.get_type_hints(kind)
    for group, title in titles.items():
        fields = [field for field in dataclasses.fields(kind) if field.metadata["group"] == group]
        section = parser.add_argument_group(title) if fields else None
        for field in fields:
            _add_option(section, field, types[field.name])


def _add_option(section: Any, field: dataclasses.Field[Any], kind: Any) -> None:
    """One command-line option from one field of an options dataclass. Not typed means absent, not the default."""
    flag = "--" + field.name.replace("_", "-")
    text = with_dashes(field.metadata["help"])
    shown = f"{text} (default: {field.default})" if field.default not in (None, (), False) else text
    common: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": shown.replace("%", "%%")}
    alternatives = set(typing.get_args(kind)) or {kind}
    kind = next((t for t in alternatives if typing.get_origin(t) is typing.Literal), kind)
    if kind is bool:
        section.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
    elif typing.get_origin(kind) is typing.Literal:
        section.add_argument(flag, choices=typing.get_args(kind), **common)
    elif kind == tuple[float, ...]:
        section.add_argument(flag, nargs="+", type=float, **common)
    elif typing.get_origin(kind) is tuple:
        section.add_argument(flag, action="append", metavar="NAME=VALUE", **common)
    elif field.name == "short_side":
        section.add_argument(flag, type=_side, metavar="PIXELS", **common)
    else:
        number = next(t for t in (Fraction, float, int, str) if t in alternatives)
        section.add_argument(flag, type=number, metavar=field.name.rsplit("_", 1)[-1].upper(), **common)


def _side(text: str) -> int | None:
    return None if text == "source" else int(text)


class ConfigError(UsageError):
    """A configuration file that cannot be used."""


def options_of(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The options of a command from its configuration file, overridden by what was typed."""
    types = typing.get_type_hints(kind)
    options: dict[str, Any] = {}
    if arguments.config:
        path = Path(arguments.config)
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"--config {path}: {error}") from error
        unknown = sorted(set(said) - set(types))
        if unknown:
            raise ConfigError(
                f"--config {path}: unknown name {', '.join(unknown)}; expected some of {', '.join(sorted(types))}"
            )
        options = {name: _from_toml(name, value, types[name], path) for name, value in said.items()}
    typed = {name: getattr(arguments, name) for name in types if hasattr(arguments, name)}
    return options | {name: tuple(value) if isinstance(value, list) else value for name, value in typed.items()}


def _from_toml(name: str, value: Any, kind: Any, path: Path) -> Any:
    alternatives = set(typing.get_args(kind)) or {kind}
    kind = next((t for t in alternatives if typing.get_origin(t) is typing.Literal), kind)
    if name == "short_side" and value == "source":
        return None
    if Fraction in alternatives and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return Fraction(str(value))
    if kind == tuple[float, ...] and isinstance(value, list) and all(type(item) in (int, float) for item in value):
        return tuple(float(item) for item in value)
    if kind == tuple[str, ...] and isinstance(value, list):
        return tuple(str(item) for item in value)
    if typing.get_origin(kind) is typing.Literal:
        fits = value in typing.get_args(kind)
    elif isinstance(value, bool):
        fits = kind is bool
    else:
        value = float(value) if float in alternatives and isinstance(value, int) else value
        fits = isinstance(value, tuple(t for t in alternatives if isinstance(t, type)))
    if not fits:
        raise ConfigError(f"--config {path}: {name} = {value!r}, expected {kind}")
    return value
