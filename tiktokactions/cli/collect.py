"""The commands ``collect run | plan | status | import | export``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command, group, warn_if_overdue
from tiktokactions.cli.words import with_dashes

COLLECT_RUN_EXAMPLE = """\
Example:
  tiktokactions collect run hashtags.csv -o collection/ --per-hashtag 20 --from 2024-01-01 --to 2024-03-31 --sandbox
"""


def add_collect(commands: Any) -> None:
    description = "Metadata of videos by hashtag from the TikTok Research API, or from a file."
    parts = group(commands, "collect", "metadata from the TikTok Research API", description, COLLECT_RUN_EXAMPLE)
    run = command(
        parts, "run", "collect metadata of videos; the same command continues", COLLECT_RUN_EXAMPLE, _collect_run
    )
    _collect_options(run)
    run.add_argument("-o", "--output", required=True, metavar="COLLECTION", help="folder of the collection")
    run.add_argument(
        "--region", nargs="+", default=(), metavar="CODE", help="only accounts registered there, such as US GB"
    )
    run.add_argument("--random", action="store_true", help="random draws of every window instead of its newest videos")
    run.add_argument("--seed", type=int, default=0, help="of the windows and of the choice (default: %(default)s)")
    run.add_argument("--hash-creators", action="store_true", help="store creators' names hashed with a local salt")
    run.add_argument("--budget", type=int, metavar="N", help="send at most so many requests in this run")
    run.add_argument("--wait", action="store_true", help="sleep until the quota is whole again instead of stopping")
    run.add_argument("--credentials", metavar="FILE", help="key and secret in a file that only you can read (mode 600)")
    run.add_argument(
        "--sandbox", action="store_true", help="rehearse with a local server and made-up videos, no key needed"
    )
    run.add_argument(
        "--speed", type=float, default=1.0, help="divide every wait by this; only for a server on this machine"
    )
    plan = command(
        parts,
        "plan",
        "requests, days and records of a collection; sends nothing",
        "Example:\n  tiktokactions collect plan hashtags.csv --from 2023-01-01 --to 2024-06-30\n",
        _collect_plan,
    )
    _collect_options(plan)
    status = command(
        parts,
        "status",
        "found and wanted per hashtag, what is missing and why",
        "Example:\n  tiktokactions collect status collection/\n",
        _collect_status,
    )
    status.add_argument("collection", metavar="COLLECTION")
    imported = command(
        parts,
        "import",
        "take metadata from JSON lines or CSV, without a key",
        "Example:\n  tiktokactions collect import videos.csv -o imported/\n",
        _collect_import,
    )
    imported.add_argument("file", metavar="FILE", help=".jsonl, .json or .csv with one video a row")
    imported.add_argument("-o", "--output", required=True, metavar="COLLECTION", help="folder of the collection")
    imported.add_argument("--hash-creators", action="store_true", help="store creators' names hashed with a local salt")
    export = command(
        parts,
        "export",
        "write the collection as JSON lines, creators hashed",
        "Example:\n  tiktokactions collect export collection/ -o videos.jsonl\n",
        _collect_export,
    )
    export.add_argument("collection", metavar="COLLECTION")
    export.add_argument("-o", "--output", required=True, metavar="FILE", help="file to write")
    export.add_argument("--plain-creators", action="store_true", help="with the creators' names as they are stored")


def _collect_options(parser: argparse.ArgumentParser) -> None:
    from datetime import date

    parser.add_argument("hashtags", metavar="HASHTAGS", help="CSV with a column 'hashtag', or one hashtag a line")
    parser.add_argument("--per-hashtag", type=int, default=900, metavar="N", help="videos (default: %(default)s)")
    parser.add_argument(
        "--from", dest="start", type=date.fromisoformat, metavar="DAY", help="first day (default: a year)"
    )
    parser.add_argument(
        "--to", dest="end", type=date.fromisoformat, metavar="DAY", help="last day (default: 3 days ago)"
    )
    parser.add_argument("--windows", type=int, metavar="N", help="windows of a hashtag (default: one for 50 videos)")
    parser.add_argument(
        "--requests-a-day", type=int, default=1000, metavar="N", help="the account's quota (default: %(default)s)"
    )


def _collect_settings(arguments: argparse.Namespace) -> Any:
    from tiktokactions.collection.session import CollectOptions

    names = {field.name for field in dataclasses.fields(CollectOptions)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return CollectOptions(**given | {"region": tuple(getattr(arguments, "region", ()))})


def _collect_run(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    warn_if_overdue(arguments.output)
    result = api.collect_run(
        arguments.hashtags,
        arguments.output,
        _collect_settings(arguments),
        report=lambda line: print(line, file=sys.stderr, flush=True),
        note=lambda line: print(f"  {with_dashes(line)}", file=sys.stderr, flush=True),
    )
    status = result.status
    short = [tag for tag in status.hashtags if tag.found < tag.wanted]
    if arguments.json:
        print(json.dumps(dataclasses.asdict(result) | {"complete": status.is_complete and not result.stopped}))
    else:
        print(
            f"{status.collection}: {status.videos} videos of {len(status.hashtags)} hashtags, {result.requests} requests"
        )
        if short:
            print(f"{len(short)} hashtags have fewer than wanted; see: tiktokactions collect status {arguments.output}")
        if result.stopped:
            print(f"stopped: {with_dashes(result.stopped)}")
        elif not status.is_complete:
            print("some days could not be read; the same command asks for them again")
    return ATTENTION if result.stopped or not status.is_complete else DONE


def _collect_plan(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    found, note = api.collect_plan(arguments.hashtags, _collect_settings(arguments))
    if note:
        print(note, file=sys.stderr)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found), default=str))
        return DONE
    print(f"{found.hashtags} hashtags × {found.per_hashtag} videos from {found.start} to {found.end}")
    print(f"{found.windows} windows of a hashtag, about {found.rows_per_window} videos from each")
    print(f"at best {found.requests_at_best} requests, {found.days_at_best:g} days at {found.requests_a_day} a day")
    print(
        f"likely {found.requests_likely} requests, {found.days_likely:g} days (half of the rows hidden, some retries)"
    )
    print(f"{found.records} records")
    return DONE


def _collect_status(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import text_table

    warn_if_overdue(arguments.collection)
    status = api.collect_status(arguments.collection)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(status)))
    else:
        rows = [[f"#{t.hashtag}", str(t.found), str(t.wanted), t.state, t.shortfall] for t in status.hashtags]
        if rows:
            print("\n".join(text_table(["hashtag", "found", "wanted", "state", "why fewer"], rows)))
        print(f"{status.videos} videos, {status.rejected} answers rejected, {status.removed} removed")
        print(f"{status.requests} requests sent, about {status.requests_left} left ({status.days_left:g} days)")
        if status.refresh_due:
            print(f"refresh due on {status.refresh_due}" + (": overdue" if status.overdue else ""))
    return ATTENTION if status.overdue or not status.is_complete else DONE


def _collect_import(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    warn_if_overdue(arguments.output)
    found = api.collect_import(arguments.file, arguments.output, hash_creators=arguments.hash_creators)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found)))
    else:
        print(f"{found.rows} rows, {found.new} new videos, {len(found.rejected)} rejected")
        for line in found.rejected:
            print(line, file=sys.stderr)
    return ATTENTION if found.rejected else DONE


def _collect_export(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

    warn_if_overdue(arguments.collection)
    count = api.collect_export(arguments.collection, arguments.output, plain_creators=arguments.plain_creators)
    print(
        json.dumps({"videos": count, "file": arguments.output})
        if arguments.json
        else f"{count} videos: {arguments.output}"
    )
    return DONE
