"""The parser of all commands, and where every run begins and every error ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from tiktokactions import __version__
from tiktokactions.cli.collect import add_collect
from tiktokactions.cli.commands import ATTENTION, DONE, INTERRUPTED, USAGE
from tiktokactions.cli.curate import add_curate
from tiktokactions.cli.dataset import add_dataset
from tiktokactions.cli.demo import add_demo, add_doctor
from tiktokactions.cli.download import add_download
from tiktokactions.cli.hashtags import add_hashtags
from tiktokactions.cli.model import add_model
from tiktokactions.cli.options import ConfigError
from tiktokactions.cli.plan import add_plan
from tiktokactions.cli.refresh import add_refresh
from tiktokactions.cli.report import add_report
from tiktokactions.cli.review import add_review, with_review_part
from tiktokactions.cli.study import add_study


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(with_review_part(sys.argv[1:] if argv is None else argv))
    if not hasattr(arguments, "run"):
        arguments.group_parser.print_help()
        return USAGE
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted: what was in flight is discarded, the same command continues from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (a pager, head): nothing is left to be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except _known_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return (
            ATTENTION
            if type(error).__name__ in ("DiskFullError", "NonFiniteLossError", "ServerFailsError", "StoreError")
            else USAGE
        )


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _known_errors() -> tuple[type[Exception], ...]:
    from tiktokactions.collection.client import ApiError, ServerFailsError
    from tiktokactions.commands import DiskFullError, UsageError
    from tiktokactions.curation.weights import DetectorError
    from tiktokactions.demonstration.samples import SamplesError
    from tiktokactions.files import DatasetBusyError, StoreError
    from tiktokactions.model.progress import NonFiniteLossError
    from tiktokactions.video import UnreadableError

    known = (UsageError, DatasetBusyError, DiskFullError, DetectorError, SamplesError, ConfigError, ValueError)
    return (*known, UnreadableError, NonFiniteLossError, ApiError, ServerFailsError, StoreError, PermissionError)


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
