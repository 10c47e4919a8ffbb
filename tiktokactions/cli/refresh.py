"""The command ``refresh``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command
from tiktokactions.cli.words import with_dashes

REFRESH_EXAMPLE = """\
Example:
  tiktokactions refresh collection/ --every-days 15
  tiktokactions refresh imported/ --remove 7300000000000000001
"""


def add_refresh(commands: Any) -> None:
    parser = command(
        commands,
        "refresh",
        "check ids again and remove what is gone, or what was asked to go, everywhere",
        REFRESH_EXAMPLE,
        _refresh,
    )
    parser.add_argument("target", metavar="COLLECTION|DATASET", help="folder; those linked with it are included")
    parser.add_argument(
        "--every-days", type=int, metavar="N", help="how often ids must be checked (default: as before, else 15)"
    )
    parser.add_argument(
        "--remove",
        nargs="+",
        default=(),
        metavar="ID",
        help="take-down: ids, addresses of videos, or files that list them; nothing is asked of the API",
    )
    parser.add_argument("--creator", metavar="NAME", help="take-down: everything of this creator")
    parser.add_argument("--reason", metavar="TEXT", help="of a take-down, for tombstones and report")
    parser.add_argument("--budget", type=int, metavar="N", help="send at most so many requests in this run")
    parser.add_argument("--wait", action="store_true", help="sleep until the quota is whole again instead of stopping")
    parser.add_argument("--requests-a-day", type=int, default=1000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--credentials", metavar="FILE", help="key and secret in a file that only you can read")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="divide every wait by this; only for a server on this machine"
    )


def _refresh(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.collection.session import CollectOptions

    options = CollectOptions(
        budget=arguments.budget,
        wait=arguments.wait,
        requests_a_day=arguments.requests_a_day,
        credentials=arguments.credentials,
        speed=arguments.speed,
    )
    result = api.refresh(
        arguments.target,
        every_days=arguments.every_days,
        remove=arguments.remove,
        creator=arguments.creator,
        options=options,
        note=lambda line: print(f"  {with_dashes(line)}", file=sys.stderr, flush=True),
        **({} if arguments.reason is None else {"reason": arguments.reason}),
    )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(result)))
    else:
        _print_result(result)
    return ATTENTION if result.stopped or result.attention or result.unknown else DONE


def _print_result(result: Any) -> None:
    if result.requests or result.checked:
        print(f"{result.target}: {result.checked} ids checked, {len(result.gone)} gone, {result.requests} requests")
    else:
        print(f"{result.target}: {len(result.gone)} videos removed")
    if result.unchecked:
        print(f"{result.unchecked} videos have no id of the platform and were not checked")
    for found in result.removed:
        counts = ", ".join(f"{name} {count}" for name, count in found.artefacts.items() if count)
        print(f"  {found.folder}: {found.videos} videos ({counts})")
        print(f"    {found.report}")
    if result.before:
        print(f"removed before: {' '.join(result.before[:20])}" + (" ..." if len(result.before) > 20 else ""))
    if result.unknown:
        print(
            f"attention: nothing was held of {' '.join(result.unknown[:20])}; these ids are kept out from now on",
            file=sys.stderr,
        )
    for text in result.attention:
        print(f"attention: {with_dashes(text)}", file=sys.stderr)
    if result.stopped:
        print(f"stopped: {with_dashes(result.stopped)}")
    if result.next_due:
        print(f"next refresh due on {result.next_due}")
