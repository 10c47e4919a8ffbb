"""How much data is enough, and which: studies and extrapolation."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tiktokactions.api.errors import UsageError, checked_options, need_torch, usage_errors
from tiktokactions.files import local_folder

if TYPE_CHECKING:
    from tiktokactions.study.extrapolation import Extrapolation
    from tiktokactions.study.trials import Outcome, Trial


def extrapolate(
    results: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    targets: Sequence[float] = (0.95, 0.96, 0.97, 0.98, 0.99),
    method: Literal["honest", "paper"] = "honest",
    metric: str | None = None,
    draws: int = 500,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Extrapolation:
    """How many videos a target accuracy needs, and how far that can be trusted (paper, section 7 and Table 5).

    Args:
        results: a CSV with columns ``size`` and ``accuracy`` (fractions), or the folder of a study.
        output: folder for ``extrapolation.json``, ``.svg`` and ``.png`` (default: nothing is written).
        targets: accuracies, fractions.
        method: ``paper``: every distribution of scipy, ranked by squared error; ``honest``: with all uncertainty.
        metric: which rows to use where the results have several (default: ``top1``).
        draws: bootstrap samples of each curve.
        seed: of the bootstrap.
        report: receives the names of families while they are fitted.

    Raises:
        UsageError: results that cannot be read or extrapolated; the message says why.
    """
    from tiktokactions.study.extrapolation import extrapolate_measurements
    from tiktokactions.study.measurements import read_measurements

    if method not in ("honest", "paper"):
        raise UsageError(f"--method: got {method!r}, expected 'honest' or 'paper'")
    if draws < 50:
        raise UsageError(f"--draws: got {draws}, expected 50 or more")
    with usage_errors():
        measured = read_measurements(Path(results), metric)
        found = extrapolate_measurements(measured, targets, method=method, draws=draws, seed=seed, report=report)
    if output is not None:
        _write_extrapolation(Path(output), found)
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
    repeats: int = 3,
    equal: Literal["epochs", "steps"] = "epochs",
    stratified: bool = False,
    seed: int = 0,
    pretrain_options: dict[str, Any] | None = None,
    finetune_options: dict[str, Any] | None = None,
    targets: Sequence[float] = (0.95, 0.96, 0.97, 0.98, 0.99),
    jobs: int = 1,
    engine: Literal["local", "ray"] = "local",
    retry: bool = False,
    dry_run: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> StudyResult | StudyPlan:
    """How accuracy grows with the pre-training data (paper, section 5): nested subsets, ordinary runs, one curve.

    Args:
        data: what is pre-trained on (its train side, where it is split).
        output: the study folder. Rerunning with the same options continues; sizes and repeats may be added.
        sizes: numbers of videos.
        evaluate_on: labelled data with a train and a test side; every trial is fine-tuned and tested on it.
        repeats: seeds; each has a permutation of the data, of which all sizes are prefixes.
        equal: ``epochs``: every size is seen equally often; ``steps``: every size is trained for as many steps as the
            largest.
        stratified: every subset holds each label in its share.
        seed: of everything.
        pretrain_options, finetune_options: options of :func:`pretrain` and :func:`finetune`.
        targets: accuracies for the extrapolation.
        jobs: trials at a time; with several GPUs each has its own.
        engine: ``ray`` places trials on a cluster instead, a GPU for each, or CPUs where it has no GPU.
        retry: run crashed trials again.
        dry_run: return the plan with an estimate from steps that are measured now.
        report: receives a line for every trial.

    Raises:
        UsageError: data or options that make no sense, or the extra ``train`` is not installed.
    """
    from tiktokactions.study import scaling

    _check_study_options(jobs, pretrain_options, finetune_options)
    folder = local_folder(output, "a study")
    with usage_errors(), _planned(folder, dry_run) as planned:
        trials = scaling.scaling_trials(
            os.fspath(data),
            list(sizes),
            repeats,
            os.fspath(evaluate_on),
            planned,
            equal=equal,
            stratified=stratified,
            seed=seed,
            pretrain_options=pretrain_options,
            finetune_options=finetune_options,
        )
        if dry_run:
            return _study_plan(trials, jobs, equal)
        outcome = _run_study(trials, folder, jobs, engine, retry, report)
        sentence = ""
        if outcome.results:
            results = scaling.write_results(folder, outcome.results)
            scaling.draw_scaling(folder, outcome.results, equal)
            sentence = _study_sentence(results, folder, targets, report)
        rows = scaling.table(outcome.results)
        return _study_result(folder, trials, outcome, equal, rows, [], [], sentence)


def study_sources(
    sources: Sequence[str],
    output: str | os.PathLike[str],
    *,
    evaluate_on: str | os.PathLike[str],
    size: int | None = None,
    repeats: int = 3,
    equal: Literal["epochs", "steps"] = "epochs",
    stratified: bool = False,
    seed: int = 0,
    pretrain_options: dict[str, Any] | None = None,
    finetune_options: dict[str, Any] | None = None,
    jobs: int = 1,
    engine: Literal["local", "ray"] = "local",
    retry: bool = False,
    dry_run: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> StudyResult | StudyPlan:
    """Which pre-training source serves best (paper, section 6): the same network and fine-tuning, several seeds.

    Args:
        sources: ``NAME=DATA`` or ``scratch``, two or more.
        size: videos of each source (default: all of each).
        output, evaluate_on, repeats, equal, stratified, seed, pretrain_options, finetune_options, jobs, engine, retry,
        dry_run,
        report: as :func:`study_scaling`.

    Raises:
        UsageError: as :func:`study_scaling`.
    """
    from tiktokactions.study import sources as room
    from tiktokactions.study.overlap import find_overlap
    from tiktokactions.study.plan import check_evaluation, pool_of

    _check_study_options(jobs, pretrain_options, finetune_options)
    folder = local_folder(output, "a study")
    with usage_errors(), _planned(folder, dry_run) as planned:
        named = room.parse_sources(sources)
        trials = room.source_trials(
            named,
            os.fspath(evaluate_on),
            planned,
            size=size,
            repeats=repeats,
            equal=equal,
            stratified=stratified,
            seed=seed,
            pretrain_options=pretrain_options,
            finetune_options=finetune_options,
        )
        if dry_run:
            return _study_plan(trials, jobs, equal)
        tested = check_evaluation(os.fspath(evaluate_on))
        warnings = []
        for name, data in named.items():
            if data is not None:
                shared = find_overlap(name, pool_of(data), tested, data, os.fspath(evaluate_on), report)
                if shared.warning:
                    warnings.append(shared.warning)
                    report(f"warning: {shared.warning}")
        outcome = _run_study(trials, folder, jobs, engine, retry, report)
        found = []
        if outcome.results:
            found = room.differences(room.correct_by_source(folder, outcome.results), seed)
            room.write_tables(folder, outcome.results, found)
            room.draw_sources(folder, outcome.results, equal)
        rows = room.table(outcome.results)
        pairs = [dataclasses.asdict(d) for d in found]
        return _study_result(folder, trials, outcome, equal, rows, pairs, warnings, "")


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


def _check_study_options(jobs: int, *options: dict[str, Any] | None) -> None:
    from tiktokactions.model.options import FinetuneOptions, PretrainOptions

    if jobs < 1:
        raise UsageError(f"--jobs: got {jobs}, expected 1 or more")
    for kind, given in zip((PretrainOptions, FinetuneOptions), options, strict=True):
        checked_options(kind, dict(given or {}))
    need_torch()


def _study_plan(trials: Sequence[Trial], jobs: int, equal: str) -> StudyPlan:
    from tiktokactions.study.plan import measured_cost

    largest = max(trials, key=lambda trial: (trial.pretrain_on is not None, trial.facts["size"]))
    cost = measured_cost(largest)
    seconds = 0.0
    for trial in trials:
        share = trial.facts["size"] / largest.facts["size"] if equal == "epochs" and largest.facts["size"] else 1.0
        before = cost.steps.get("pretrain", 0) * cost.seconds_per_step.get("pretrain", 0.0)
        seconds += cost.steps["finetune"] * cost.seconds_per_step["finetune"]
        seconds += before * share if trial.pretrain_on is not None else 0.0
    names = [trial.name for trial in trials]
    return StudyPlan(names, equal, seconds / min(jobs, len(trials)), jobs, cost.seconds_per_step, cost.steps)


def _run_study(
    trials: Sequence[Trial],
    folder: Path,
    jobs: int,
    engine: Literal["local", "ray"],
    retry: bool,
    report: Callable[[str], None],
) -> Outcome:
    from tiktokactions.files import dataset_lock
    from tiktokactions.study.trials import run_trials

    with dataset_lock(folder):
        return run_trials(trials, folder, jobs=jobs, retry=retry, report=report, engine=engine)


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
    pairs: list[dict[str, Any]],
    warnings: list[str],
    sentence: str,
) -> StudyResult:
    import json

    from tiktokactions.files import write_atomic

    result = StudyResult(
        str(folder), len(trials), len(outcome.results), outcome.failed, equal, table, pairs, warnings, sentence
    )
    write_atomic(folder / "result.json", (json.dumps(dataclasses.asdict(result), indent=2) + "\n").encode())
    return result
