"""What can be typed after a command, derived from its function: signature, docstring and options dataclass."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import typing
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import docstring_parser

from tiktokactions.cli.words import with_dashes
from tiktokactions.commands.signatures import (
    Hint,
    callbacks_of,
    flag_of_field,
    flags_of,
    kind_of,
    own_parameters,
    unmarked,
)
from tiktokactions.options import is_required

COMMANDS = {
    "hashtags": ("propose", "select", "explain"),
    "collect": ("run", "plan", "status", "import", "export"),
    "refresh": (),
    "takedown": (),
    "download": (),
    "curate": (),
    "review": ("", "suggest", "apply", "status", "invite", "export", "import"),
    "dataset": ("stats", "verify", "card", "split", "export", "subset", "hydrate", "merge", "diff"),
    "release": (),
    "pretrain": (),
    "finetune": (),
    "evaluate": (),
    "predict": (),
    "export": (),
    "study": ("scaling", "sources"),
    "extrapolate": (),
    "plan": (),
    "report": (),
    "run": (),
    "update": (),
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
    "labels": "the labels",
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
    "prices": "prices",
    "server": "the pages",
    "queue": "what is shown",
    "people": "people",
    "run": "this run",
}
"""Titles of the sections of a help text, by the ``group`` of an option, in their order."""


@dataclass(frozen=True)
class Option:
    """Something that can be typed: a positional argument, or an option with its flags."""

    name: str
    """The parameter of the function."""
    kind: Hint
    """Its type, without ``None`` and alternatives that cannot be typed; ``list[...]`` if it takes several values."""
    default: object
    """``inspect.Parameter.empty`` if it must be given."""
    help: str
    flags: tuple[str, ...] = ()
    """Empty: it is positional."""
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
    """One command: how it is typed, and its function. Only the command that is called gets imported."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """The function's name in ``tiktokactions``, and that of its file."""
        return "_".join(self.words)

    @property
    def typed(self) -> str:
        return " ".join(("tiktokactions", *self.words))

    @cached_property
    def summary(self) -> str:
        """The first line of its file, read without importing it, so that the list of all commands is quick."""
        source = pkgutil.get_data("tiktokactions.commands", f"{self.name}.py") or b""
        return source.decode().partition("\n")[0].strip('"').removesuffix(".")

    @cached_property
    def function(self) -> Callable[..., object]:
        found: Callable[..., object] = getattr(
            importlib.import_module(f"tiktokactions.commands.{self.name}"), self.name
        )
        return found

    @cached_property
    def docstring(self) -> docstring_parser.Docstring:
        return docstring_parser.parse(self.function.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)

    @property
    def description(self) -> str:
        """Paragraphs without markup."""
        parts = (self.docstring.short_description, self.docstring.long_description)
        return "\n\n".join(plain(part) + "." for part in parts if part)

    @property
    def example(self) -> str:
        return "\n".join(re.sub(r"\n +", " ", example.description or "") for example in self.docstring.examples)

    @property
    def takes(self) -> type | None:
        """The options dataclass whose fields a TOML file can set."""
        return getattr(self.function, "options", None)

    @cached_property
    def parameters(self) -> dict[str, tuple[inspect.Parameter, Hint]]:
        """The parameters that are not fields of the options dataclass, and their types."""
        return own_parameters(self.function)

    @cached_property
    def callbacks(self) -> dict[str, str]:
        """Parameters that receive progress, and what they receive: ``Progress``, ``kept`` ..."""
        return callbacks_of(self.function)

    @cached_property
    def options(self) -> list[Option]:
        """Arguments and options in the order of the signature."""
        helps = {n.strip(): p.description or "" for p in self.docstring.params for n in p.arg_name.split(",")}
        fields = {f.name: f for f in dataclasses.fields(self.takes)} if self.takes else {}
        hints = typing.get_type_hints(self.takes) if self.takes else {}
        signature = inspect.signature(self.function).parameters
        return [
            _option_of_parameter(*self.parameters[name], plain(helps.get(name, ""), signature))
            if name in self.parameters
            else _option_of_field(fields[name], hints[name])
            for name in signature
            if name not in self.callbacks and name != "options"
        ]


def all_commands() -> list[Command]:
    return [Command((name, part) if part else (name,)) for name, parts in COMMANDS.items() for part in parts or ("",)]


def command_meant(typed: Sequence[str]) -> Command | None:
    """The command that these words call; None if they only ask for help."""
    words = [word for word in typed if not word.startswith("-")]
    parts = COMMANDS.get(words[0]) if words else None
    if parts is None:
        return None
    if words[1:2] and words[1] in parts:
        return Command((words[0], words[1]))
    return Command((words[0],)) if "" in parts or not parts else None


def plain(text: str, parameters: Collection[str] = ()) -> str:
    """A docstring's text as one paragraph without markup and last full stop; ``parameters`` get their dashes."""

    def without_marks(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return with_dashes(f"`{name}`") if name in parameters else name

    return " ".join(re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", without_marks, text).split()).removesuffix(".")


def _option_of_field(field: dataclasses.Field[object], annotation: Hint) -> Option:
    kind, is_tuple = kind_of(annotation)
    more, flag = field.metadata, flag_of_field(field)
    default = inspect.Parameter.empty if is_required(field) else field.default
    help = _with_default(with_dashes(more["help"]), default)
    negative = f"--no-{flag}" if kind is bool else ""
    metavar = more.get("metavar", field.name.rsplit("_", 1)[-1].upper())
    flags, none_word = (f"--{flag}",), more.get("none", "")
    return Option(field.name, kind, default, help, flags, negative, metavar, more["group"], none_word, is_tuple)


def _option_of_parameter(parameter: inspect.Parameter, annotation: Hint, help: str) -> Option:
    name, flags = parameter.name, flags_of(parameter, annotation)
    annotation, typed = unmarked(annotation)
    kind, is_tuple = kind_of(annotation)
    metavar = name.rsplit("_", 1)[-1] if flags else name
    if flags and os.PathLike[str] in typing.get_args(annotation):
        metavar = "path"
    metavar, help = typed.metavar or metavar.upper(), _with_default(help, parameter.default)
    return Option(name, kind, parameter.default, help, flags, metavar=metavar, is_tuple=is_tuple)


def _with_default(help: str, default: object) -> str:
    if default is False or default in (None, (), "", inspect.Parameter.empty) or "default:" in help:
        return help
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{help} (default: {shown})".strip()
