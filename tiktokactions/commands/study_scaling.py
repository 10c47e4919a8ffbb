"""Measure how accuracy grows with the pre-training data."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tiktokactions.commands.extrapolate import extrapolate
from tiktokactions.commands.options import AnyPath, Kept, nothing, takes
from tiktokactions.commands.studies import StudyPlan, StudyResult, designed, leaks, run_study, study_plan, study_result
from tiktokactions.errors import UsageError
from tiktokactions.options import checked_options
from tiktokactions.study import scaling
from tiktokactions.study.options import ScalingOptions
from tiktokactions.study.subsets import parse_sizes
from tiktokactions.study.tables import classes_of, write_results
from tiktokactions.study.trials import Outcome, ended_before

WARM = "sizes began with the weights of the next smaller one, so their accuracies depend on each other"


@takes(ScalingOptions)
def study_scaling(
    data: AnyPath,
    output: AnyPath,
    *,
    sizes: Sequence[str | int],
    report: Kept = nothing,
    **options: object,
) -> StudyResult | StudyPlan:
    """How accuracy grows with the pre-training data (paper, section 5): nested subsets, ordinary runs, one curve.

    Args:
        data: what is pre-trained on: a dataset (its train side, where it is split), a folder or a list.
        output: the study folder; the same command continues; sizes and repeats may be added.
        sizes: numbers of videos, or FIRST:LAST:STEP (both included); 0: synthetic videos only, as many as the largest.
        report: receives a line for every trial.
        **options: any field of :class:`tiktokactions.study.options.ScalingOptions`.

    Raises:
        UsageError: data or options that make no sense, or the extra ``train`` is not installed.

    Example:
        tiktokactions dataset split data/
        tiktokactions study scaling videos/ --sizes 2:6:2 --repeats 3 --evaluate-on data/ -o scaling/
            --pretrain-config pretrain.toml --finetune-config finetune.toml
    """
    settings = checked_options(ScalingOptions, options)
    parsed = parse_sizes(list(map(str, sizes)))
    with designed(output, settings) as study:
        trials = scaling.scaling_trials(os.fspath(data), parsed, study, report)
        if settings.dry_run:
            return study_plan(study, trials)
        warnings = leaks(study, {"": os.fspath(data)}, trials, report)
        finished, failed = ended_before(trials, study.folder, settings.retry)
        notes = [WARM] if settings.warm else []
        for batch, why in scaling.batches(trials, settings, finished, failed):
            if not batch:
                notes.append(f"{len(finished)} of {len(trials)} trials were run, and no more: {why}")
                break
            if why:
                report(f"next {', '.join(trial.name for trial in batch)}: {why}")
            ran = run_study(study, [data], batch, report)
            finished |= {result.trial: result for result in ran.results}
            failed |= ran.failed
        outcome = Outcome(list(finished.values()), failed)
        sentence, pairs = "", scaling.beside_the_floor(study.folder, outcome.results, settings.seed)
        if outcome.results:
            results = write_results(study.folder, sorted(outcome.results, key=lambda r: (r.size, r.repeat)))
            scaling.draw_scaling(study.folder, outcome.results, settings.equal)
            try:
                folder, classes = study.folder / "extrapolation", classes_of(study.folder)
                sentence = extrapolate(
                    results, folder, targets=settings.targets, classes=classes if classes > 1 else None
                ).sentence
            except UsageError as error:
                report(f"no extrapolation: {error}")
        table = scaling.table(outcome.results)
        return study_result(
            study, trials, outcome, table, pairs=pairs, warnings=warnings, sentence=sentence, notes=notes
        )
