"""The quota ledger: how many requests an account has sent this UTC day, shared by all processes on this machine.

A request is booked before it is sent, so that neither a killed nor a second process can exceed the limit. Failed requests
count as much as good ones.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tiktokactions.errors import TiktokactionsError
from tiktokactions.machine import DAY_S, Clock, utc_day, utc_text

REQUESTS_A_DAY = 1000
RECORDS_A_DAY = 100_000


class QuotaSpentError(TiktokactionsError, RuntimeError):
    """No request may be sent before :attr:`until` (Unix time)."""

    def __init__(self, why: str, until: float) -> None:
        super().__init__(f"{why}; go on after {utc_text(until)}")
        self.until = until


def next_reset(unix_s: float) -> float:
    """When the daily quota is whole again: the next 00:00 UTC and a minute (specification of the API: FAQ)."""
    midnight = datetime.combine(utc_day(unix_s) + timedelta(days=1), datetime.min.time(), UTC)
    return midnight.timestamp() + 60


_LATE_S = (120, 120, 300, 300, 600, 600, 1200, 1800)
"""After how long we ask again when a new day begins with a refusal: the platform's reset comes late now and then."""
_LATE_UNTIL_S = 3 * 3600


def ledger_path() -> Path:
    """``tiktokactions/quota.sqlite`` in the user's state folder (``XDG_STATE_HOME``, else ``~/.local/state``)."""
    state = os.environ.get("XDG_STATE_HOME")
    root = Path(state) if state and os.path.isabs(state) else Path.home() / ".local" / "state"
    return root / "tiktokactions" / "quota.sqlite"


class Ledger:
    """One account's requests, in a small SQLite file."""

    def __init__(self, path: Path, account: str, clock: Clock, requests_a_day: int = REQUESTS_A_DAY) -> None:
        self.path, self.account, self.clock, self.requests_a_day = path, account, clock, requests_a_day
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS calls(account TEXT, day TEXT, sent INT, PRIMARY KEY(account, day))"
            )
            database.execute("CREATE TABLE IF NOT EXISTS spent(account TEXT PRIMARY KEY, until REAL)")
            database.execute(
                "CREATE TABLE IF NOT EXISTS refused(account TEXT, day TEXT, times INT, PRIMARY KEY(account, day))"
            )

    def book(self) -> None:
        """Book one request.

        Raises:
            QuotaSpentError: the quota of the day is used up, or the server has said so before.
        """
        now = self.clock.now()
        day = utc_day(now).isoformat()
        with self._open() as database:
            row = database.execute("SELECT until FROM spent WHERE account=?", (self.account,)).fetchone()
            if row and now < row[0]:
                raise QuotaSpentError("the server said that today's quota is spent", row[0])
            row = database.execute("SELECT sent FROM calls WHERE account=? AND day=?", (self.account, day)).fetchone()
            if row and row[0] >= self.requests_a_day:
                why = f"{row[0]} requests sent on {day} of {self.requests_a_day} a day"
                raise QuotaSpentError(why, next_reset(now))
            database.execute(
                "INSERT INTO calls VALUES(?,?,1) ON CONFLICT DO UPDATE SET sent=sent+1", (self.account, day)
            )

    def refused(self) -> float:
        """Remember that the server calls the day's quota spent, so that a restart does not ask again; until when (Unix time).

        In the first three hours of a day, and as long after them as nothing was answered on that day, its reset is late: that
        is asked again in minutes. Otherwise the quota is spent until the next reset.
        """
        now = self.clock.now()
        key = (self.account, utc_day(now).isoformat())
        with self._open() as database:
            database.execute("INSERT INTO refused VALUES(?,?,1) ON CONFLICT DO UPDATE SET times=times+1", key)
            times = database.execute("SELECT times FROM refused WHERE account=? AND day=?", key).fetchone()[0]
            sent = database.execute("SELECT sent FROM calls WHERE account=? AND day=?", key).fetchone()
            is_late = now % DAY_S < _LATE_UNTIL_S or (times > 1 and sent is not None and sent[0] <= times)
            late_until = now + _LATE_S[min(times, len(_LATE_S)) - 1]
            until = min(late_until, next_reset(now)) if is_late else next_reset(now)
            database.execute("INSERT OR REPLACE INTO spent VALUES(?,?)", (self.account, until))
        return until

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            # Reading and counting is one step, even with other processes around.
            database.execute("BEGIN IMMEDIATE")
            yield database
