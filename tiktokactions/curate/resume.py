"""What is done and what is left to do: the records folder read as a checkpoint, and the jobs that follow from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from tiktokactions.curate.options import CurateOptions
from tiktokactions.curate.removed import read_removed
from tiktokactions.curate.sources import ListedVideo, described, printable_path, with_description
from tiktokactions.files import read_record, record_path, record_paths, safe_video_id, sha256_file
from tiktokactions.records import Source, VideoRecord

RETRIED = {"timeout", "worker_crashed"}
"""Failures that say something about the run rather than about the file; ``--retry-failed`` tries them again."""


class _File(NamedTuple):
    video_id: str
    size_bytes: int
    mtime_ns: int
    said: int
    """Hash of the labels and the description that this path brought."""


class _Known(NamedTuple):
    sha256: str
    evidence_fingerprint: str
    failure: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One video to curate, everything a worker needs to know of it."""

    path: str
    video_id: str
    source: Source
    failure: tuple[str, str] | None = None
    """Reason and detail where the parent process already found the file unusable."""


@dataclass
class Plan:
    """The state of a dataset folder before a run, and what the run finds out on the way."""

    files: dict[str, _File] = field(default_factory=dict)
    known: dict[str, _Known] = field(default_factory=dict)
    by_content: dict[str, str] = field(default_factory=dict)
    """SHA-256 of a file's bytes -> video id."""
    scheduled: set[str] = field(default_factory=set)
    updates: dict[str, list[Source]] = field(default_factory=dict)
    """Video id -> further paths and changed labels to be joined into its record; each a source with one path."""
    left: dict[str, set[str]] = field(default_factory=dict)
    """Video id -> paths that no longer hold this video (another content lies there now)."""
    dead: frozenset[str] = frozenset()
    """Ids and contents (SHA-256) that were removed and must not come back."""
    refused: set[str] = field(default_factory=set)
    """Listed paths that hold such a video; nothing is made of them, not even a row."""
    finished: int = 0
    """Listed files that earlier runs were done with."""
    identical: int = 0
    """Listed files that are new but hold the bytes of a video already known."""


def read_plan(dataset: Path) -> Plan:
    """Read every record once and remember of it what resuming needs (about 300 bytes a video).

    Raises:
        ValueError: a record that cannot be parsed, with its path.
    """
    stones = read_removed(dataset)
    plan = Plan(dead=frozenset(stones) | {stone.sha256 for stone in stones.values() if stone.sha256})
    for path in record_paths(dataset):
        record = read_record(path)
        source = record.source
        plan.known[record.video_id] = _Known(source.sha256, record.evidence_fingerprint, record.failure)
        if source.sha256:
            plan.by_content[source.sha256] = record.video_id
        for name in (source.path, *source.copies):
            size_bytes, mtime_ns = source.fingerprints.get(name, (-1, -1))
            said = (
                _said(source.labels.get(name, ()), source)
                if name == source.path
                else _said(source.labels.get(name, ()))
            )
            plan.files[name] = _File(record.video_id, size_bytes, mtime_ns, said)
    return plan


def _said(labels: tuple[str, ...], about: Source | None = None) -> int:
    """Only the first path's description is kept in a record; of copies the labels count."""
    return hash((labels, msgspec.json.encode(described(about)) if about is not None else b""))


