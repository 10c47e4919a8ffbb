"""What so many videos need, from a sample measured here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.errors import UsageError
from tiktokactions.options import checked_options

if TYPE_CHECKING:
    from tiktokactions.study.needs import Needs


def plan(
    measure: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Needs:
    """What ``videos`` raw videos need: core-hours, GB, GPU hours, days of quota, hours of people, each with its arithmetic.

    Args:
        measure: a sample of such videos (files, folders, lists ... as for :func:`curate`), curated into a temporary folder
            with one worker to see what they cost; without it what only a sample tells is unknown.
        report: called with a line after every video of the sample.
        **options: any field of :class:`tiktokactions.study.needs.PlanOptions`.

    Raises:
        UsageError: options that make no sense, or no video in the sample.
        DetectorError: no person detector could be had.
    """
    from tiktokactions.study.needs import PlanOptions, needs_of

    settings = checked_options(PlanOptions, options)
    inputs = [os.fspath(v) for v in ([measure] if isinstance(measure, (str, os.PathLike)) else measure)]
    if not inputs:
        return needs_of(settings, (), _machine(), None)
    from tiktokactions.curation.measure import measure as measure_videos
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.curation.people import resolve_detector
    from tiktokactions.curation.sources import list_videos

    paths = [video.path for video in list_videos(inputs)]
    if not paths:
        raise UsageError(f"{', '.join(inputs)}: no video found there")
    detector = resolve_detector(settings.detector)
    with tempfile.TemporaryDirectory(prefix="tiktokactions-plan-") as folder:
        costs, failed = measure_videos(paths, CurateOptions(), detector, Path(folder), report)
    if not costs:
        raise UsageError(f"none of the {len(paths)} videos of the sample could be measured: {failed[0]}")
    notes = [f"left out of the sample: {told}" for told in failed]
    return needs_of(settings, costs, _machine(), detector.info.name, notes)


def _machine() -> str:
    """Processor and number of cores, as a person would name this machine."""
    import platform

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores"
