"""Raw videos become a dataset: the run, its checkpoints, and the tables that are brought up to date at its end."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.errors import disk_errors
from tiktokactions.dataset.opened import refuse_subset
from tiktokactions.dataset.tables import write_card, write_statistics
from tiktokactions.errors import UsageError
from tiktokactions.takedown.folders import finish_removal
from tiktokactions.takedown.links import link_collections

if TYPE_CHECKING:
    from tiktokactions.curation.detectors import Detect
    from tiktokactions.curation.listed import ListedVideo
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.curation.people import ResolvedDetector
    from tiktokactions.curation.resume import Job
    from tiktokactions.records import VideoRecord
    from tiktokactions.verdicts.settle import Settled


@dataclass(frozen=True)
class Progress:
    """Where a run stands; given to the ``progress`` callback after every video and for every message."""

    total: int
    """Files listed, finished ones of earlier runs and byte-identical ones included."""
    finished_before: int
    done: int
    """Videos curated in this run."""
    accepted: int
    needs_review: int
    rejected: int
    message: str = ""


@dataclass(frozen=True)
class CurateResult:
    """The summary of a run, over the whole dataset. ``curated`` and ``uncut`` are of this run."""

    dataset: str
    videos: int
    accepted: int
    needs_review: int
    rejected: int
    seconds: float
    curated: int
    identical: int
    """Files that hold the bytes of another video and are further paths of it."""
    finished_before: int
    cut_again: int
    uncut: dict[str, str]
    outdated: int
    """Records made with other settings whose videos were not given to this run: they keep their old evidence."""
    detector: str
    removed: int = 0
    """Files that were skipped because their videos had been removed (``removed.csv``)."""


def curate(
    videos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    redecide: bool = False,
    progress: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> CurateResult:
    """Turn raw videos into a dataset folder (paper, section 3.3), or decide an existing one again.

    Args:
        videos: files, folders, globs, ``.txt``/``.csv`` lists, or ``-``; with ``redecide`` the dataset folder itself.
        output: the dataset folder. Rerunning with the same continues where it stopped.
        redecide: draw all verdicts again from the records, without decoding; only clips that now differ are cut.
        progress: called in this process after every video.
        **options: any field of :class:`tiktokactions.curation.options.CurateOptions`; what is not given is taken from the
            dataset if it exists, else is the default.

    Raises:
        UsageError: inputs or options that make no sense.
        DatasetBusyError: another run is writing to the dataset.
        DiskFullError: no space left; everything finished is kept.
        DetectorError: no person detector could be had.
    """
    from tiktokactions.curation.engines import session
    from tiktokactions.curation.scenes import make_scene_detector
    from tiktokactions.dataset.info import read_info, resolve_options
    from tiktokactions.files import dataset_lock

    began = time.perf_counter()
    inputs = [os.fspath(v) for v in ([videos] if isinstance(videos, (str, os.PathLike)) else videos)]
    dataset = dataset_folder(inputs, output, redecide)
    try:
        info = read_info(dataset)
        settings = resolve_options(info, options)
        make_scene_detector(settings)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if redecide:
        _refuse_new_evidence(dataset, info, settings)
    with dataset_lock(dataset), disk_errors(dataset), session(settings):
        finish_removal(dataset)
        if redecide:
            return _settle_all(dataset, settings, progress, began)
        detector = told_detector(settings, info, progress)
        return _curate_all(inputs, dataset, settings, detector, progress, began)


def told_detector(settings: CurateOptions, info: Any, progress: Callable[[Progress], None]) -> ResolvedDetector:
    """The dataset's person detector, ready; the progress says which and what was fetched."""
    from tiktokactions.curation.people import resolve_detector

    wanted = _detector_name(settings, info)
    fetched = "" if wanted == "none" else " (fetched now if it is not on this machine yet)"
    progress(Progress(0, 0, 0, 0, 0, 0, f"person detector: {wanted}{fetched}"))
    detector = resolve_detector(wanted)
    if detector.note:
        progress(Progress(0, 0, 0, 0, 0, 0, detector.note))
    return detector


