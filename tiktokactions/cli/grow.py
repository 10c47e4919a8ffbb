"""The commands ``dataset merge | diff``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command


def add_grow(parts: Any) -> None:
    """Into the group ``dataset``."""
    example = "Example:\n  tiktokactions dataset merge data/ more/ -o larger/\n"
    merge = command(parts, "merge", "two datasets as one, without leaks between sides", example, _merge)
    merge.add_argument("first", metavar="A", help="its settings and sides hold")
    merge.add_argument("second", metavar="B", help="what it adds")
    merge.add_argument("-o", "--output", required=True, metavar="C", help="a new folder, or that of this very merge")

    example = """\
Example:
  tiktokactions dataset diff data/ more/
  tiktokactions dataset diff data/ --since 1
"""
    diff = command(parts, "diff", "which clips came, went and changed", example, _diff)
    diff.add_argument("dataset", metavar="DATASET", help="the earlier of two, or the one to look back in")
    diff.add_argument("other", metavar="OTHER", nargs="?", help="the later of two")
    diff.add_argument("--since", type=int, metavar="VERSION", help="compare with this version of DATASET itself")
    diff.add_argument("-o", "--output", metavar="FILE.csv", help="write one row per clip and change")


def _merge(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    merged = api.dataset_merge(
        arguments.first, arguments.second, arguments.output, progress=lambda line: print(line, file=sys.stderr)
    )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(merged)))
    else:
        print(
            f"{merged.videos:,} videos, {merged.accepted:,} accepted; {merged.in_both:,} were in both,"
            f" {merged.duplicates:,} are near-duplicates of others now"
        )
        reviews = merged.reviews
        if reviews.decisions:
            print(
                f"{reviews.decisions:,} decisions of {reviews.reviewers:,} people carried over ({reviews.in_both:,} were in"
                f" both, {reviews.left_out:,} left out with their videos), {reviews.verdicts:,} verdicts in force;"
                f" where people judged one video in both, 'tiktokactions review apply {merged.dataset}' draws it anew"
            )
        if merged.taken_down:
            print(f"{merged.taken_down:,} videos left out: taken down in one of the two")
        if merged.off_sides:
            print(f"{len(merged.off_sides):,} videos lost their side: relatives stand on another in {arguments.first}")
        if merged.other_bytes:
            named = ", ".join(merged.other_bytes[:5])
            print(f"attention: {len(merged.other_bytes):,} ids stand for different files; the first stayed: {named}")
        print(f"\nDataset: {merged.dataset}")
    return ATTENTION if merged.off_sides or merged.other_bytes else DONE


def _diff(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.commands.errors import on_disk
    from tiktokactions.release.diff import difference_text, write_difference

    output = on_disk(arguments.output, "a difference") if arguments.output else None
    found = api.dataset_diff(arguments.dataset, arguments.other, since=arguments.since)
    if output is not None:
        write_difference(found, output)
    print(json.dumps(dataclasses.asdict(found)) if arguments.json else difference_text(found))
    return ATTENTION if found.crossed else DONE
