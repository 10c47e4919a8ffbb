"""Compare sources of pre-training data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from tiktokactions.commands.options import AnyPath, Kept, Typed, nothing, takes
from tiktokactions.commands.studies import StudyPlan, StudyResult, designed, leaks, run_study, study_plan, study_result
from tiktokactions.options import checked_options
from tiktokactions.study import sources as room
from tiktokactions.study.options import SourcesOptions
from tiktokactions.study.tables import write_results


@takes(SourcesOptions)
def study_sources(
    sources: Annotated[Sequence[str], Typed(metavar="NAME=DATA")],
    output: AnyPath,
    *,
    report: Kept = nothing,
    **options: object,
) -> StudyResult | StudyPlan:
    """Which pre-training source serves best (paper, section 6): the same network and fine-tuning, several seeds.

    Args:
        sources: two or more to compare; the word scratch stands for no pre-training, synthetic for made videos.
        output: the study folder; the same command continues.
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
    with designed(output, settings) as study:
        named = room.parse_sources(sources)
        trials = room.source_trials(named, settings.size, study)
        if settings.dry_run:
            return study_plan(study, trials)
        warnings = leaks(study, named, trials, report)
        outcome = run_study(study, [*filter(None, named.values())], trials, report)
        found = []
        if outcome.results:
            found = room.differences(room.correct_by_source(study.folder, outcome.results), settings.seed)
            write_results(study.folder, outcome.results, ("source", "size"))
            room.write_differences(study.folder, found)
            room.draw_sources(study.folder, outcome.results, settings.equal)
        if settings.repeats == 1:
            warnings.append(
                "one seed: how much seeds differ is assumed, not measured; three make the interval narrower"
            )
        pairs = [dataclasses.asdict(d) for d in found]
        return study_result(study, trials, outcome, room.table(outcome.results), pairs=pairs, warnings=warnings)
