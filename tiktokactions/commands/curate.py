"""Turn raw videos into a dataset."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.nouns import Dataset
from tiktokactions.commands.options import AnyPath, AnyPaths, nothing, takes
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.dataset import refuse_subset
from tiktokactions.errors import UsageError
from tiktokactions.files import Place
from tiktokactions.takedown.links import link_collections

if TYPE_CHECKING:
    from tiktokactions.curation.detectors import Detect
    from tiktokactions.curation.listed import ListedVideo
    from tiktokactions.curation.people import ResolvedDetector
    from tiktokactions.curation.resume import Checkpoint, Job
    from tiktokactions.dataset.editing import Edit
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


@takes(CurateOptions)
def curate(
    videos: AnyPaths,
    output: AnyPath | None = None,
    *,
    redecide: bool = False,
    progress: Callable[[Progress], None] = nothing,
    **options: Any,
) -> Dataset:
    """Turn raw videos into a dataset (paper, section 3.3), or decide an existing one again.

    Args:
        videos: files, folders, globs, a ``.txt`` or ``.csv`` list, or ``-`` for a list on standard input; with ``redecide``
            the dataset.
        output: the dataset; the same command continues where it stopped.
        redecide: draw all verdicts again from the records, without decoding; only clips that now differ are cut.
        progress: called in this process after every video.
        **options: any field of :class:`tiktokactions.curation.options.CurateOptions`; what is not given is taken from the
            dataset if it exists, else is the default.

    Returns:
        The dataset; ``last_run`` is the summary of this call.

    Raises:
        UsageError: inputs or options that make no sense.
        DatasetBusyError: another run is writing to the dataset.
        DiskFullError: no space left; everything finished is kept.
        DetectorError: no person detector could be had.

    Example:
        tiktokactions curate videos/ -o data/
        tiktokactions curate data/ --redecide --min-person-frames 6
    """
    from tiktokactions.curation.engines import session
    from tiktokactions.curation.scenes import make_scene_detector

    began = time.perf_counter()
    inputs = [os.fspath(v) for v in ([videos] if isinstance(videos, (str, os.PathLike)) else videos)]
    data, settings = opened_or_new(dataset_folder(inputs, output, redecide), options)
    make_scene_detector(settings)
    if redecide:
        _refuse_new_evidence(data, settings)
    with data.editing("curate", settings) as edit, session(settings):
        result = _settle_all(edit, progress) if redecide else _curate_all(inputs, edit, progress)
    return data.after(replace(result, seconds=round(time.perf_counter() - began, 3)))


def opened_or_new(folder: Place, options: dict[str, Any]) -> tuple[Dataset, CurateOptions]:
    """The dataset, which may still have to be made, and what was typed, else what it was made with, else the defaults.

    Raises:
        UsageError: an unknown option, a value out of range, or a damaged ``dataset.json``.
    """
    from tiktokactions.dataset.info import new_info, read_info, resolve_options
    from tiktokactions.records import DetectorInfo

    info = read_info(folder)
    settings = resolve_options(info, options)
    no_detector_yet = DetectorInfo("", "", 0.0)
    return Dataset.new(folder, info or new_info(folder, settings, no_detector_yet)), settings


def told_detector(edit: Edit, progress: Callable[[Progress], None]) -> ResolvedDetector:
    """The dataset's person detector, ready; the progress says which and what was fetched.

    A dataset stays with the detector that ``auto`` chose for it, whatever became available since.
    """
    from tiktokactions.curation.people import resolve_detector

    asked = edit.options.detector
    wanted = edit.info.detector.name or asked if asked == "auto" else asked
    fetched = "" if wanted == "none" else " (fetched now if it is not on this machine yet)"
    progress(Progress(0, 0, 0, 0, 0, 0, f"person detector: {wanted}{fetched}"))
    detector = resolve_detector(wanted)
    if detector.note:
        progress(Progress(0, 0, 0, 0, 0, 0, detector.note))
    return detector


def dataset_folder(inputs: list[str], output: str | os.PathLike[str] | None, redecide: bool) -> Place:
    from tiktokactions.files import located

    if not inputs:
        raise UsageError(
            "no videos given: expected files, folders, globs, a .txt or .csv list, or - for standard input"
        )
    if redecide:
        if output is not None or len(inputs) != 1:
            raise UsageError("`redecide` takes one dataset folder and no output")
        if not (located(inputs[0]) / "dataset.json").is_file():
            raise UsageError(f"{inputs[0]}: no dataset.json there; `redecide` needs a folder made by 'curate'")
        refuse_subset(located(inputs[0]))
        return located(inputs[0])
    if output is None:
        raise UsageError("`output` is missing: where should the dataset go?")
    folder = located(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, got a file")
    refuse_subset(folder)
    if (
        folder.is_dir()
        and not (folder / "dataset.json").exists()
        and any(not e.name.startswith(".") for e in folder.iterdir())
    ):
        raise UsageError(f"{folder}: the folder is not empty and not a dataset; choose a new or an empty one")
    return folder


def _refuse_new_evidence(data: Dataset, settings: CurateOptions) -> None:
    old = data.options.group("evidence")
    changed = [name for name, value in settings.group("evidence").items() if value != old[name]]
    if changed:
        names = ", ".join(f"`{name}`" for name in changed)
        raise UsageError(
            f"{names}: shapes the evidence, which `redecide` does not make anew."
            f" Give the videos instead: tiktokactions curate VIDEOS -o {data.folder} ..."
        )


def _curate_all(inputs: list[str], edit: Edit, progress: Callable[[Progress], None]) -> CurateResult:
    from tiktokactions.curation.sources import list_videos

    detector = told_detector(edit, progress)
    listed = list(list_videos(inputs, leave_out=edit.folder))
    if not listed:
        raise UsageError(f"{', '.join(inputs)}: no file found there")
    reads = [video.path for video in listed[:1]]
    return curate_listed(listed, len(listed), inputs, reads, edit, detector, progress)


def curate_listed(
    listed: Iterable[ListedVideo],
    total: int,
    inputs: Sequence[str],
    reads: Sequence[str],
    edit: Edit,
    detector: ResolvedDetector,
    progress: Callable[[Progress], None],
    recorded: Callable[[str], None] = lambda video_id: None,
) -> CurateResult:
    """Curate videos as ``listed`` gives them, which may take as long as it likes; then settle all verdicts.

    Args:
        listed: videos, drawn one by one as workers become free.
        total: how many there will be, for the progress.
        inputs: what was typed, to remember the collections among it.
        reads: a path of each place that videos are read from, which other machines of a cluster must see.
        recorded: told the id of every video once its record is on the disk.
    """
    from tiktokactions.curation.engines import hasher, runner, sees
    from tiktokactions.curation.options import evidence_fingerprint
    from tiktokactions.curation.resume import jobs_left, read_checkpoint
    from tiktokactions.files import write_record

    dataset, settings, before = edit.folder, edit.options, edit.dataset.info
    edit.info = replace(edit.info, detector=detector.info)
    if before.version == 0:
        edit.begin()
    link_collections(inputs, dataset)
    fingerprint = evidence_fingerprint(settings, detector.info)
    checkpoint = read_checkpoint(dataset)
    counts = {"accepted": 0, "needs_review": 0, "rejected": 0}

    def report(message: str = "") -> None:
        progress(
            Progress(total, checkpoint.finished + checkpoint.identical, sum(counts.values()), **counts, message=message)
        )

    def usable_jobs() -> Iterator[Job]:
        for job in jobs_left(listed, checkpoint, dataset, settings, fingerprint, hasher(settings)):
            edit.begin()
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
    changed = bool(curated or checkpoint.updates or checkpoint.left) or before.options != edit.info.options
    outdated = sum(
        known.evidence_fingerprint != fingerprint
        for i, known in checkpoint.known.items()
        if i not in checkpoint.scheduled
    )
    settled = _settle(edit, checkpoint, changed, report)
    return CurateResult(
        dataset=str(dataset),
        videos=sum(settled.counts.values()),
        **settled.counts,
        seconds=0.0,
        curated=curated,
        identical=checkpoint.identical,
        finished_before=checkpoint.finished,
        cut_again=settled.cut,
        uncut=dict(settled.uncut),
        outdated=outdated,
        detector=detector.info.name,
        removed=len(checkpoint.refused),
    )


def _curate_job(
    job: Job, options: CurateOptions, detector: ResolvedDetector, dataset: Place, detect: Detect | None = None
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


def _settle(edit: Edit, checkpoint: Checkpoint, changed: bool, report: Callable[[str], None]) -> Settled:
    """Settle all verdicts; where nothing changed nothing is done."""
    from tiktokactions.verdicts.settle import Settled, settle

    if not changed and edit.was_settled:
        return Settled(edit.dataset.counts, 0, {})
    edit.begin()
    report("settling verdicts and duplicates, writing the manifest")
    settled = settle(edit, checkpoint)
    report("writing statistics, figures and card")
    return settled


def _settle_all(edit: Edit, progress: Callable[[Progress], None]) -> CurateResult:
    from tiktokactions.curation.resume import Checkpoint

    # Records may also have been taken away by hand: draw all verdicts and tables again.
    settled = _settle(edit, Checkpoint(), True, lambda message: progress(Progress(0, 0, 0, 0, 0, 0, message)))
    videos = sum(settled.counts.values())
    return CurateResult(
        dataset=str(edit.folder),
        videos=videos,
        **settled.counts,
        seconds=0.0,
        curated=0,
        identical=0,
        finished_before=videos,
        cut_again=settled.cut,
        uncut=dict(settled.uncut),
        outdated=0,
        detector=edit.info.detector.name,
    )
