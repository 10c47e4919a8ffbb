"""Makes local files of other clips: cuts them out of tar files, or fetches them from object stores through a cache.

Several processes share the cache, whose size is limited. An entry appears by a rename and disappears when it is unlinked.
A reader holds its own link to the entry, so it never sees half of one and never loses it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import filelock

from tiktokactions.clips.clip import Stored
from tiktokactions.errors import UsageError
from tiktokactions.files import StoreError, is_address, link_or_copy, located, move_into_place, read_range
from tiktokactions.machine import cache_folder, scratch_file
from tiktokactions.video import UnreadableError

DEFAULT_CACHE_GB = 20.0
CACHE_VARIABLE = "TIKTOKACTIONS_CLIP_CACHE_GB"
LOOK_AFTER = 1 / 256
"""A process checks the size of the whole cache after it has added this share to it."""
LARGEST = 1 / 32
"""Clips that would be a larger share of the cache are not kept."""
FILL_TO = 0.8
"""The least recently used entries are deleted down to this share, which leaves room for what 32 processes add meanwhile."""

_added_bytes = 0


def cache_limit_bytes() -> int:
    """``TIKTOKACTIONS_CLIP_CACHE_GB`` (default 20); 0 keeps nothing.

    Raises:
        ValueError: not a number of 0 or more.
    """
    told = os.environ.get(CACHE_VARIABLE, "")
    try:
        limit = float(told) if told else DEFAULT_CACHE_GB
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise UsageError(f"{CACHE_VARIABLE}={told!r}: expected gigabytes, 0 or more")
    return int(limit * 1e9)


@contextlib.contextmanager
def local_clip(path: str, stored: Stored) -> Iterator[str]:
    """A local file that holds the clip ``path`` while the context lasts.

    Raises:
        UnreadableError: it cannot be fetched; the message begins with ``path``.
    """
    with scratch_file(path) as mine:
        try:
            if is_address(stored.file):
                _link_from_cache(stored, mine)
            else:
                _fetch(stored, mine)
        except (OSError, StoreError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UnreadableError(path, f"cannot be fetched from {stored.file}: {why}") from error
        yield str(mine)


# --- the cache -----------------------------------------------------------------------------------------------------


def _link_from_cache(stored: Stored, mine: Path) -> None:
    limit = cache_limit_bytes()
    name = hashlib.sha256(f"{stored.file}\0{stored.version}\0{stored.offset}".encode()).hexdigest()
    entry = cache_folder("clips") / name[:2] / name
    with contextlib.suppress(FileNotFoundError):
        os.utime(entry)  # used now
        link_or_copy(entry, mine)  # this process's own link keeps it
        return
    _fetch(stored, mine)
    size_bytes = mine.stat().st_size
    if size_bytes > limit * LARGEST:
        return  # too large a part of the cache to be kept
    entry.parent.mkdir(parents=True, exist_ok=True)
    coming = entry.with_name(f".{uuid.uuid4().hex}")
    try:
        link_or_copy(mine, coming)
        move_into_place(coming, entry)
    finally:
        coming.unlink(missing_ok=True)
    _make_room(size_bytes, limit)


def _fetch(stored: Stored, target: Path) -> None:
    """Copy a stored file, or one member of a tar file, to the folder for temporary files, which often is in memory."""
    if stored.offset is None:
        link_or_copy(located(stored.file), target)
        return
    assert stored.size_bytes is not None
    target.write_bytes(read_range(located(stored.file), stored.offset, stored.size_bytes))


def _make_room(added_bytes: int, limit: int) -> None:
    global _added_bytes
    first = _added_bytes == 0
    _added_bytes += added_bytes
    if not first and _added_bytes < limit * LOOK_AFTER:
        return
    _added_bytes = 1
    folder = cache_folder("clips")
    with contextlib.suppress(filelock.Timeout), filelock.FileLock(folder / ".lock", timeout=0):
        entries = []
        for file in folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                status = file.stat()
                entries.append((status.st_mtime_ns, status.st_size, file))
        total = sum(size_bytes for _, size_bytes, _ in entries)
        for _, size_bytes, file in sorted(entries):
            if total <= limit * FILL_TO:
                break
            file.unlink(missing_ok=True)
            total -= size_bytes
