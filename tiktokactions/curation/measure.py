"""What it costs to curate videos of some kind: a sample is curated, one video at a time, and measured."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.one_video import curate_video
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector, open_detector
from tiktokactions.files import local_file, sha256_file, thumbnail_paths, write_record


@dataclass(frozen=True)
class VideoCost:
    """One video of a sample. ``core_s`` are the CPU seconds of its process. Other programs on the machine raise them too, but
    less than the wall clock (about 3 times where the wall clock rose 15 times)."""

    path: str
    core_s: float
    wall_s: float
    duration_s: float
    source_bytes: int
    clip_bytes: int
    thumbs_bytes: int
    record_bytes: int
    status: str
    reasons: tuple[str, ...]


def measure(
    paths: Sequence[str],
    options: CurateOptions,
    detector: ResolvedDetector,
    folder: Path,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[list[VideoCost], list[str]]:
    """Curate a sample into ``folder`` with one worker, so that videos do not slow each other down.

    Returns:
        What each video cost, and a sentence on each that crashed or hung.
    """
    costs, failed = [], []
    work = functools.partial(_measure_one, options=options, detector=detector, folder=folder)
    for outcome in run_jobs(paths, work, 1, options.timeout_s):
        if outcome.result is None:
            failed.append(f"{outcome.job}: {outcome.failure}: {outcome.detail}")
        else:
            costs.append(outcome.result)
        report(f"{len(costs) + len(failed)} of {len(paths)} videos of the sample measured")
    return sorted(costs, key=lambda cost: cost.path), failed


def _measure_one(path: str, options: CurateOptions, detector: ResolvedDetector, folder: Path) -> VideoCost:
    open_detector(detector)  # a worker loads its model once, not once a video
    core_began, wall_began = time.process_time(), time.perf_counter()
    with local_file(path) as local:
        size_bytes = local.stat().st_size
        video_id = sha256_file(local)[:16]
        record = curate_video(local, options, detector, folder, video_id)
    record_file = write_record(folder, record)
    core_s, wall_s = time.process_time() - core_began, time.perf_counter() - wall_began
    return VideoCost(
        path=path,
        core_s=core_s,
        wall_s=wall_s,
        duration_s=record.probe.duration_s if record.probe is not None else 0.0,
        source_bytes=size_bytes,
        clip_bytes=record.clip.size_bytes if record.clip is not None else 0,
        thumbs_bytes=sum(file.stat().st_size for file in thumbnail_paths(folder, video_id) if file.exists()),
        record_bytes=record_file.stat().st_size,
        status=record.status,
        reasons=record.reasons,
    )
