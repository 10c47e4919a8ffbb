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
from tiktokactions.machine import Clock, utc_day, utc_text

REQUESTS_A_DAY = 1000
RECORDS_A_DAY = 100_000


class QuotaSpentError(TiktokactionsError, RuntimeError):
    """No request may be sent before :attr:`until` (Unix time)."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


def next_reset(unix_s: float) -> float:
    """When the daily quota is whole again: the next 00:00 UTC and a minute (specification of the API: FAQ)."""
    midnight = datetime.combine(utc_day(unix_s) + timedelta(days=1), datetime.min.time(), UTC)
    return midnight.timestamp() + 60


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
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS calls(account TEXT, day TEXT, sent INT, PRIMARY KEY(account, day))"
            )
            database.execute("CREATE TABLE IF NOT EXISTS spent(account TEXT PRIMARY KEY, until REAL)")

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
                raise QuotaSpentError(
                    f"the server said that today's quota is spent; go on after {utc_text(row[0])}", row[0]
                )
            sent = self._sent(database, day)
            if sent >= self.requests_a_day:
                until = next_reset(now)
                raise QuotaSpentError(
                    f"{sent} requests sent on {day} of {self.requests_a_day} a day; go on after {utc_text(until)}",
                    until,
                )
            database.execute(
                "INSERT INTO calls VALUES(?,?,1) ON CONFLICT DO UPDATE SET sent=sent+1", (self.account, day)
            )

    def spent_until_reset(self) -> float:
        """Remember that the day's quota is spent by what the server says, so that a restart does not ask again."""
        until = next_reset(self.clock.now())
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO spent VALUES(?,?)", (self.account, until))
        return until

    def sent_today(self) -> int:
        with self._open() as database:
            return self._sent(database, utc_day(self.clock.now()).isoformat())

    def _sent(self, database: sqlite3.Connection, day: str) -> int:
        row = database.execute("SELECT sent FROM calls WHERE account=? AND day=?", (self.account, day)).fetchone()
        return int(row[0]) if row else 0

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        try:
            # Reading and counting is one step, even with other processes around.
            if database.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                yield database
                return
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        finally:
            database.close()
