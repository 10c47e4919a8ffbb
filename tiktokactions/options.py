"""Options of commands: fields of frozen dataclasses that carry their help, and the checks of what a person gives.

The command line, its help, TOML files and the docs all read these fields. Messages name options in backticks, as a
Python caller writes them; the command line puts its dashes there.
"""

from __future__ import annotations

import dataclasses
import operator
import os
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Options = TypeVar("Options", bound="DataclassInstance")

Check = tuple[bool, str, str]
"""Whether it holds, the option's name, and what is expected of the option."""


def option(default: T, group: str, help: str, **metadata: object) -> T:
    """A field of an options dataclass; its ``metadata`` holds ``group`` (a section of the help page) and ``help``.

    ``metadata``: also the bounds of a number, see :func:`check_bounds`, and ``required`` where the default is none.
    """
    return dataclasses.field(default=default, metadata={"group": group, "help": help, **metadata})


def is_required(field: dataclasses.Field[typing.Any]) -> bool:
    """Whether an option must be given."""
    return bool(field.metadata.get("required"))


def check_options(options: object, checks: Iterable[Check]) -> None:
    """Raises :class:`UsageError` for the first check that does not hold."""
    for holds, name, expected in checks:
        if not holds:
            value = getattr(options, name)
            shown = repr(value) if isinstance(value, str) else value
            raise UsageError(f"`{name}`: got {shown}, expected {expected}")


_BOUNDS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "least": (operator.ge, "{:g} or more"),
    "above": (operator.gt, "above {:g}"),
    "most": (operator.le, "at most {:g}"),
    "below": (operator.lt, "below {:g}"),
}


def check_bounds(options: DataclassInstance) -> None:
    """Raises :class:`UsageError` for the first number out of the bounds of its option: least, above, most, below."""
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    check_bounds_of(type(options), given)


def check_bounds_of(kind: type[DataclassInstance], given: Mapping[str, object]) -> None:
    """As :func:`check_bounds`, of some options before there are all."""
    for field in dataclasses.fields(kind):
        value: typing.Any = given.get(field.name)
        bounds = {name: field.metadata[name] for name in _BOUNDS if name in field.metadata}
        if value is not None and not all(_BOUNDS[name][0](value, bound) for name, bound in bounds.items()):
            expected = ", ".join(_BOUNDS[name][1].format(bound) for name, bound in bounds.items())
            raise UsageError(f"`{field.name}`: got {value}, expected {expected}")


def checked_options(kind: type[Options], given: Mapping[str, object]) -> Options:
    """``kind(**given)``, where every name is known and every value is of its option's type.

    What is not given is the option's default, or what the ``recipe`` that is asked for has in ``kind.RECIPES``.

    Raises:
        UsageError: an unknown option, one that is missing, a value of another type or one out of range.
    """
    hints = typing.get_type_hints(kind)
    types = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    unknown = sorted(set(given) - set(types))
    if unknown:
        raise UsageError(f"unknown option {', '.join(unknown)}; expected some of {', '.join(sorted(types))}")
    missing = [field.name for field in dataclasses.fields(kind) if is_required(field) and field.name not in given]
    if missing:
        raise UsageError(f"`{missing[0]}`: expected a value, it must be given")
    checked = {name: as_type(name, value, types[name]) for name, value in given.items()}
    recipes: Mapping[object, Mapping[str, object]] = getattr(kind, "RECIPES", {})
    return kind(**{**recipes.get(checked.get("recipe"), {}), **checked})


def as_type(name: str, value: object, kind: typing.Any) -> object:
    """The value of an option in the option's type. Raises :class:`UsageError` where it is of another."""
    import msgspec

    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif hasattr(value, "item"):  # a NumPy number
        value = value.item()
    try:
        # The hook makes a Fraction of a number or of "30000/1001".
        made: object = msgspec.convert(value, kind, dec_hook=lambda wanted, given: wanted(str(given)))
    except msgspec.ValidationError as error:
        literals = (t for t in (kind, *typing.get_args(kind)) if typing.get_origin(t) is typing.Literal)
        choices = [str(choice) for literal in literals for choice in typing.get_args(literal)]
        problem = f", expected one of {', '.join(choices)}" if choices else f": {error}".replace("`", "'")
        raise UsageError(f"`{name}`: got {value!r}{problem}") from error
    return value if made == value else made  # 30 stays 30 where a float is expected; lists become tuples
