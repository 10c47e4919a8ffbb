"""The command reference of the documentation, made from the parsers themselves: ``python -m tiktokactions.cli.reference``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tiktokactions.cli.entry import build_parser

HEAD = """# Every command

Made from the program itself (`make docs`). Every command has `--json` (one object on standard output) and `--help`. Exit
codes: 0 done, 1 done but something needs attention (it says what), 2 bad usage or bad input, 130 interrupted; the same
command again goes on. Options of one dataclass can also stand in a TOML file, `--config FILE`.
"""
EVERYWHERE = ("--help", "--json", "--version")


def command_reference() -> str:
    """Markdown: a section for every command, with its arguments, options and example."""
    return "\n".join([HEAD, *(section(parser) for parser in leaves(build_parser()))])


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all commands that do something, in the order of the help."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if parser.get_default("run") is not None:
        yield parser
    for group in groups:
        for child in group.choices.values():
            yield from leaves(child)


def section(parser: argparse.ArgumentParser) -> str:
    lines = [f"## {parser.prog}", "", parser.description or "", ""]
    rows = [
        row(action)
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction) and not set(EVERYWHERE) & set(action.option_strings)
    ]
    if rows:
        lines += ["| | meaning |", "|---|---|", *rows, ""]
    example = [line.strip() for line in (parser.epilog or "").splitlines() if line.startswith("  ")]
    return "\n".join([*lines, "```", *example, "```", ""])


def row(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else None
    if action.choices is not None:
        value = ", ".join(str(choice) for choice in action.choices)
    elif action.option_strings and action.nargs != 0:
        value = metavar or action.dest.upper()
    else:
        value = ""
    name = ", ".join(action.option_strings) or metavar or action.dest
    shown = f"`{name}{' ' + value if value else ''}`"
    told = (action.help or "") % (vars(action) | {"prog": "tiktokactions"}) if action.help else ""
    return f"| {escaped(shown)} | {escaped(told)} |"


def escaped(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text.replace("\n", " "))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(command_reference(), encoding="utf-8")
