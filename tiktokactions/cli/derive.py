"""What can be typed after a command, derived from its function: signature, docstring and options dataclass."""

from __future__ import annotations

import collections.abc
import dataclasses
import importlib
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Annotated, Any, Literal

import docstring_parser

from tiktokactions.cli.words import with_dashes
from tiktokactions.commands.options import Typed

COMMANDS = {
    "hashtags": ("propose", "select", "explain"),
    "collect": ("run", "plan", "status", "import", "export"),
    "refresh": (),
    "download": (),
    "curate": (),
    "review": ("", "apply", "status", "invite", "export", "import"),
    "dataset": ("stats", "verify", "card", "split", "export", "subset", "hydrate", "merge", "diff"),
    "pretrain": (),
    "finetune": (),
    "evaluate": (),
    "predict": (),
    "export": (),
    "study": ("scaling", "sources"),
    "extrapolate": (),
    "plan": (),
    "report": (),
    "demo": (),
    "doctor": (),
}
"""The commands in the order of the data flow, with their parts; '' is what the command does without a part."""
GROUPS = {
    "hashtags": "Which hashtags stand for which actions.",
    "collect": "Metadata of videos by hashtag, from the TikTok Research API or from a file.",
    "review": "People judge and label clips on a web page: tiktokactions review DATASET",
    "dataset": "Split, choose, export, merge, count and check a dataset.",
    "study": "How much data is enough, and which.",
}
SECTIONS = {
    "evidence": "what is looked at (another value decodes the videos again)",
    "decision": "what qualifies (can be changed later with --redecide)",
    "clip": "the clips",
    "collection": "what is collected",
    "api": "the API",
    "split": "the sides",
    "data": "the data",
    "model": "the model",
    "recipe": "the recipe (defaults: the paper's)",
    "augmentation": "augmentation",
    "test": "looking at results",
    "study": "what is studied",
    "plan": "what is planned",
    "gpu": "training",
    "server": "the pages",
    "queue": "what is shown",
    "people": "people",
    "run": "this run",
}
"""Titles of the sections of a help text, by the ``group`` of an option, in their order."""


@dataclass(frozen=True)
class Option:
    """One thing that can be typed: a positional argument, or an option with its flags."""

    name: str
    """The parameter of the function."""
    kind: Any
    """Its type, with no ``None`` in it and no alternative that cannot be typed; ``list[...]`` if it takes several."""
    default: Any
    """``inspect.Parameter.empty`` if it must be given."""
    help: str
    flags: tuple[str, ...] = ()
    """None: it is positional."""
    negative: str = ""
    """The flag that means no, if there is one."""
    metavar: str = ""
    section: str = ""
    none_word: str = ""
    """What is typed for ``None``, where that means something."""
    is_tuple: bool = False

    @property
    def takes_several(self) -> bool:
        return typing.get_origin(self.kind) is list

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def label(self) -> str:
        """How help and documentation write it."""
        choices = ", ".join(typing.get_args(self.kind)) if typing.get_origin(self.kind) is Literal else ""
        several = " ..." if self.takes_several else ""
        value = "" if self.kind is bool else choices or self.metavar
        return f"{', '.join(self.flags)} {value}{several}".strip() if self.flags else f"{self.metavar}{several}"


@dataclass(frozen=True)
class Command:
    """One command: what is typed for it, and what it is in Python."""

    words: tuple[str, ...]
    function: Callable[..., Any]
    summary: str
    description: str
    example: str
    options: list[Option]
    callbacks: dict[str, str]
    """Parameters that are told progress, and what they are told: ``Progress``, ``kept`` ..."""
    takes: type | None
    """The options dataclass whose fields a TOML file can set."""

    @property
    def name(self) -> str:
        """The function's name in ``tiktokactions``, and that of its file."""
        return "_".join(self.words)

    @property
    def typed(self) -> str:
        return " ".join(("tiktokactions", *self.words))

    @property
    def names(self) -> list[str]:
        """The options that a TOML file can set."""
        return [option.name for option in self.options if option.section]


def commands_for(typed: Sequence[str] = ()) -> list[Command]:
    """The commands that what was typed may mean: all, or those of its first word."""
    names = [name for name in COMMANDS if typed and typed[0] == name] or list(COMMANDS)
    return [derive((name, part) if part else (name,)) for name in names for part in COMMANDS[name] or ("",)]


