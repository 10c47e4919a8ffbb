"""docs/commands.md, made from the commands themselves: ``python -m tiktokactions.cli.reference docs/commands.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from tiktokactions.cli.derive import Command, Option, all_commands

HEAD = """# Every command

Made from the program itself (`make docs`). Every command has `--json` (one object on standard output) and `--help`. Exit
codes: 0 done, 1 done but something needs attention (it says what), 2 bad usage or bad input, 70 a bug (with its traceback),
130 interrupted; the same command again goes on. An option that takes several values can be repeated: `--labels A B` and
`--labels A --labels B` are the same. Commands with `--config FILE` also read their options from a TOML file.
"""


def command_reference() -> str:
    """Markdown: a section for every command, with its arguments, options and example."""
    return "\n".join([HEAD, *map(section, all_commands())])


def section(command: Command) -> str:
    lines = [f"## {command.typed}", "", command.description, ""]
    if command.options:
        lines += ["| | meaning |", "|---|---|", *map(row, command.options), ""]
    return "\n".join([*lines, "```", command.example, "```", ""])


def row(option: Option) -> str:
    label = ", ".join([option.label, *([option.negative] if option.negative else [])])
    needed = " (must be given)" if option.required and option.flags else ""
    return f"| {escaped(f'`{label}`')} | {escaped(option.help + needed)} |"


def escaped(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(command_reference(), encoding="utf-8")
