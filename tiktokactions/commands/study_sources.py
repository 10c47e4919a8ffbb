"""Compare sources of pre-training data."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from tiktokactions.commands.options import AnyPath, Config, Kept, Typed, nothing, on_disk, takes
from tiktokactions.commands.studies import (
    StudyPlan,
    StudyResult,
    checked_recipe,
    plan_folder,
    run_study,
    study_plan,
    study_result,
)
from tiktokactions.files import disk_errors
from tiktokactions.options import checked_options
from tiktokactions.study import sources as room
from tiktokactions.study.options import SourcesOptions
from tiktokactions.study.settings import check_evaluation, pool_of


@takes(SourcesOptions)
def study_sources(
    sources: Annotated[Sequence[str], Typed(metavar="NAME=DATA")],
    output: AnyPath,
    *,
    evaluate_on: AnyPath,
    pretrain_config: Config = None,
    finetune_config: Config = None,
    retry: bool = False,
    dry_run: bool = False,
    report: Kept = nothing,
    **options: Any,
) -> StudyResult | StudyPlan:
    """Which pre-training source serves best (paper, section 6): the same network and fine-tuning, several seeds.

    Args:
        sources: two or more to compare; the word scratch stands for no pre-training.
        output: the study folder; the same command continues.
        evaluate_on: labelled data with train and test sides; every trial is fine-tuned and tested on it.
        pretrain_config: options of 'pretrain' for every trial: a TOML file, or a dict.
        finetune_config: options of 'finetune' for every trial: a TOML file, or a dict.
        retry: run trials that crashed again.
        dry_run: return the plan, with an estimate from steps that are measured now, and end.
        report: receives a line for every trial.
        **options: any field of :class:`tiktokactions.study.options.SourcesOptions`.

    Raises:
        UsageError: as :func:`study_scaling`.

    Example:
        tiktokactions dataset split data/
        tiktokactions study sources ours=data/ theirs=videos/ scratch --size 2 --evaluate-on data/ -o sources/
            --pretrain-config pretrain.toml --finetune-config finetune.toml
    """
    settings = checked_options(SourcesOptions, options)
    recipe = checked_recipe(pretrain_config, finetune_config)
    folder = on_disk(output, "a study")
    with disk_errors(), plan_folder(folder, dry_run) as planned:
        named = room.parse_sources(sources)
        trials = room.source_trials(named, os.fspath(evaluate_on), planned, settings, recipe)
        if dry_run:
            return study_plan(trials, settings)
        warnings = _leaks(named, os.fspath(evaluate_on), report)
        outcome = run_study(trials, folder, settings, retry, report)
        found, results = [], outcome.results
        if results:
            found = room.differences(room.correct_by_source(folder, results), settings.seed)
            room.write_tables(folder, results, found)
            room.draw_sources(folder, results, settings.equal)
        pairs, table = [dataclasses.asdict(d) for d in found], room.table(results)
        return study_result(folder, trials, outcome, settings.equal, table, pairs=pairs, warnings=warnings)


def _leaks(sources: Mapping[str, str | None], evaluate_on: str, report: Callable[[str], None]) -> list[str]:
    """Warnings, one for each source that shares videos or creators with the test set."""
    from tiktokactions.study.overlap import find_overlap

    tested = check_evaluation(evaluate_on)
    warnings = []
    for name, data in sources.items():
        if data and (w := find_overlap(name, pool_of(data), tested, data, evaluate_on, report).warning):
            warnings.append(w)
            report(f"warning: {w}")
    return warnings