def derive(words: tuple[str, ...]) -> Command:
    name = "_".join(words)
    module = importlib.import_module(f"tiktokactions.commands.{name}")
    function = getattr(module, name)
    told = docstring_parser.parse(function.__doc__, docstring_parser.DocstringStyle.GOOGLE)
    parameters = inspect.signature(function).parameters
    helps = {n.strip(): p.description or "" for p in told.params for n in p.arg_name.split(",")}
    kind = getattr(function, "options", None)
    fields = {} if kind is None else {f.name: f for f in dataclasses.fields(kind)}
    hints = {} if kind is None else typing.get_type_hints(kind)
    options, callbacks = [], {}
    for parameter in parameters.values():
        if parameter.name not in function.__annotations__:
            options.append(_option_of_field(fields[parameter.name], hints[parameter.name]))
            continue
        annotation = eval(str(parameter.annotation), vars(module))
        if marker := _callback(annotation):
            callbacks[parameter.name] = marker
        elif parameter.kind is not parameter.VAR_KEYWORD:
            options.append(
                _option_of_parameter(parameter, annotation, plain(helps.get(parameter.name, ""), parameters))
            )
    return Command(
        words=words,
        function=function,
        summary=plain(told.short_description or ""),
        description=plain(told.long_description or "") + "." * bool(told.long_description),
        example="\n".join(re.sub(r"\n +", " ", e.description or "") for e in told.examples),
        options=options,
        callbacks=callbacks,
        takes=kind,
    )


def plain(text: str, parameters: Collection[str] = ()) -> str:
    """A docstring's text as one paragraph without markup and last full stop; ``parameters`` get their dashes."""

    def unmarked(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return with_dashes(f"`{name}`") if name in parameters else name

    return " ".join(re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", unmarked, text).split()).removesuffix(".")


def _callback(annotation: Any) -> str:
    """What a parameter is told if it is a callback, else ''."""
    marked = typing.get_origin(annotation) is Annotated
    called = typing.get_args(annotation)[0] if marked else annotation
    if typing.get_origin(called) is not collections.abc.Callable:
        return ""
    return typing.get_args(annotation)[1] if marked else typing.get_args(called)[0][0].__name__


def _option_of_field(field: dataclasses.Field[Any], annotation: Any) -> Option:
    kind, is_tuple = _kind_of(annotation)
    flag = "--" + field.metadata.get("flag", field.name.replace("_", "-"))
    none_word = field.metadata.get("none", "")
    return Option(
        name=field.name,
        kind=kind,
        default=field.default,
        help=_with_default(with_dashes(field.metadata["help"]), field.default),
        flags=(flag,),
        negative="--no-" + flag[2:] if kind is bool else "",
        metavar=field.metadata.get("metavar", field.name.rsplit("_", 1)[-1].upper()),
        section=field.metadata["group"],
        none_word=none_word,
        is_tuple=is_tuple,
    )


def _option_of_parameter(parameter: inspect.Parameter, annotation: Any, help: str) -> Option:
    typed = Typed()
    if typing.get_origin(annotation) is Annotated:
        annotation, typed = typing.get_args(annotation)
    kind, is_tuple = _kind_of(annotation)
    flags: tuple[str, ...] = ()
    if parameter.name == "output":
        flags = ("-o", "--output")
    elif typed.flag or parameter.kind is parameter.KEYWORD_ONLY:
        flags = ("--" + (typed.flag or parameter.name.replace("_", "-")),)
    metavar = parameter.name.rsplit("_", 1)[-1] if flags else parameter.name
    if flags and os.PathLike[str] in typing.get_args(annotation):
        metavar = "path"
    return Option(
        name=parameter.name,
        kind=kind,
        default=parameter.default,
        help=_with_default(help, parameter.default),
        flags=flags,
        metavar=typed.metavar or metavar.upper(),
        is_tuple=is_tuple,
    )


def _with_default(help: str, default: Any) -> str:
    if default is False or default in (None, (), "", inspect.Parameter.empty) or "default:" in help:
        return help
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{help} (default: {shown})".strip()


def _kind_of(annotation: Any) -> tuple[Any, bool]:
    """The one type that is typed for an annotation, and whether the function expects a tuple of it."""
    alternatives = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    for several in alternatives:
        origin = typing.get_origin(several)
        if origin in (collections.abc.Sequence, list, tuple):
            return list[_kind_of(typing.get_args(several)[0])[0]], origin is tuple  # type: ignore[misc]
    for one in alternatives:
        if typing.get_origin(one) is Literal:
            return one, False
    return next((kind for kind in (bool, Fraction, date, float, str, int) if kind in alternatives), str), False


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)
