"""The command ``report``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from tiktokactions.cli.commands import DONE, command

REPORT_EXAMPLE = """\
Example:
  tiktokactions report data/ runs/pretrained runs/finetuned -o report.html
"""


def add_report(commands: Any) -> None:
    parser = command(commands, "report", "one page that shows everything", REPORT_EXAMPLE, _report)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="FOLDER",
        help="datasets, runs, studies, extrapolations, collections, selections of hashtags",
    )
    parser.add_argument("-o", "--output", default="report.html", metavar="FILE", help="(default: %(default)s)")
    parser.add_argument("--title", help="of the page (default: the names of the folders)")
    parser.add_argument(
        "--previews", type=int, default=12, metavar="N", help="moving clips of each dataset (default: %(default)s)"
    )


def _report(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import show_line

    with show_line() as progress:
        written = api.report(
            arguments.inputs,
            arguments.output,
            title=arguments.title,
            previews=arguments.previews,
            progress=progress,
        )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(written)))
    else:
        print(f"{written.report}: {written.sections} sections, {written.bytes / 1e6:.1f} MB")
        if written.left_out:
            print(f"{written.left_out} pictures were left out to keep it under 10 MB")
    return DONE
