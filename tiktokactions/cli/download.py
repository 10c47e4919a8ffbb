"""The command ``download``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command, warn_if_overdue
from tiktokactions.cli.words import with_dashes

EXAMPLE = """\
Example:
  tiktokactions download collection/ --from-folder videos/
"""


def add_download(commands: Any) -> None:
    parser = command(
        commands, "download", "files for a collection; opt-in, says what you must be entitled to", EXAMPLE, _run
    )
    parser.add_argument("collection", metavar="COLLECTION", help="made by 'collect run' or 'collect import'")
    parser.add_argument(
        "--i-am-entitled", dest="entitled", action="store_true", help="say once that you may download these videos"
    )
    parser.add_argument("--from-folder", metavar="DIR", help="take files named by id from there, download nothing")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many videos in this run")
    parser.add_argument("--max-gb", type=float, metavar="GB", help="stop where the media take so much")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="downloads at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--pause-s",
        type=float,
        default=2.0,
        metavar="S",
        help="least pause of a worker between two (default: %(default)s)",
    )
    parser.add_argument("--rate-mb-s", type=float, metavar="MB", help="at most so many megabytes a second and worker")
    parser.add_argument(
        "--cookies", metavar="FILE", help="cookies file for posts that need a login; an account may be lost"
    )
    parser.add_argument("--curate", dest="curate_into", metavar="DATASET", help="curate each video as it arrives")
    parser.add_argument("--delete-raw", action="store_true", help="with --curate: keep clips and records, no raw files")
    parser.add_argument("--detector", help="with --curate: the person detector (default: the dataset's, else auto)")


def _run(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_line, show_progress
    from tiktokactions.collection.download import DownloadOptions

    warn_if_overdue(arguments.collection)
    names = [field.name for field in dataclasses.fields(DownloadOptions)]
    options = {name: getattr(arguments, name) for name in names}
    if arguments.detector is not None:
        options["detector"] = arguments.detector
    shared = {"entitled": arguments.entitled, "curate_into": arguments.curate_into, "delete_raw": arguments.delete_raw}
    if arguments.curate_into is None:
        with show_line() as report:
            result = api.download(arguments.collection, report=report, **shared, **options)
    else:
        with show_progress() as progress:
            result = api.download(arguments.collection, progress=progress, **shared, **options)
    _print(result, arguments.json)
    return (
        ATTENTION if result.stopped or result.retry or (result.curated is not None and result.curated.uncut) else DONE
    )


def _print(result: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(result)))
        return
    print(
        f"{result.collection}: {result.downloaded} downloaded ({result.bytes / 1e6:,.1f} MB), {result.picked_up} picked up,"
        f" {result.permanent} given up, {result.retry} for later"
    )
    for kind, count in sorted(result.kinds.items(), key=lambda item: -item[1]):
        print(f"  {kind:12} {count:>7}")
    print("all videos: " + ", ".join(f"{count} {state}" for state, count in result.states.items()))
    if result.curated is not None:
        made = result.curated
        print(f"{made.dataset}: {made.accepted} accepted, {made.needs_review} to review, {made.rejected} rejected")
    if result.stopped:
        print(f"stopped: {with_dashes(result.stopped)}", file=sys.stderr)
