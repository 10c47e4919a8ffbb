"""Files: where everything lies in a dataset folder, atomic writes, checksums, and the lock that keeps two runs apart.

A dataset folder is a local one or a prefix on an object store: :func:`located` gives what answers to the same methods.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import filelock

from tiktokactions.errors import TiktokactionsError
from tiktokactions.files import changes
from tiktokactions.files.changes import delete
from tiktokactions.files.lease import LeaseHeldError, held_lease
from tiktokactions.files.objects import (
    ObjectPath,
    StoreError,
    is_address,
    local_file,
    move,
    read_together,
    readable,
    scratch_folder,
    upload,
)
from tiktokactions.records import VideoRecord, decode_record, encode_record

__all__ = [
    "DatasetBusyError",
    "ObjectPath",
    "StoreError",
    "delete",
    "is_address",
    "local_file",
    "readable",
]

_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_UNSAFE_IN_FOLDER = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")
NO_LABEL_FOLDER = "_none"


class DatasetBusyError(TiktokactionsError, RuntimeError):
    """Another run is writing to the same dataset folder."""


# --- local or not --------------------------------------------------------------------------------------------------


def located(folder: str | os.PathLike[str]) -> Path:
    """A local path, or an :class:`ObjectPath`, which answers to the methods that datasets need, typed as what it stands for.

    Raises:
        ValueError: an address without a bucket.
    """
    text = os.fspath(folder) if not isinstance(folder, ObjectPath) else folder.url
    if text.lower().startswith("file://"):
        return Path(text[len("file://") :])
    return cast(Path, ObjectPath(text)) if is_address(text) else Path(text)


# --- layout of a dataset folder ------------------------------------------------------------------------------------


def shard(video_id: str) -> str:
    """First two hex digits of the SHA-256 of the id: 256 folders of about equal size whatever the ids look like."""
    return hashlib.sha256(video_id.encode()).hexdigest()[:2]


def record_path(dataset: Path, video_id: str) -> Path:
    return dataset / "records" / shard(video_id) / f"{video_id}.json"


def clip_relative_path(labels: tuple[str, ...], video_id: str) -> str:
    """``clips/<first label or _none>/<video_id>.mp4``, relative to the dataset folder, forward slashes."""
    return f"clips/{label_folder(labels[0]) if labels else NO_LABEL_FOLDER}/{video_id}.mp4"


def poster_path(dataset: Path, video_id: str) -> Path:
    return dataset / "thumbs" / f"{video_id}.jpg"


def strip_path(dataset: Path, video_id: str) -> Path:
    """The sampled frames side by side."""
    return dataset / "thumbs" / f"{video_id}.strip.jpg"


def label_folder(label: str) -> str:
    """A folder name for a label that can never lead outside its parent: no separators, no ``..``, at most 100 bytes."""
    name = _UNSAFE_IN_FOLDER.sub("_", label).strip(" .")
    while len(name.encode()) > 100:
        name = name[:-1]
    return name or NO_LABEL_FOLDER


def safe_video_id(source_id: str) -> str:
    """The platform's id if it can name a file anywhere, else ``id-`` and 16 hex digits of its SHA-256."""
    if _SAFE_ID.fullmatch(source_id) and not source_id.endswith("."):
        return source_id
    return "id-" + hashlib.sha256(source_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


# --- records -------------------------------------------------------------------------------------------------------


def read_record(path: Path) -> VideoRecord:
    """Raises ``ValueError`` naming the file where it is not a valid record, ``FileNotFoundError`` where it is absent."""
    return decode_record(path.read_bytes(), where=str(path))


def write_record(dataset: Path, record: VideoRecord) -> Path:
    path = record_path(dataset, record.video_id)
    write_atomic(path, encode_record(record), staging=staging_folder(dataset))
    return path


def record_paths(dataset: Path) -> Iterator[Path]:
    """Every record file, by shard, then by id: the same order on every machine, one directory listing per shard."""
    root = dataset / "records"
    if isinstance(root, ObjectPath):
        for prefix in root.entries()[1]:
            yield from (
                cast(Path, ObjectPath(e.url)) for e in ObjectPath(prefix).entries()[0] if e.url.endswith(".json")
            )
        return
    if not root.is_dir():
        return
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        yield from sorted(p for p in folder.iterdir() if p.suffix == ".json")


def record_files(dataset: Path) -> Iterator[tuple[Path, bytes]]:
    """Every record file with its bytes, in the order of :func:`record_paths`; of a store many are fetched at once."""
    if isinstance(dataset, ObjectPath):
        yield from cast(
            "Iterator[tuple[Path, bytes]]", read_together(cast("Iterator[ObjectPath]", record_paths(dataset)))
        )
        return
    for path in record_paths(dataset):
        yield path, path.read_bytes()


def all_records(dataset: Path) -> Iterator[VideoRecord]:
    """Every record, streamed, in the order of their files."""
    for path, data in record_files(dataset):
        yield decode_record(data, where=str(path))


def what_is_there(folder: Path) -> Callable[[str], bool]:
    """Tells of paths below ``folder`` whether they are files: asked of the disk; a store's folders are listed once each."""
    if not isinstance(folder, ObjectPath):
        return lambda relative: (folder / relative).is_file()
    listed: dict[str, set[str]] = {}

    def is_there(relative: str) -> bool:
        parent, _, name = relative.rpartition("/")
        if parent not in listed:
            listed[parent] = {entry.url.rsplit("/", 1)[1] for entry in (folder / parent).entries()[0]}
        return name in listed[parent]

    return is_there


# --- writing -------------------------------------------------------------------------------------------------------


def staging_folder(dataset: Path) -> Path:
    """Where half-written files live: inside the dataset (a rename stays atomic), emptied when the next run starts.

    Of a dataset on an object store: a folder of this process on this machine, from where finished files are sent.
    """
    if isinstance(dataset, ObjectPath):
        return scratch_folder() / "staging"
    return dataset / ".staging"


def write_atomic(path: Path, data: bytes, staging: Path | None = None) -> None:
    """Write so that ``path`` holds the old bytes or all of the new ones, whatever happens in between.

    ``staging`` (same file system, default: the target's own folder) receives the temporary file. An object store needs
    none: one PUT is whole or nothing.
    """
    if isinstance(path, ObjectPath):
        changes.about_to_change(path)
        path.write_bytes(data)
        return
    folder = staging or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        changes.about_to_change(path)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def move_into_place(staged: Path, target: Path) -> None:
    """Bring a finished staged file to where it belongs: a rename (same file system), or one upload to an object store."""
    changes.about_to_change(target)
    if isinstance(target, ObjectPath):
        if isinstance(staged, ObjectPath):
            move(staged, target)
        else:
            upload(staged, target)
            staged.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(staged, target)


def clear_staging(dataset: Path) -> None:
    """Remove what a killed run left half-written. Only call while holding :func:`dataset_lock`."""
    shutil.rmtree(staging_folder(dataset), ignore_errors=True)


def cache_folder(name: str) -> Path:
    """``tiktokactions/<name>`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    # The XDG base directory specification says that a relative path is to be ignored.
    root = Path(cache) if cache and os.path.isabs(cache) else Path.home() / ".cache"
    return root / "tiktokactions" / name


def sha256_file(path: str | os.PathLike[str] | ObjectPath) -> str:
    if isinstance(path, ObjectPath) or is_address(path):
        with local_file(path) as copy:
            return sha256_file(copy)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: str) -> tuple[int, int | str]:
    """What tells without reading whether a file is still the same: size and modification time (ns), or ETag.

    Raises:
        OSError: it is gone or may not be looked at.
    """
    if is_address(path):
        entry = ObjectPath(path).entry()
        return entry.size_bytes, entry.etag
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


# --- one run at a time ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def dataset_lock(dataset: Path) -> Iterator[None]:
    """Hold the dataset's lock; the operating system releases it when the process ends, however it ends.

    On an object store the lock is a lease object (:mod:`tiktokactions.files.lease`).

    Raises:
        DatasetBusyError: another run holds it; the message says which.
    """
    if isinstance(dataset, ObjectPath):
        try:
            with held_lease(dataset / ".lock"):
                yield
        except LeaseHeldError as error:
            raise _busy(dataset, str(error)) from error
        return
    dataset.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(dataset / ".lock", timeout=0)
    owner = dataset / ".lock-owner"
    try:
        lock.acquire()
    except filelock.Timeout:
        who = owner.read_text().strip() if owner.exists() else "another run"
        raise _busy(dataset, who) from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        clear_staging(dataset)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _busy(dataset: Path, who: str) -> DatasetBusyError:
    return DatasetBusyError(
        f"{dataset}: {who} is writing to this folder. Wait until it has ended, or write to another folder with -o."
    )
