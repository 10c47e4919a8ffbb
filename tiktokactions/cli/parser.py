"""The commands for cyclopts: functions whose parameters are the options, called with what was typed."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Sequence
from datetime import date
from fractions import Fraction
from typing import Annotated, Any

from cyclopts import App, Group, Parameter, Token

from tiktokactions import __version__
from tiktokactions.cli.derive import GROUPS, SECTIONS, Command, Option, all_commands, command_meant

JSON = Option("as_json", bool, False, "print one JSON object instead of text", flags=("--json",))
CONFIG = Option(
    "config", str, None, "TOML file that sets any of the options below by name", ("--config",), metavar="FILE"
)
Typed = dict[str, Any]
"""What was typed, by the names of the options, each of the type that its annotation names."""
STDIN = "\0-"
"""Stands for ``-`` while cyclopts, which takes it for an option, looks at what was typed."""


def build_app(typed: Sequence[str], run: Callable[[Command, Typed], int]) -> App:
    """``run(command, given)`` is called with exactly what was typed.

    Only the command that is meant gets its parameters: the others are only listed.
    """
    meant = command_meant(typed)
    root = App(
        name="tiktokactions",
        version=f"tiktokactions {__version__}",
        help="Turn raw social video into a human-action dataset, and train a video model on it.",
        help_epilogue="Example:\n  tiktokactions demo",
        help_format="plaintext",
        default_parameter=Parameter(consume_multiple=True, negative_bool="", negative_iterable="", show_default=False),
    )
    groups: dict[str, App] = {}
    for number, command in enumerate(all_commands()):
        parent, *rest = command.words
        if parent in GROUPS and parent not in groups:
            epilogue = examples(command) if parent in typed else ""
            groups[parent] = App(name=parent, help=GROUPS[parent], help_epilogue=epilogue, sort_key=number)
            root.command(groups[parent])
        made: Callable[..., object] = _only_listed
        look: dict[str, Any] = {"help": command.summary + ".", "sort_key": number}
        if command == meant:
            made = _callable_for(command, run)
            look |= {"help": command.description, "help_epilogue": examples(command)}
        if parent not in GROUPS:
            root.command(made, name=parent, **look)
        elif rest:
            groups[parent].command(made, name=rest[0], **look)
        else:
            groups[parent].default(made)
            groups[parent].command(made, name="serve", show=False)
    return root


def _only_listed() -> None:
    """Stands for a command that is not meant."""


def examples(command: Command) -> str:
    """Long lines are continued as a shell continues them, so that they can be copied."""
    lines = command.example.splitlines()
    folded = (textwrap.wrap(line, 72, break_long_words=False, break_on_hyphens=False) for line in lines)
    return "\n".join(["Example:", *("  " + " \\\n      ".join(parts) for parts in folded)])


def _callable_for(command: Command, run: Callable[[Command, Typed], int]) -> Callable[..., int]:
    options = [*command.options, JSON, *([CONFIG] if command.takes is not None else [])]
    positional = [option for option in options if not option.flags]

    def typed(*values: object, **given: object) -> int:
        named = dict(zip((option.name for option in positional), values, strict=False)) | given
        lists = {name: value for name, value in named.items() if isinstance(value, list)}
        named |= {name: ["-" if word == STDIN else word for word in value] for name, value in lists.items()}
        return run(command, named)

    typed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [_parameter(option) for option in (*positional, *(o for o in options if o.flags))]
    )
    return typed


def _parameter(option: Option) -> inspect.Parameter:
    more: dict[str, Any] = {}
    if option.section:
        more["group"] = Group(SECTIONS[option.section], sort_key=list(SECTIONS).index(option.section))
    if option.flags:
        more |= {"name": option.flags[::-1], "negative": option.negative}
    if option.kind is Fraction or option.kind is date or option.none_word:
        more |= {"converter": functools.partial(_converted, option), "n_tokens": 1, "accepts_keys": False}
    kind, default = option.kind, option.default
    if not option.required and (kind is not bool or default is None):
        kind, default = kind | None, None  # what is not typed is not given on
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY if option.flags else inspect.Parameter.POSITIONAL_ONLY,
        default=default,
        annotation=Annotated[kind, Parameter(help=option.help, metavar=option.metavar or None, **more)],
    )


def _converted(option: Option, kind: object, tokens: Sequence[Token]) -> object:
    word = tokens[0].value
    if word == option.none_word:
        return None
    return date.fromisoformat(word) if option.kind is date else option.kind(word)
