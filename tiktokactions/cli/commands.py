"""How a command and a group of commands look, and what their exit codes mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from tiktokactions.errors import ATTENTION, DONE, USAGE

__all__ = ["ATTENTION", "DONE", "USAGE"]


def command(
    commands: Any, name: str, summary: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.set_defaults(run=run)
    return parser


def group(commands: Any, name: str, summary: str, description: str, example: str, title: str = "commands") -> Any:
    """A command that only holds commands; alone it prints its help."""
    group = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group.set_defaults(group_parser=group)
    return group.add_subparsers(title=title, metavar="STUDY" if title == "studies" else "COMMAND")


def warn_if_overdue(*paths: str) -> None:
    """One line on stderr for every collection among these paths, or around them, whose refresh is overdue."""
    from tiktokactions.collection.session import collections_of, refresh_warning

    for collection in collections_of(paths):
        if warning := refresh_warning(collection):
            print(f"warning: {warning}", file=sys.stderr)
