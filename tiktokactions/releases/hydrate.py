"""``dataset hydrate``: a dataset made again from its released ids, where the videos can still be had.

A file with the very bytes that were curated gets the released record back, and its clip is cut from it. A file with other
bytes (another download of the same video) is curated anew under the same settings, because frame numbers may have moved; its
clip shows the released seconds, and where its evidence would come to another verdict, the released one is put in force. What
people decided goes into ``reviews.sqlite``, where every later run of ``curate`` finds it.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import itertools
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tiktokactions.copies.of_dataset import duplicate_of
from tiktokactions.curation.decide import decide
from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.one_video import curate_video, frames_in_segment, make_clip, write_thumbnails_again
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector, resolve_detector, with_transnet
from tiktokactions.curation.takedowns import WITHHELD, Dead, Takedown, add_takedowns, read_takedowns
from tiktokactions.curation.weights import DetectorError
from tiktokactions.dataset.assignments import Assignment, write_assignments
from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.manifest import labels_of
from tiktokactions.errors import UsageError
from tiktokactions.files import delete, keeping, read_record, record_path, sha256_file, write_csv, write_record
from tiktokactions.machine import utc_now
from tiktokactions.records import DetectorInfo, JsonObject, Source, VideoRecord
from tiktokactions.releases.formats.ids import INFO_NAME
from tiktokactions.releases.media import MediaIndex
from tiktokactions.reviews.decisions import RELEASED, Verdict
from tiktokactions.reviews.store import Store
from tiktokactions.verdicts.decided import applied_verdicts, for_cutting, write_verdicts
from tiktokactions.video import VideoError

T = TypeVar("T")
MISSING = "missing.csv"
TO_SETTLE = ", to settle"
VERDICTS_TOGETHER = 10_000
"""Written to ``reviews.sqlite`` in one transaction."""
csv.field_size_limit(sys.maxsize)  # a record with many scenes is longer than the usual 128 kB


class ReleaseError(UsageError):
    """A released list that cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Named:
    """Of a row of ``ids.csv`` what is read quickly."""

    video_id: str
    platform_id: str
    sha256: str
    side: str
    accepted: bool
    labels: tuple[str, ...] | None
    """As those of a clip: None where nobody gave one; empty where people saw none of the actions."""
    answers: tuple[tuple[str, str], ...] | None = None
    """As those of a clip; None also in releases of before answers were kept."""

    @property
    def names(self) -> set[str]:
        """What a take-down may call it."""
        return {self.video_id, self.platform_id, self.sha256, self.sha256[:16]} - {""}


@dataclass(frozen=True)
class Released:
    """One row of ``ids.csv``."""

    named: Named
    record: VideoRecord
    """As released: without ``source`` and ``timings``."""
    is_decided: bool
    """Whether people came to a verdict."""


@dataclass(frozen=True)
class Found:
    """A released video and the file it can be made of."""

    released: Released
    path: str


@dataclass(frozen=True)
class Hydrated:
    dataset: str
    listed: int
    rebuilt: int
    """From the same bytes: records identical but for ``source`` and ``timings``."""
    curated_anew: int
    """From other bytes of the same video."""
    missing: int
    finished_before: int
    seconds: float
    taken_down: int = 0
    """Listed, but taken down by the publisher or here: they stay out."""


def read_info_of_release(ids: Path) -> tuple[JsonObject, DetectorInfo]:
    """The settings beside ``ids.csv``, and the detector that was used.

    Raises:
        ReleaseError: ``ids.json`` is missing or damaged.
    """
    path = ids.with_name(INFO_NAME)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return told, msgspec.convert(told["detector"], DetectorInfo)
    except FileNotFoundError as error:
        raise ReleaseError(f"{path}: not there; it is released beside {ids.name} and holds the settings") from error
    except (ValueError, KeyError, msgspec.ValidationError) as error:
        raise ReleaseError(f"{path}: not the settings of a release: {error}") from error


def read_names(ids: Path) -> Iterator[Named]:
    """Ids, checksums and sides of a release, without its evidence. Raises ``ReleaseError`` as :func:`read_ids`."""
    return _rows(ids, _named)


def read_ids(ids: Path) -> Iterator[Released]:
    """Raises ``ReleaseError`` naming the line where a row is not what ``dataset export`` writes as ``ids``."""
    return _rows(ids, _released)


