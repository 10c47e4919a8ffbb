"""Asks which ids are still valid: the API's batch compliance, 10,000 ids at a time, resumable, and asked twice.

An id counts as gone only if two tasks say so: the second asks about the ids that the first did not return.
``refresh.sqlite`` remembers tasks and answers, so that a check that was stopped or killed goes on without asking again.
(The video query's ``video_id`` filter is of no use here: it "often returns no results even when values are correct".)
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Set
from contextlib import closing
from dataclasses import dataclass

from tiktokactions.collection.client import BudgetSpentError, RefusedQueryError, ResearchClient, ServerFailsError
from tiktokactions.collection.health import StoppedError, patiently
from tiktokactions.collection.ledger import QuotaSpentError
from tiktokactions.files import Place, delete, on_disk
from tiktokactions.machine import DAY_S, Clock

BATCH = 10_000
STATE = "refresh.sqlite"
_POLL_WAITS_S = (10, 20, 40, 60, 120, 300, 300, 600, 600, 600, 600, 600)
_TASKS_AT_MOST = 3
"""How many tasks of one batch may fail or get lost before the check stops."""
_NONE_VALID = 100
"""If none of at least this many ids is valid, the answer is not believed."""
_STALE_S = 2 * DAY_S


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    ids: int
    gone: frozenset[str]


def check_ids(
    folder: Place,
    ids: Iterable[str],
    client: ResearchClient,
    clock: Clock,
    *,
    wait: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Checked:
    """Ask which of ``ids`` are gone. The answer stays in ``folder`` until :func:`forget_check`.

    Raises:
        StoppedError: quota, budget or the server ended the check early; the same call continues it.
        ApiError: the API refuses this key.
    """
    path = on_disk(folder / STATE, "what is asked")
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        check = _Check(database, client, clock, wait, note)
        check.begin(ids)
        try:
            check.ask(1)
            check.doubt()
            check.ask(2)
        except (QuotaSpentError, BudgetSpentError, ServerFailsError) as error:
            raise StoppedError(f"{error}; nothing was removed yet, and the same command continues") from None
        return Checked(check.count(), check.gone(2))


def forget_check(folder: Place) -> None:
    """Forget a check whose findings are stored elsewhere."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        delete(folder / f"{STATE}{suffix}")


