"""Turn raw videos into a dataset."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tiktokactions.commands.nouns import Dataset
from tiktokactions.commands.options import AnyPath, AnyPaths, nothing, path_list, takes
from tiktokactions.curation.options import CurateOptions, clip_fingerprint, decision_fingerprint, evidence_fingerprint
from tiktokactions.curation.resume import Checkpoint, Job, discard, jobs_left, join_updates, read_checkpoint
from tiktokactions.curation.shards import Shard, finish, forget, join, parse_shard, part_of
from tiktokactions.dataset.dataset import refuse_subset
from tiktokactions.dataset.editing import Edit
from tiktokactions.dataset.info import new_info, read_info, resolve_options
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    DatasetBusyError,
    Place,
    disk_errors,
    holds_something,
    keeping,
    local_path,
    located,
    record_of,
    records_of,
    write_record,
)
from tiktokactions.files.locks import shard_lock
from tiktokactions.records import DetectorInfo, VideoRecord
from tiktokactions.takedowns.links import link_collections

if TYPE_CHECKING:
    from tiktokactions.curation.detectors import Detect
    from tiktokactions.curation.listed import ListedVideo
    from tiktokactions.curation.people import ResolvedDetector
    from tiktokactions.verdicts.settle import Settled


@dataclass(frozen=True)
class Progress:
    """Where a run stands; given to the ``progress`` callback after every video and for every message."""

    total: int = 0
    """Files listed, finished ones of earlier runs and byte-identical ones included."""
    finished_before: int = 0
    done: int = 0
    """Videos curated in this run."""
    accepted: int = 0
    needs_review: int = 0
    rejected: int = 0
    message: str = ""


@dataclass(frozen=True)
class CurateResult:
    """The summary of a run, over the whole dataset. ``curated`` and ``uncut`` are of this run."""

    dataset: str
    videos: int
    accepted: int
    needs_review: int
    rejected: int
    seconds: float = 0.0
    curated: int = 0
    identical: int = 0
    """Files that hold the bytes of another video and are further paths of it."""
    finished_before: int = 0
    cut_again: int = 0
    uncut: dict[str, str] = field(default_factory=dict)
    outdated: int = 0
    """Records made with other settings whose videos were not given to this run: they keep their old evidence."""
    detector: str = ""
    removed: int = 0
    """Files that were skipped because their videos had been removed (``removed.csv``)."""
    kept: int = 0
    """Clips of rejected videos that stay, because their sources are absent and they could not be cut again."""
    restore: str = ""
    """The command that brings back what went to quarantine: videos whose only file holds another one now."""
    shard: str = ""
    waits_for: tuple[str, ...] = ()
    """Of a run with ``shard``: the shards that have not finished. While there are any, nothing is settled, and the counts
    are those of this run alone."""


@dataclass(frozen=True)
class GivenVideos:
    """Videos to curate, as they come."""

    listed: Iterable[ListedVideo]
    """Drawn one by one as workers become free; it may take as long as it likes."""
    total: int
    """How many there will be, for the progress."""
    inputs: Sequence[str]
    """What was typed, to remember the collections among it."""
    reads: Sequence[str]
    """A path of each place that videos are read from, which other machines of a cluster must see."""
    recorded: Callable[[str], None] = nothing
    """Told the id of every video once its record is on the disk."""


@takes(CurateOptions)
def curate(
    videos: AnyPaths,
    output: AnyPath | None = None,
    *,
    redecide: bool = False,
    shard: str | None = None,
    progress: Callable[[Progress], None] = nothing,
    **options: object,
) -> Dataset:
    """Turn raw videos into a dataset (paper, section 3.3), or decide an existing one again.

    Args:
        videos: files, folders, globs, a ``.txt`` or ``.csv`` list, or ``-`` for a list on standard input; with ``redecide``
            the dataset.
        output: the dataset; the same command continues where it stopped.
        redecide: draw all verdicts again from the records, without decoding; only clips that now differ are cut.
        shard: ``i/n``: only the i-th of n parts, while other machines do the others with the same command on the same disk or
            store. The last to finish settles the dataset; so does the command without it.
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
    from tiktokactions.curation.scenes import check_scene_options

    began = time.perf_counter()
    inputs = path_list(videos)
    data, settings = opened_or_new(dataset_folder(inputs, output, redecide), options)
    check_scene_options(settings)
    if redecide:
        _refuse_new_evidence(data, settings)
    if shard is not None:
        if redecide:
            raise UsageError("`redecide` takes no `shard`: it decodes nothing")
        result = _curate_shard(inputs, data, options, parse_shard(shard), progress)
        data.reload()
    else:
        with data.editing("curate", settings) as edit, session(settings):
            result = _settle_all(edit, progress) if redecide else _curate_all(inputs, edit, progress)
    return data.after(replace(result, seconds=round(time.perf_counter() - began, 3)))


