"""The commands ``dataset ...``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command, group
from tiktokactions.cli.grow import add_grow
from tiktokactions.cli.options import add_options, options_of
from tiktokactions.cli.release import add_release
from tiktokactions.files import located


def add_dataset(commands: Any) -> None:
    from tiktokactions.splits.options import SplitOptions

    example = "Example:\n  tiktokactions dataset stats data/\n"
    summary = "split, choose, export, merge, count and check a dataset"
    parts = group(commands, "dataset", summary, "Statistics, verification and card of a dataset.", example)
    for name, summary, run in (
        ("stats", "count a dataset and draw its figures", _dataset_stats),
        ("verify", "check every record and every clip", _dataset_verify),
        ("card", "write the dataset card (README.md)", _dataset_card),
    ):
        example = f"Example:\n  tiktokactions dataset {name} data/\n"
        parser = command(parts, name, summary, example, run)
        parser.add_argument("dataset", metavar="DATASET", help="a folder made by 'curate'")
        if name == "verify":
            parser.add_argument(
                "--repair", action="store_true", help="cut missing and broken clips again, remove what nothing claims"
            )

    example = (
        "Example:\n  tiktokactions dataset split data/\n  tiktokactions dataset split data/ --val 0.15 --test 0.15\n"
    )
    split = command(parts, "split", "sides for training and testing, free of leaks", example, _dataset_split)
    split.add_argument("dataset", metavar="DATASET", help="a folder made by 'curate'")
    add_release(parts)
    add_grow(parts)
    split.add_argument(
        "--check-against",
        nargs="+",
        metavar="FOLDER|LIST",
        help="look for what is trained on among foreign videos, e.g. the test clips of a benchmark",
    )
    split.add_argument("--media", metavar="FOLDER", help="of --check-against: where the videos that a list names lie")
    add_options(split, SplitOptions, {"split": "the sides"})


def _dataset_split(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.splits.foreign import check_text
    from tiktokactions.splits.options import SplitOptions
    from tiktokactions.splits.sides import report_text

    report = api.dataset_split(arguments.dataset, **options_of(arguments, SplitOptions))
    check = None
    if arguments.check_against:
        check = api.dataset_check_against(arguments.dataset, arguments.check_against, media=arguments.media)
    if arguments.json:
        told = {} if check is None else {"check_against": dataclasses.asdict(check)}
        print(json.dumps(dataclasses.asdict(report) | told))
    else:
        print(report_text(report))
        if check is not None:
            print(check_text(check))
        print(f"\nSides: {located(arguments.dataset) / 'splits'}")
    return ATTENTION if report.bridging or (check and (check.pairs or check.unread)) else DONE


def _dataset_stats(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.dataset.statistics_text import statistics_table
    from tiktokactions.records import to_builtins

    stats = api.dataset_stats(arguments.dataset)
    if arguments.json:
        print(json.dumps(to_builtins(stats)))
    else:
        print(statistics_table(stats))
        print(
            f"\nNumbers: {located(arguments.dataset) / 'stats.json'}\nFigures: {located(arguments.dataset) / 'figures'}"
        )
    return DONE


def _dataset_verify(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.records import to_builtins

    found = api.dataset_verify(arguments.dataset, repair=arguments.repair)
    if arguments.json:
        print(json.dumps(to_builtins(found)))
    else:
        for problem in found.problems:
            done = f" -> {problem.repaired}" if problem.repaired else ""
            print(f"{problem.kind}: {problem.path}: {problem.detail}{done}")
        print(
            f"{found.records} records and {found.clips} clips checked,"
            f" {len(found.problems)} problems, {len(found.open_problems)} left"
        )
    return ATTENTION if found.open_problems else DONE


def _dataset_card(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    path = api.dataset_card(arguments.dataset)
    print(json.dumps({"card": str(path)}) if arguments.json else str(path))
    return DONE