def dataset_folder(inputs: list[str], output: str | os.PathLike[str] | None, redecide: bool) -> Path:
    from tiktokactions.files import located

    if not inputs:
        raise UsageError(
            "no videos given: expected files, folders, globs, a .txt or .csv list, or - for standard input"
        )
    if redecide:
        if output is not None or len(inputs) != 1:
            raise UsageError("--redecide takes one dataset folder and no -o: tiktokactions curate DATASET --redecide")
        if not (located(inputs[0]) / "dataset.json").is_file():
            raise UsageError(f"{inputs[0]}: no dataset.json there; --redecide needs a folder made by 'curate'")
        refuse_subset(located(inputs[0]))
        return located(inputs[0])
    if output is None:
        raise UsageError("-o DATASET is missing: where should the dataset go?")
    folder = located(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder}: expected a folder, got a file")
    refuse_subset(folder)
    if (
        folder.is_dir()
        and not (folder / "dataset.json").exists()
        and any(not e.name.startswith(".") for e in folder.iterdir())
    ):
        raise UsageError(f"-o {folder}: the folder is not empty and not a dataset; choose a new or an empty one")
    return folder


def _refuse_new_evidence(dataset: Path, info: Any, settings: CurateOptions) -> None:
    from tiktokactions.dataset.info import resolve_options

    old = resolve_options(info, {}).group("evidence")
    changed = [name for name, value in settings.group("evidence").items() if value != old[name]]
    if changed:
        names = ", ".join("--" + name.replace("_", "-") for name in changed)
        raise UsageError(
            f"{names}: shapes the evidence, which --redecide does not make anew."
            f" Give the videos instead: tiktokactions curate VIDEOS -o {dataset} ..."
        )


def _detector_name(settings: CurateOptions, info: Any) -> str:
    """A dataset stays with the detector that ``auto`` chose for it, whatever became available since."""
    return info.detector.name if settings.detector == "auto" and info is not None else settings.detector


def _curate_all(
    inputs: list[str],
    dataset: Path,
    settings: CurateOptions,
    detector: ResolvedDetector,
    progress: Callable[[Progress], None],
    began: float,
) -> CurateResult:
    from tiktokactions.curation.listed import InputError
    from tiktokactions.curation.sources import list_videos

    try:
        listed = list(list_videos(inputs, leave_out=dataset))
    except InputError as error:
        raise UsageError(str(error)) from error
    if not listed:
        raise UsageError(f"{', '.join(inputs)}: no file found there")
    reads = [video.path for video in listed[:1]]
    return curate_listed(listed, len(listed), inputs, reads, dataset, settings, detector, progress, began)


def curate_listed(
    listed: Iterable[ListedVideo],
    total: int,
    inputs: Sequence[str],
    reads: Sequence[str],
    dataset: Path,
    settings: CurateOptions,
    detector: ResolvedDetector,
    progress: Callable[[Progress], None],
    began: float,
    recorded: Callable[[str], None] = lambda video_id: None,
) -> CurateResult:
    """Curate videos as ``listed`` gives them, which may take as long as it likes; then bring the tables up to date.

    Args:
        listed: videos, drawn one by one as workers become free.
        total: how many there will be, for the progress.
        inputs: what was typed, to remember the collections among it.
        reads: a path of each place that videos are read from, which other machines of a cluster must see.
        recorded: told the id of every video once its record is on the disk.
    """
    from tiktokactions.curation.engines import hasher, runner, sees
    from tiktokactions.curation.options import evidence_fingerprint
    from tiktokactions.curation.resume import jobs_left, read_plan
    from tiktokactions.dataset.info import new_info, read_info, saved_options, write_info
    from tiktokactions.files import write_record

    info = read_info(dataset) or new_info(dataset, settings, detector.info)
    if info.version == 0:
        write_info(dataset, info)
    link_collections(inputs, dataset)
    fingerprint = evidence_fingerprint(settings, detector.info)
    plan = read_plan(dataset)
    counts = {"accepted": 0, "needs_review": 0, "rejected": 0}

    def report(message: str = "") -> None:
        progress(Progress(total, plan.finished + plan.identical, sum(counts.values()), **counts, message=message))

    def usable_jobs() -> Iterator[Job]:
        for job in jobs_left(listed, plan, dataset, settings, fingerprint, hasher(settings)):
            if info.settled and not any(counts.values()):
                write_info(dataset, replace(info, settled=False))
            if job.failure is None:
                yield job
                continue
            write_record(dataset, _failed(job, *job.failure, settings, detector))
            counts["rejected"] += 1
            recorded(job.video_id)
            report()

    report()
    work = functools.partial(_curate_job, options=settings, detector=detector, dataset=dataset.resolve())
    run = runner(settings, detector, sees(dataset, reads))
    for outcome in run(usable_jobs(), work):
        if outcome.failure is not None:
            failed = _failed(outcome.job, outcome.failure, outcome.detail or "", settings, detector)
            write_record(dataset, failed)
        counts[outcome.result or "rejected"] += 1
        recorded(outcome.job.video_id)
        report()
    curated = sum(counts.values())
    changed = bool(curated or plan.updates or plan.left) or info.options != saved_options(settings)
    outdated = sum(
        known.evidence_fingerprint != fingerprint for i, known in plan.known.items() if i not in plan.scheduled
    )
    tables = _bring_up_to_date(dataset, replace(info, detector=detector.info), settings, plan, changed, report)
    return CurateResult(
        dataset=str(dataset),
        videos=sum(tables.counts.values()),
        **tables.counts,
        seconds=round(time.perf_counter() - began, 3),
        curated=curated,
        identical=plan.identical,
        finished_before=plan.finished,
        cut_again=tables.cut,
        uncut=dict(tables.uncut),
        outdated=outdated,
        detector=detector.info.name,
        removed=len(plan.refused),
    )


