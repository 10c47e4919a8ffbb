"""The command line over :mod:`tiktokactions.api`: options, help, progress, exit codes. No logic."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import tomllib
import typing
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from tiktokactions import __version__

DONE, ATTENTION, USAGE, INTERRUPTED = 0, 1, 2, 130

CURATE_EXAMPLE = """\
Example:
  tiktokactions curate videos/ -o data/
  tiktokactions curate data/ --redecide --min-person-frames 6
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if not hasattr(arguments, "run"):
        arguments.group_parser.print_help()
        return USAGE
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted: what was in flight is discarded, the same command continues from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (a pager, head): nothing is left to be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except _known_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return (
            ATTENTION if type(error).__name__ in ("DiskFullError", "NonFiniteLossError", "ServerFailsError") else USAGE
        )


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _known_errors() -> tuple[type[Exception], ...]:
    from tiktokactions.api import DiskFullError, UsageError
    from tiktokactions.collect.client import ApiError, ServerFailsError
    from tiktokactions.curate.weights import DetectorError
    from tiktokactions.demo.samples import SamplesError
    from tiktokactions.files import DatasetBusyError
    from tiktokactions.model.progress import NonFiniteLossError
    from tiktokactions.video import UnreadableError

    known = (UsageError, DatasetBusyError, DiskFullError, DetectorError, SamplesError, ConfigError, ValueError)
    return (*known, UnreadableError, NonFiniteLossError, ApiError, ServerFailsError)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiktokactions",
        description="Turn raw social video into a human-action dataset, and train a video model on it.",
        epilog="Example:\n  tiktokactions demo\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tiktokactions {__version__}")
    parser.set_defaults(group_parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_hashtags(commands)
    _add_collect(commands)
    _add_curate(commands)
    _add_dataset(commands)
    _add_model(commands)
    _add_study(commands)
    demo = _command(
        commands, "demo", "fetch sample videos and curate them", "Example:\n  tiktokactions demo -o demo/\n", _demo
    )
    demo.add_argument("-o", "--output", default="demo", help="folder for videos and dataset (default: %(default)s)")
    demo.add_argument(
        "--learn", action="store_true", help="train a tiny model on rendered actions instead (extra 'train', 5 minutes)"
    )
    demo.add_argument(
        "--study",
        action="store_true",
        help="a small data-size study on rendered actions instead (extra 'train', minutes)",
    )
    demo.add_argument("--seed", type=int, default=0, help="of the training with --learn (default: %(default)s)")
    _command(
        commands,
        "doctor",
        "what is installed, what is missing and how to get it",
        "Example:\n  tiktokactions doctor\n",
        _doctor,
    )
    return parser


def _command(
    commands: Any, name: str, summary: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.set_defaults(run=run)
    return parser


def _group(commands: Any, name: str, summary: str, description: str, example: str, title: str = "commands") -> Any:
    """A command that only holds commands; alone it prints its help."""
    group = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group.set_defaults(group_parser=group)
    return group.add_subparsers(title=title, metavar="STUDY" if title == "studies" else "COMMAND")


# --- hashtags ------------------------------------------------------------------------------------------------------

PROPOSE_EXAMPLE = "Example:\n  tiktokactions hashtags propose --from ucf101 hmdb51 kinetics400 -o candidates.csv\n"


def _add_hashtags(commands: Any) -> None:
    description = "Propose hashtags for actions and select among them by the paper's six principles."
    parts = _group(commands, "hashtags", "which hashtags stand for which actions", description, PROPOSE_EXAMPLE)
    propose = _command(parts, "propose", "candidate hashtags for class names", PROPOSE_EXAMPLE, _hashtags_propose)
    propose.add_argument(
        "--from",
        dest="sources",
        nargs="+",
        default=("ucf101", "hmdb51", "kinetics400"),
        metavar="LIST",
        help="ucf101, hmdb51, kinetics400, something_something_v2, or a file with one action a line (default: the first 3)",
    )
    propose.add_argument("-o", "--output", default="candidates.csv", metavar="FILE", help="(default: %(default)s)")
    select = _command(
        parts,
        "select",
        "decide between the variants, by views where known",
        "Example:\n  tiktokactions hashtags select candidates.csv --views views.csv --target 386 -o hashtags/\n",
        _hashtags_select,
    )
    select.add_argument("candidates", metavar="CANDIDATES", help="CSV with a column 'hashtag', or: starter")
    select.add_argument("--views", metavar="FILE", help="CSV with the columns hashtag and views")
    select.add_argument("--min-views", type=float, default=5e6, metavar="N", help="threshold (default: 5 million)")
    select.add_argument("--target", type=int, metavar="N", help="keep at most so many, the most viewed")
    select.add_argument("-o", "--output", default=".", metavar="DIR", help="folder for the results (default: here)")
    for parser in (propose, select):
        parser.add_argument(
            "--knowledge", metavar="FILE", help="your copy of knowledge.toml: umbrellas, dances, challenges"
        )
    explain = _command(
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
    from tiktokactions import api

    found = api.hashtags_propose(arguments.sources, arguments.output, knowledge=arguments.knowledge)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(candidate) for candidate in found]))
    else:
        print(f"{len(found)} candidates: {arguments.output}")
    return DONE


