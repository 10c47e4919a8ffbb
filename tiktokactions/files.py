"""Files: where everything lies in a dataset folder, atomic writes, checksums, and the lock that keeps two runs apart."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import filelock

from tiktokactions.records import VideoRecord, decode_record, encode_record

_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_UNSAFE_IN_FOLDER = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")
NO_LABEL_FOLDER = "_none"


class DatasetBusyError(RuntimeError):
    """Another run is writing to the same dataset folder."""


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
    if not root.is_dir():
        return
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        yield from sorted(p for p in folder.iterdir() if p.suffix == ".json")


# --- writing -------------------------------------------------------------------------------------------------------


def staging_folder(dataset: Path) -> Path:
    """Where half-written files live: inside the dataset (a rename stays atomic), emptied when the next run starts."""
    return dataset / ".staging"


def write_atomic(path: Path, data: bytes, staging: Path | None = None) -> None:
    """Write so that ``path`` holds the old bytes or all of the new ones, whatever happens in between.

    ``staging`` (same file system, default: the target's own folder) receives the temporary file.
    """
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
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def move_into_place(staged: Path, target: Path) -> None:
    """Rename a finished staged file to where it belongs (same file system)."""
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


def sha256_file(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- one run at a time ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def dataset_lock(dataset: Path) -> Iterator[None]:
    """Hold the dataset's lock; the operating system releases it when the process ends, however it ends.

    Raises:
        DatasetBusyError: another run holds it; the message says which.
    """
    dataset.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(dataset / ".lock", timeout=0)
    owner = dataset / ".lock-owner"
    try:
        lock.acquire()
    except filelock.Timeout:
        who = owner.read_text().strip() if owner.exists() else "another run"
        raise DatasetBusyError(
            f"{dataset}: {who} is writing to this folder. Wait until it has ended, or write to another folder with -o."
        ) from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        clear_staging(dataset)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
