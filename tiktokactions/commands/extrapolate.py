"""Say how many videos a target accuracy needs."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tiktokactions.commands.options import AnyPath, Passing, nothing, on_disk, takes
from tiktokactions.files import disk_errors, write_json
from tiktokactions.options import checked_options
from tiktokactions.study.extrapolation import Extrapolation, extrapolate_measurements
from tiktokactions.study.extrapolation_plot import draw_extrapolation
from tiktokactions.study.measurements import read_measurements
from tiktokactions.study.options import ExtrapolateOptions


@takes(ExtrapolateOptions)
def extrapolate(
    results: AnyPath, output: AnyPath | None = None, *, report: Passing = nothing, **options: object
) -> Extrapolation:
    """How likely more videos are to reach a target accuracy (paper, section 7), as judged on real learning curves.

    Args:
        results: a CSV with columns ``size`` and ``accuracy`` (fractions), or the folder of a study.
        output: folder for ``extrapolation.json``, ``.svg`` and ``.png`` (default: for a study its ``extrapolation/``, else
            nothing is written).
        report: receives the names of families while they are fitted.
        **options: any field of :class:`tiktokactions.study.options.ExtrapolateOptions`.

    Raises:
        UsageError: results that cannot be read or extrapolated; the message says why.

    Example:
        tiktokactions extrapolate results.csv --targets 0.95 0.97 -o extrapolation/
        tiktokactions extrapolate results.csv --at 12000 24000 --classes 101
        tiktokactions extrapolate runs.csv --size-column num_videos --metric-column test/acc1
        tiktokactions extrapolate results.csv --method paper -o table5/
    """
    settings = checked_options(ExtrapolateOptions, options)
    if output is None and os.path.isdir(results):
        output = Path(results, "extrapolation")
    folder = None if output is None else on_disk(output, "an extrapolation")
    with disk_errors():
        measured = read_measurements(
            on_disk(results, "results"),
            settings.metric,
            size_column=settings.size_column,
            metric_column=settings.metric_column,
        )
    if settings.test_clips is not None:
        measured = dataclasses.replace(measured, test_clips=settings.test_clips)
    found = extrapolate_measurements(
        measured,
        settings.targets,
        method=settings.method,
        at=settings.at,
        classes=settings.classes,
        all_families=settings.all_families,
        draws=settings.draws,
        seed=settings.seed,
        report=report,
    )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "extrapolation.json", found.as_json())
        draw_extrapolation(folder / "extrapolation", found)
    return found
