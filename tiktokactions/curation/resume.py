"""What is done and what is left to do: the records are the checkpoint, and the jobs follow from it."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tiktokactions import files
from tiktokactions.curation.listed import ListedVideo, described, printable_path, with_description
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.takedowns import Dead, read_takedowns
from tiktokactions.files import Place, sha256_file
from tiktokactions.files.places import fetched_copy
from tiktokactions.machine import scratch_folder
from tiktokactions.records import Source, VideoRecord, decode_record

Fingerprint = tuple[int, int | str]
"""Size in bytes, and the modification time in ns, or the ETag on an object store."""


class Fetched(NamedTuple):
    """What reading a file once told."""

    sha256: str
    copy: Any = None
    """Of an object: the path of its copy on this machine, or whatever the engine gives its workers for it. None: whoever
    decodes it reads it himself."""


Read = Callable[[], Fetched]
Fetch = Callable[[str], Read]
"""Starts reading an object somewhere; what it gives waits for the end."""
FETCHED_BYTES = 8 << 30
"""Copies of objects that wait on this machine for their turn; beyond, an object is read twice."""
HASHED_AHEAD = 16
"""How many videos are listed ahead of their turn: objects are read then, so that waiting for the store does not add up."""

ABSENT = frozenset({"vanished", "unreadable"})
"""Failures of the disk, not of the video: a file that can be hashed now is back, and is curated."""
RETRIED = frozenset({"timeout", "worker_crashed"})
"""Failures that may be due to the run rather than the file; ``retry_failed`` tries them again."""


class _File(NamedTuple):
    video_id: str
    fingerprint: Fingerprint
    said: int
    """A hash of the labels and the description that came with this path."""


class _Known(NamedTuple):
    sha256: str
    evidence_fingerprint: str
    failure: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One video to curate, with everything that a worker needs to know about it."""

    path: str
    video_id: str
    source: Source
    failure: tuple[str, str] | None = None
    """Reason and detail if the parent process has already found the file unusable."""
    copy: Any = None
    """See :class:`Fetched`."""
    is_known: bool = False
    """Whether there is a record of it already, whose evidence is out of date."""


