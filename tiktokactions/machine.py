"""What is known of this computer: its cores, its clock, whether its disk is full, and its folders for copies and caches."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of a disk that takes no more: it is full, the user's share of it is, or the file has reached its limit."""


def cores() -> int:
    """Cores that this process may use, which can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def utc_now(timespec: str = "seconds") -> str:
    """The time as ISO 8601 in UTC, ``2026-11-24T12:00:00+00:00``; ``timespec`` as ``datetime.isoformat`` takes it."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def scratch_folder() -> Path:
    """This process's folder for copies that live for one video. What killed processes left is removed."""
    return _scratch_folder(os.getpid())


@functools.lru_cache(maxsize=1)
def _scratch_folder(process: int) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    root = Path(tempfile.gettempdir()) / f"tiktokactions-{user}"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in root.iterdir():
        if left.name.isdigit() and not is_alive(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    folder = root / str(process)
    folder.mkdir(exist_ok=True)
    return folder


def cache_folder(name: str) -> Path:
    """``tiktokactions/<name>`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    # The XDG base directory specification says that a relative path is to be ignored.
    root = Path(cache) if cache and os.path.isabs(cache) else Path.home() / ".cache"
    return root / "tiktokactions" / name
