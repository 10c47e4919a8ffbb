"""A collection on disk: ``collection.sqlite``, where a page of answers and its cursor are stored in one transaction."""

from __future__ import annotations

import contextlib
import json
import math
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import astuple, dataclass, fields
from datetime import date
from typing import Any

from tiktokactions.collection.client import Call, Page
from tiktokactions.collection.plan import Window, choose
from tiktokactions.collection.rows import VideoRow
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, create, on_disk
from tiktokactions.machine import utc_day
from tiktokactions.records import JsonObject

DATABASE = "collection.sqlite"
SALT = "creator-salt"
MEDIA = "media"
"""Folder of downloaded files, below the collection; a file is named by its video's id up to the first dot."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS hashtags(
  hashtag TEXT PRIMARY KEY, position INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'open', reason TEXT NOT NULL DEFAULT '',
  rates TEXT);
CREATE TABLE IF NOT EXISTS windows(
  id INTEGER PRIMARY KEY, hashtag TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'open', cursor INTEGER NOT NULL DEFAULT 0, search_id TEXT, pages INTEGER NOT NULL DEFAULT 0,
  empty_pages INTEGER NOT NULL DEFAULT 0, dry_draws INTEGER NOT NULL DEFAULT 0, restarts INTEGER NOT NULL DEFAULT 0,
  part_of INTEGER, reason TEXT NOT NULL DEFAULT '', shown INTEGER NOT NULL DEFAULT 0, draws INTEGER NOT NULL DEFAULT 0,
  oldest INTEGER, size REAL);
CREATE TABLE IF NOT EXISTS counts(
  hashtag TEXT NOT NULL, day TEXT NOT NULL, rows INTEGER NOT NULL, span_s REAL NOT NULL, PRIMARY KEY(hashtag, day));
CREATE INDEX IF NOT EXISTS windows_of ON windows(hashtag, state);
CREATE TABLE IF NOT EXISTS videos(
  video_id TEXT PRIMARY KEY, hashtags TEXT NOT NULL, create_time INTEGER, creator TEXT, source TEXT NOT NULL,
  raw TEXT NOT NULL, seen TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS found(
  hashtag TEXT NOT NULL, video_id TEXT NOT NULL, window INTEGER NOT NULL, probability REAL,
  PRIMARY KEY(hashtag, video_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS found_by_video ON found(video_id);
CREATE TABLE IF NOT EXISTS rejected(
  hashtag TEXT NOT NULL, video_id TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY(hashtag, video_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls(
  at TEXT NOT NULL, what TEXT NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL, log_id TEXT NOT NULL,
  note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS removed(video_id TEXT PRIMARY KEY, at TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS downloads(
  video_id TEXT PRIMARY KEY, state TEXT NOT NULL, class TEXT NOT NULL, attempts INTEGER NOT NULL, text TEXT NOT NULL,
  at TEXT NOT NULL, tool TEXT NOT NULL, path TEXT, bytes INTEGER);
"""


_LATER = {
    "windows": {
        "shown": "INTEGER NOT NULL DEFAULT 0",
        "draws": "INTEGER NOT NULL DEFAULT 0",
        "oldest": "INTEGER",
        "size": "REAL",
    },
    "found": {"probability": "REAL"},
    "hashtags": {"rates": "TEXT"},
}
"""Columns that collections of earlier versions lack."""


class CollectionError(UsageError):
    """Not a collection, or one that does not fit what was asked for; the message says what to do."""


@dataclass(frozen=True, slots=True)
class WindowState:
    """A window of one hashtag and how far it has been read.

    ``state``: ``open`` (still to be asked for), ``done`` (read to the end), ``more`` (we have enough, the server has more),
    ``incomplete`` (lost half-way), ``failing`` (only server errors), ``doubtful`` (empty, perhaps wrongly),
    ``split`` (its parts are now windows themselves). ``shown``: how many videos it has given, by draws and pages.
    ``oldest``: when the oldest video of its pages was created (Unix time).
    """

    id: int
    hashtag: str
    window: Window
    state: str
    cursor: int
    search_id: str | None
    pages: int
    empty_pages: int
    dry_draws: int
    restarts: int
    part_of: int | None
    shown: int
    draws: int
    oldest: int | None


_WINDOW_COLUMNS = ", ".join(field.name for field in fields(WindowState)).replace("window", 'start, "end"')
_UNSPLIT = ("open", "done", "more", "incomplete", "failing", "doubtful")
STATES = (*_UNSPLIT, "split")


def is_collection(folder: Place) -> bool:
    return (folder / DATABASE).is_file()


