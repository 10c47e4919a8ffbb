"""What is known of this computer: its cores, its clock, what a full disk says, and its folders for copies and caches."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath

DAY_S = 86_400

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of a disk that takes no more: it is full, the user's share of it is, or the file has reached its limit."""


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it is confined, by taskset or Slurm for example."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bf16 faster than in float32, as far as Linux tells."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpuinfo.read_text().split())


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def tell(line: str) -> None:
    """One line for people, on standard error: what a function did otherwise than they may expect."""
    print(line, file=sys.stderr, flush=True)


def scratch_folder() -> Path:
    """This process's folder for copies that live for one video. What killed processes left is removed."""
    folder = _scratch_root(os.getpid()) / str(os.getpid())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@functools.lru_cache(maxsize=1)
def _scratch_root(process: int) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    root = Path(tempfile.gettempdir()) / f"tiktokactions-{user}"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in root.iterdir():
        if left.name.isdigit() and not is_alive(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    return root


@contextlib.contextmanager
def scratch_file(like: str) -> Iterator[Path]:
    """A new name in :func:`scratch_folder` with the suffix of ``like``. A file of this name is removed at the end."""
    file = scratch_folder() / f"{uuid.uuid4().hex}{PurePosixPath(like).suffix[:8]}"
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def cache_folder(name: str) -> Path:
    """``tiktokactions/<name>`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    # The XDG base directory specification says that a relative path is to be ignored.
    root = Path(cache) if cache and os.path.isabs(cache) else Path.home() / ".cache"
    return root / "tiktokactions" / name


# --- the clock --------------------------------------------------------------------------------------------------------


class Clock:
    """Real time. ``speed`` divides every wait (only for servers on this machine)."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self.speed)


class JumpingClock(Clock):
    """A wait takes no time: the clock jumps. Shared by a client and the server that it talks to."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += max(0.0, seconds)


def utc_day(unix_s: float) -> date:
    return datetime.fromtimestamp(unix_s, UTC).date()


def utc_text(unix_s: float) -> str:
    """``2026-11-24T12:00:00Z``."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_now(timespec: str = "seconds") -> str:
    """The time as ISO 8601 in UTC, ``2026-11-24T12:00:00+00:00``; ``timespec`` as ``datetime.isoformat`` takes it."""
    return datetime.now(UTC).isoformat(timespec=timespec)
