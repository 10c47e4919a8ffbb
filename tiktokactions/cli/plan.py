"""The command ``plan``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from tiktokactions.cli.commands import DONE, command
from tiktokactions.cli.options import add_options, options_of
from tiktokactions.cli.words import with_dashes

PLAN_EXAMPLE = """\
Example:
  tiktokactions plan --videos 340000 --measure videos/ --review-s 6 --gpu-step-s 0.9
"""


def add_plan(commands: Any) -> None:
    from tiktokactions.study.needs import PlanOptions

    parser = command(commands, "plan", "what so many videos need, from a measured sample", PLAN_EXAMPLE, _plan)
    parser.add_argument(
        "--measure",
        nargs="+",
        default=[],
        metavar="VIDEOS",
        help="a sample of such videos, curated here to be measured",
    )
    add_options(parser, PlanOptions, {"plan": "what is planned", "people": "people", "gpu": "training"})


def _plan(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_line
    from tiktokactions.study.needs import PlanOptions, lines_of

    with show_line() as report:
        found = api.plan(arguments.measure, report=report, **options_of(arguments, PlanOptions))
    print(json.dumps(dataclasses.asdict(found)) if arguments.json else with_dashes("\n".join(lines_of(found))))
    return DONE
