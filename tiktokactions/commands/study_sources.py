"""Which pre-training source serves best."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiktokactions.commands.errors import on_disk
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
    recipe = checked_recipe(pretrain_options, finetune_options)
    folder = on_disk(output, "a study")
    with disk_errors(), plan_folder(folder, dry_run) as planned:
        named = room.parse_sources(sources)
        trials = room.source_trials(named, os.fspath(evaluate_on), planned, settings, recipe)
        if dry_run:
            return study_plan(trials, settings)
        warnings = _leaks(named, os.fspath(evaluate_on), report)
        outcome = run_study(trials, folder, settings, retry, report)
        found = []
        if outcome.results:
            found = room.differences(room.correct_by_source(folder, outcome.results), settings.seed)
            room.write_tables(folder, outcome.results, found)
            room.draw_sources(folder, outcome.results, settings.equal)
        pairs = [dataclasses.asdict(d) for d in found]
        return study_result(
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
