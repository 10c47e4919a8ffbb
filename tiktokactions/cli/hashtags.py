"""The commands ``hashtags propose | select | explain``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from tiktokactions.cli.commands import DONE, command, group, warn_if_overdue

PROPOSE_EXAMPLE = "Example:\n  tiktokactions hashtags propose --from ucf101 hmdb51 kinetics400 -o candidates.csv\n"


def add_hashtags(commands: Any) -> None:
    description = "Propose hashtags for actions and select among them by the paper's six principles."
    parts = group(commands, "hashtags", "which hashtags stand for which actions", description, PROPOSE_EXAMPLE)
    propose = command(parts, "propose", "candidate hashtags for class names", PROPOSE_EXAMPLE, _hashtags_propose)
    propose.add_argument(
        "--from",
        dest="sources",
        nargs="+",
        default=("ucf101", "hmdb51", "kinetics400"),
        metavar="LIST",
        help="ucf101, hmdb51, kinetics400, something_something_v2, or a file with one action a line (default: the first 3)",
    )
    propose.add_argument("-o", "--output", default="candidates.csv", metavar="FILE", help="(default: %(default)s)")
    select = command(
        parts,
        "select",
        "decide between the variants, by views where known",
        "Example:\n  tiktokactions hashtags select candidates.csv --views views.csv --target 386 -o hashtags/\n",
        _hashtags_select,
    )
    select.add_argument("candidates", metavar="CANDIDATES", help="CSV with a column 'hashtag', or: starter")
    select.add_argument("--views", metavar="FILE", help="CSV with the columns hashtag and views")
    select.add_argument(
        "--estimate-from",
        metavar="COLLECTION",
        help="estimate views, with an interval, from collected videos where none are given",
    )
    select.add_argument("--min-views", type=float, default=5e6, metavar="N", help="threshold (default: 5 million)")
    select.add_argument("--target", type=int, metavar="N", help="keep at most so many, the most viewed")
    select.add_argument("-o", "--output", default=".", metavar="DIR", help="folder for the results (default: here)")
    for parser in (propose, select):
        parser.add_argument(
            "--knowledge", metavar="FILE", help="your copy of knowledge.toml: umbrellas, dances, challenges"
        )
    explain = command(
        parts,
        "explain",
        "the story of one hashtag",
        "Example:\n  tiktokactions hashtags explain playingpiano --decisions hashtags/decisions.csv\n",
        _hashtags_explain,
    )
    explain.add_argument("hashtag", metavar="HASHTAG")
    explain.add_argument(
        "--decisions", default="decisions.csv", metavar="FILE", help="of select (default: %(default)s)"
    )


def _hashtags_propose(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    found = api.hashtags_propose(arguments.sources, arguments.output, knowledge=arguments.knowledge)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(candidate) for candidate in found]))
    else:
        print(f"{len(found)} candidates: {arguments.output}")
    return DONE


def _hashtags_select(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    warn_if_overdue(*([arguments.estimate_from] if arguments.estimate_from else []))
    found = api.hashtags_select(
        arguments.candidates,
        arguments.output,
        views=arguments.views,
        min_views=arguments.min_views,
        target=arguments.target,
        knowledge=arguments.knowledge,
        estimate_from=arguments.estimate_from,
    )
    unknown = sum(decision.views is None for decision in found.kept)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found)))
    else:
        for name, count in found.steps:
            print(f"{count:6d}  {name}")
        if found.estimated:
            guessed = [d for d in found.decisions if d.estimate is not None]
            bounds = sum(d.views_are.endswith("lower bound") for d in guessed)
            print(f"views of {len(guessed)} candidates are estimates {found.estimated};")
            print(f"  {bounds} of them are lower bounds because the sample did not reach all videos of the period;")
            print("  the threshold was applied to what was estimated: choose --min-views on that scale")
        if unknown:
            print(f"{unknown} kept with unknown views: between their variants a rule decided, no threshold was applied")
        print(f"{Path(arguments.output) / 'hashtags.csv'}")
    return DONE


def _hashtags_explain(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    lines = api.hashtags_explain(arguments.hashtag, arguments.decisions)
    print(json.dumps(lines) if arguments.json else "\n".join(lines))
    return DONE