@dataclass
class Checkpoint:
    """The state of a dataset before a run, and what the run finds out on the way."""

    files: dict[str, _File] = field(default_factory=dict)
    others: defaultdict[str, list[_File]] = field(default_factory=lambda: defaultdict(list))
    """Paths that two records claim, because a run ended before the older one had let go; those beside ``files``."""
    known: dict[str, _Known] = field(default_factory=dict)
    by_content: dict[str, str] = field(default_factory=dict)
    """SHA-256 of a file's bytes -> video id."""
    scheduled: set[str] = field(default_factory=set)
    updates: defaultdict[str, list[Source]] = field(default_factory=lambda: defaultdict(list))
    """Video id -> further paths and changed labels to join into its record, each as a source with one path."""
    left: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Video id -> paths that now hold something else."""
    dead: Dead = field(default_factory=Dead)
    """What was taken down and must stay out."""
    refused: set[str] = field(default_factory=set)
    """Listed paths of such videos, which are skipped without even a row."""
    finished: int = 0
    """Listed files that earlier runs finished."""
    identical: int = 0
    """Listed files that are new but byte-identical to a known video."""


def read_checkpoint(dataset: Place) -> Checkpoint:
    """Read every record once and keep what resuming needs (about 300 bytes a video).

    Raises:
        UsageError: a record that cannot be parsed, with its path.
    """
    checkpoint = Checkpoint(dead=Dead(read_takedowns(dataset).values()))
    for path, data in files.record_files(dataset):
        record = decode_record(data, where=str(path))
        source = record.source
        checkpoint.known[record.video_id] = _Known(source.sha256, record.evidence_fingerprint, record.failure)
        if source.sha256:
            checkpoint.by_content[source.sha256] = record.video_id
        for name in (source.path, *source.copies):
            said = _said(source.labels.get(name, ()), source if name == source.path else None)
            if name in checkpoint.files:
                checkpoint.others[name].append(checkpoint.files[name])
            checkpoint.files[name] = _File(record.video_id, source.fingerprints.get(name, (-1, -1)), said)
    return checkpoint


def _said(labels: tuple[str, ...], about: Source | None = None) -> int:
    """A record keeps only the description of its first path; of copies only the labels count."""
    return hash((labels, msgspec.json.encode(described(about)) if about is not None else b""))


def jobs_left(
    listed: Iterable[ListedVideo],
    checkpoint: Checkpoint,
    dataset: Place,
    options: CurateOptions,
    evidence_fingerprint: str,
    fetch: Fetch | None = None,
) -> Iterator[Job]:
    """The videos without a finished record, in the order given. Here each file is hashed, once in its life.

    Byte-identical files are one video: the first becomes a job, the others go to ``checkpoint.updates``. Objects of a store
    are read a few at a time, in threads or wherever ``fetch`` does it, and their copies go with the jobs.
    """
    run = _Run(checkpoint, dataset, evidence_fingerprint, ABSENT | RETRIED if options.retry_failed else ABSENT)
    seen: set[str] = set()
    with ThreadPoolExecutor(HASHED_AHEAD // 2) as threads:
        for video, read in _hash_ahead(
            listed, checkpoint, fetch or (lambda path: threads.submit(fetch_here, path).result)
        ):
            name = printable_path(video.path)
            seen.add(name)
            video_id = files.safe_video_id(video.about.id) if video.about.id else ""
            # What has a record was compared with sealed ids when it came, or when they did.
            if video_id in (checkpoint.dead.plain if video_id in checkpoint.known else checkpoint.dead):
                checkpoint.refused.add(name)
                continue
            try:
                job = run.job_of(video, name, read)
            except FileNotFoundError:
                job = _unusable(video, name, "vanished", "the file is no longer there", checkpoint)
            except OSError as error:
                job = _unusable(video, name, "unreadable", error.strerror or str(error), checkpoint)
            if name in checkpoint.refused:
                continue
            if job is not None:
                checkpoint.scheduled.add(job.video_id)
                yield job
            elif name in checkpoint.files:
                checkpoint.finished += 1
            else:
                checkpoint.identical += 1
    _let_go(checkpoint, seen)


def _let_go(checkpoint: Checkpoint, seen: Collection[str]) -> None:
    """Paths that are gone leave their records: of a file that was moved and found again, and of one that never was there."""
    vanished = {i for i, known in checkpoint.known.items() if known.failure == "vanished"}
    if not checkpoint.updates and not vanished:
        return
    for name, file in checkpoint.files.items():
        found_again = [update.path for update in checkpoint.updates.get(file.video_id, ())]
        if name not in seen and (
            (found_again and _is_gone(name, found_again)) or (file.video_id in vanished and not _is_there(name))
        ):
            checkpoint.left[file.video_id].add(name)


def _is_gone(name: str, found_again: Iterable[str]) -> bool:
    """Whether a file was taken away: not where a whole disk is absent, so that nobody can tell."""
    folder = name.rpartition("/")[0]
    above = folder.rpartition("/")[0]
    can_tell = files.is_address(name) or os.path.isdir(folder) or any(p.startswith(f"{above}/") for p in found_again)
    return can_tell and "\\x" not in name and not _is_there(name)


def _is_there(name: str) -> bool:
    try:
        files.fingerprint(name)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # it may not be looked at
    return True


def _hash_ahead(
    listed: Iterable[ListedVideo], checkpoint: Checkpoint, fetch: Fetch
) -> Iterator[tuple[ListedVideo, Read]]:
    """Every video with a function that reads it. A local file is read when it is called, an object before that."""
    waiting: deque[tuple[ListedVideo, Read]] = deque()
    for video in listed:
        read: Read = functools.partial(_hashed, video.path)
        if files.is_address(video.path):
            before = checkpoint.files.get(printable_path(video.path))
            if before is None or video.fingerprint is None or before.fingerprint != video.fingerprint:
                read = fetch(video.path)
        waiting.append((video, read))
        if len(waiting) == HASHED_AHEAD:
            yield waiting.popleft()
    yield from waiting


def _hashed(path: str) -> Fetched:
    return Fetched(sha256_file(path))


def fetch_here(path: str) -> Fetched:
    """Read an object; its copy stays on this machine until :func:`discard`, unless too many bytes wait there already."""
    folder = scratch_folder() / "fetched"
    folder.mkdir(exist_ok=True)
    if sum(entry.stat().st_size for entry in os.scandir(folder)) > FETCHED_BYTES:
        return _hashed(path)
    copy = fetched_copy(path, folder)
    return Fetched(sha256_file(copy), str(copy))


def discard(copy: object) -> None:
    """Remove a copy that nobody needs any more."""
    if isinstance(copy, str):
        Path(copy).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Run:
    """What decides whether a file is done."""

    checkpoint: Checkpoint
    dataset: Place
    evidence_fingerprint: str
    retried: Collection[str]
    """Failures that are tried again."""

    def job_of(self, video: ListedVideo, name: str, read: Read) -> Job | None:
        """None if the file is done, scheduled or taken down; what it adds to a known video is noted in the checkpoint."""
        checkpoint, before = self.checkpoint, self.checkpoint.files.get(name)
        now = video.fingerprint or files.fingerprint(video.path)
        if name in checkpoint.others:
            before = self._rightful(name, now)
        if before is not None and before.fingerprint == now:
            if before.said not in (_said(video.labels, video.about), _said(video.labels)):
                source = _source_of(video, name, now, checkpoint.known[before.video_id].sha256)
                checkpoint.updates[before.video_id].append(source)
            return self._again(video, before.video_id)
        fetched = read()
        job = self._job_of_contents(video, name, now, fetched.sha256)
        if job is None:
            discard(fetched.copy)
            return None
        return replace(job, copy=fetched.copy)

    def _rightful(self, name: str, now: Fingerprint) -> _File:
        """Of the records that claim a path the one that knows its present contents; the others let go of it."""
        claims = [self.checkpoint.files[name], *self.checkpoint.others.pop(name)]
        rightful = next((claim for claim in claims if claim.fingerprint == now), claims[0])
        for claim in claims:
            if claim is not rightful:
                self.checkpoint.left[claim.video_id].add(name)
        self.checkpoint.files[name] = rightful
        return rightful

    def _job_of_contents(self, video: ListedVideo, name: str, now: Fingerprint, sha256: str) -> Job | None:
        checkpoint, before = self.checkpoint, self.checkpoint.files.get(name)
        if sha256 in checkpoint.dead or (not video.about.id and sha256[:16] in checkpoint.dead):
            checkpoint.refused.add(name)
            return None
        source = _source_of(video, name, now, sha256)
        twin = checkpoint.by_content.get(sha256)
        if before is not None and before.video_id != twin:
            checkpoint.left[before.video_id].add(name)
        if twin is not None:
            checkpoint.updates[twin].append(source)
            return self._again(video, twin)
        video_id = files.safe_video_id(source.id) if source.id else sha256[:16]
        if video_id in checkpoint.known or video_id in checkpoint.scheduled:
            video_id = f"{video_id}-{sha256[:8]}"  # two files claim one id, and neither may overwrite the other
        checkpoint.by_content[sha256] = video_id
        return Job(video.path, video_id, source)

    def _again(self, video: ListedVideo, video_id: str) -> Job | None:
        """A job for a known video if its evidence is out of date; what is known of other paths is kept."""
        if video_id in self.checkpoint.scheduled:
            return None
        known = self.checkpoint.known[video_id]
        if known.evidence_fingerprint == self.evidence_fingerprint and known.failure not in self.retried:
            return None
        return Job(video.path, video_id, files.record_of(self.dataset, video_id).source, is_known=True)


def _unusable(video: ListedVideo, name: str, reason: str, detail: str, checkpoint: Checkpoint) -> Job | None:
    """A job for a file that cannot be opened: without contents to know it by, its row is named after its path."""
    video_id = "path-" + hashlib.sha256(name.encode()).hexdigest()[:16]
    before = checkpoint.files.get(name)
    if before is not None and (before.video_id != video_id or checkpoint.known[video_id].failure == reason):
        return None  # it was curated while it could be read, or is reported already
    return Job(video.path, video_id, _source_of(video, name, (0, 0), ""), (reason, detail))


def _source_of(video: ListedVideo, name: str, now: Fingerprint, sha256: str) -> Source:
    source = Source(
        path=name,
        fingerprints={name: now} if sha256 else {},
        labels={name: video.labels},
        sha256=sha256,
        size_bytes=now[0],
    )
    return with_description(source, video.about)


def join_updates(record: VideoRecord, updates: Iterable[Source], left: Iterable[str] = ()) -> VideoRecord | None:
    """A record with further paths and changed labels, and without the paths that now hold another video.

    None if no path is left: the file was replaced, and its new contents have their own record.
    """
    source = record.source
    fingerprints, labels = dict(source.fingerprints), dict(source.labels)
    gone = set(left)
    paths = [path for path in (source.path, *source.copies) if path not in gone]
    for update in updates:
        if update.path == source.path or (not paths and update.path not in gone):
            source = with_description(source, update)
        if update.path not in paths and update.path not in gone:
            paths.append(update.path)
        fingerprints |= update.fingerprints
        labels |= update.labels
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
