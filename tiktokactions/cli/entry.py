"""The parser of all commands, and where every run begins and every error ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from tiktokactions import __version__
from tiktokactions.cli.collect import add_collect
from tiktokactions.cli.curate import add_curate
from tiktokactions.cli.dataset import add_dataset
from tiktokactions.cli.demo import add_demo, add_doctor
from tiktokactions.cli.download import add_download
from tiktokactions.cli.hashtags import add_hashtags
from tiktokactions.cli.model import add_model
from tiktokactions.cli.plan import add_plan
from tiktokactions.cli.refresh import add_refresh
from tiktokactions.cli.report import add_report
from tiktokactions.cli.review import add_review, with_review_part
from tiktokactions.cli.study import add_study
from tiktokactions.cli.words import with_dashes
from tiktokactions.errors import BUG, DONE, INTERRUPTED, USAGE, TiktokactionsError

BUG_REPORT = "This is a bug in tiktokactions, not a mistake of yours: please report it with the lines above."


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(with_review_part(sys.argv[1:] if argv is None else argv))
    if not hasattr(arguments, "run"):
        arguments.group_parser.print_help()
        return USAGE
    from tiktokactions.files import disk_errors

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with disk_errors():
            return arguments.run(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted: what was in flight is discarded, the same command continues from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (a pager, head): nothing is left to be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except TiktokactionsError as error:
        print(f"error: {with_dashes(str(error))}", file=sys.stderr)
        return error.exit_code
    except Exception:
        traceback.print_exc()
        print(BUG_REPORT, file=sys.stderr)
        return BUG


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiktokactions",
        description="Turn raw social video into a human-action dataset, and train a video model on it.",
        epilog="Example:\n  tiktokactions demo\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tiktokactions {__version__}")
    parser.set_defaults(group_parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_hashtags(commands)
    add_collect(commands)
    add_refresh(commands)
    add_download(commands)
    add_curate(commands)
    add_review(commands)
    add_dataset(commands)
    add_model(commands)
    add_study(commands)
    add_plan(commands)
    add_report(commands)
    add_demo(commands)
    add_doctor(commands)
    return parser
