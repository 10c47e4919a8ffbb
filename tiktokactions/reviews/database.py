"""A SQLite file shared by the threads of a server and by other processes: short transactions, and a connection for each
thread that needs one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tiktokactions.errors import UsageError

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one; transactions here take milliseconds."""
Values = Sequence[object] | Mapping[str, object]


class Database:
    """Connections to one file, opened when needed and used again; any thread may take one.

    ``synchronous`` FULL: a committed transaction survives the end of the process and of the machine's power. NORMAL: it
    survives the end of the process, the file never breaks, and no commit waits for the disk.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        version: int,
        synchronous: str = "FULL",
        with_every_write: str = "",
        carried_over: Mapping[int, str] | None = None,
    ) -> None:
        """Opens the file, creating it and its tables where they are missing.

        ``with_every_write``: a statement that belongs to every transaction that writes. ``carried_over``: by format, the
        statements that bring a file of an earlier one to this one; a file that may only be read is carried over in a copy.

        Raises:
            ValueError: the file was made by a newer program, or is no SQLite database.
        """
        self.path, self._synchronous, self._with_every_write = path, synchronous, with_every_write
        self._free: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self.is_read_only = path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
        """Whether it may only be read: nothing is opened for writing then, as SQLite would do beside the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        try:
            with self.connection() as connection:
                found = _version(connection, path, version)
                copied = self._copied(connection) if self.is_read_only and found < version else None
            if copied is not None:
                self._close_all()
                self.path, self.is_read_only, self._closed = copied, False, False
            if found < version:
                with self.connection() as connection:
                    _create(connection, path, schema, version, carried_over or {}, with_every_write)
            if copied is not None:
                self._close_all()
                self.is_read_only, self._closed = True, False
        except sqlite3.DatabaseError as error:
            self.close()
            if isinstance(error, sqlite3.OperationalError):
                raise UsageError(
                    f"{path}: {error}; reviews need a folder on a local disk that can be written"
                ) from error
            raise UsageError(f"{path}: not a database of this program ({error}); put it aside and try again") from error
        except ValueError:
            self.close()
            raise

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading; what was committed before is seen."""
        with self._lock:
            connection = self._free.pop() if self._free else None
        if connection is None:
            connection = self._open()
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            with self._lock:
                keep = not self._closed
                if keep:
                    self._free.append(connection)
            if not keep:
                connection.close()

    def rows(self, sql: str, values: Values = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self.connection() as connection:
            return connection.execute(sql, values).fetchall()

    def first(self, sql: str, values: Values = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        with self.connection() as connection:
            row: sqlite3.Row | None = connection.execute(sql, values).fetchone()
            return row

    def run(self, sql: str, values: Values = ()) -> None:
        """One statement that changes something, committed when this returns."""
        with self.write() as connection:
            connection.execute(sql, values)

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is committed when the block ends, nothing where it raises."""
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            if self._with_every_write:
                connection.execute(self._with_every_write)
            connection.execute("COMMIT")

    def close(self) -> None:
        self._close_all()
        if self._copy is not None:
            self._copy.cleanup()

    def _close_all(self) -> None:
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def _copied(self, connection: sqlite3.Connection) -> Path:
        self._copy = tempfile.TemporaryDirectory(prefix="tiktokactions-reviews-")
        copy = Path(self._copy.name) / self.path.name
        with contextlib.closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
        return copy

    def _open(self) -> sqlite3.Connection:
        address = self.path.resolve().as_uri()
        if self.is_read_only:
            address += "?mode=ro" if self.path.with_name(f"{self.path.name}-wal").exists() else "?immutable=1"
        connection = sqlite3.connect(
            address,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            uri=True,
        )
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute("PRAGMA secure_delete=ON")  # nothing of a video that was taken down may stay in free pages
        return connection


def _create(
    connection: sqlite3.Connection,
    path: Path,
    schema: str,
    version: int,
    carried_over: Mapping[int, str],
    with_every_write: str,
) -> None:
    """Make the tables, or carry them over; other processes may be doing the same at this moment."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # For this statement SQLite does not wait by itself.
            is_busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    connection.execute("BEGIN IMMEDIATE")
    found = _version(connection, path, version)
    if found and found < version and found not in carried_over:
        raise UsageError(f"{path}: format {found}, this program reads {version}")
    if found < version:
        # One statement after the other inside one transaction: executescript() would commit in between.
        for statement in (carried_over[found] if found else schema).split(";\n"):
            connection.execute(statement)
        if found and with_every_write:
            connection.execute(with_every_write)
        connection.execute(f"PRAGMA user_version={version}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path, version: int) -> int:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > version:
        raise UsageError(f"{path}: format {found}, this program reads up to {version}: update tiktokactions")
    return found