def _rows(ids: Path, parse: Callable[[Mapping[str, str]], T]) -> Iterator[T]:
    try:
        with ids.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    parsed = parse(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise ReleaseError(f"{ids}, line {number}: not a row of a release: {error!r}") from error
                yield parsed
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{ids}: {error}") from error


def _named(row: Mapping[str, str]) -> Named:
    said = row.get("human_labels")  # older releases have no such column
    labels = labels_of({"labels": json.loads(row["labels"]), "human_labels": json.loads(said) if said else None})
    known = tuple(labels) if labels or said else None
    verdict = _verdict(row) if row.get("decided") else None
    answers = None if verdict is None or verdict.answered is None else tuple(verdict.answered.items())
    is_accepted = row["status"] == "accepted"
    return Named(row["video_id"], row["platform_id"], row["sha256"], row["split"], is_accepted, known, answers)


def _released(row: Mapping[str, str]) -> Released:
    plain = json.loads(row["evidence"]) | {
        "video_id": row["video_id"],
        "source": {"path": ""},
        "labels": json.loads(row["labels"]),
        "status": row["status"],
        "reasons": [code for code in row["reasons"].split(";") if code],
    }
    return Released(_named(row), msgspec.convert(plain, VideoRecord), bool(_decided(row)))


def _decided(row: Mapping[str, str]) -> str:
    """What says that people decided: a column, or in older releases the reasons."""
    return row.get("decided") or ("human_" in row["reasons"] and row["reasons"]) or ""


def _verdict(row: Mapping[str, str]) -> Verdict | None:
    if not _decided(row):
        return None
    if written := row.get("decided"):
        told = json.loads(written)
        if "answers" not in told and not (told.get("labels") or told.get("no_action")):
            told["labels"] = None  # a release of before answers were kept: it said nothing about actions
        return msgspec.convert(told | {"video_id": row["video_id"], "method": RELEASED}, Verdict)
    record = _released(row).record
    said = Verdict(
        record.video_id,
        "accept" if "human_accepted" in record.reasons else "reject",
        labels=record.labels_seen,
        tags=record.human_tags,
        no_action="human_no_action" in record.reasons,
        judgements=1,
        method=RELEASED,
    )
    segment = record.segment
    if segment is not None and segment.max_clip_s == 0:  # as the program never sets it
        return replace(said, start_s=segment.start_s, end_s=segment.end_s)
    return said


def verdicts_of(ids: Path, dead: Collection[str]) -> Iterator[Verdict]:
    """What people came to on the videos of a release that were not taken down."""
    found = (verdict for verdict in _rows(ids, _verdict) if verdict is not None)
    return (verdict for verdict in found if verdict.video_id not in dead)


def keep_out(dataset: Path, ids: Path, media: MediaIndex) -> set[str]:
    """Take over the publisher's take-downs (``removed.csv`` beside ``ids.csv``), sealed as they are, and in plain those of
    what is at hand, with the bytes of its files; gives the names of all that was taken down, whoever did it."""
    published = read_takedowns(ids.parent)
    dead = Dead([*published.values(), *read_takedowns(dataset).values()])
    listed = (name for row in read_names(ids) for name in row.names)
    known = dead.among(itertools.chain(listed, media.names())) if dead.plain or dead.sealed else set()
    files = (media.named(name) for name in known)
    # Under its bytes too: a curation of this folder knows a file without a list or a sidecar by nothing else.
    contents = {sha256_file(path) for path in files if path is not None}
    contents |= {name for name in known if len(name) == 64}
    if published:
        of_day = utc_now()[:10]
        here = [Takedown(name, of_day, WITHHELD) for name in known if len(name) < 64]
        by_bytes = [Takedown(sha256[:16], of_day, WITHHELD, sha256) for sha256 in sorted(contents)]
        add_takedowns(dataset, [*here, *by_bytes, *published.values()])
    return {*read_takedowns(dataset), *known, *contents}


def take_over_verdicts(dataset: Path, verdicts: Iterable[Verdict]) -> None:
    """Put what a release says people came to into ``reviews.sqlite``, where nothing is in force yet."""
    known = applied_verdicts(dataset)
    coming = iter(verdicts)
    while some := list(itertools.islice(coming, VERDICTS_TOGETHER)):
        new = {verdict.video_id: verdict for verdict in some if verdict.video_id not in known}
        if new:
            store = Store(dataset)
            try:
                write_verdicts(store, new, ())
            finally:
                store.close()


def hydrate_all(
    found: Iterable[Found], dataset: Path, options: CurateOptions, detector: str
) -> Iterator[tuple[Found, str]]:
    """Make the records and clips in worker processes; for each video ``rebuilt``, ``anew``, ``finished`` (both
    perhaps with :data:`TO_SETTLE`: its evidence alone gives another verdict) or, after ``failed:``, what hindered it."""
    work = functools.partial(hydrate_one, dataset=dataset, options=options, detector=detector)
    for outcome in run_jobs(found, work, options.worker_count, options.timeout_s):
        yield outcome.job, outcome.result or f"failed: {outcome.failure}: {outcome.detail}"


def hydrate_one(found: Found, dataset: Path, options: CurateOptions, detector: str) -> str:
    """In a worker: one record with its clip and thumbnails; the record is written last."""
    with keeping(dataset):
        return _hydrate(found, dataset, options, detector)


def _hydrate(found: Found, dataset: Path, options: CurateOptions, detector: str) -> str:
    released, path = found.released.record, found.path
    stat = Path(path).stat()
    target = record_path(dataset, released.video_id)
    if target.is_file():
        known = read_record(target)
        if known.source.fingerprints.get(path) == (stat.st_size, stat.st_mtime_ns) and known.source.path == path:
            return "finished" + _unsettled(known, found.released)
    sha256 = sha256_file(path)
    source = Source(
        path=path,
        fingerprints={path: (stat.st_size, stat.st_mtime_ns)},
        labels={path: released.labels},
        sha256=sha256,
        size_bytes=stat.st_size,
        id=found.released.named.platform_id or None,
        released_labels=released.labels,
    )
    if sha256 != found.released.named.sha256:
        try:
            seen_by, options, _ = with_transnet(_detector(detector), options)
        except DetectorError as error:
            return f"failed: other bytes than those released, so people must be looked for again, but: {error}"
        fresh = curate_video(path, options, seen_by, dataset, released.video_id, source).with_source(source)
        fresh = _as_released(fresh, released, options, dataset)
        write_record(dataset, fresh)
        return "anew" + _unsettled(fresh, found.released)
    record = replace(released, source=source)
    if record.clip is not None:
        try:
            cut = make_clip(path, for_cutting(record), options, dataset, frames_in_segment(record), {})
        except VideoError as error:
            return f"failed: {error}"
        if cut.frames != record.clip.frames:
            delete(dataset / cut.path)
            return f"failed: its clip has {cut.frames} frames here, {record.clip.frames} were released"
        # Another version of the encoder may write other bytes for the same frames: the record says what lies here.
        record = replace(record, clip=cut)
    write_record(dataset, write_thumbnails_again(path, record, options, dataset))
    return "rebuilt"


def _unsettled(record: VideoRecord, released: Released) -> str:
    same_bytes = record.source.sha256 == released.named.sha256
    differs = released.is_decided or record.status != released.record.status
    return TO_SETTLE if differs and not same_bytes else ""


def _as_released(fresh: VideoRecord, released: VideoRecord, options: CurateOptions, dataset: Path) -> VideoRecord:
    """Another download, as near to the release as its evidence allows: a duplicate of the same video, and with the clip of
    the released seconds. Statuses that still differ, and what people decided, are settled afterwards."""
    twin = duplicate_of(released)
    if twin is not None:
        fresh = decide(fresh, options, twin)
    elif fresh.clip is not None and released.segment is not None and released.segment != fresh.segment:
        assert fresh.probe is not None
        wanted = replace(fresh, clip=None, segment=released.segment)
        if released.segment.end_s <= fresh.scenes[-1].end_s + 1 / fresh.probe.fps:
            with contextlib.suppress(VideoError):  # then it keeps the seconds of its own evidence
                cut = make_clip(fresh.source.path, for_cutting(wanted), options, dataset, frames_in_segment(wanted), {})
                return replace(wanted, clip=cut)
    return fresh


def released_verdict(record: VideoRecord) -> Verdict | None:
    """The verdict of a release on a video that no person decided about; None for one that waits for a review."""
    if record.status == "needs_review":
        return None
    verdict = Verdict(record.video_id, "accept" if record.status == "accepted" else "reject", method=RELEASED)
    segment = record.segment
    return verdict if segment is None else replace(verdict, start_s=segment.start_s, end_s=segment.end_s)


@functools.cache
def _detector(name: str) -> ResolvedDetector:
    return resolve_detector(name)


def write_sides(dataset: Path, sides: Mapping[str, Assignment]) -> None:
    """The sides that the release gave, also of videos that are missing here: they must not come back on another side."""
    if sides:
        write_assignments(dataset, sides)


def write_missing(dataset: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """``missing.csv``: ``video_id``, ``status`` as released, ``why``."""
    write_csv(dataset / MISSING, [("video_id", "status", "why"), *sorted(rows)])


def info_of(told: Mapping[str, Any], dataset: Path, now: str, detector: DetectorInfo, versions: Any) -> DatasetInfo:
    """``dataset.json`` of the hydrated dataset: the released settings under the folder's own name."""
    return DatasetInfo(dataset.resolve().name, 0, now, now, False, dict(told["options"]), detector, dict(versions))
