"""The section about a run: curves, reconstructions, accuracy with confusion matrix, recipe and versions."""

from __future__ import annotations

import csv
import dataclasses
import shlex
from pathlib import Path

from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.run import Evaluation, Run, filled
from tiktokactions.reporting.blocks import Block, Section, Text, bars, facts, interval, table
from tiktokactions.reporting.numbers import count, figure_of, percent
from tiktokactions.reporting.pictures import figure, smaller
from tiktokactions.study.tables import FEW_CLASSES

PICTURE_WIDTH = 1100
MOST_CLASSES = 400
KINDS = {"pretrain": "Pre-training", "finetune": "Fine-tuning"}
HOW_NOT_WHAT = ("save_minutes", "save_steps", "keep", "log_steps", "stop_after_steps", "workers", "threads", "device")
"""Options that do not change what a run computes, left out of the command that repeats it."""


def run_section(folder: Path) -> Section:
    """What a run did, and the results of its tests.

    Raises:
        RunError: ``run.json`` is damaged.
    """
    run = Run(folder)
    told = "Loss, learning rate and, where there is a val side, accuracy by step"
    blocks = [*_overview(run), *figure(folder / "curves", told, told)]
    blocks += _reconstructions(folder)
    tests = run.evaluations
    for name, evaluation in tests.items():
        blocks += _evaluation(folder / "evaluations" / name, evaluation)
    sources = ", ".join(Path(source).name for source in run.info.data.sources)
    first = "at random" if run.info.init is None else f"from {Path(run.info.init.path).name}"
    blocks.append(Text(f"Trained on {sources or 'clips'}; first weights {first}; begun {run.info.created}."))
    answer = " ".join(reached(name, found) for name, found in tests.items())
    commands = (run_command(run), *(_test_command(run, name, found) for name, found in tests.items() if name != "test"))
    return Section(KINDS[run.kind], tuple(blocks), folder.name, answer, commands, _recipe(run))


def reached(name: str, found: Evaluation) -> str:
    """What a test found, in a sentence."""
    return (
        f"{name}: top-1 {percent(found.top1)} on {count(found.videos)} videos of {Path(found.data).name}"
        f" (95 % interval {percent(found.top1_low)} to {percent(found.top1_high)}; chance {percent(1 / found.classes)}),"
        f" {found.views} views each."
    )


def _overview(run: Run) -> list[Block]:
    info = run.info
    steps, loss = (run.result.steps, run.result.loss) if run.finished else _last_logged(run)
    blocks: list[Block] = [
        facts(
            (info.model.name, "model"),
            (f"{info.derived.parameters / 1e6:,.1f} M", "parameters"),
            (count(info.data.clips), "clips"),
            (f"{count(steps)} of {count(info.derived.steps)}", "steps"),
            (figure_of(loss), "loss at the end"),
            (figure_of(info.derived.lr), "highest learning rate"),
        )
    ]
    if not run.finished:
        blocks.append(Text("This run is not finished: give its command again to continue.", "warning"))
    elif run.result.warning:
        blocks.append(Text(run.result.warning.replace("`", ""), "warning"))
    return blocks


def _last_logged(run: Run) -> tuple[int, float | None]:
    last = run.log()[-1:]
    return (last[0]["step"], last[0].get("loss")) if last else (0, None)


def _reconstructions(folder: Path) -> list[Block]:
    stems = sorted({path.with_suffix("") for path in (folder / "reconstructions").glob("epoch-*.*")})
    if not stems:
        return []
    told = f"Original, masked and reconstructed frames, {stems[-1].name.replace('-', ' ')}"
    return [smaller(picture, PICTURE_WIDTH) for picture in figure(stems[-1], told, told)]


def _evaluation(folder: Path, found: Evaluation) -> list[Block]:
    matrix = f"Confusion matrix of {folder.name}: rows are labels, columns predictions"
    numbers = {"top-1": found.top1} | ({"top-5": found.top5} if found.classes >= FEW_CLASSES else {})
    share = f"Share of the {count(found.videos)} videos that were right, with its 95 % interval; the line is chance"
    rows = [interval(name, value * found.videos, found.videos) for name, value in numbers.items()]
    blocks: list[Block] = [
        Text(reached(folder.name, found), "answer"),
        *bars(share, rows, 1 / found.classes),
        Text(f"Mean class accuracy {percent(found.mean_class_accuracy)}, over {count(found.classes)} classes."),
        *figure(folder / "confusion", matrix, matrix),
    ]
    if found.warning:
        blocks.append(Text(found.warning.replace("`", ""), "warning"))
    if found.survivors is not None:
        blocks.append(Text(f"Released list {Path(found.survivors.ids).name}: {' '.join(found.survivors.told)}."))
    if found.compared is not None:
        blocks.append(Text(f"Against {Path(str(found.against)).name}: {found.compared.told}."))
    if (folder / "per_class.csv").is_file():
        with (folder / "per_class.csv").open(encoding="utf-8", newline="") as file:
            head, *classes = csv.reader(file)
        more = f", the first {MOST_CLASSES} of {len(classes)}" if len(classes) > MOST_CLASSES else ""
        blocks += table(f"Every class{more}", head, classes[:MOST_CLASSES], folded=True)
    return blocks


def _recipe(run: Run) -> tuple[Block, ...]:
    info = run.info
    derived = [(name.replace("_", " "), _plain(value)) for name, value in filled(info.derived).items()]
    shape = [(name.replace("_", " "), _plain(value)) for name, value in dataclasses.asdict(info.model).items()]
    options = [(name, _plain(value)) for name, value in info.options.items()]
    return (
        *table("Derived from the options", ("quantity", "value"), derived, folded=True),
        *table("Model", ("size", "value"), shape, folded=True),
        *table("Options", ("option", "value"), options, folded=True),
        *table("Versions", ("what", "version"), list(info.versions.items()), folded=True),
    )


def _test_command(run: Run, name: str, found: Evaluation) -> str:
    """The command of a test that was asked for later; such a test is named after its data and their side."""
    data, side = Path(found.data), name.rpartition("-")[2]
    words = ["tiktokactions", "evaluate", run.path.name, data.name]
    words += ["--side", side] if side in ("train", "val", "all") else []
    return shlex.join(words + (["--skip-unreadable"] if found.skip_unreadable else []))


def run_command(run: Run) -> str:
    """The command of a run with every option that differs from the recipe's default, quoted for a shell."""
    info, folder = run.info, run.path
    kind = PretrainOptions if info.kind == "pretrain" else FinetuneOptions
    recipe = kind.RECIPES.get(info.options.get("recipe", "paper"), {})
    words = ["tiktokactions", info.kind, *(Path(s).name for s in info.data.sources or ["DATA"]), "-o", folder.name]
    if info.init is not None:
        words += ["--init", Path(info.init.path).name]
    for field in dataclasses.fields(kind):
        default = recipe.get(field.name, field.default)
        value = info.options.get(field.name, field.default)
        if value == default or value is None or field.name in HOW_NOT_WHAT:
            continue
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + flag.removeprefix("--"))
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
