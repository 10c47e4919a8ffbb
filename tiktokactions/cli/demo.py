"""The commands ``demo`` and ``doctor``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command
from tiktokactions.cli.words import with_dashes

EXAMPLE = """\
Example:
  tiktokactions demo -o demo/
  tiktokactions demo -o demo/ --full
  tiktokactions demo -o demo/ --steps curate release report
"""


def add_demo(commands: Any) -> None:
    from tiktokactions.demonstration.steps import STEPS

    parser = command(commands, "demo", "the whole chain on sample videos and rendered actions", EXAMPLE, _demo)
    parser.add_argument("-o", "--output", default="demo", help="folder for everything (default: %(default)s)")
    parser.add_argument(
        "--full", action="store_true", help="also pre-train, compare and run a study: ten minutes, not four"
    )
    parser.add_argument("--steps", nargs="+", choices=STEPS, help="only these steps")
    parser.add_argument("--seed", type=int, default=0, help="of the training (default: %(default)s)")


def add_doctor(commands: Any) -> None:
    what = "what is installed, what is missing and how to get it"
    command(commands, "doctor", what, "Example:\n  tiktokactions doctor\n", _doctor)


def _demo(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_progress, show_training
    from tiktokactions.demonstration.steps import FULL, SHORT, STEPS

    steps = []
    wanted = arguments.steps or (FULL if arguments.full else SHORT)

    def finished(step: Any) -> None:
        steps.append(step)
        if not arguments.json:
            _print_step(step)

    for name in STEPS:
        if name in wanted:
            # Each kind of work has its own way of showing how far it is.
            with show_progress() as progress, show_training() as training:
                api.demo(
                    arguments.output,
                    steps=(name,),
                    seed=arguments.seed,
                    progress=progress,
                    training=training,
                    note=lambda line: print(line, file=sys.stderr, flush=True),
                    finished=finished,
                )
    if arguments.json:
        print(json.dumps([dataclasses.asdict(step) for step in steps]))
    return DONE


def _print_step(step: Any) -> None:
    print(f"{step.name}: {step.told}" + (" (skipped)" if step.skipped else f" ({step.seconds:,.1f} s)"))
    for path in step.files:
        print(f"  {path}")
    print(f"  with your own data:  {step.command}\n", flush=True)


def _doctor(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    statuses = api.doctor()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(status) for status in statuses]))
    else:
        for status in statuses:
            print(f"{'ready  ' if status.ready else 'missing'}  {status.name}: {with_dashes(status.detail)}")
            if not status.ready:
                print(f"         to get it: {with_dashes(status.how_to_get)}")
    return DONE if any(status.ready for status in statuses if status.name in ("yolox-nano", "blazepose")) else ATTENTION
