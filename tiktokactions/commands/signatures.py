"""What a command takes, read from its signature: how each parameter is called, of which type it is, what it is told.

The command line, a project's file and the commands it starts in processes of their own all read it here.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import Annotated, Any, Literal

from tiktokactions.commands.options import Typed

Hint = Any
"""A class, a union, a ``Literal``, a ``list[...]`` or an ``Annotated``: typing has no name for all of them."""


def own_parameters(function: Callable[..., object]) -> dict[str, tuple[inspect.Parameter, Hint]]:
    """The parameters that are not fields of the options dataclass, and their types."""
    names = vars(sys.modules[function.__module__])
    return {
        name: (parameter, eval(str(parameter.annotation), names))
        for name, parameter in inspect.signature(function).parameters.items()
        if name in function.__annotations__ and parameter.kind is not parameter.VAR_KEYWORD
    }


def callbacks_of(function: Callable[..., object]) -> dict[str, str]:
    """Parameters that receive progress, and what they receive: ``Progress``, ``kept`` ..."""
    found = {name: _callback(annotation) for name, (_, annotation) in own_parameters(function).items()}
    return {name: told for name, told in found.items() if told}


def words_of(function: Callable[..., object], call: collections.abc.Mapping[str, object]) -> list[str]:
    """What a person types after the command's name for these arguments."""
    own, places, flags = own_parameters(function), list[str](), list[str]()
    kind: type | None = getattr(function, "options", None)
    fields = {} if kind is None else {field.name: field for field in dataclasses.fields(kind)}
    for name, value in call.items():
        flag = flags_of(*own[name])[:1] if name in own else (f"--{flag_of_field(fields[name])}",)
        none_word = fields[name].metadata.get("none") if name in fields else None
        values = [none_word if value is None else value] if isinstance(value, (str, type(None))) else value
        several = values if isinstance(values, collections.abc.Sequence) else [values]
        if value is False:
            flags += [f"--no-{flag[0].removeprefix('--')}"] if name in fields else []
        elif value is True:
            flags += flag
        elif flag:
            flags += [*flag, *map(str, several)]
        else:
            places += map(str, several)
    return [*places, *flags]


def _callback(annotation: Hint) -> str:
    """What a parameter receives if it is a callback, else ''."""
    marked = typing.get_origin(annotation) is Annotated
    called = typing.get_args(annotation)[0] if marked else annotation
    if typing.get_origin(called) is not collections.abc.Callable:
        return ""
    return typing.get_args(annotation)[1] if marked else typing.get_args(called)[0][0].__name__


def unmarked(annotation: Hint) -> tuple[Hint, Typed]:
    """The type, and how the parameter is typed."""
    marked = typing.get_origin(annotation) is Annotated
    return typing.get_args(annotation) if marked else (annotation, Typed())


def flags_of(parameter: inspect.Parameter, annotation: Hint) -> tuple[str, ...]:
    """Its flags; none for one that is given by its place."""
    flag = unmarked(annotation)[1].flag
    if parameter.name == "output":
        return ("-o", "--output")
    if flag or parameter.kind is parameter.KEYWORD_ONLY:
        return ("--" + (flag or parameter.name.replace("_", "-")),)
    return ()


def flag_of_field(field: dataclasses.Field[Any]) -> str:
    """Without its dashes."""
    return str(field.metadata.get("flag", field.name.replace("_", "-")))


def kind_of(annotation: Hint) -> tuple[Hint, bool]:
    """The one type that is typed for an annotation, and whether the function expects a tuple of it."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    alternatives = typing.get_args(annotation) if is_union else (annotation,)
    for several in alternatives:
        origin = typing.get_origin(several)
        if origin in (collections.abc.Sequence, list, tuple):
            return list[kind_of(typing.get_args(several)[0])[0]], origin is tuple  # type: ignore[misc]
    for one in alternatives:
        if typing.get_origin(one) is Literal:
            return one, False
    return next((kind for kind in (bool, Fraction, date, float, str, int) if kind in alternatives), str), False