def forget_ids(folder: Place, ids: Set[str]) -> None:
    """Take ids out of a check that is under way."""
    if not (folder / STATE).is_file():
        return
    with closing(sqlite3.connect(on_disk(folder / STATE, "a check"), timeout=60, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete=ON")
        for number, asked, gone in database.execute("SELECT number, ids, gone FROM batches").fetchall():
            left, missing = ([i for i in json.loads(told or "[]") if i not in ids] for told in (asked, gone))
            if left:
                told = None if gone is None else json.dumps(missing)
                database.execute("UPDATE batches SET ids=?, gone=? WHERE number=?", (json.dumps(left), told, number))
            else:
                database.execute("DELETE FROM batches WHERE number=?", (number,))


@dataclass
class _Check:
    database: sqlite3.Connection
    client: ResearchClient
    clock: Clock
    wait: bool
    note: Callable[[str], None]

    def __post_init__(self) -> None:
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute("CREATE TABLE IF NOT EXISTS begun(at REAL NOT NULL, doubted INTEGER NOT NULL DEFAULT 0)")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS batches(number INTEGER PRIMARY KEY, round INTEGER NOT NULL, ids TEXT NOT NULL,"
            " task TEXT, tasks INTEGER NOT NULL DEFAULT 0, completed INTEGER NOT NULL DEFAULT 0, gone TEXT)"
        )

    def begin(self, ids: Iterable[str]) -> None:
        """Continue a check that was begun. One from days ago says nothing about today, so a new one begins."""
        begun = self.database.execute("SELECT at FROM begun").fetchone()
        if begun is not None and 0 <= self.clock.now() - begun[0] < _STALE_S:
            return
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("DELETE FROM batches")
        self.database.execute("DELETE FROM begun")
        self.database.execute("INSERT INTO begun(at) VALUES(?)", (self.clock.now(),))
        self._add(1, ids)
        self.database.execute("COMMIT")

    def doubt(self) -> None:
        """Ask again, once, about the ids that the first round did not return."""
        if self.database.execute("SELECT doubted FROM begun").fetchone()[0]:
            return
        self.database.execute("BEGIN IMMEDIATE")
        self._add(2, sorted(self.gone(1)))
        self.database.execute("UPDATE begun SET doubted=1")
        self.database.execute("COMMIT")

    def _add(self, round_: int, ids: Iterable[str]) -> None:
        rest = iter(ids)
        while batch := list(itertools.islice(rest, BATCH)):
            self.database.execute("INSERT INTO batches(round, ids) VALUES(?,?)", (round_, json.dumps(batch)))

    def count(self) -> int:
        return sum(len(json.loads(ids)) for (ids,) in self.database.execute("SELECT ids FROM batches WHERE round=1"))

    def gone(self, round_: int) -> frozenset[str]:
        rows = self.database.execute("SELECT gone FROM batches WHERE round=? AND gone IS NOT NULL", (round_,))
        return frozenset(video_id for (gone,) in rows for video_id in json.loads(gone))

    def ask(self, round_: int) -> None:
        """Submit all batches first, because the server works on them in parallel."""
        open_ = "SELECT number, ids, task, tasks, completed FROM batches WHERE round=? AND gone IS NULL ORDER BY number"
        while batches := self.database.execute(open_, (round_,)).fetchall():
            for number, ids, task, tasks, _ in batches:
                if task is None:
                    self._submit(number, json.loads(ids), tasks)
            for number, ids, task, tasks, completed in self.database.execute(open_, (round_,)).fetchall():
                if completed or self._is_completed(int(task)):
                    self.database.execute("UPDATE batches SET completed=1 WHERE number=?", (number,))
                    self._fetch(number, json.loads(ids), int(task), round_, tasks)
                else:
                    self._forget_task(number)

    def _submit(self, number: int, ids: list[str], tasks: int) -> None:
        if tasks == _TASKS_AT_MOST:
            self.database.execute("UPDATE batches SET tasks=0 WHERE number=?", (number,))
            raise StoppedError(f"the server failed {tasks} checks of the same {len(ids)} ids; nothing was removed")
        task = patiently(lambda: self.client.submit_ids(ids), self.clock, self.wait, self.note)
        self.database.execute("UPDATE batches SET task=?, tasks=tasks+1 WHERE number=?", (str(task), number))

    def _fetch(self, number: int, ids: list[str], task: int, round_: int, tasks: int) -> None:
        try:
            valid = patiently(lambda: self.client.valid_ids(task), self.clock, self.wait, self.note)
        except RefusedQueryError as error:
            self.note(f"the result of the check is lost ({error}); submitting it again")
            self._forget_task(number)
            return
        if valid - set(ids):
            # A truncated answer ends in the middle of an id; or this is the answer to another task.
            self.note("the answer holds ids that were not asked about; asking again")
            self._forget_task(number)
            return
        if round_ == 1 and not valid and len(ids) >= _NONE_VALID:
            self._forget_task(number)
            if tasks < _TASKS_AT_MOST:
                self.note(f"none of {len(ids)} ids is said to be valid; asking again")
                return
            self.database.execute("UPDATE batches SET tasks=0 WHERE number=?", (number,))  # the next run asks anew
            raise StoppedError(
                f"the server says that none of {len(ids)} ids is valid, which is not believed; nothing was removed."
                " If it is true, list these videos in a file and pass it to `remove`"
            )
        gone = json.dumps(sorted(set(ids) - valid))
        self.database.execute("UPDATE batches SET gone=? WHERE number=?", (gone, number))

    def _forget_task(self, number: int) -> None:
        self.database.execute("UPDATE batches SET task=NULL, completed=0 WHERE number=?", (number,))

    def _is_completed(self, task: int) -> bool:
        """Wait for a task; False if it failed or got lost.

        Raises:
            StoppedError: it is still running after an hour.
        """
        for wait_s in (*_POLL_WAITS_S, None):
            try:
                status = patiently(lambda: self.client.task_status(task), self.clock, self.wait, self.note)
            except RefusedQueryError as error:
                self.note(f"the check is lost ({error}); submitting it again")
                return False
            if status.lower() in ("completed", "failed"):
                return status.lower() == "completed"
            if wait_s is not None:
                self.note(f"waiting {wait_s} s for the check of the ids ({status})")
                self.clock.sleep(wait_s)
        raise StoppedError(
            "the server still works on the check; nothing was removed yet, and the same command continues"
        )
