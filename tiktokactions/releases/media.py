"""Which file a released video can be made of: an index on the disk, so that memory stays flat at a million files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from tiktokactions.files import safe_video_id, sha256_file
from tiktokactions.machine import scratch_file
from tiktokactions.metadata.names import id_in_name, rank


class MediaIndex:
    """The files of a folder and of all folders in it, by the id in their name and by their bytes."""

    def __init__(self, folder: Path) -> None:
        self._scratch = scratch_file("media.sqlite")
        self._database = sqlite3.connect(self._scratch.__enter__())
        self._database.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE files(path BLOB PRIMARY KEY, name TEXT, post TEXT, sha256 TEXT, wanted INTEGER DEFAULT 0)"
            " WITHOUT ROWID"
        )
        rows = ((os.fsencode(path), safe_video_id(Path(path).stem), id_in_name(path)) for path in _files(folder))
        self._database.executemany("INSERT OR IGNORE INTO files(path, name, post) VALUES(?, ?, ?)", rows)
        for column in ("name", "post"):
            self._database.execute(f"CREATE INDEX by_{column} ON files({column})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()
        self._scratch.__exit__(None, None, None)

    def names(self) -> Iterator[str]:
        """Of all files, without their suffixes."""
        return (row[0] for row in self._database.execute("SELECT DISTINCT name FROM files"))

    def named(self, *ids: str) -> str | None:
        """The first file whose name without its suffix is one of the ids, or holds it, an earlier id before a later one."""
        for video_id in filter(None, ids):
            query = "SELECT path FROM files WHERE name=?1 OR post=?1 ORDER BY name=?1 DESC, path"
            row = self._first(query, safe_video_id(video_id))
            if row is not None:
                return row
        return None

    def want(self, ids: Iterable[tuple[str, str]]) -> int:
        """Note which files are found by name, for videos by their platform's id and their own; how many videos are not."""
        left = 0
        for pair in ids:
            path = self.named(*pair)
            left += path is None
            if path is not None:
                self._database.execute("UPDATE files SET wanted=1 WHERE path=?", (os.fsencode(path),))
        return left

    def read_the_others(self) -> None:
        """Hash every file that no video is known by; :meth:`with_bytes` finds them afterwards."""
        after = b""
        while True:
            # One row at a time: the table must not change below a query that is read from.
            path = self._first("SELECT path FROM files WHERE path>? AND NOT wanted ORDER BY path", after)
            if path is None:
                break
            after = os.fsencode(path)
            self._database.execute("UPDATE files SET sha256=? WHERE path=?", (sha256_file(path), after))
        self._database.execute("CREATE INDEX IF NOT EXISTS by_bytes ON files(sha256)")

    def with_bytes(self, sha256: str) -> str | None:
        return self._first("SELECT path FROM files WHERE sha256=? ORDER BY path", sha256) if sha256 else None

    def _first(self, query: str, value: str | bytes) -> str | None:
        row = self._database.execute(f"{query} LIMIT 1", (value,)).fetchone()
        return None if row is None else os.fsdecode(row[0])


def _files(folder: Path) -> Iterator[str]:
    """Paths of all files that may be videos, in no order; links to folders are not followed."""
    pending = [os.path.abspath(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif not entry.name.startswith(".") and not rank(entry.name) and entry.is_file():
                    yield entry.path
