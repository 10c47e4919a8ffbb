"""How accuracy grows with the pre-training data."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tiktokactions.commands.errors import on_disk
from tiktokactions.commands.extrapolate import extrapolate
from tiktokactions.commands.studies import (
    StudyPlan,
    StudyResult,
    checked_recipe,
    plan_folder,
    run_study,
    study_plan,
    study_result,
)
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors
from tiktokactions.options import checked_options


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
    recipe = checked_recipe(pretrain_options, finetune_options)
    folder = on_disk(output, "a study")
    with disk_errors(), plan_folder(folder, dry_run) as planned:
        trials = scaling.scaling_trials(os.fspath(data), sizes, os.fspath(evaluate_on), planned, settings, recipe)
        if dry_run:
            return study_plan(trials, settings)
        outcome = run_study(trials, folder, settings, retry, report)
        sentence = ""
        if outcome.results:
            results = scaling.write_results(folder, outcome.results)
            scaling.draw_scaling(folder, outcome.results, settings.equal)
            sentence = _study_sentence(results, folder, settings.targets, report)
        return study_result(folder, trials, outcome, settings.equal, scaling.table(outcome.results), sentence=sentence)


def _study_sentence(results: Path, folder: Path, targets: Sequence[float], report: Callable[[str], None]) -> str:
    try:
        return extrapolate(results, folder / "extrapolation", targets=targets).sentence
    except UsageError as error:
        report(f"no extrapolation: {error}")
        return ""
