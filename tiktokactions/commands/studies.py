"""What the studies share: their options, plan and result."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.clips.synthetic import real_data
from tiktokactions.commands.config import read_config
from tiktokactions.commands.options import AnyPath, Config, need_torch, on_disk
from tiktokactions.files import dataset_lock, disk_errors, write_json
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.options import checked_options
from tiktokactions.records import JsonObject
from tiktokactions.study.contents import real_clips
from tiktokactions.study.options import StudyOptions
from tiktokactions.study.settings import Design, check_evaluation
from tiktokactions.study.tables import Row
from tiktokactions.study.trials import Outcome, Trial, run_trials
from tiktokactions.takedowns.derived import register

RECIPES: dict[str, type[PretrainOptions | FinetuneOptions]] = {
    "pretrain_config": PretrainOptions,
    "finetune_config": FinetuneOptions,
}


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
    table: list[Row]
    differences: list[JsonObject]
    warnings: list[str]
    sentence: str
    """What the extrapolation says; empty where there was none."""
    notes: list[str]
    """How the answer came about: a budget that ended, weights that were handed on."""


@dataclass(frozen=True)
class StudyPlan:
    """What a study would do."""

    trials: list[str]
    equal: str
    seconds: float
    """An estimate for all trials, with ``jobs`` at a time."""
    jobs: int
    measured: dict[str, float]
    """Seconds of one step, measured on the largest trial just now."""
    steps: dict[str, int]
    """Steps of the largest trial, by command."""


@contextlib.contextmanager
def designed(output: AnyPath, settings: StudyOptions) -> Iterator[Design]:
    """The design of a study in its folder; for a dry run, in a temporary one."""
    recipe = recipes_of(settings.pretrain_config, settings.finetune_config)
    folder = on_disk(output, "a study")
    with disk_errors(), tempfile.TemporaryDirectory() as scratch:
        yield Design(Path(scratch, "study") if settings.dry_run else folder, settings.evaluate_on, settings, *recipe)


def recipes_of(pretrain_config: Config, finetune_config: Config) -> list[dict[str, object]]:
    """Options of 'pretrain' and of 'finetune', checked. Raises :class:`UsageError`."""
    recipes = [recipe_of("pretrain_config", pretrain_config), recipe_of("finetune_config", finetune_config)]
    for recipe in recipes:
        need_torch(str(recipe.get("decoder", "pyav")))
    return recipes


def recipe_of(name: str, config: Config) -> dict[str, object]:
    """Options of the command whose recipe has this name, checked. Raises :class:`UsageError`."""
    recipe = read_config(config, RECIPES[name]) if isinstance(config, (str, os.PathLike)) else dict(config or {})
    checked_options(RECIPES[name], recipe)
    return recipe


def study_plan(study: Design, trials: Sequence[Trial]) -> StudyPlan:
    from tiktokactions.study.cost import measured_cost

    largest = max(trials, key=lambda trial: (trial.pretrain_on is not None, trial.facts["size"]))
    cost = measured_cost(largest)
    once = {name: steps * cost.seconds_per_step[name] for name, steps in cost.steps.items()}
    seconds, equal, jobs = once["finetune"] * len(trials), study.options.equal, study.options.jobs
    for trial in trials:
        if trial.pretrain_on is not None:
            size = trial.facts["size"] or largest.facts["size"]  # 0: as many synthetic ones
            share = size / largest.facts["size"] if equal == "epochs" else 1.0
            seconds += once["pretrain"] * share
    names = [trial.name for trial in trials]
    return StudyPlan(names, equal, seconds / min(jobs, len(trials)), jobs, cost.seconds_per_step, cost.steps)


def leaks(
    study: Design, sources: Mapping[str, str | None], trials: Sequence[Trial], report: Callable[[str], None]
) -> list[str]:
    """Warnings, one for each source of which a trial shares videos or creators with the test set."""
    from tiktokactions.study.overlap import find_overlap

    tested, warnings = check_evaluation(study.evaluate_on), []
    for name, data in sources.items():
        lists = [trial.pretrain_on for trial in trials if trial.facts["source"] == name and trial.pretrain_on]
        if (used := real_clips(lists)) and data is not None:
            called, [folder] = f"source '{name}'" if name else "the pool", real_data([data])
            warning = find_overlap(called, used, tested, folder, study.evaluate_on, report).warning
            warnings += [warning] if warning else []
    for warning in warnings:
        report(f"warning: {warning}")
    return warnings


def run_study(
    study: Design, data: Sequence[AnyPath], trials: Sequence[Trial], report: Callable[[str], None]
) -> Outcome:
    """``data``: what is pre-trained on."""
    options = study.options
    register([*real_data(data), study.evaluate_on], study.folder, "study")
    with dataset_lock(study.folder):
        return run_trials(
            trials, study.folder, jobs=options.jobs, retry=options.retry, report=report, engine=options.engine
        )


def study_result(
    study: Design,
    trials: Sequence[Trial],
    outcome: Outcome,
    table: list[Row],
    *,
    pairs: Sequence[JsonObject] = (),
    warnings: Sequence[str] = (),
    sentence: str = "",
    notes: Sequence[str] = (),
) -> StudyResult:
    result = StudyResult(
        study=str(study.folder),
        trials=len(trials),
        finished=len(outcome.results),
        failed=outcome.failed,
        equal=study.options.equal,
        table=table,
        differences=list(pairs),
        warnings=list(warnings),
        sentence=sentence,
        notes=list(notes),
    )
    write_json(study.folder / "result.json", dataclasses.asdict(result))
    return result
