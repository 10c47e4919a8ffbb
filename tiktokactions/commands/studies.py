"""What the studies share: their options, plan and result."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.config import read_config
from tiktokactions.commands.errors import need_torch
from tiktokactions.commands.options import Config
from tiktokactions.options import checked_options

if TYPE_CHECKING:
    from tiktokactions.study.options import StudyOptions
    from tiktokactions.study.settings import Recipe
    from tiktokactions.study.trials import Outcome, Trial


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
    import tempfile

    if not dry_run:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) / "study"


def checked_recipe(pretrain_config: Config, finetune_config: Config) -> Recipe:
    from tiktokactions.model.options import FinetuneOptions, PretrainOptions
    from tiktokactions.study.settings import Recipe

    recipe = Recipe(_told(pretrain_config, PretrainOptions), _told(finetune_config, FinetuneOptions))
    pretraining = checked_options(PretrainOptions, recipe.pretrain)
    finetuning = checked_options(FinetuneOptions, recipe.finetune)
    for settings in (pretraining, finetuning):
        need_torch(settings.decoder)
    return recipe


def _told(config: Config, kind: type) -> dict[str, Any]:
    return read_config(config, kind) if isinstance(config, (str, os.PathLike)) else dict(config or {})


def study_plan(trials: Sequence[Trial], settings: StudyOptions) -> StudyPlan:
    from tiktokactions.study.cost import measured_cost

    largest = max(trials, key=lambda trial: (trial.pretrain_on is not None, trial.facts["size"]))
    cost = measured_cost(largest)
    seconds = 0.0
    for trial in trials:
        share = (
            trial.facts["size"] / largest.facts["size"] if settings.equal == "epochs" and largest.facts["size"] else 1.0
        )
        before = cost.steps.get("pretrain", 0) * cost.seconds_per_step.get("pretrain", 0.0)
        seconds += cost.steps["finetune"] * cost.seconds_per_step["finetune"]
        seconds += before * share if trial.pretrain_on is not None else 0.0
    names, jobs = [trial.name for trial in trials], settings.jobs
    return StudyPlan(names, settings.equal, seconds / min(jobs, len(trials)), jobs, cost.seconds_per_step, cost.steps)


def run_study(
    trials: Sequence[Trial], folder: Path, settings: StudyOptions, retry: bool, report: Callable[[str], None]
) -> Outcome:
    from tiktokactions.files import dataset_lock
    from tiktokactions.study.trials import run_trials

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

    from tiktokactions.files import write_json

    result = StudyResult(
        study=str(folder),
        trials=len(trials),
        finished=len(outcome.results),
        failed=outcome.failed,
        equal=equal,
        table=table,
        differences=list(pairs),
        warnings=list(warnings),
        sentence=sentence,
    )
    write_json(folder / "result.json", dataclasses.asdict(result))
    return result