def _hashtags_select(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    found = api.hashtags_select(
        arguments.candidates,
        arguments.output,
        views=arguments.views,
        min_views=arguments.min_views,
        target=arguments.target,
        knowledge=arguments.knowledge,
    )
    unknown = sum(decision.views is None for decision in found.kept)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found)))
    else:
        for name, count in found.steps:
            print(f"{count:6d}  {name}")
        if unknown:
            print(f"{unknown} kept with unknown views: between their variants a rule decided, no threshold was applied")
        print(f"{Path(arguments.output) / 'hashtags.csv'}")
    return DONE


def _hashtags_explain(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    lines = api.hashtags_explain(arguments.hashtag, arguments.decisions)
    print(json.dumps(lines) if arguments.json else "\n".join(lines))
    return DONE


# --- collect -------------------------------------------------------------------------------------------------------

COLLECT_RUN_EXAMPLE = """\
Example:
  tiktokactions collect run hashtags.csv -o collection/ --per-hashtag 20 --from 2024-01-01 --to 2024-03-31 --sandbox
"""


def _add_collect(commands: Any) -> None:
    description = "Metadata of videos by hashtag from the TikTok Research API, or from a file."
    parts = _group(commands, "collect", "metadata from the TikTok Research API", description, COLLECT_RUN_EXAMPLE)
    run = _command(
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
    plan = _command(
        parts,
        "plan",
        "requests, days and records of a collection; sends nothing",
        "Example:\n  tiktokactions collect plan hashtags.csv --from 2023-01-01 --to 2024-06-30\n",
        _collect_plan,
    )
    _collect_options(plan)
    status = _command(
        parts,
        "status",
        "found and wanted per hashtag, what is missing and why",
        "Example:\n  tiktokactions collect status collection/\n",
        _collect_status,
    )
    status.add_argument("collection", metavar="COLLECTION")
    imported = _command(
        parts,
        "import",
        "take metadata from JSON lines or CSV, without a key",
        "Example:\n  tiktokactions collect import videos.csv -o imported/\n",
        _collect_import,
    )
    imported.add_argument("file", metavar="FILE", help=".jsonl, .json or .csv with one video a row")
    imported.add_argument("-o", "--output", required=True, metavar="COLLECTION", help="folder of the collection")
    imported.add_argument("--hash-creators", action="store_true", help="store creators' names hashed with a local salt")
    export = _command(
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
    from tiktokactions.collect.session import CollectOptions

    names = {field.name for field in dataclasses.fields(CollectOptions)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return CollectOptions(**given | {"region": tuple(getattr(arguments, "region", ()))})


def _collect_run(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    result = api.collect_run(
        arguments.hashtags,
        arguments.output,
        _collect_settings(arguments),
        report=lambda line: print(line, file=sys.stderr, flush=True),
        note=lambda line: print(f"  {line}", file=sys.stderr, flush=True),
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
            print(f"stopped: {result.stopped}")
        elif not status.is_complete:
            print("some days could not be read; the same command asks for them again")
    return ATTENTION if result.stopped or not status.is_complete else DONE


def _collect_plan(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

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
    from tiktokactions import api
    from tiktokactions.progress import text_table

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
    from tiktokactions import api

    found = api.collect_import(arguments.file, arguments.output, hash_creators=arguments.hash_creators)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found)))
    else:
        print(f"{found.rows} rows, {found.new} new videos, {len(found.rejected)} rejected")
        for line in found.rejected:
            print(line, file=sys.stderr)
    return ATTENTION if found.rejected else DONE


def _collect_export(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    count = api.collect_export(arguments.collection, arguments.output, plain_creators=arguments.plain_creators)
    print(
        json.dumps({"videos": count, "file": arguments.output})
        if arguments.json
        else f"{count} videos: {arguments.output}"
    )
    return DONE


# --- curate --------------------------------------------------------------------------------------------------------

GROUP_TITLES = {
    "evidence": "what is looked at (another value decodes the videos again)",
    "decision": "what qualifies (can be changed later with --redecide)",
    "clip": "the clips",
    "run": "this run",
}


def _add_curate(commands: Any) -> None:
    from tiktokactions.curate.options import CurateOptions

    parser = _command(commands, "curate", "turn raw videos into a dataset", CURATE_EXAMPLE, _curate)
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
    _add_options(parser, CurateOptions, GROUP_TITLES)


def _add_options(parser: argparse.ArgumentParser, kind: type, titles: dict[str, str]) -> None:
    """Every field of an options dataclass as an option, in sections by its group, and ``--config``."""
    parser.add_argument("--config", metavar="FILE", help="TOML file that sets any of these options by name")
    types = typing.get_type_hints(kind)
    for group, title in titles.items():
        fields = [field for field in dataclasses.fields(kind) if field.metadata["group"] == group]
        section = parser.add_argument_group(title) if fields else None
        for field in fields:
            _add_option(section, field, types[field.name])


def _add_option(section: Any, field: dataclasses.Field[Any], kind: Any) -> None:
    """One command-line option from one field of an options dataclass. Not typed means absent, not the default."""
    flag = "--" + field.name.replace("_", "-")
    text = field.metadata["help"]
    shown = f"{text} (default: {field.default})" if field.default not in (None, (), False) else text
    common: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": shown.replace("%", "%%")}
    alternatives = set(typing.get_args(kind)) or {kind}
    kind = next((t for t in alternatives if typing.get_origin(t) is typing.Literal), kind)
    if kind is bool:
        section.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
    elif typing.get_origin(kind) is typing.Literal:
        section.add_argument(flag, choices=typing.get_args(kind), **common)
    elif typing.get_origin(kind) is tuple:
        section.add_argument(flag, action="append", metavar="NAME=VALUE", **common)
    elif field.name == "short_side":
        section.add_argument(flag, type=_side, metavar="PIXELS", **common)
    else:
        number = next(t for t in (Fraction, float, int, str) if t in alternatives)
        section.add_argument(flag, type=number, metavar=field.name.rsplit("_", 1)[-1].upper(), **common)


def _side(text: str) -> int | None:
    return None if text == "source" else int(text)


class ConfigError(ValueError):
    """A configuration file that cannot be used."""


def _options_of(arguments: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The options of a command from its configuration file, overridden by what was typed."""
    types = typing.get_type_hints(kind)
    options: dict[str, Any] = {}
    if arguments.config:
        path = Path(arguments.config)
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"--config {path}: {error}") from error
        unknown = sorted(set(said) - set(types))
        if unknown:
            raise ConfigError(
                f"--config {path}: unknown name {', '.join(unknown)}; expected some of {', '.join(sorted(types))}"
            )
        options = {name: _from_toml(name, value, types[name], path) for name, value in said.items()}
    typed = {name: getattr(arguments, name) for name in types if hasattr(arguments, name)}
    if "scene_param" in typed:
        typed["scene_param"] = tuple(typed["scene_param"])
    return options | typed


def _from_toml(name: str, value: Any, kind: Any, path: Path) -> Any:
    alternatives = set(typing.get_args(kind)) or {kind}
    kind = next((t for t in alternatives if typing.get_origin(t) is typing.Literal), kind)
    if name == "short_side" and value == "source":
        return None
    if Fraction in alternatives and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return Fraction(str(value))
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        return tuple(str(item) for item in value)
    if typing.get_origin(kind) is typing.Literal:
        fits = value in typing.get_args(kind)
    elif isinstance(value, bool):
        fits = kind is bool
    else:
        value = float(value) if float in alternatives and isinstance(value, int) else value
        fits = isinstance(value, tuple(t for t in alternatives if isinstance(t, type)))
    if not fits:
        raise ConfigError(f"--config {path}: {name} = {value!r}, expected {kind}")
    return value


def _curate(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.curate.options import CurateOptions
    from tiktokactions.progress import show_progress

    with show_progress() as progress:
        result = api.curate(
            arguments.videos,
            arguments.output,
            redecide=arguments.redecide,
            progress=progress,
            **_options_of(arguments, CurateOptions),
        )
    _print_result(result, arguments.json)
    return ATTENTION if result.uncut or result.outdated else DONE


def _print_result(result: Any, as_json: bool) -> None:
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
    for video_id, problem in sorted(result.uncut.items()):
        print(f"attention: {video_id}: {problem}", file=sys.stderr)
    if result.outdated:
        print(
            f"attention: {result.outdated} records were made with other settings; give their videos to bring them up to date",
            file=sys.stderr,
        )


# --- dataset -------------------------------------------------------------------------------------------------------


def _add_dataset(commands: Any) -> None:
    from tiktokactions.dataset.split_options import SplitOptions

    example = "Example:\n  tiktokactions dataset stats data/\n"
    summary = "statistics, verification and card of a dataset"
    parts = _group(commands, "dataset", summary, "Statistics, verification and card of a dataset.", example)
    for name, summary, run in (
        ("stats", "count a dataset and draw its figures", _dataset_stats),
        ("verify", "check every record and every clip", _dataset_verify),
        ("card", "write the dataset card (README.md)", _dataset_card),
    ):
        example = f"Example:\n  tiktokactions dataset {name} data/\n"
        parser = _command(parts, name, summary, example, run)
        parser.add_argument("dataset", metavar="DATASET", help="a folder made by 'curate'")
        if name == "verify":
            parser.add_argument(
                "--repair", action="store_true", help="cut missing and broken clips again, remove what nothing claims"
            )

    example = (
        "Example:\n  tiktokactions dataset split data/\n  tiktokactions dataset split data/ --val 0.15 --test 0.15\n"
    )
    split = _command(parts, "split", "sides for training and testing, free of leaks", example, _dataset_split)
    split.add_argument("dataset", metavar="DATASET", help="a folder made by 'curate'")
    _add_options(split, SplitOptions, {"split": "the sides"})


def _dataset_split(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.dataset.split_options import SplitOptions
    from tiktokactions.dataset.splits import report_text

    report = api.dataset_split(arguments.dataset, **_options_of(arguments, SplitOptions))
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report)))
    else:
        print(report_text(report))
        print(f"\nSides: {Path(arguments.dataset, 'splits')}")
    return ATTENTION if report.bridging else DONE


def _dataset_stats(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.dataset.statistics_text import statistics_table
    from tiktokactions.records import to_builtins

    stats = api.dataset_stats(arguments.dataset)
    if arguments.json:
        print(json.dumps(to_builtins(stats)))
    else:
        print(statistics_table(stats))
        print(f"\nNumbers: {Path(arguments.dataset, 'stats.json')}\nFigures: {Path(arguments.dataset, 'figures')}")
    return DONE


def _dataset_verify(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.records import to_builtins

    found = api.dataset_verify(arguments.dataset, repair=arguments.repair)
    if arguments.json:
        print(json.dumps(to_builtins(found)))
    else:
        for problem in found.problems:
            done = f" -> {problem.repaired}" if problem.repaired else ""
            print(f"{problem.kind}: {problem.path}: {problem.detail}{done}")
        print(
            f"{found.records} records and {found.clips} clips checked,"
            f" {len(found.problems)} problems, {len(found.open_problems)} left"
        )
    return ATTENTION if found.open_problems else DONE


def _dataset_card(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    path = api.dataset_card(arguments.dataset)
    print(json.dumps({"card": str(path)}) if arguments.json else str(path))
    return DONE


# --- model ---------------------------------------------------------------------------------------------------------

MODEL_GROUP_TITLES = {
    "data": "the data",
    "model": "the model",
    "recipe": "the recipe (defaults: the paper's)",
    "augmentation": "augmentation",
    "test": "looking at results",
    "run": "this run",
}
PRETRAIN_EXAMPLE = """\
Example:
  tiktokactions pretrain data/ -o runs/pretrained --model tiny --batch-size 2 --epochs 2
  tiktokactions pretrain data/ -o runs/paper --batch-size 4 --dry-run
"""
FINETUNE_EXAMPLE = """\
Example:
  tiktokactions finetune data/ -o runs/finetuned --init runs/pretrained --batch-size 2 --epochs 2
"""
EVALUATE_EXAMPLE = """\
Example:
  tiktokactions evaluate runs/finetuned data/
"""
PREDICT_EXAMPLE = """\
Example:
  tiktokactions predict runs/finetuned videos/walking/one.mp4
  tiktokactions predict runs/finetuned videos/ --features features.parquet
"""
EXPORT_EXAMPLE = """\
Example:
  tiktokactions export runs/finetuned -o huggingface/ --to huggingface
"""


def _add_model(commands: Any) -> None:
    from tiktokactions.model.options import EvaluateOptions, FinetuneOptions, PredictOptions, PretrainOptions

    pretrain = _command(commands, "pretrain", "pre-train VideoMAE V2 on videos", PRETRAIN_EXAMPLE, _pretrain)
    pretrain.add_argument("data", nargs="+", metavar="DATA", help="datasets, folders of videos or lists")
    pretrain.add_argument(
        "--mix", nargs="+", type=float, metavar="WEIGHT", help="how much of an epoch comes from each DATA"
    )
    finetune = _command(commands, "finetune", "fine-tune a classifier and test it", FINETUNE_EXAMPLE, _finetune)
    finetune.add_argument("data", metavar="DATA", help="a split dataset, official splits, a list or class folders")
    finetune.add_argument("--val", metavar="DATA", help="other data to look at after epochs (default: DATA's val side)")
    finetune.add_argument("--test", metavar="DATA", help="other data to test on at the end (default: DATA's test side)")
    for parser, kind in ((pretrain, PretrainOptions), (finetune, FinetuneOptions)):
        parser.add_argument(
            "-o", "--output", metavar="RUN", required=True, help="run folder; the same command goes on in it"
        )
        parser.add_argument(
            "--init", metavar="RUN|FILE", help="weights to begin with: a run, .pth or Hugging Face folder"
        )
        parser.add_argument("--dry-run", action="store_true", help="print what would be done, in numbers, and end")
        _add_options(parser, kind, MODEL_GROUP_TITLES)

    evaluate = _command(commands, "evaluate", "test a fine-tuned run", EVALUATE_EXAMPLE, _evaluate)
    evaluate.add_argument("fine_tuned", metavar="RUN", help="a run of 'finetune'")
    evaluate.add_argument("data", metavar="DATA", help="a split dataset, official splits, a list or class folders")
    evaluate.add_argument("-o", "--output", metavar="FOLDER", help="for predictions and pictures (default: in RUN)")
    _add_options(evaluate, EvaluateOptions, MODEL_GROUP_TITLES)

    predict = _command(commands, "predict", "labels of any videos, or their features", PREDICT_EXAMPLE, _predict)
    predict.add_argument("fine_tuned", metavar="RUN", help="a run of 'finetune'; for features also of 'pretrain'")
    predict.add_argument("videos", nargs="+", metavar="VIDEO", help="files, folders, globs or lists")
    predict.add_argument("--features", metavar="FILE.parquet", help="write pooled features instead of predicting")
    _add_options(predict, PredictOptions, MODEL_GROUP_TITLES)

    export = _command(commands, "export", "write a run's weights as other programs read them", EXPORT_EXAMPLE, _export)
    export.add_argument("weights", metavar="RUN|FILE", help="a run, .pth or Hugging Face folder")
    export.add_argument("-o", "--output", metavar="OUT", required=True, help="a folder, or a .pth for 'official'")
    export.add_argument(
        "--to", choices=["huggingface", "official"], default="huggingface", help="(default: %(default)s)"
    )


def _pretrain(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.model.options import PretrainOptions
    from tiktokactions.progress import show_training

    with show_training() as progress:
        result = api.pretrain(
            arguments.data,
            arguments.output,
            init=arguments.init,
            mix=arguments.mix,
            dry_run=arguments.dry_run,
            progress=progress,
            **_options_of(arguments, PretrainOptions),
        )
    _print_training(result, arguments.json)
    return DONE


def _finetune(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.model.options import FinetuneOptions
    from tiktokactions.progress import show_training

    with show_training() as progress:
        result = api.finetune(
            arguments.data,
            arguments.output,
            val=arguments.val,
            test=arguments.test,
            init=arguments.init,
            dry_run=arguments.dry_run,
            progress=progress,
            **_options_of(arguments, FinetuneOptions),
        )
    _print_training(result, arguments.json)
    return DONE


def _print_training(result: dict[str, Any], as_json: bool) -> None:
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        print(json.dumps(result))
    elif "finished" not in result:
        for name, value in result.items():
            print(
                f"{name.replace('_', ' '):20} {value:,}"
                if isinstance(value, int)
                else f"{name.replace('_', ' '):20} {value:.4g}"
            )
    else:
        state = "finished" if result["finished"] else "stopped, the same command goes on"
        print(f"{result['run']}: {state}, {result['steps']:,} steps, loss {result['loss']:.4f}")
        if "cross_validated_top1" in result:
            print(f"cross-validated top-1 on the train side: {result['cross_validated_top1']:.1%}")
        if "test" in result:
            _print_evaluation(result["test"])


def _print_evaluation(result: dict[str, Any]) -> None:
    interval = f"95 % interval {result['top1_low']:.1%} to {result['top1_high']:.1%}"
    print(f"{result['data']}: {result['videos']:,} videos, {result['classes']} classes, {result['views']} views each")
    print(f"  top-1               {result['top1']:.2%}  ({interval})")
    print(f"  top-5               {result['top5']:.2%}")
    print(f"  mean class accuracy {result['mean_class_accuracy']:.2%}")
    print(f"  predictions, table and confusion matrix: {result['folder']}")


def _evaluate(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.model.options import EvaluateOptions
    from tiktokactions.progress import show_training

    with show_training() as progress:
        result = api.evaluate(
            arguments.fine_tuned,
            arguments.data,
            arguments.output,
            progress=progress,
            **_options_of(arguments, EvaluateOptions),
        )
    if os.environ.get("RANK", "0") == "0":
        if arguments.json:
            print(json.dumps(dataclasses.asdict(result)))
        else:
            _print_evaluation(dataclasses.asdict(result))
    return DONE


def _predict(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.model.options import PredictOptions
    from tiktokactions.progress import show_training

    with show_training() as progress:
        result = api.predict(
            arguments.fine_tuned,
            arguments.videos,
            features=arguments.features,
            progress=progress,
            **_options_of(arguments, PredictOptions),
        )
    if isinstance(result, api.FeaturesWritten):
        told = dataclasses.asdict(result)
        print(
            json.dumps(told)
            if arguments.json
            else f"{result.features}: {result.videos} videos, {result.length} numbers each"
        )
    elif arguments.json:
        print(json.dumps([dataclasses.asdict(prediction) for prediction in result]))
    else:
        for prediction in result:
            print(prediction.path)
            for guess in prediction.top:
                print(f"  {guess.probability:7.2%}  {guess.label}")
    return DONE


def _export(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    path = api.export(arguments.weights, arguments.output, to=arguments.to)
    print(json.dumps({"output": str(path)}) if arguments.json else str(path))
    return DONE


# --- the rest ------------------------------------------------------------------------------------------------------


# --- study ---------------------------------------------------------------------------------------------------------

EXTRAPOLATE_EXAMPLE = """\
Example:
  tiktokactions extrapolate results.csv --targets 0.95 0.97 -o extrapolation/
  tiktokactions extrapolate results.csv --method paper
"""
_CONFIGS = "--pretrain-config pretrain.toml --finetune-config finetune.toml"
SCALING_EXAMPLE = f"""\
Example:
  tiktokactions dataset split data/
  tiktokactions study scaling videos/ --sizes 2:6:2 --evaluate-on data/ -o scaling/ {_CONFIGS}
"""
SOURCES_EXAMPLE = f"""\
Example:
  tiktokactions dataset split data/
  tiktokactions study sources ours=data/ theirs=videos/ scratch --size 2 --evaluate-on data/ -o sources/ {_CONFIGS}
"""
TARGETS = (0.95, 0.96, 0.97, 0.98, 0.99)


def _add_study(commands: Any) -> None:
    description = "How much data, and which."
    kinds = _group(
        commands, "study", "how much data, and which: scaling, sources", description, SCALING_EXAMPLE, "studies"
    )
    scaling = _command(kinds, "scaling", "accuracy by size of the pre-training data", SCALING_EXAMPLE, _study_scaling)
    scaling.add_argument("data", metavar="DATASET", help="what is pre-trained on: a dataset, a folder or a list")
    scaling.add_argument(
        "--sizes", nargs="+", required=True, metavar="N", help="numbers of videos, or FIRST:LAST:STEP (both included)"
    )
    scaling.add_argument("--targets", nargs="+", type=float, default=TARGETS, help="accuracies to extrapolate to")
    sources = _command(kinds, "sources", "accuracy by source of the pre-training data", SOURCES_EXAMPLE, _study_sources)
    sources.add_argument("sources", nargs="+", metavar="NAME=DATA", help="sources to compare; 'scratch' for none")
    sources.add_argument("--size", type=int, metavar="N", help="videos of each source (default: all)")
    for parser in (scaling, sources):
        parser.add_argument(
            "--evaluate-on", required=True, metavar="DATA", help="labelled data with train and test sides"
        )
        parser.add_argument("-o", "--output", required=True, metavar="STUDY", help="the same command goes on in it")
        parser.add_argument("--repeats", type=int, default=3, help="seeds (default: %(default)s)")
        parser.add_argument("--stratified", action="store_true", help="every subset holds each label in its share")
        equal = parser.add_mutually_exclusive_group()
        for what, told in (
            ("epochs", "see every video equally often, whatever the size (default)"),
            ("steps", "train as many steps on every size as on the largest"),
        ):
            equal.add_argument(f"--equal-{what}", dest="equal", action="store_const", const=what, help=told)
        parser.set_defaults(equal="epochs")
        parser.add_argument("--pretrain-config", metavar="FILE.toml", help="options of 'pretrain' for every trial")
        parser.add_argument("--finetune-config", metavar="FILE.toml", help="options of 'finetune' for every trial")
        parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
        parser.add_argument("--jobs", type=int, default=1, help="trials at a time, a GPU each (default: %(default)s)")
        parser.add_argument("--retry", action="store_true", help="run trials that crashed again")
        parser.add_argument("--dry-run", action="store_true", help="print the plan and how long it takes, and end")

    extrapolate = _command(
        commands, "extrapolate", "how many videos a target accuracy needs", EXTRAPOLATE_EXAMPLE, _extrapolate
    )
    extrapolate.add_argument(
        "results", metavar="RESULTS", help="a CSV with columns size and accuracy, or a STUDY folder"
    )
    extrapolate.add_argument(
        "-o", "--output", metavar="FOLDER", help="for JSON and plot (default: STUDY/extrapolation)"
    )
    extrapolate.add_argument(
        "--targets", nargs="+", type=float, default=TARGETS, help="accuracies (default: 0.95 to 0.99)"
    )
    extrapolate.add_argument(
        "--method", choices=["honest", "paper"], default="honest", help="paper: its Table 5 (default: %(default)s)"
    )
    extrapolate.add_argument("--metric", help="rows of this metric (default: top1)")
    extrapolate.add_argument("--draws", type=int, default=500, help="bootstrap samples (default: %(default)s)")
    extrapolate.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")


def _trial_options(path: str | None, kind: type) -> dict[str, Any]:
    return _options_of(argparse.Namespace(config=path), kind)


def _study_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    from tiktokactions.model.options import FinetuneOptions, PretrainOptions

    shared = ("evaluate_on", "repeats", "equal", "stratified", "seed", "jobs", "retry", "dry_run")
    return {name: getattr(arguments, name) for name in shared} | {
        "pretrain_options": _trial_options(arguments.pretrain_config, PretrainOptions),
        "finetune_options": _trial_options(arguments.finetune_config, FinetuneOptions),
        "report": lambda line: print(line, file=sys.stderr, flush=True),
    }


def _study_scaling(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.study.subsets import parse_sizes

    result = api.study_scaling(
        arguments.data,
        arguments.output,
        sizes=parse_sizes(arguments.sizes),
        targets=arguments.targets,
        **_study_arguments(arguments),
    )
    return _print_study(result, arguments.json)


def _study_sources(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    result = api.study_sources(arguments.sources, arguments.output, size=arguments.size, **_study_arguments(arguments))
    return _print_study(result, arguments.json)


def _print_study(result: Any, as_json: bool) -> int:
    from tiktokactions.progress import study_lines

    print(json.dumps(dataclasses.asdict(result)) if as_json else "\n".join(study_lines(result)))
    return ATTENTION if getattr(result, "failed", {}) or getattr(result, "warnings", []) else DONE


def _extrapolate(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.progress import extrapolation_lines, show_line
    from tiktokactions.study.extrapolation import as_json

    output = arguments.output
    if output is None and Path(arguments.results).is_dir():
        output = str(Path(arguments.results, "extrapolation"))
    with show_line() as report:
        found = api.extrapolate(
            arguments.results,
            output,
            targets=arguments.targets,
            method=arguments.method,
            metric=arguments.metric,
            draws=arguments.draws,
            seed=arguments.seed,
            report=report,
        )
    if arguments.json:
        print(json.dumps(as_json(found)))
    else:
        print("\n".join(extrapolation_lines(found)))
        print(f"\nJSON and plot: {output}" if output else "\n-o FOLDER writes JSON and a plot")
    return DONE


def _demo_learning(arguments: argparse.Namespace) -> int:
    from tiktokactions import api
    from tiktokactions.progress import show_training

    with show_training() as progress:
        result = api.demo_learning(arguments.output, seed=arguments.seed, progress=progress)
    if arguments.json:
        print(json.dumps(result | {"rendered": True}))
    else:
        print(
            "Rendered figures, not filmed people: this shows that the chain learns, and says nothing about real video."
        )
        _print_evaluation(result)
        print(f"  chance              {1 / result['classes']:.2%}")
        print(f"  learning curves, reconstructions: {Path(arguments.output, 'runs')}")
    return DONE


def _demo_study(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    result = api.demo_study(arguments.output, report=lambda line: print(line, file=sys.stderr, flush=True))
    if not arguments.json:
        print(
            "Rendered figures, not filmed people: this shows what a study looks like, and says nothing about real video."
        )
    return _print_study(result, arguments.json)


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.learn:
        return _demo_learning(arguments)
    if arguments.study:
        return _demo_study(arguments)
    from tiktokactions import api
    from tiktokactions.dataset.statistics_text import statistics_table
    from tiktokactions.progress import show_progress

    with show_progress() as progress:
        result = api.demo(arguments.output, progress=progress)
    _print_result(result, arguments.json)
    if not arguments.json:
        dataset = Path(result.dataset)
        print()
        print(statistics_table(api.dataset_stats(dataset)))
        print("\nWhere everything is:")
        for what, path in (
            ("clips", "clips"),
            ("one JSON per video", "records"),
            ("table of all videos", "manifest.parquet"),
            ("dataset card", "README.md"),
        ):
            print(f"  {what:20} {dataset / path}")
        for figure in sorted((dataset / "figures").glob("*.png")):
            print(f"  {'figure':20} {figure}")
    return DONE


def _doctor(arguments: argparse.Namespace) -> int:
    from tiktokactions import api

    statuses = api.doctor()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(status) for status in statuses]))
    else:
        for status in statuses:
            print(f"{'ready  ' if status.ready else 'missing'}  {status.name}: {status.detail}")
            if not status.ready:
                print(f"         to get it: {status.how_to_get}")
    return DONE if any(status.ready for status in statuses if status.name in ("yolox-nano", "blazepose")) else ATTENTION


if __name__ == "__main__":
    sys.exit(main())
