"""``dataset hydrate``: a dataset made again from its released ids, where the videos can still be had.

A file with the very bytes that were curated gets the released record back, and its clip is cut from it. A file with other
bytes (another download of the same video) is curated anew under the same settings, because frame numbers may have moved.
"""

from __future__ import annotations

import csv
import functools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.one_video import curate_video, frames_in_segment, make_clip, write_thumbnails_again
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector, resolve_detector
from tiktokactions.curation.weights import DetectorError
from tiktokactions.dataset.assignments import Assignment, write_assignments
from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.errors import UsageError
from tiktokactions.files import delete, read_record, record_path, sha256_file, write_csv, write_record
from tiktokactions.records import DetectorInfo, JsonObject, Source, VideoRecord
from tiktokactions.release.formats.ids import INFO_NAME
from tiktokactions.video import VideoError

MISSING = "missing.csv"
csv.field_size_limit(sys.maxsize)  # a record with many scenes is longer than the usual 128 kB


class ReleaseError(UsageError):
    """A released list that cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Released:
    """One row of ``ids.csv``."""

    record: VideoRecord
    """As released: without ``source`` and ``timings``."""
    platform_id: str
    sha256: str
    side: str


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


def read_ids(ids: Path) -> Iterator[Released]:
    """Raises ``ReleaseError`` naming the line where a row is not what ``dataset export`` writes as ``ids``."""
    try:
        with ids.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    yield _released(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise ReleaseError(f"{ids}, line {number}: not a row of a release: {error!r}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{ids}: {error}") from error


def _released(row: Mapping[str, str]) -> Released:
    plain = json.loads(row["evidence"]) | {
        "video_id": row["video_id"],
        "source": {"path": ""},
        "labels": json.loads(row["labels"]),
        "status": row["status"],
        "reasons": [code for code in row["reasons"].split(";") if code],
    }
    return Released(msgspec.convert(plain, VideoRecord), row["platform_id"], row["sha256"], row["split"])


def find_media(released: list[Released], folder: Path) -> tuple[list[Found], list[Released]]:
    """For each video its file: one that is named by its id, else one with its bytes. Files are hashed only where a video
    was not found by name."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    by_name = {file.stem: str(file) for file in reversed(files)}  # of one name the first
    found = [Found(r, path) for r in released if (path := _named(r, by_name)) is not None]
    named = {item.released.record.video_id for item in found}
    left = [r for r in released if r.record.video_id not in named]
    if left:
        taken = {item.path for item in found}
        by_bytes = {sha256_file(file): str(file) for file in files if str(file) not in taken}
        found += [Found(r, by_bytes[r.sha256]) for r in left if r.sha256 in by_bytes]
        left = [r for r in left if r.sha256 not in by_bytes]
    return found, left


def _named(released: Released, by_name: Mapping[str, str]) -> str | None:
    names = (released.platform_id, released.record.video_id)
    return next((by_name[name] for name in names if name and name in by_name), None)


def hydrate_all(
    found: list[Found], dataset: Path, options: CurateOptions, detector: str
) -> Iterator[tuple[Found, str]]:
    """Make the records and clips in worker processes; for each video ``rebuilt``, ``anew``, ``finished`` or, after
    ``failed:``, what hindered it."""
    work = functools.partial(hydrate_one, dataset=dataset, options=options, detector=detector)
    for outcome in run_jobs(found, work, options.worker_count, options.timeout_s):
        yield outcome.job, outcome.result or f"failed: {outcome.failure}: {outcome.detail}"


def hydrate_one(found: Found, dataset: Path, options: CurateOptions, detector: str) -> str:
    """In a worker: one record with its clip and thumbnails; the record is written last."""
    released, path = found.released.record, found.path
    stat = Path(path).stat()
    target = record_path(dataset, released.video_id)
    if target.is_file():
        known = read_record(target).source
        if known.fingerprints.get(known.path) == (stat.st_size, stat.st_mtime_ns) and known.path == path:
            return "finished"
    sha256 = sha256_file(path)
    source = Source(
        path=path,
        fingerprints={path: (stat.st_size, stat.st_mtime_ns)},
        labels={path: released.labels},
        sha256=sha256,
        size_bytes=stat.st_size,
        id=found.released.platform_id or None,
    )
    if sha256 != found.released.sha256:
        try:
            seen_by = _detector(detector)
        except DetectorError as error:
            return f"failed: other bytes than those released, so people must be looked for again, but: {error}"
        write_record(dataset, curate_video(path, options, seen_by, dataset, released.video_id, source))
        return "anew"
    record = replace(released, source=source)
    if record.clip is not None:
        try:
            cut = make_clip(path, record, options, dataset, frames_in_segment(record), {})
        except VideoError as error:
            return f"failed: {error}"
        if cut.frames != record.clip.frames:
            delete(dataset / cut.path)
            return f"failed: its clip has {cut.frames} frames here, {record.clip.frames} were released"
        # Another version of the encoder may write other bytes for the same frames: the record says what lies here.
        record = replace(record, clip=cut)
    write_record(dataset, write_thumbnails_again(path, record, options, dataset))
    return "rebuilt"


@functools.cache
def _detector(name: str) -> ResolvedDetector:
    return resolve_detector(name)


def write_sides(dataset: Path, released: list[Released]) -> None:
    """The sides that the release gave, also of videos that are missing here: they must not come back on another side."""
    sides = {r.record.video_id: Assignment(r.side) for r in released if r.side}
    if sides:
        write_assignments(dataset, sides)


def write_missing(dataset: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """``missing.csv``: ``video_id``, ``status`` as released, ``why``."""
    write_csv(dataset / MISSING, [("video_id", "status", "why"), *sorted(rows)])


def info_of(told: Mapping[str, Any], dataset: Path, now: str, detector: DetectorInfo, versions: Any) -> DatasetInfo:
    """``dataset.json`` of the hydrated dataset: the released settings under the folder's own name."""
    return DatasetInfo(dataset.resolve().name, 0, now, now, False, dict(told["options"]), detector, dict(versions))
