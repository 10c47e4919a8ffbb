"""How much data is enough, and which: studies and extrapolation."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.errors import checked_options, need_torch, on_disk, usage_errors
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.study.extrapolation import Extrapolation
    from tiktokactions.study.options import StudyOptions
    from tiktokactions.study.plan import Recipe
    from tiktokactions.study.trials import Outcome, Trial


def extrapolate(
    results: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Extrapolation:
    """How many videos a target accuracy needs, and how far that can be trusted (paper, section 7 and Table 5).

    Args:
        results: a CSV with columns ``size`` and ``accuracy`` (fractions), or the folder of a study.
        output: folder for ``extrapolation.json``, ``.svg`` and ``.png`` (default: nothing is written).
        report: receives the names of families while they are fitted.
        **options: any field of :class:`tiktokactions.study.options.ExtrapolateOptions`: ``targets`` (fractions),
            ``method`` (``paper``: every distribution of scipy, by squared error; ``honest``: with all uncertainty) ...

    Raises:
        UsageError: results that cannot be read or extrapolated; the message says why.
    """
    from tiktokactions.study.extrapolation import extrapolate_measurements
    from tiktokactions.study.measurements import read_measurements
    from tiktokactions.study.options import ExtrapolateOptions

    settings = checked_options(ExtrapolateOptions, options)
    folder = None if output is None else on_disk(output, "an extrapolation")
    with usage_errors():
        measured = read_measurements(on_disk(results, "results"), settings.metric)
        found = extrapolate_measurements(
            measured,
            settings.targets,
            method=settings.method,
            draws=settings.draws,
            seed=settings.seed,
            report=report,
        )
    if folder is not None:
        _write_extrapolation(folder, found)
    return found


def _write_extrapolation(folder: Path, found: Extrapolation) -> None:
    import json

    from tiktokactions.files import write_atomic
    from tiktokactions.study.extrapolation import as_json
    from tiktokactions.study.extrapolation_plot import draw_extrapolation

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "extrapolation.json", (json.dumps(as_json(found), indent=2) + "\n").encode())
    draw_extrapolation(folder / "extrapolation", found)


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


def study_scaling(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    sizes: Sequence[int],
    evaluate_on: str | os.PathLike[str],
    pretrain_options: dict[str, Any] | None = None,
    finetune_options: dict[str, Any] | None = None,
    retry: bool = False,
    dry_run: bool = False,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> StudyResult | StudyPlan:
    """How accuracy grows with the pre-training data (paper, section 5): nested subsets, ordinary runs, one curve.

    Args:
        data: what is pre-trained on (its train side, where it is split).
        output: the study folder. Rerunning with the same options continues; sizes and repeats may be added.
        sizes: numbers of videos.
        evaluate_on: labelled data with a train and a test side; every trial is fine-tuned and tested on it.
        pretrain_options, finetune_options: options of :func:`pretrain` and :func:`finetune`.
        retry: run crashed trials again.
        dry_run: return the plan with an estimate from steps that are measured now.
        report: receives a line for every trial.
        **options: any field of :class:`tiktokactions.study.options.ScalingOptions`.

    Raises:
        UsageError: data or options that make no sense, or the extra ``train`` is not installed.
    """
    from tiktokactions.study import scaling
    from tiktokactions.study.options import ScalingOptions

    settings = checked_options(ScalingOptions, options)
    recipe = _checked_recipe(pretrain_options, finetune_options)
    folder = on_disk(output, "a study")
    with usage_errors(), _planned(folder, dry_run) as planned:
        trials = scaling.scaling_trials(os.fspath(data), sizes, os.fspath(evaluate_on), planned, settings, recipe)
        if dry_run:
            return _study_plan(trials, settings)
        outcome = _run_study(trials, folder, settings, retry, report)
        sentence = ""
        if outcome.results:
            results = scaling.write_results(folder, outcome.results)
            scaling.draw_scaling(folder, outcome.results, settings.equal)
            sentence = _study_sentence(results, folder, settings.targets, report)
        return _study_result(folder, trials, outcome, settings.equal, scaling.table(outcome.results), sentence=sentence)


def study_sources(
    sources: Sequence[str],
    output: str | os.PathLike[str],
    *,
    evaluate_on: str | os.PathLike[str],
    pretrain_options: dict[str, Any] | None = None,
    finetune_options: dict[str, Any] | None = None,
    retry: bool = False,
    dry_run: bool = False,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> StudyResult | StudyPlan:
    """Which pre-training source serves best (paper, section 6): the same network and fine-tuning, several seeds.

    Args:
        sources: ``NAME=DATA`` or ``scratch``, two or more.
        output, evaluate_on, pretrain_options, finetune_options, retry, dry_run, report: as :func:`study_scaling`.
        **options: any field of :class:`tiktokactions.study.options.SourcesOptions`.

    Raises:
        UsageError: as :func:`study_scaling`.
    """
    from tiktokactions.study import sources as room
    from tiktokactions.study.options import SourcesOptions

    settings = checked_options(SourcesOptions, options)
    recipe = _checked_recipe(pretrain_options, finetune_options)
    folder = on_disk(output, "a study")
    with usage_errors(), _planned(folder, dry_run) as planned:
        named = room.parse_sources(sources)
        trials = room.source_trials(named, os.fspath(evaluate_on), planned, settings, recipe)
        if dry_run:
            return _study_plan(trials, settings)
        warnings = _leaks(named, os.fspath(evaluate_on), report)
        outcome = _run_study(trials, folder, settings, retry, report)
        found = []
        if outcome.results:
            found = room.differences(room.correct_by_source(folder, outcome.results), settings.seed)
            room.write_tables(folder, outcome.results, found)
            room.draw_sources(folder, outcome.results, settings.equal)
        pairs = [dataclasses.asdict(d) for d in found]
        return _study_result(
            folder, trials, outcome, settings.equal, room.table(outcome.results), pairs=pairs, warnings=warnings
        )


def _leaks(sources: Mapping[str, str | None], evaluate_on: str, report: Callable[[str], None]) -> list[str]:
    """Warnings, one for each source that shares videos or creators with the test set."""
    from tiktokactions.study.overlap import find_overlap
    from tiktokactions.study.plan import check_evaluation, pool_of

    tested = check_evaluation(evaluate_on)
    warnings = []
    for name, data in sources.items():
        if data is None:
            continue
        warning = find_overlap(name, pool_of(data), tested, data, evaluate_on, report).warning
        if warning:
            warnings.append(warning)
            report(f"warning: {warning}")
    return warnings


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
def _planned(folder: Path, dry_run: bool) -> Iterator[Path]:
    """Where a study's plan is written: its folder, or for a dry run one that is gone afterwards."""
    import tempfile

    if not dry_run:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) / "study"


