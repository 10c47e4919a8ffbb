"""The commands ``dataset export | subset | hydrate``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command
from tiktokactions.cli.words import with_dashes


def add_release(parts: Any) -> None:
    """Into the group ``dataset``."""
    from tiktokactions.release.formats import NAMES
    from tiktokactions.release.subset_options import WAYS

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

    example = """\
Example:
  tiktokactions dataset subset data/ --size 2 --by balanced -o subset/
"""
    subset = command(parts, "subset", "fewer clips, chosen; a manifest that points at the same clips", example, _subset)
    subset.add_argument("dataset", metavar="DATASET", help="a folder made by 'curate'")
    subset.add_argument("--by", choices=WAYS, default="random", help="how to choose (default: %(default)s)")
    subset.add_argument("--size", type=int, metavar="N", help="clips; may be left out with --by labels")
    subset.add_argument("--labels", nargs="+", default=(), metavar="LABEL", help="only clips with one of these labels")
    subset.add_argument("--cap", type=int, metavar="N", help="at most so many clips of one label")
    subset.add_argument("--sides", nargs="+", default=(), metavar="SIDE", help="only clips on these sides, e.g. train")
    subset.add_argument("--seed", type=int, default=0, help="of the random order (default: %(default)s)")
    subset.add_argument(
        "--features",
        metavar="FILE|RUN",
        help="diverse: of 'predict --features', or a run (default: hashes and colours)",
    )
    subset.add_argument("-o", "--output", required=True, metavar="SUBSET", help="a new folder, or an earlier subset")

    example = "Example:\n  tiktokactions dataset hydrate released/ids.csv --media videos/ -o hydrated/\n"
    hydrate = command(parts, "hydrate", "make a dataset again from its released ids", example, _hydrate)
    hydrate.add_argument("ids", metavar="IDS.csv", help="of 'dataset export --format ids'; ids.json lies beside it")
    hydrate.add_argument("--media", required=True, metavar="FOLDER", help="a folder of videos, or a collection")
    hydrate.add_argument("-o", "--output", required=True, metavar="DATASET", help="the same command continues in it")
    hydrate.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")


def _subset(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_training

    with show_training() as progress:
        done = api.dataset_subset(
            arguments.dataset,
            arguments.output,
            by=arguments.by,
            size=arguments.size,
            seed=arguments.seed,
            labels=arguments.labels,
            cap=arguments.cap,
            sides=arguments.sides,
            features=arguments.features,
            progress=progress,
        )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(done)))
    else:
        print(f"{done.subset}: {done.clips:,} of {done.candidates:,} clips of {done.of}, by {done.by}")
        for label, count in list(done.labels.items())[:10]:
            print(f"  {label or '(no label)':24} {count:>8,}")
        if len(done.labels) > 10:
            print(f"  and {len(done.labels) - 10:,} more labels")
    return _say(done.notes)


def _hydrate(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_line

    with show_line() as progress:
        done = api.dataset_hydrate(
            arguments.ids, arguments.output, media=arguments.media, workers=arguments.workers, progress=progress
        )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(done)))
    else:
        print(
            f"{done.dataset}: {done.rebuilt:,} of {done.listed:,} videos rebuilt, {done.curated_anew:,} curated anew,"
            f" {done.finished_before:,} finished before, {done.missing:,} missing"
        )
        if done.missing:
            print(f"what is missing, and why: {done.dataset}/missing.csv")
    return ATTENTION if done.missing else DONE


def _export(arguments: argparse.Namespace) -> int:
    import tiktokactions as api

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
    return _say(done.notes)


def _say(notes: Sequence[str]) -> int:
    """What a person should know of what was done; the exit code."""
    for note in notes:
        print(f"attention: {with_dashes(note)}", file=sys.stderr)
    return ATTENTION if notes else DONE