class Collection:
    """An open collection folder. Only one process may write at a time: the caller holds the folder's lock."""

    def __init__(self, folder: Place, *, create: bool = False) -> None:
        if not create and not (folder / DATABASE).is_file():
            raise CollectionError(
                f"{folder}: not a collection (no {DATABASE}). 'collect run' and 'collect import' make one"
            )
        self.folder = on_disk(folder, DATABASE)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(self.folder / DATABASE, timeout=60, isolation_level=None)
        try:
            self.database.execute("PRAGMA journal_mode=WAL")
            self.database.execute("PRAGMA synchronous=FULL")
            # Overwrite what is deleted: a video that was taken down must not stay readable in the file.
            self.database.execute("PRAGMA secure_delete=ON")
            self.database.executescript(_SCHEMA)
            for table, columns in _LATER.items():
                there = {row[1] for row in self.database.execute(f"PRAGMA table_info({table})")}
                for name in columns.keys() - there:
                    self.database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
        except sqlite3.DatabaseError as error:
            self.database.close()
            raise CollectionError(
                f"{self.folder / DATABASE}: expected a collection, got something SQLite cannot read ({error})"
            ) from None

    def number(self, query: str, *values: object) -> int:
        """The number that a query gives."""
        return int(self.database.execute(query, values).fetchone()[0])

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything in the block is stored, or nothing if it fails."""
        with self.database:
            self.database.execute("BEGIN IMMEDIATE")
            yield self.database

    # --- settings ---------------------------------------------------------------------------------------------------

    def setting(self, name: str) -> Any:
        """The JSON value stored under this name; None if there is none."""
        row = self.database.execute("SELECT value FROM settings WHERE name=?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_setting(self, name: str, value: object) -> None:
        self.database.execute("INSERT OR REPLACE INTO settings VALUES(?,?)", (name, json.dumps(value)))

    def salt(self) -> bytes:
        """The salt of the creators' hashes: 32 random bytes in a file that only its owner can read, made on first use."""
        path = self.folder / SALT
        if not path.exists():
            with contextlib.suppress(FileExistsError):  # of two processes that make one the first wins
                create(path, secrets.token_hex(32).encode())
        return bytes.fromhex(path.read_text().strip())

    # --- hashtags and windows ---------------------------------------------------------------------------------------

    def add_hashtag(self, hashtag: str, windows: Sequence[Window]) -> None:
        """Add a hashtag with its windows; one that is there already keeps its own."""
        with self.transaction() as database:
            position = self.number("SELECT count(*) FROM hashtags")
            new = database.execute("INSERT OR IGNORE INTO hashtags(hashtag, position) VALUES(?,?)", (hashtag, position))
            if new.rowcount:
                self._add_windows(hashtag, windows)

    def _add_windows(self, hashtag: str, windows: Sequence[Window], part_of: int | None = None) -> None:
        rows = [(hashtag, w.start.isoformat(), w.end.isoformat(), part_of) for w in windows]
        self.database.executemany('INSERT INTO windows(hashtag, start, "end", part_of) VALUES(?,?,?,?)', rows)

    def hashtags(self, state: str | None = None) -> list[str]:
        query = "SELECT hashtag FROM hashtags WHERE ?1 IS NULL OR state=?1 ORDER BY position"
        return [row[0] for row in self.database.execute(query, (state,))]

    def windows(self, hashtag: str | None = None, *states: str) -> list[WindowState]:
        """The windows in the order they were made, without those that were split unless ``states`` asks for them."""
        wanted = states or _UNSPLIT
        where, values = f"state IN ({','.join('?' * len(wanted))})", list(wanted)
        if hashtag is not None:
            where, values = f"hashtag=? AND {where}", [hashtag, *values]
        return self._windows(where, values)

    def window(self, window_id: int) -> WindowState:
        """One window as it is now."""
        return self._windows("id=?", [window_id])[0]

    def _windows(self, where: str, values: Sequence[object]) -> list[WindowState]:
        rows = self.database.execute(f"SELECT {_WINDOW_COLUMNS} FROM windows WHERE {where} ORDER BY id", values)
        return [
            WindowState(row[0], row[1], Window(date.fromisoformat(row[2]), date.fromisoformat(row[3])), *row[4:])
            for row in rows
        ]

    def set_window(self, window: WindowState, state: str, reason: str = "") -> None:
        self.database.execute("UPDATE windows SET state=?, reason=? WHERE id=?", (state, reason, window.id))

    def restart_window(self, window: WindowState, state: str = "open", reason: str = "") -> None:
        """Let a window begin again at its first page with a new search. Its videos stay: the same ids will come again."""
        self.database.execute(
            "UPDATE windows SET state=?, reason=?, cursor=0, search_id=NULL, empty_pages=0, oldest=NULL, restarts=restarts+1,"
            " shown=(SELECT count(*) FROM found WHERE window=windows.id) WHERE id=?",
            (state, reason, window.id),
        )

    def split_window(self, window: WindowState, parts: Sequence[Window], reason: str) -> None:
        """Replace a window by parts of it. What was found in it belongs to the part of its day."""
        with self.transaction() as database:
            self.set_window(window, "split", reason)
            self._add_windows(window.hashtag, parts, window.id)
            rows = database.execute(
                "SELECT video_id, create_time FROM found JOIN videos USING(video_id) WHERE window=?", (window.id,)
            ).fetchall()
            made = [state for state in self.windows(window.hashtag) if state.part_of == window.id]
            for part in made:
                mine = [(part.id, window.hashtag, v) for v, at in rows if utc_day(moment(v, at)) in part.window]
                database.executemany("UPDATE found SET window=? WHERE hashtag=? AND video_id=?", mine)
                database.execute("UPDATE windows SET shown=? WHERE id=?", (len(mine), part.id))

    def failing_days(self) -> set[date]:
        """Days that have always failed, for any hashtag."""
        return {day for state in self.windows(None, "failing") for day in state.window.dates}

    # --- pages ------------------------------------------------------------------------------------------------------

    def store_page(
        self, window: WindowState, page: Page, rows: Sequence[VideoRow], state: str, at: str, is_random: bool = False
    ) -> int:
        """Store rows and where to go on, in one transaction; returns how many rows are new to the hashtag.

        Rows without the hashtag are only noted as rejected.
        """
        oldest = None if is_random else min((moment(row.video_id, row.create_time) for row in rows), default=None)
        with self.transaction() as database:
            new = 0
            for row in rows:
                if window.hashtag not in row.hashtags:
                    rejected = (window.hashtag, row.video_id, "does not carry the hashtag")
                    database.execute("INSERT OR IGNORE INTO rejected VALUES(?,?,?)", rejected)
                elif not self.is_removed(row.video_id):
                    put_video(database, row, "api", at)
                    found = (window.hashtag, row.video_id, window.id)
                    query = "INSERT OR IGNORE INTO found(hashtag, video_id, window) VALUES(?,?,?)"
                    new += database.execute(query, found).rowcount
            changes: dict[str, object] = {"state": state, "reason": "", "shown": window.shown + new}
            if is_random:
                is_dry = new < max(1, len(page.rows) // 10)
                changes |= {"draws": window.draws + 1, "dry_draws": window.dry_draws + 1 if is_dry else 0}
            else:
                changes |= {
                    "cursor": window.cursor if page.cursor is None else page.cursor,
                    "search_id": page.search_id or window.search_id,
                    "pages": window.pages + 1,
                    "empty_pages": 0 if page.rows else window.empty_pages + 1,
                    "oldest": min(filter(None, (oldest, window.oldest)), default=None),
                }
            names = ", ".join(f"{name}=?" for name in changes)
            database.execute(f"UPDATE windows SET {names} WHERE id=?", (*changes.values(), window.id))
        return new

    def log_call(self, call: Call) -> None:
        self.database.execute("INSERT INTO calls VALUES(?,?,?,?,?,?)", astuple(call))

    def roots(self, hashtag: str) -> dict[int, int]:
        """The window that each window of a hashtag is a part of; itself if it was not split off."""
        rows = self.database.execute("SELECT id, part_of FROM windows WHERE hashtag=? ORDER BY id", (hashtag,))
        roots: dict[int, int] = {}
        for window, part_of in rows:
            roots[window] = roots.get(part_of, window)
        return roots

    def found_by_window(self, hashtag: str) -> dict[str, list[str]]:
        """Ids by window; the parts of a split window count as that window."""
        roots = self.roots(hashtag)
        found: dict[str, list[str]] = defaultdict(list)
        for video_id, window in self.database.execute(
            "SELECT video_id, window FROM found WHERE hashtag=? ORDER BY video_id", (hashtag,)
        ):
            found[str(roots[window])].append(video_id)
        return found

    def finish_hashtag(self, hashtag: str, wanted: int, state: str, reason: str, seed: int) -> int:
        """Choose the videos that stay and delete the others, in one transaction; returns how many stay.

        Each of these gets its inclusion probability: the kept videos of its window divided by all that are in it.
        """
        by_window = self.found_by_window(hashtag)
        order = {window: str(place) for place, window in enumerate(self.roots(hashtag))}
        kept = set(choose({order[int(name)]: ids for name, ids in by_window.items()}, wanted, hashtag, seed))
        spare = sorted({video_id for ids in by_window.values() for video_id in ids} - kept)
        with self.transaction() as database:
            database.executemany("DELETE FROM found WHERE hashtag=? AND video_id=?", [(hashtag, v) for v in spare])
            database.executemany(
                "DELETE FROM videos WHERE video_id=? AND source='api' AND NOT EXISTS"
                " (SELECT 1 FROM found WHERE found.video_id=videos.video_id)",
                [(v,) for v in spare],
            )
            database.execute("UPDATE hashtags SET state=?, reason=? WHERE hashtag=?", (state, reason, hashtag))
            roots, sizes = self.roots(hashtag), defaultdict[int, float](float)
            for window, size in database.execute(
                "SELECT id, size FROM windows WHERE hashtag=? AND state<>'split'", (hashtag,)
            ):
                sizes[roots[window]] += math.nan if size is None else size
            for window, root in roots.items():
                chosen = len(kept.intersection(by_window.get(str(root), ())))
                probability = None if math.isnan(sizes[root]) else min(1.0, chosen / max(1.0, sizes[root]))
                database.execute("UPDATE found SET probability=? WHERE window=?", (probability, window))
        return len(kept)

    # --- videos -----------------------------------------------------------------------------------------------------

    def videos(self) -> Iterator[tuple[str, list[str], str | None, JsonObject]]:
        """(id, labels, creator, row as it came) in the order of ids; labels as in :func:`carried`."""
        rows = self.database.execute("SELECT video_id, hashtags, creator, raw FROM videos ORDER BY video_id")
        asked = set(self.hashtags())
        for video_id, tags, creator, raw in rows:
            yield video_id, carried(tags, asked), creator, json.loads(raw)

    def probabilities(self, video_id: str | None = None) -> dict[str, JsonObject]:
        """By video, ``inclusion_probability``: how likely it was to be chosen, by hashtag; and ``inclusion_unknown``: why
        that is not known of others."""
        found: dict[str, JsonObject] = {}
        query = "SELECT video_id, hashtag, probability, state FROM found JOIN hashtags USING(hashtag)"
        where, values = (" WHERE video_id=?", (video_id,)) if video_id is not None else ("", ())
        for video, hashtag, probability, state in self.database.execute(query + where, values):
            why = "its hashtag is not finished" if state == "open" else "nobody knows how many videos its window has"
            name, value = ("inclusion_unknown", why) if probability is None else ("inclusion_probability", probability)
            found.setdefault(video, {}).setdefault(name, {})[hashtag] = value
        return found

    def imported(self, video_id: str) -> JsonObject:
        """What earlier imports said of a video; nothing if there were none, or if the API has told of it."""
        query = "SELECT raw FROM videos WHERE video_id=? AND source='import'"
        row = self.database.execute(query, (video_id,)).fetchone()
        return {} if row is None else dict(json.loads(row[0]))

    def count_videos(self) -> int:
        return self.number("SELECT count(*) FROM videos")

    def is_removed(self, video_id: str) -> bool:
        return self.number("SELECT count(*) FROM removed WHERE video_id=?", video_id) > 0


def moment(video_id: str, create_time: int | None) -> int:
    """When a video was created (Unix time); where the row does not say, by its id, whose upper half is the upload's time."""
    return create_time if create_time is not None else int(video_id) >> 32 if video_id.isdigit() else 0


def carried(tags: str, asked: Set[str]) -> list[str]:
    """Those of a video's hashtags (as stored) that its collection asked for; all if it asked for none."""
    return [tag for tag in json.loads(tags) if not asked or tag in asked]


def put_video(database: sqlite3.Connection, row: VideoRow, source: str, at: str) -> bool:
    """Store or update one video; True if it is new. An import never replaces what the API said."""
    values = (
        row.video_id,
        json.dumps(row.hashtags, ensure_ascii=False),
        row.create_time,
        row.creator,
        source,
        row.raw,
        at,
    )
    new = database.execute("INSERT OR IGNORE INTO videos VALUES(?,?,?,?,?,?,?)", values).rowcount == 1
    if not new:
        database.execute(
            "UPDATE videos SET hashtags=?, create_time=coalesce(?, create_time), creator=coalesce(?, creator), source=?,"
            " raw=?, seen=? WHERE video_id=? AND (source=? OR ?='api')",
            (*values[1:], row.video_id, source, source),
        )
    return new
