"""What studies share: their settings on disk, the fixed fine-tuning data, and how long all of it will take."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiktokactions.clips.clip import Clip
from tiktokactions.clips.read import has_side, read_clips
from tiktokactions.dataset.assignments import is_split
from tiktokactions.errors import UsageError
from tiktokactions.files import located, write_json
from tiktokactions.study.options import Equal, StudyOptions
from tiktokactions.study.trials import Trial, commands

SHAPE = ("model", "image_size", "frames", "tubelet", "patch")
"""Options of ``pretrain`` that fine-tuning takes over from its run."""


class StudyError(UsageError):
    """A study that makes no sense as asked; the message says what to do."""


@dataclass(frozen=True)
class Recipe:
    """Options of ``pretrain`` and ``finetune`` that all trials share."""

    pretrain: Mapping[str, Any]
    finetune: Mapping[str, Any]


def pool_of(data: str) -> list[Clip]:
    """What may be pre-trained on: the train side of split data, else everything."""
    split = is_split(located(data)) if (located(data) / "dataset.json").is_file() else has_side(data, "train")
    clips = list(read_clips(data, side="train" if split else "all").clips)
    if any(clip.stored is not None for clip in clips):
        raise StudyError(f"{data}: subsets are lists of files on a disk; copy the dataset there and name that folder")
    return clips


def check_evaluation(data: str) -> tuple[Clip, ...]:
    """The test side of the data that every trial is fine-tuned and tested on.

    Raises:
        StudyError: it has no train or no test side.
    """
    for side in ("train", "test"):
        if not has_side(data, side):
            raise StudyError(
                f"`evaluate_on` {data}: has no {side} side; split it ('tiktokactions dataset split'), or give official splits"
            )
    return read_clips(data, side="test").clips


def keep_settings(study: Path, settings: Mapping[str, Any], may_grow: Sequence[str]) -> None:
    """Write ``study.json``; a study that is there already must have the same settings, but for what may grow.

    Raises:
        StudyError: the folder holds something else, or other settings.
    """
    path = study / "study.json"
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        now = json.loads(json.dumps(settings))
        changed = [k for k in sorted({*before, *now} - {*may_grow}) if before.get(k) != now.get(k)]
        if changed:
            told = ", ".join(f"{k} was {before.get(k)!r}, now {now.get(k)!r}" for k in changed)
            raise StudyError(
                f"{study}: is a study with other settings ({told}); its results would not compare. Use another -o"
            )
    elif study.is_dir() and any(study.iterdir()):
        raise StudyError(f"{study}: not empty and not a study; choose a new folder")
    study.mkdir(parents=True, exist_ok=True)
    write_json(path, dict(settings))


def study_settings(kind: str, evaluate_on: str, options: StudyOptions, recipe: Recipe) -> dict[str, Any]:
    """What ``study.json`` says of every study; how many trials run at a time changes no result and is not in it."""
    return {
        "kind": kind,
        "evaluate_on": evaluate_on,
        "equal": options.equal,
        "stratified": options.stratified,
        "seed": options.seed,
        "repeats": options.repeats,
        "pretrain": dict(recipe.pretrain),
        "finetune": dict(recipe.finetune),
    }


def trial_seed(options: StudyOptions, repeat: int) -> int:
    """One seed for all trials of a repeat: of the order of the videos, the weights and the training."""
    return options.seed * 1000 + repeat


def equal_epochs(size: int, largest: int, options: Mapping[str, Any], equal: Equal) -> int:
    """Epochs of pre-training on ``size`` videos; with equal steps as many as make the steps of the largest size."""
    epochs = int(options.get("epochs", 200))
    if equal == "epochs":
        return epochs
    batch = int(options.get("batch_size", 32)) * int(options.get("accumulate", 1))
    return max(1, round(epochs * max(1, largest // batch) / max(1, size // batch)))


@dataclass(frozen=True)
class Cost:
    """What a trial costs: steps from a dry run, seconds a step measured by making a few."""

    steps: dict[str, int]
    """Of ``pretrain`` and ``finetune``."""
    seconds_per_step: dict[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.steps[name] * self.seconds_per_step[name] for name in self.steps)


def measured_cost(trial: Trial, steps: int = 4) -> Cost:
    """Make a few steps of the trial's pre-training and fine-tuning on its own data, in a folder that is removed again.

    Raises:
        StudyError: a command of the trial does not run.
    """
    total: dict[str, int] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for command in commands(trial, Path(scratch)):
            if "--init" in command:  # the weights are not there yet, and cost the same
                at = command.index("--init")
                shape = {k: v for k, v in trial.pretrain_options.items() if k in SHAPE and v is not None}
                told = [word for k, v in shape.items() for word in ("--" + k.replace("_", "-"), str(v))]
                command = [*command[:at], *command[at + 2 :], *told]
            name, run = command[0], Path(command[command.index("-o") + 1])
            total[name] = int(json.loads(_output([*command, "--dry-run", "--json"]))["steps"])
            few = max(1, min(steps, total[name] - 1))  # never to the end, where testing begins
            _output([*command, "--stop-after-steps", str(few), "--log-steps", "1"])
            log = [json.loads(line)["seconds"] for line in (run / "log.jsonl").read_text().splitlines()]
            # The first step warms up; what follows is what most of the time goes into.
            seconds[name] = statistics.median(log[1:] or log)
    return Cost(total, seconds)


def _output(command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tiktokactions.study.child", *command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise StudyError(f"'tiktokactions {' '.join(command)}' fails: {last}")
    return done.stdout
