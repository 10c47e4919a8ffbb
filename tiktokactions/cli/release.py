"""The commands ``dataset export | subset | hydrate``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from tiktokactions.cli.commands import DONE, command


def add_release(parts: Any) -> None:
    """Into the group ``dataset``."""
    from tiktokactions.dataset.formats import NAMES

    example = """\
Example:
  tiktokactions dataset export data/ --format webdataset -o shards/
  tiktokactions dataset export data/ --format ids -o released/
"""
    export = command(parts, "export", "a form that other programs read", example, _export)
    export.add_argument("dataset", metavar="DATASET", help="a folder made by 'curate'")
    export.add_argument("--format", required=True, choices=NAMES, help="which")
    export.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="a new folder, or that of an earlier export"
    )
    export.add_argument(
        "--sides", nargs="+", default=(), metavar="SIDE", help="only clips on these sides, e.g. train val"
    )
    export.add_argument("--labels", nargs="+", default=(), metavar="LABEL", help="only clips with one of these labels")
    export.add_argument(
        "--shard-mb", type=int, default=256, metavar="MB", help="largest shard of webdataset (default: %(default)s)"
    )
    export.add_argument(
        "--frames", action="store_true", help="coco: also the sampled frames as pictures, from sources still there"
    )


def _export(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    done = api.dataset_export(
        arguments.dataset,
        arguments.output,
        format=arguments.format,
        sides=arguments.sides,
        labels=arguments.labels,
        shard_mb=arguments.shard_mb,
        frames=arguments.frames,
    )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(done)))
    else:
        sides = ", ".join(f"{side} {count:,}" for side, count in done.sides.items())
        print(f"{done.output}: {done.clips:,} clips ({sides}) in {done.files:,} files, {done.bytes / 1e6:,.1f} MB")
    return DONE