def opened_or_new(folder: Place, options: dict[str, object]) -> tuple[Dataset, CurateOptions]:
    """The dataset, which may still have to be made, and what was typed, else what it was made with, else the defaults.

    Raises:
        UsageError: an unknown option, a value out of range, or a damaged ``dataset.json``.
    """
    info = read_info(folder)
    settings = resolve_options(info, options)
    return Dataset.new(folder, info or new_info(folder, settings, DetectorInfo("", "", 0.0))), settings


def told_detector(edit: Edit, progress: Callable[[Progress], None]) -> ResolvedDetector:
    """The dataset's person detector, ready; the progress says which and what was fetched.

    A dataset stays with the detector that ``auto`` chose for it, whatever became available since, and with or without the
    second look.
    """
    from tiktokactions.curation.people import resolve_detector, with_transnet
    from tiktokactions.dataset.info import saved_options

    asked = edit.options.detector
    wanted = edit.info.detector.name or asked if asked == "auto" else asked
    fetched = "" if wanted == "none" else " (fetched now if it is not on this machine yet)"
    progress(Progress(message=f"person detector: {wanted}{fetched}"))
    detector = resolve_detector(wanted)
    detector, edit.options, note = with_transnet(detector, edit.options)
    edit.info = replace(edit.info, options=saved_options(edit.options))
    for told in filter(None, (detector.note, note)):
        progress(Progress(message=told))
    return detector


