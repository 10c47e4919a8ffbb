"""The entry point: parses, calls the command, prints its result or error, and chooses the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import tiktokactions
from tiktokactions.cli.derive import Command
from tiktokactions.cli.parser import STDIN, Typed, build_app
from tiktokactions.cli.words import with_dashes
from tiktokactions.errors import BUG, DONE, INTERRUPTED, USAGE, TiktokactionsError, UsageError

BUG_REPORT = "This is a bug in tiktokactions, not a mistake of yours: please report it with the lines above."
NOT_WARNED = ("refresh", "takedown", "doctor")
"""All others say when the refresh of what they read is overdue."""
TOGETHER = ("pretrain", "finetune", "evaluate", "predict")
"""Commands that several processes carry out together."""


def main(argv: Sequence[str] | None = None) -> int:
    from cyclopts import CycloptsError

    typed = list(sys.argv[1:] if argv is None else argv)
    app = build_app(typed, run)
    words = [STDIN if word == "-" else word for word in typed]
    try:
        function, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE
    result = function(*bound.args, **bound.kwargs)
    if isinstance(result, int):
        return result
    return DONE if {"--help", "-h", "--version"} & set(typed) else USAGE  # a group without its part shows its help


def run(command: Command, typed: Typed) -> int:
    """Call a command with what was typed; the exit code."""
    from tiktokactions.files import disk_errors

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with disk_errors():
            return _call(command, typed)
    except KeyboardInterrupt:
        print("\ninterrupted: what was in flight is discarded, the same command continues from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone (a pager, head), so there is nobody to talk to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except TiktokactionsError as error:
        print(f"error: {with_dashes(str(error))}", file=sys.stderr)
        return error.exit_code
    except Exception:
        traceback.print_exc()
        print(BUG_REPORT, file=sys.stderr)
        return BUG


def _call(command: Command, typed: Typed) -> int:
    from tiktokactions.cli.progress import displays
    from tiktokactions.cli.results import SHOWN, told_of
    from tiktokactions.commands.config import read_config

    if "TORCHELASTIC_RUN_ID" in os.environ and command.name not in TOGETHER:
        raise UsageError(f"torchrun starts {', '.join(TOGETHER)}; '{' '.join(command.words)}' starts its own processes")
    as_json, config = typed.pop("as_json", False), typed.pop("config", None)
    kind = command.takes
    names = [option.name for option in command.options if option.section]
    options = read_config(config, kind, names) if config and kind else {}
    typed |= {o.name: tuple(typed[o.name]) for o in command.options if o.is_tuple and o.name in typed}
    if command.words[0] not in NOT_WARNED and os.environ.get("RANK", "0") == "0":
        _warn_if_overdue(typed)
    with displays(command.callbacks, as_json) as shown:
        result = getattr(tiktokactions, command.name)(**options | typed | shown)
    if os.environ.get("RANK", "0") != "0":
        return DONE  # of several processes that train together, only the first prints
    told = told_of(command.name, result, typed)
    as_json = as_json and told.json != SHOWN
    lines = json.dumps(told.json) if as_json else with_dashes("\n".join(told.lines))
    if lines:
        print(lines)
    for line in told.attention:
        print(f"attention: {with_dashes(line)}", file=sys.stderr)
    return told.exit_code


def _warn_if_overdue(typed: Typed) -> None:
    """One line on stderr for everything among the paths typed, or around them, whose refresh is overdue."""
    words = [word for value in typed.values() for word in (value if isinstance(value, (list, tuple)) else [value])]
    texts = [word for word in words if isinstance(word, str) and "\0" not in word]
    texts += [text.partition("=")[2] for text in texts]  # of NAME=DATA
    paths = [text for text in texts if "://" in text or os.path.exists(text)]
    if not paths:
        return
    from tiktokactions.takedowns.links import overdue

    for warning in overdue(paths):
        print(f"warning: {warning}", file=sys.stderr)
