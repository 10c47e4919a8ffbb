"""Say what so many videos need: cores, disk, GPUs, quota, people."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated

from tiktokactions.commands.options import AnyPath, AnyPaths, Passing, Typed, nothing, on_disk, path_list, takes
from tiktokactions.curation.options import CurateOptions
from tiktokactions.errors import UsageError
from tiktokactions.options import checked_options
from tiktokactions.study.options import PlanOptions
from tiktokactions.study.plan import Curve, Needs, needs_of


@takes(PlanOptions)
def plan(
    measure: Annotated[AnyPaths, Typed("measure", "VIDEOS")] = (),
    *,
    results: AnyPath | None = None,
    report: Passing = nothing,
    **options: object,
) -> Needs:
    """What so many videos need: cores, disk, GPUs, quota and people, each number with its arithmetic.

    Args:
        measure: a sample of such videos, curated here with one worker to see what they cost; what only a sample tells is
            unknown without one.
        results: accuracies by size, as for :func:`extrapolate`: how likely the target is, and what missing it costs.
        report: called with a line after every video of the sample.
        **options: any field of :class:`tiktokactions.study.options.PlanOptions`.

    Raises:
        UsageError: options that make no sense, or no video in the sample.
        DetectorError: no person detector could be had.

    Example:
        tiktokactions plan --videos 340000 --measure videos/ --review-s 6 --gpu-step-s 0.9
        tiktokactions plan --videos 20000 --measure videos/ --results results.csv --target 0.95 --gpu-step-s 0.9
    """
    settings = checked_options(PlanOptions, options)
    if (results is None) != (settings.target is None):
        raise UsageError(
            "`target` and `results` go together: what missing a target costs follows from a measured curve"
        )
    curve = None if results is None else _curve(on_disk(results, "results"), settings.target or 0.0)
    inputs = path_list(measure)
    if not inputs:
        return needs_of(settings, (), _machine(), None, curve=curve)
    from tiktokactions.curation.measure import measure as measure_videos
    from tiktokactions.curation.people import resolve_detector, with_transnet
    from tiktokactions.curation.sources import list_videos

    paths = [video.path for video in list_videos(inputs)]
    if not paths:
        raise UsageError(f"{', '.join(inputs)}: no video found there")
    detector, as_curated, _ = with_transnet(resolve_detector(settings.detector), CurateOptions())
    with tempfile.TemporaryDirectory(prefix="tiktokactions-plan-") as folder:
        costs, failed = measure_videos(paths, as_curated, detector, Path(folder), report)
    if not costs:
        raise UsageError(f"none of the {len(paths)} videos of the sample could be measured: {failed[0]}")
    notes = [f"left out of the sample: {told}" for told in failed]
    return needs_of(settings, costs, _machine(), detector.info.name, notes, curve)


def _curve(results: Path, target: float) -> Curve:
    import numpy as np

    from tiktokactions.study.extrapolation import extrapolate_measurements
    from tiktokactions.study.measurements import read_measurements
    from tiktokactions.study.posterior import LARGEST_MULTIPLE

    found = extrapolate_measurements(read_measurements(results), (target,))
    curves = found.curves
    assert curves is not None  # the default method

    def told(clips: float) -> tuple[float, float | None]:
        share = min(clips / float(found.measured.sizes[-1]), LARGEST_MULTIPLE)
        return float(1 - curves.below(np.array([share]), np.array([target]))[0]), found.answers[0].assured["0.8"]

    return told


def _machine() -> str:
    """Processor and number of cores, as a person would name this machine."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores"
