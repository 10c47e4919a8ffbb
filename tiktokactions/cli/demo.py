"""The commands ``demo`` and ``doctor``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from tiktokactions.cli.commands import ATTENTION, DONE
from tiktokactions.cli.curate import print_result
from tiktokactions.cli.model import print_evaluation
from tiktokactions.cli.study import print_study


def _demo_learning(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.progress import show_training

    with show_training() as progress:
        result = api.demo_learning(arguments.output, seed=arguments.seed, progress=progress)
    if arguments.json:
        print(json.dumps(result | {"rendered": True}))
    else:
        print(
            "Rendered figures, not filmed people: this shows that the chain learns, and says nothing about real video."
        )
        print_evaluation(result)
        print(f"  chance              {1 / result['classes']:.2%}")
        print(f"  learning curves, reconstructions: {Path(arguments.output, 'runs')}")
    return DONE


def _demo_study(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    result = api.demo_study(arguments.output, report=lambda line: print(line, file=sys.stderr, flush=True))
    if not arguments.json:
        print(
            "Rendered figures, not filmed people: this shows what a study looks like, and says nothing about real video."
        )
    return print_study(result, arguments.json)


def run_demo(arguments: argparse.Namespace) -> int:
    if arguments.learn:
        return _demo_learning(arguments)
    if arguments.study:
        return _demo_study(arguments)
    from tiktokactions import api
    from tiktokactions.dataset.statistics_text import statistics_table
    from tiktokactions.progress import show_progress

    with show_progress() as progress:
        result = api.demo(arguments.output, progress=progress)
    print_result(result, arguments.json)
    if not arguments.json:
        dataset = Path(result.dataset)
        print()
        print(statistics_table(api.dataset_stats(dataset)))
        print("\nWhere everything is:")
        for what, path in (
            ("clips", "clips"),
            ("one JSON per video", "records"),
            ("table of all videos", "manifest.parquet"),
            ("dataset card", "README.md"),
        ):
            print(f"  {what:20} {dataset / path}")
        for figure in sorted((dataset / "figures").glob("*.png")):
            print(f"  {'figure':20} {figure}")
    return DONE


def run_doctor(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    statuses = api.doctor()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(status) for status in statuses]))
    else:
        for status in statuses:
            print(f"{'ready  ' if status.ready else 'missing'}  {status.name}: {status.detail}")
            if not status.ready:
                print(f"         to get it: {status.how_to_get}")
    return DONE if any(status.ready for status in statuses if status.name in ("yolox-nano", "blazepose")) else ATTENTION