def _curate_job(
    job: Job, options: CurateOptions, detector: ResolvedDetector, dataset: Path, detect: Detect | None = None
) -> str:
    """In a worker: curate one video and write its record, the last thing that happens to it."""
    from tiktokactions.curation.one_video import curate_video
    from tiktokactions.files import write_record

    record = curate_video(job.path, options, detector, dataset, job.video_id, job.source, detect)
    write_record(dataset, record)
    return record.status


def _failed(job: Job, reason: str, detail: str, options: CurateOptions, detector: ResolvedDetector) -> VideoRecord:
    from tiktokactions.curation.decide import decide
    from tiktokactions.curation.options import evidence_fingerprint
    from tiktokactions.records import VideoRecord

    record = VideoRecord(
        video_id=job.video_id,
        source=job.source,
        detector=detector.info,
        failure=reason,
        failure_detail=detail,
        evidence_fingerprint=evidence_fingerprint(options, detector.info),
    )
    return decide(record.with_source(job.source), options)


def _bring_up_to_date(
    dataset: Path, info: Any, settings: CurateOptions, plan: Any, changed: bool, report: Callable[[str], None]
) -> Settled:
    """Settle all verdicts and write manifest, statistics, figures and card; nothing where nothing changed."""
    from tiktokactions.dataset.history import next_version
    from tiktokactions.dataset.info import info_path, now, saved_options, write_info
    from tiktokactions.dataset.manifest import count_by_status
    from tiktokactions.verdicts.settle import Settled, settle

    manifest = dataset / "manifest.parquet"
    if not changed and info.settled and manifest.exists():
        return Settled(count_by_status(manifest), 0, {})
    assert info_path(dataset).exists()
    info = replace(info, settled=False, options=saved_options(settings), updated=now())
    write_info(dataset, info)
    report("settling verdicts and duplicates, writing the manifest")
    settled = settle(dataset, settings, plan)
    report("writing statistics, figures and card")
    info = next_version(dataset, info)
    write_card(dataset, info, write_statistics(dataset, settings))
    write_info(dataset, replace(info, settled=True))
    return settled


def _settle_all(
    dataset: Path, settings: CurateOptions, progress: Callable[[Progress], None], began: float
) -> CurateResult:
    from tiktokactions.curation.resume import Plan
    from tiktokactions.dataset.info import read_info

    info = read_info(dataset)
    assert info is not None
    tables = _bring_up_to_date(
        dataset,
        info,
        settings,
        Plan(),
        True,  # records may also have been taken away by hand: draw all verdicts and tables again
        lambda message: progress(Progress(0, 0, 0, 0, 0, 0, message)),
    )
    return CurateResult(
        dataset=str(dataset),
        videos=sum(tables.counts.values()),
        **tables.counts,
        seconds=round(time.perf_counter() - began, 3),
        curated=0,
        identical=0,
        finished_before=sum(tables.counts.values()),
        cut_again=tables.cut,
        uncut=dict(tables.uncut),
        outdated=0,
        detector=info.detector.name,
    )
