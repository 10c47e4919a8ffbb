"""What the studies share: their options, plan and result."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiktokactions.commands.config import read_config
from tiktokactions.commands.options import Config, need_torch
from tiktokactions.files import dataset_lock, write_json
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.options import checked_options
from tiktokactions.study.options import StudyOptions
from tiktokactions.study.settings import Recipe
from tiktokactions.study.trials import Outcome, Trial, run_trials


@dataclass(frozen=True)
class StudyResult:
    """What a study found so far."""

    study: str
    trials: int
    finished: int
    failed: dict[str, str]
    """Trials that crashed, with the last lines they printed."""
    equal: str
    """``epochs`` or ``steps``: what was the same for all in pre-training."""
    table: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    warnings: list[str]
    sentence: str
    """What the extrapolation says; empty where there was none."""


@dataclass(frozen=True)
class StudyPlan:
    """What a study would do."""

    trials: list[str]
    equal: str
    seconds: float
    """Of all trials with so many jobs at a time; an estimate."""
    jobs: int
    measured: dict[str, float]
    """Seconds of one step, measured on the largest trial just now."""
    steps: dict[str, int]
    """Of the largest trial."""


@contextlib.contextmanager
def plan_folder(folder: Path, dry_run: bool) -> Iterator[Path]:
    """Where a study's plan is written: its folder, or for a dry run one that is gone afterwards."""
    if not dry_run:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) / "study"


def checked_recipe(pretrain_config: Config, finetune_config: Config) -> Recipe:
    recipe = Recipe(_told(pretrain_config, PretrainOptions), _told(finetune_config, FinetuneOptions))
    need_torch(checked_options(PretrainOptions, recipe.pretrain).decoder)
    need_torch(checked_options(FinetuneOptions, recipe.finetune).decoder)
    return recipe


def _told(config: Config, kind: type) -> dict[str, Any]:
    return read_config(config, kind) if isinstance(config, (str, os.PathLike)) else dict(config or {})


def study_plan(trials: Sequence[Trial], settings: StudyOptions) -> StudyPlan:
    from tiktokactions.study.cost import measured_cost

    largest = max(trials, key=lambda trial: (trial.pretrain_on is not None, trial.facts["size"]))
    cost, size = measured_cost(largest), largest.facts["size"]
    before = cost.steps.get("pretrain", 0) * cost.seconds_per_step.get("pretrain", 0.0)
    seconds = len(trials) * cost.steps["finetune"] * cost.seconds_per_step["finetune"]
    for trial in trials:
        if trial.pretrain_on is not None:
            seconds += before * (trial.facts["size"] / size if settings.equal == "epochs" and size else 1.0)
    names, jobs = [trial.name for trial in trials], settings.jobs
    return StudyPlan(names, settings.equal, seconds / min(jobs, len(trials)), jobs, cost.seconds_per_step, cost.steps)


def run_study(
    trials: Sequence[Trial], folder: Path, settings: StudyOptions, retry: bool, report: Callable[[str], None]
) -> Outcome:
    with dataset_lock(folder):
        return run_trials(trials, folder, jobs=settings.jobs, retry=retry, report=report, engine=settings.engine)


def study_result(
    folder: Path,
    trials: Sequence[Trial],
    outcome: Outcome,
    equal: str,
    table: list[dict[str, Any]],
    *,
    pairs: Sequence[dict[str, Any]] = (),
    warnings: Sequence[str] = (),
    sentence: str = "",
) -> StudyResult:
    result = StudyResult(
        str(folder),
        len(trials),
        len(outcome.results),
        outcome.failed,
        equal,
        table,
        list(pairs),
        list(warnings),
        sentence,
    )
    write_json(folder / "result.json", dataclasses.asdict(result))
    return result
