"""Take videos out of a collection, one function for each kind of artefact; and the tombstones that keep them out.

``api/refreshing.py`` calls them in order. Each does nothing where nothing is left to do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from tiktokactions.collection.rows import hash_creator
from tiktokactions.collection.store import SALT, Collection
from tiktokactions.files import Place, delete, on_disk, write_atomic

MEDIA = "media"
"""Folder of downloaded files, below the collection; a file is named by its video's id up to the first dot."""


def tombstones(folder: Place) -> dict[str, tuple[str, str]]:
    """Day and reason by video id."""
    with Collection(folder) as collection:
        rows = collection.database.execute("SELECT video_id, at, reason FROM removed")
        return {video_id: (at, reason) for video_id, at, reason in rows}


def add_tombstones(folder: Place, ids: Iterable[str], at: str, reason: str) -> None:
    """One that is there already keeps its day and reason."""
    with Collection(folder) as collection, collection.transaction() as database:
        database.executemany("INSERT OR IGNORE INTO removed VALUES(?,?,?)", [(i, at, reason) for i in ids])


def held_ids(folder: Place, ids: Iterable[str]) -> set[str]:
    """Those of which the collection holds anything."""
    with Collection(folder) as collection:
        return {
            i for i in ids
            if any(collection.database.execute(f"SELECT 1 FROM {table} WHERE video_id=? LIMIT 1", (i,)).fetchone()
                   for table in ("videos", "found", "rejected", "downloads"))
        }  # fmt: skip


def ids_of_creator(folder: Place, name: str) -> set[str]:
    """Videos of a creator, stored by name or hashed; capitals and a leading ``@`` do not matter."""
    with Collection(folder) as collection:
        names = creator_names(folder, name)
        rows = collection.database.execute("SELECT video_id, creator FROM videos WHERE creator IS NOT NULL")
        return {video_id for video_id, creator in rows if creator.strip().lower().lstrip("@") in names}


def creator_names(folder: Place, name: str) -> frozenset[str]:
    """How a creator may be called in what this collection holds: the name in lower case, and its hash."""
    plain = name.strip().lstrip("@").lower()
    salt = folder / SALT
    return frozenset(
        {plain, hash_creator(plain, bytes.fromhex(salt.read_text().strip()))} if salt.exists() else {plain}
    )


def remove_media(folder: Place, ids: frozenset[str]) -> int:
    """Downloaded files with everything beside them that bears the same id; how many files."""
    count = 0
    for path in set(_media_of(on_disk(folder, MEDIA), ids)):
        count += delete(path)
    return count


def _media_of(folder: Path, ids: frozenset[str]) -> Iterator[Path]:
    folders = {folder / MEDIA}
    with Collection(folder) as collection:
        for video_id, path in _of_ids(collection.database, "downloads", "video_id, path", ids):
            if path:
                # A path outside the collection was picked up from a folder of the user's.
                folders.add((folder / path).parent)
                if (folder / path).is_file():
                    yield folder / path
            assert video_id in ids
    for root in folders:
        for found in root.rglob("*") if root == folder / MEDIA else root.glob("*"):
            if found.name.partition(".")[0] in ids and not found.is_dir():
                yield found


def remove_rows(folder: Place, ids: frozenset[str]) -> int:
    """Everything that the database says of them, tombstones apart; how many videos it held."""
    with Collection(folder) as collection:
        with collection.transaction() as database:
            count = 0
            for video_id in ids:
                count += database.execute("DELETE FROM videos WHERE video_id=?", (video_id,)).rowcount
                for table in ("found", "rejected", "downloads"):
                    database.execute(f"DELETE FROM {table} WHERE video_id=?", (video_id,))
        # Pages that were replaced would stay readable in the write-ahead log.
        collection.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count


def remove_from_exports(folder: Place, ids: frozenset[str]) -> int:
    """Lines of the files that ``collect export`` wrote, where they still lie there; how many."""
    count = 0
    with Collection(folder) as collection:
        exports = [Path(path) for path in collection.setting("exports") or []]
    for path in exports:
        if not path.is_file():
            continue
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if _id_of_line(line) not in ids]
        if len(kept) < len(lines):
            write_atomic(path, b"".join(kept))
            count += len(lines) - len(kept)
    return count


def _id_of_line(line: bytes) -> str | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return str(row.get("id")) if isinstance(row, dict) else None


def _of_ids(database: sqlite3.Connection, table: str, columns: str, ids: frozenset[str]) -> Iterator[tuple[str, str]]:
    for video_id in ids:
        yield from database.execute(f"SELECT {columns} FROM {table} WHERE video_id=?", (video_id,))