def dataset_folder(inputs: list[str], output: str | os.PathLike[str] | None, redecide: bool) -> Place:
    if not inputs:
        expected = "files, folders, globs, a .txt or .csv list, or - for standard input"
        raise UsageError(f"no videos given: expected {expected}")
    if redecide:
        if output is not None or len(inputs) != 1:
            raise UsageError("`redecide` takes one dataset folder and no output")
        folder = located(inputs[0])
        if not (folder / "dataset.json").is_file():
            raise UsageError(f"{inputs[0]}: no dataset.json there; `redecide` needs a folder made by 'curate'")
        refuse_subset(folder)
        return folder
    if output is None:
        raise UsageError("`output` is missing: where should the dataset go?")
    folder = located(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, got a file")
    refuse_subset(folder)
    if not (folder / "dataset.json").exists() and holds_something(folder):
        raise UsageError(f"{folder}: the folder is not empty and not a dataset; choose a new or an empty one")
    return folder


def _refuse_new_evidence(data: Dataset, settings: CurateOptions) -> None:
    old = data.options.group("evidence", "labels")
    changed = [name for name, value in settings.group("evidence", "labels").items() if value != old[name]]
    if changed:
        names = ", ".join(f"`{name}`" for name in changed)
        instead = f"Give the videos instead: tiktokactions curate VIDEOS -o {data.folder} ..."
        raise UsageError(f"{names}: shapes the evidence or the labels, which `redecide` does not make anew. {instead}")


def _curate_all(inputs: list[str], edit: Edit, progress: Callable[[Progress], None]) -> CurateResult:
    listed = _listed(inputs, edit, progress)
    detector = told_detector(edit, progress)
    given = GivenVideos(listed, len(listed), inputs, [listed[0].path])
    result = curate_listed(given, edit, detector, progress)
    edit.close()
    forget(edit.folder)  # what shards left: none is at work, and all that they did is settled
    return result


def _listed(inputs: list[str], edit: Edit, progress: Callable[[Progress], None]) -> list[ListedVideo]:
    from tiktokactions.curation.sources import Listing, list_videos

    settings = edit.options
    hint = ", or go on without them with `skip_missing`"
    listing = Listing(edit.folder, settings.labels_from, settings.skip_missing, hint=hint)
    listed = list(list_videos(inputs, listing))
    if listing.missing:
        progress(Progress(message=f"left out, not there: {', '.join(listing.missing)}"))
    if unfit := [video.about.metadata["sidecar_error"] for video in listed if "sidecar_error" in video.about.metadata]:
        progress(Progress(message=f"{len(unfit)} sidecars are not understood in part: {unfit[0]}"))
    if not listed:
        raise UsageError(f"{', '.join(inputs)}: no file found there")
    return listed


def _curate_shard(
    inputs: list[str], data: Dataset, typed: dict[str, object], shard: Shard, progress: Callable[[Progress], None]
) -> CurateResult:
    """Curate one part beside other machines; whoever finds all parts done settles the dataset."""
    from tiktokactions.curation.engines import session

    with shard_lock(data.folder, shard.name, f"shard {shard}"), disk_errors():
        data, settings = opened_or_new(data.folder, typed)  # which another shard may have made meanwhile
        with session(settings), contextlib.ExitStack() as until_the_end:
            until_the_end.callback((edit := Edit(data, "curate", settings)).end)
            result = _work_on_part(inputs, edit, shard, progress)
    if result.waits_for:
        return result
    progress(Progress(message="all shards are done: settling"))
    try:
        with data.editing("curate", settings) as edit, session(settings):
            settled = _curate_all(inputs, edit, progress)
    except DatasetBusyError as error:  # two that finish at once: one of them settles
        progress(Progress(message=f"{error} It settles the dataset."))
        return result
    return replace(settled, curated=result.curated, identical=result.identical, shard=str(shard))


def _work_on_part(inputs: list[str], edit: Edit, shard: Shard, progress: Callable[[Progress], None]) -> CurateResult:
    listed = _listed(inputs, edit, progress)
    detector = told_detector(edit, progress)
    edit.info = replace(edit.info, detector=detector.info)
    fingerprint = evidence_fingerprint(edit.options, detector.info)
    settings = f"{fingerprint} {decision_fingerprint(edit.options)} {clip_fingerprint(edit.options)}"
    join(edit.folder, shard, settings)
    mine = part_of(listed, shard)
    worked = _work_off(GivenVideos(mine, len(mine), inputs, [listed[0].path]), edit, detector, progress)
    checkpoint = worked.checkpoint
    if checkpoint.updates:  # kept, so that whoever settles need not read those files again
        edit.begin()
    for record in records_of(edit.folder, checkpoint.updates):
        joined = join_updates(record, checkpoint.updates[record.video_id])
        if joined is not None and joined != record:
            write_record(edit.folder, joined)
    curated = sum(worked.counts.values())
    return CurateResult(
        str(edit.folder),
        curated,
        worked.counts["accepted"],
        worked.counts["needs_review"],
        worked.counts["rejected"],
        curated=curated,
        identical=checkpoint.identical,
        finished_before=checkpoint.finished,
        detector=detector.info.name,
        removed=len(checkpoint.refused),
        shard=str(shard),
        waits_for=tuple(finish(edit.folder, shard, settings)),
    )


def curate_listed(
    given: GivenVideos, edit: Edit, detector: ResolvedDetector, progress: Callable[[Progress], None]
) -> CurateResult:
    """Curate videos as they come; then settle all verdicts."""
    before = edit.dataset.info
    edit.info = replace(edit.info, detector=detector.info)
    worked = _work_off(given, edit, detector, progress)
    checkpoint, curated = worked.checkpoint, sum(worked.counts.values())
    changed = bool(curated or checkpoint.updates or checkpoint.left) or before.options != edit.info.options
    kept = [known for i, known in checkpoint.known.items() if i not in checkpoint.scheduled]
    fingerprint = evidence_fingerprint(edit.options, detector.info)
    outdated = sum(known.evidence_fingerprint != fingerprint for known in kept)
    settled = _settle(edit, checkpoint, changed, worked.report)
    result = _result_of(edit, settled, checkpoint.finished)
    identical, removed = checkpoint.identical, len(checkpoint.refused)
    return replace(result, curated=curated, identical=identical, outdated=outdated, removed=removed)


@dataclass(frozen=True)
class _Worked:
    checkpoint: Checkpoint
    counts: dict[str, int]
    """Videos of this run by status."""
    report: Callable[[str], None]


def _work_off(
    given: GivenVideos, edit: Edit, detector: ResolvedDetector, progress: Callable[[Progress], None]
) -> _Worked:
    """Curate what is left to do, each video into its record. Nothing is settled."""
    from tiktokactions.curation.engines import fetcher, runner, sees

    dataset, settings, before = edit.folder, edit.options, edit.dataset.info
    if before.version == 0:
        edit.begin()
    link_collections(given.inputs, dataset)
    fingerprint = evidence_fingerprint(settings, detector.info)
    checkpoint = read_checkpoint(dataset)
    counts = {"accepted": 0, "needs_review": 0, "rejected": 0}

    def report(message: str = "") -> None:
        earlier = checkpoint.finished + checkpoint.identical
        progress(Progress(given.total, earlier, sum(counts.values()), **counts, message=message))

    def usable_jobs() -> Iterator[Job]:
        for job in jobs_left(given.listed, checkpoint, dataset, settings, fingerprint, fetcher(settings)):
            edit.begin()
            if job.failure is None:
                yield job
                continue
            write_record(dataset, _failed(job, *job.failure, settings, detector))
            counts["rejected"] += 1
            given.recorded(job.video_id)
            report()

    report()
    work = functools.partial(_curate_job, options=settings, detector=detector, dataset=dataset.resolve())
    run = runner(settings, detector, sees(dataset, given.reads))
    for outcome in run(usable_jobs(), work):
        if outcome.failure is not None:
            write_record(dataset, _failed(outcome.job, outcome.failure, outcome.detail or "", settings, detector))
        discard(outcome.job.copy)
        counts[outcome.result or "rejected"] += 1
        given.recorded(outcome.job.video_id)
        report()
    return _Worked(checkpoint, counts, report)


def _curate_job(
    job: Job, options: CurateOptions, detector: ResolvedDetector, dataset: Place, detect: Detect | None = None
) -> str:
    """In a worker: curate one video and write its record, the last thing that happens to it."""
    from tiktokactions.curation.one_video import curate_video

    with keeping(dataset) if job.is_known else contextlib.nullcontext():
        record = curate_video(job.path, options, detector, dataset, job.video_id, job.source, detect, job.copy)
        if job.is_known and record.failure in ("vanished", "unreadable"):
            return record_of(dataset, job.video_id).status  # what was seen while it could be read is all there is
        write_record(dataset, record)
    return record.status


def _failed(job: Job, reason: str, detail: str, options: CurateOptions, detector: ResolvedDetector) -> VideoRecord:
    from tiktokactions.curation.decide import decide
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
    # Looking for a million clips on a store takes a thousand requests: `redecide` and 'dataset verify' do that.
    believed = edit.was_settled and bool(checkpoint.known) and local_path(edit.folder) is None
    settled = settle(edit, checkpoint, believed)
    report("writing statistics, figures and card")
    return settled


def _settle_all(edit: Edit, progress: Callable[[Progress], None]) -> CurateResult:
    # Records may also have been taken away by hand: draw all verdicts and tables again.
    settled = _settle(edit, Checkpoint(), True, lambda message: progress(Progress(message=message)))
    return _result_of(edit, settled, finished_before=sum(settled.counts.values()))


def _result_of(edit: Edit, settled: Settled, finished_before: int) -> CurateResult:
    return CurateResult(
        str(edit.folder),
        sum(settled.counts.values()),
        settled.counts["accepted"],
        settled.counts["needs_review"],
        settled.counts["rejected"],
        cut_again=settled.cut,
        uncut=dict(settled.uncut),
        kept=settled.kept,
        restore=settled.restore,
        detector=edit.info.detector.name,
        finished_before=finished_before,
    )
