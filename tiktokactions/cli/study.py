"""The commands ``study scaling | sources`` and ``extrapolate``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from tiktokactions.cli.commands import ATTENTION, DONE, command, group
from tiktokactions.cli.options import add_options, options_of

EXTRAPOLATE_EXAMPLE = """\
Example:
  tiktokactions extrapolate results.csv --targets 0.95 0.97 -o extrapolation/
  tiktokactions extrapolate results.csv --method paper -o table5/
"""


_CONFIGS = "--pretrain-config pretrain.toml --finetune-config finetune.toml"
SCALING_EXAMPLE = f"""\
Example:
  tiktokactions dataset split data/
  tiktokactions study scaling videos/ --sizes 2:6:2 --repeats 3 --evaluate-on data/ -o scaling/ {_CONFIGS}
"""


SOURCES_EXAMPLE = f"""\
Example:
  tiktokactions dataset split data/
  tiktokactions study sources ours=data/ theirs=videos/ scratch --size 2 --evaluate-on data/ -o sources/ {_CONFIGS}
"""


GROUP_TITLES = {"study": "what is studied", "run": "this run"}


def add_study(commands: Any) -> None:
    from tiktokactions.study.options import ExtrapolateOptions, ScalingOptions, SourcesOptions

    description = "How much data, and which."
    kinds = group(
        commands, "study", "how much data, and which: scaling, sources", description, SCALING_EXAMPLE, "studies"
    )
    scaling = command(kinds, "scaling", "accuracy by size of the pre-training data", SCALING_EXAMPLE, _study_scaling)
    scaling.add_argument("data", metavar="DATASET", help="what is pre-trained on: a dataset, a folder or a list")
    scaling.add_argument(
        "--sizes", nargs="+", required=True, metavar="N", help="numbers of videos, or FIRST:LAST:STEP (both included)"
    )
    sources = command(kinds, "sources", "accuracy by source of the pre-training data", SOURCES_EXAMPLE, _study_sources)
    sources.add_argument("sources", nargs="+", metavar="NAME=DATA", help="sources to compare; 'scratch' for none")
    for parser, kind in ((scaling, ScalingOptions), (sources, SourcesOptions)):
        parser.add_argument(
            "--evaluate-on", required=True, metavar="DATA", help="labelled data with train and test sides"
        )
        parser.add_argument("-o", "--output", required=True, metavar="STUDY", help="the same command goes on in it")
        parser.add_argument("--pretrain-config", metavar="FILE.toml", help="options of 'pretrain' for every trial")
        parser.add_argument("--finetune-config", metavar="FILE.toml", help="options of 'finetune' for every trial")
        parser.add_argument("--retry", action="store_true", help="run trials that crashed again")
        parser.add_argument("--dry-run", action="store_true", help="print the plan and how long it takes, and end")
        add_options(parser, kind, GROUP_TITLES)
        equal = parser.add_mutually_exclusive_group()
        for what in ("epochs", "steps"):
            equal.add_argument(
                f"--equal-{what}", dest="equal", action="store_const", const=what, default=argparse.SUPPRESS,
                help=f"short for --equal {what}",
            )  # fmt: skip

    extrapolate = command(
        commands, "extrapolate", "how many videos a target accuracy needs", EXTRAPOLATE_EXAMPLE, _extrapolate
    )
    extrapolate.add_argument(
        "results", metavar="RESULTS", help="a CSV with columns size and accuracy, or a STUDY folder"
    )
    extrapolate.add_argument(
        "-o", "--output", metavar="FOLDER", help="for JSON and plot (default: STUDY/extrapolation)"
    )
    add_options(extrapolate, ExtrapolateOptions, GROUP_TITLES)


def _study_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    from tiktokactions.model.options import FinetuneOptions, PretrainOptions

    return {
        "evaluate_on": arguments.evaluate_on,
        "pretrain_options": options_of(argparse.Namespace(config=arguments.pretrain_config), PretrainOptions),
        "finetune_options": options_of(argparse.Namespace(config=arguments.finetune_config), FinetuneOptions),
        "retry": arguments.retry,
        "dry_run": arguments.dry_run,
        "report": lambda line: print(line, file=sys.stderr, flush=True),
    }


def _study_scaling(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.study.options import ScalingOptions
    from tiktokactions.study.subsets import parse_sizes

    result = api.study_scaling(
        arguments.data,
        arguments.output,
        sizes=parse_sizes(arguments.sizes),
        **_study_arguments(arguments),
        **options_of(arguments, ScalingOptions),
    )
    return print_study(result, arguments.json)


def _study_sources(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.study.options import SourcesOptions

    result = api.study_sources(
        arguments.sources, arguments.output, **_study_arguments(arguments), **options_of(arguments, SourcesOptions)
    )
    return print_study(result, arguments.json)


def print_study(result: Any, as_json: bool) -> int:
    from tiktokactions.cli.progress import study_lines

    print(json.dumps(dataclasses.asdict(result)) if as_json else "\n".join(study_lines(result)))
    return ATTENTION if getattr(result, "failed", {}) or getattr(result, "warnings", []) else DONE


def _extrapolate(arguments: argparse.Namespace) -> int:
    import tiktokactions as api
    from tiktokactions.cli.progress import extrapolation_lines, show_line
    from tiktokactions.study.extrapolation import as_json
    from tiktokactions.study.options import ExtrapolateOptions

    output = arguments.output
    if output is None and Path(arguments.results).is_dir():
        output = str(Path(arguments.results, "extrapolation"))
    with show_line() as report:
        found = api.extrapolate(arguments.results, output, report=report, **options_of(arguments, ExtrapolateOptions))
    if arguments.json:
        print(json.dumps(as_json(found)))
    else:
        print("\n".join(extrapolation_lines(found)))
        print(f"\nJSON and plot: {output}" if output else "\n-o FOLDER writes JSON and a plot")
    return DONE