def jobs_left(
    listed: Iterable[ListedVideo], plan: Plan, dataset: Path, options: CurateOptions, evidence_fingerprint: str
) -> Iterator[Job]:
    """The videos that have no finished record, in the order given. Contents are hashed here, once in a file's life.

    Byte-identical files are one video: the first becomes a job, the others go to ``plan.updates``.
    """
    for video in listed:
        name = printable_path(video.path)
        if plan.dead and video.about.id and safe_video_id(video.about.id) in plan.dead:
            plan.refused.add(name)
            continue
        try:
            stat = os.stat(video.path)
            before = plan.files.get(name)
            if before is not None and (before.size_bytes, before.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                job = _known_file(video, name, before, plan, dataset, options, evidence_fingerprint)
            else:
                job = _new_file(video, name, before, stat, plan, dataset, evidence_fingerprint)
        except FileNotFoundError:
            job = _unusable(video, name, "vanished", "the file is no longer there", plan)
        except OSError as error:
            job = _unusable(video, name, "unreadable", error.strerror or str(error), plan)
        if name in plan.refused:
            continue
        if job is None and name in plan.files:
            plan.finished += 1
        elif job is None:
            plan.identical += 1
        else:
            plan.scheduled.add(job.video_id)
            yield job


def _known_file(
    video: ListedVideo,
    name: str,
    before: _File,
    plan: Plan,
    dataset: Path,
    options: CurateOptions,
    evidence_fingerprint: str,
) -> Job | None:
    known = plan.known[before.video_id]
    one_path = _source_of(video, name, before.size_bytes, before.mtime_ns, known.sha256)
    if _said(video.labels, video.about) != before.said and _said(video.labels) != before.said:
        plan.updates.setdefault(before.video_id, []).append(one_path)
    retry = options.retry_failed and known.failure in RETRIED
    if before.video_id in plan.scheduled or (known.evidence_fingerprint == evidence_fingerprint and not retry):
        return None
    # The evidence is out of date: decode again, keeping what is known of other paths.
    old = read_record(record_path(dataset, before.video_id)).source
    return Job(video.path, before.video_id, old)


def _new_file(
    video: ListedVideo,
    name: str,
    before: _File | None,
    stat: os.stat_result,
    plan: Plan,
    dataset: Path,
    evidence_fingerprint: str,
) -> Job | None:
    sha256 = sha256_file(video.path)
    if sha256 in plan.dead or (not video.about.id and sha256[:16] in plan.dead):
        plan.refused.add(name)
        return None
    source = _source_of(video, name, stat.st_size, stat.st_mtime_ns, sha256)
    twin = plan.by_content.get(sha256)
    if before is not None and before.video_id != twin:
        plan.left.setdefault(before.video_id, set()).add(name)
    if twin is not None:
        plan.updates.setdefault(twin, []).append(source)
        known = plan.known.get(twin)
        if twin in plan.scheduled or known is None or known.evidence_fingerprint == evidence_fingerprint:
            return None
        return Job(video.path, twin, read_record(record_path(dataset, twin)).source)
    video_id = safe_video_id(source.id) if source.id else sha256[:16]
    if video_id in plan.known or video_id in plan.scheduled:
        video_id = f"{video_id}-{sha256[:8]}"  # two different files claim one id: neither may overwrite the other
    plan.by_content[sha256] = video_id
    return Job(video.path, video_id, source)


def _unusable(video: ListedVideo, name: str, reason: str, detail: str, plan: Plan) -> Job | None:
    """A file that cannot be opened has no content to be known by: its row is named after its path."""
    video_id = "path-" + hashlib.sha256(name.encode()).hexdigest()[:16]
    before = plan.files.get(name)
    if before is not None and (before.video_id != video_id or plan.known[video_id].failure == reason):
        return None  # curated when it could be read, or already reported
    return Job(video.path, video_id, _source_of(video, name, 0, 0, ""), (reason, detail))


def _source_of(video: ListedVideo, name: str, size_bytes: int, mtime_ns: int, sha256: str) -> Source:
    source = Source(
        path=name,
        fingerprints={name: (size_bytes, mtime_ns)} if sha256 else {},
        labels={name: video.labels},
        sha256=sha256,
        size_bytes=size_bytes,
    )
    return with_description(source, video.about)


def join_updates(record: VideoRecord, updates: Iterable[Source], left: Iterable[str] = ()) -> VideoRecord | None:
    """A record with further paths and changed labels joined in, and paths taken out that hold another video now.

    Returns None where no path is left: the file was replaced, and its new content has a record of its own.
    """
    source = record.source
    fingerprints, labels = dict(source.fingerprints), dict(source.labels)
    paths = [source.path, *source.copies]
    for update in updates:
        if update.path == source.path:
            source = with_description(source, update)
        elif update.path not in paths:
            paths.append(update.path)
        fingerprints |= update.fingerprints
        labels |= update.labels
    gone = set(left)
    paths = [path for path in paths if path not in gone]
    if not paths:
        return None
    source = replace(
        source,
        path=paths[0],
        copies=tuple(paths[1:]),
        fingerprints={path: fingerprints[path] for path in paths if path in fingerprints},
        labels={path: labels.get(path, ()) for path in paths},
    )
    return record.with_source(source)
