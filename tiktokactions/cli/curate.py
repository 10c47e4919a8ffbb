"""The command ``curate``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command, warn_if_overdue
from tiktokactions.cli.options import add_options, options_of

CURATE_EXAMPLE = """\
Example:
  tiktokactions curate videos/ -o data/
  tiktokactions curate data/ --redecide --min-person-frames 6
"""


GROUP_TITLES = {
    "evidence": "what is looked at (another value decodes the videos again)",
    "decision": "what qualifies (can be changed later with --redecide)",
    "clip": "the clips",
    "run": "this run",
}


def add_curate(commands: Any) -> None:
    from tiktokactions.curation.options import CurateOptions

    parser = command(commands, "curate", "turn raw videos into a dataset", CURATE_EXAMPLE, _curate)
    parser.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEOS",
        help="files, folders, globs, a .txt or .csv list, or - for a list on standard input",
    )
    parser.add_argument("-o", "--output", metavar="DATASET", help="dataset folder; the same command continues in it")
    parser.add_argument(
        "--redecide", action="store_true", help="decide DATASET again from its records, without decoding"
    )
    add_options(parser, CurateOptions, GROUP_TITLES)


def _curate(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_progress
    from tiktokactions.curation.options import CurateOptions

    warn_if_overdue(*arguments.videos)
    with show_progress() as progress:
        result = api.curate(
            arguments.videos,
            arguments.output,
            redecide=arguments.redecide,
            progress=progress,
            **options_of(arguments, CurateOptions),
        )
    print_result(result, arguments.json)
    return ATTENTION if result.uncut or result.outdated else DONE


def print_result(result: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(result)))
        return
    print(f"{result.videos} videos in {result.dataset} (people seen by {result.detector})")
    for status in ("accepted", "needs_review", "rejected"):
        print(f"  {status.replace('_', ' '):13} {getattr(result, status):>7}")
    twins = f", {result.identical} identical to another file" if result.identical else ""
    earlier = f", {result.finished_before} finished before" if result.finished_before else ""
    again = f", {result.cut_again} clips cut again" if result.cut_again else ""
    print(f"{result.curated} curated in {result.seconds:.1f} s{twins}{earlier}{again}")
    if result.removed:
        print(f"{result.removed} files skipped: their videos were removed from this dataset (removed.csv)")
    for video_id, problem in sorted(result.uncut.items()):
        print(f"attention: {video_id}: {problem}", file=sys.stderr)
    if result.outdated:
        print(
            f"attention: {result.outdated} records were made with other settings; give their videos to bring them up to date",
            file=sys.stderr,
        )
