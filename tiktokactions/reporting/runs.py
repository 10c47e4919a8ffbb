"""The section about a run: its curves, reconstructions, accuracy with confusion matrix, recipe and versions."""

from __future__ import annotations

import csv
import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

from tiktokactions.model.config import config_to_json
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.run_folder import RunInfo, read_log, read_run
from tiktokactions.reporting.blocks import Block, Commands, Facts, Section, Text, table
from tiktokactions.reporting.numbers import count, figure_of, percent
from tiktokactions.reporting.pictures import figure, smaller

PICTURE_WIDTH = 1100
MOST_CLASSES = 400
KINDS = {"pretrain": "Pre-training", "finetune": "Fine-tuning"}
HOW_NOT_WHAT = ("save_minutes", "save_steps", "keep", "log_steps", "stop_after_steps", "workers", "threads", "device")
"""Options that do not change what a run computes, left out of the command that repeats it."""


def run_section(folder: Path) -> Section:
    """What a run did, and how well it does where it was tested.

    Raises:
        RunError: ``run.json`` is damaged.
    """
    info = read_run(folder)
    result_path = folder / "result.json"
    result = json.loads(result_path.read_text(encoding="utf-8")) if result_path.is_file() else None
    told = "Loss, learning rate and, where there is a val side, accuracy by step"
    blocks = [*_overview(folder, info, result), *figure(folder / "curves", told, told)]
    blocks += _reconstructions(folder)
    for evaluation in sorted((folder / "evaluations").glob("*/result.json")):
        blocks += _evaluation(evaluation.parent)
    blocks += _recipe(folder, info)
    return Section(KINDS[info.kind], tuple(blocks), folder.name)


def _overview(folder: Path, info: RunInfo, result: dict[str, Any] | None) -> list[Block]:
    last = result or next(iter(reversed(read_log(folder))), {})
    steps = int(info.derived["steps"])
    blocks: list[Block] = [
        Facts(
            (
                (info.model.name, "model"),
                (f"{info.derived['parameters'] / 1e6:,.1f} M", "parameters"),
                (count(info.data["clips"]), "clips"),
                (f"{count(last.get('steps', last.get('step', 0)))} of {count(steps)}", "steps"),
                (figure_of(last.get("loss")), "loss at the end"),
                (figure_of(info.derived["lr"]), "highest learning rate"),
            )
        )
    ]
    if result is None:
        blocks.append(Text("This run is not finished: the command that began it goes on with it.", "warning"))
    return blocks


def _reconstructions(folder: Path) -> list[Block]:
    stems = sorted({path.with_suffix("") for path in (folder / "reconstructions").glob("epoch-*.*")})
    if not stems:
        return []
    told = f"Original, masked and reconstructed frames, {stems[-1].name.replace('-', ' ')}"
    return [smaller(picture, PICTURE_WIDTH) for picture in figure(stems[-1], told, told)]


def _evaluation(folder: Path) -> list[Block]:
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    matrix = f"Confusion matrix of {folder.name}: rows are labels, columns predictions"
    interval = f"{percent(found['top1_low'])} to {percent(found['top1_high'])}"
    blocks: list[Block] = [
        Text(
            f"{folder.name}: top-1 {percent(found['top1'])} on {count(found['videos'])} videos of {Path(found['data']).name}"
            f" (95 % interval {interval}; chance {percent(1 / found['classes'])}), {found['views']} views each.",
            "answer",
        ),
        Facts(
            (
                (percent(found["top1"]), "top-1"),
                (percent(found["top5"]), "top-5"),
                (percent(found["mean_class_accuracy"]), "mean class accuracy"),
                (count(found["classes"]), "classes"),
            )
        ),
        *figure(folder / "confusion", matrix, matrix),
    ]
    if (folder / "per_class.csv").is_file():
        with (folder / "per_class.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        more = f", the first {MOST_CLASSES} of {len(rows) - 1}" if len(rows) - 1 > MOST_CLASSES else ""
        blocks += table(f"Every class{more}", rows[0], rows[1 : MOST_CLASSES + 1], folded=True)
    return blocks


def _recipe(folder: Path, info: RunInfo) -> list[Block]:
    derived = [(name.replace("_", " "), _plain(value)) for name, value in info.derived.items()]
    shape = [(name.replace("_", " "), _plain(value)) for name, value in config_to_json(info.model).items()]
    options = [(name, _plain(value)) for name, value in info.options.items()]
    sources = ", ".join(Path(source).name for source in info.data.get("sources", []))
    first = "at random" if info.init is None else f"from {Path(str(next(iter(info.init.values())))).name}"
    return [
        Text(f"Trained on {sources or 'clips'}; first weights {first}; begun {info.created}."),
        *table("What followed from the options", ("quantity", "value"), derived, folded=True),
        *table("Model", ("size", "value"), shape, folded=True),
        *table("Options", ("option", "value"), options, folded=True),
        *table("Versions", ("what", "version"), list(info.versions.items()), folded=True),
        Commands((run_command(folder, info),)),
    ]


def run_command(folder: Path, info: RunInfo) -> str:
    """The command of a run with every option that differs from the recipe's default, quoted for a shell."""
    kind = PretrainOptions if info.kind == "pretrain" else FinetuneOptions
    words = ["tiktokactions", info.kind, *(Path(s).name for s in info.data.get("sources", ["DATA"])), "-o", folder.name]
    if info.init is not None:
        words += ["--init", Path(str(next(iter(info.init.values())))).name]
    for field in dataclasses.fields(kind):
        value = info.options.get(field.name, field.default)
        if value == field.default or value is None or field.name in HOW_NOT_WHAT:
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
