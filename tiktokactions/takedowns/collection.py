"""A take-down in a collection, one function for each kind of artefact; and the tombstones that keep the videos out.

:func:`tiktokactions.takedowns.folders.collection_artefacts` lists them in order. Each does nothing where nothing is
left to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tiktokactions.collection.rows import hash_creator
from tiktokactions.collection.store import MEDIA, SALT, Collection
from tiktokactions.files import Place, delete, on_disk, write_atomic
from tiktokactions.metadata.names import companions, id_in_name
from tiktokactions.takedowns.scrub import CAPTION, Names, tails

TABLES = ("videos", "found", "rejected", "downloads")
"""Those that hold something of a video, apart from its tombstone."""


def reasons(folder: Place) -> dict[str, str]:
    """The reason of each tombstone, by video id."""
    with Collection(folder) as collection:
        return dict(collection.database.execute("SELECT video_id, reason FROM removed"))


def add_takedowns(folder: Place, ids: Iterable[str], at: str, reason: str) -> None:
    """Add tombstones; those that exist keep their day and reason."""
    with Collection(folder) as collection, collection.transaction() as database:
        database.executemany("INSERT OR IGNORE INTO removed VALUES(?,?,?)", [(i, at, reason) for i in ids])


def held_ids(folder: Place, ids: Iterable[str]) -> set[str]:
    """Those of ``ids`` that the collection holds anything of: a row, or a file of this name among its media."""
    ids = frozenset(ids)
    with Collection(folder) as collection:
        asked = [f"SELECT 1 FROM {table} WHERE video_id=? LIMIT 1" for table in TABLES]
        found = {i for i in ids if any(collection.database.execute(sql, (i,)).fetchone() for sql in asked)}
    unknown = ids - found
    files = (on_disk(folder, MEDIA) / MEDIA).rglob("*") if unknown else ()
    return found | unknown.intersection(i for file in files for i in _ids_of_file(file.name) if i)


def names_of(folder: Place, ids: frozenset[str]) -> Names:
    """By what these videos may be known in other files."""
    with Collection(folder) as collection:
        rows = collection.database.execute("SELECT video_id, path FROM downloads WHERE path IS NOT NULL")
        paths = {tail for i, path in rows if i in ids and id_in_name(path) != i for tail in tails(str(folder / path))}
        told = [collection.database.execute("SELECT raw FROM videos WHERE video_id=?", (i,)).fetchone() for i in ids]
    captions = {str(json.loads(row[0]).get("video_description") or "").strip() for row in told if row is not None}
    return Names(ids, frozenset(paths), tuple(sorted(text for text in captions if len(text) >= CAPTION)))


def ids_of_creator(folder: Place, name: str) -> set[str]:
    """The videos of a creator, who is stored by name or hashed; capitals and a leading ``@`` do not matter."""
    with Collection(folder) as collection:
        names = creator_names(folder, name)
        rows = collection.database.execute("SELECT video_id, creator FROM videos WHERE creator IS NOT NULL")
        return {video_id for video_id, creator in rows if creator.strip().lower().lstrip("@") in names}


def creator_names(folder: Place, name: str) -> frozenset[str]:
    """What this collection may call a creator: the name in lower case, and its hash."""
    plain = name.strip().lstrip("@").lower()
    salt = folder / SALT
    hashed = {hash_creator(plain, bytes.fromhex(salt.read_text().strip()))} if salt.exists() else set()
    return frozenset({plain, *hashed})


def take_down_media(folder: Place, ids: frozenset[str]) -> int:
    """Delete the downloaded files and everything beside them with the same id; returns how many files."""
    return sum(delete(path) for path in set(_media_of(on_disk(folder, MEDIA), ids)))


def _media_of(folder: Path, ids: frozenset[str]) -> Iterator[Path]:
    with Collection(folder) as collection:
        rows = collection.database.execute("SELECT video_id, path FROM downloads WHERE path IS NOT NULL")
        paths = {folder / path for video_id, path in rows if video_id in ids}
    yield from (path for path in paths if path.is_file())
    for parent in {
        path.parent for path in paths
    }:  # one outside the collection was picked up from a folder of the user's
        ours = [path.name for path in paths if path.parent == parent]
        beside = [found.name for found in parent.iterdir()] if parent.is_dir() else []
        yield from (parent / name for name in companions(ours, beside))
    for root in {folder / MEDIA, *(path.parent for path in paths)}:
        for found in root.rglob("*") if root == folder / MEDIA else root.glob("*"):
            if _ids_of_file(found.name) & ids and not found.is_dir():
                yield found


def _ids_of_file(name: str) -> set[str | None]:
    return {name.partition(".")[0], id_in_name(name)}


def take_down_rows(folder: Place, ids: frozenset[str]) -> int:
    """Delete all that the database says of them, apart from tombstones; returns how many videos it held."""
    with Collection(folder) as collection:
        with collection.transaction() as database:
            names = [(video_id,) for video_id in ids]
            count, *_ = [database.executemany(f"DELETE FROM {t} WHERE video_id=?", names).rowcount for t in TABLES]
        # Pages that were replaced would stay readable in the write-ahead log.
        collection.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count


def exports(folder: Place) -> list[Path]:
    """The files that ``collect export`` wrote."""
    with Collection(folder) as collection:
        return [Path(path) for path in collection.setting("exports") or []]


def take_down_from_exports(folder: Place, ids: frozenset[str]) -> int:
    """Delete their lines from the files that ``collect export`` wrote, if they are still there; returns how many lines."""
    count = 0
    for path in exports(folder):
        if not path.is_file():
            continue
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if _id_of_line(line) not in ids]
        if gone := len(lines) - len(kept):
            write_atomic(path, b"".join(kept))
            count += gone
    return count


def _id_of_line(line: bytes) -> str | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return str(row.get("id")) if isinstance(row, dict) else None
