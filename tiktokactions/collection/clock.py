"""The clock that measures waits: the real one, or one that jumps (for the sandbox and tests)."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta

DAY_S = 86_400


class Clock:
    """Real time. ``speed`` divides every wait; it is only allowed with a server on this machine."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self.speed)


class JumpingClock(Clock):
    """A clock that jumps instead of waiting. A client and the server it talks to share one."""

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


def next_reset(unix_s: float) -> float:
    """When the daily quota is renewed: a minute after the next 00:00 UTC (the API's FAQ)."""
    midnight = datetime.combine(utc_day(unix_s) + timedelta(days=1), datetime.min.time(), UTC)
    return midnight.timestamp() + 60