def _checked_recipe(pretrain_options: dict[str, Any] | None, finetune_options: dict[str, Any] | None) -> Recipe:
    from tiktokactions.model.options import FinetuneOptions, PretrainOptions
    from tiktokactions.study.plan import Recipe

    recipe = Recipe(pretrain_options or {}, finetune_options or {})
    pretraining = checked_options(PretrainOptions, dict(recipe.pretrain))
    finetuning = checked_options(FinetuneOptions, dict(recipe.finetune))
    for settings in (pretraining, finetuning):
        need_torch(settings.decoder)
    return recipe


def _study_plan(trials: Sequence[Trial], settings: StudyOptions) -> StudyPlan:
    from tiktokactions.study.plan import measured_cost

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


def _run_study(
    trials: Sequence[Trial], folder: Path, settings: StudyOptions, retry: bool, report: Callable[[str], None]
) -> Outcome:
    from tiktokactions.files import dataset_lock
    from tiktokactions.study.trials import run_trials

    with dataset_lock(folder):
        return run_trials(trials, folder, jobs=settings.jobs, retry=retry, report=report, engine=settings.engine)


def _study_sentence(results: Path, folder: Path, targets: Sequence[float], report: Callable[[str], None]) -> str:
    try:
        return extrapolate(results, folder / "extrapolation", targets=targets).sentence
    except UsageError as error:
        report(f"no extrapolation: {error}")
        return ""


def _study_result(
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
    import json

    from tiktokactions.files import write_atomic

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
    write_atomic(folder / "result.json", (json.dumps(dataclasses.asdict(result), indent=2) + "\n").encode())
    return result
