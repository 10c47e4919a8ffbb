"""``.review/index.sqlite``: what the queue and the gallery look up, derived from the manifest, the records and the
decisions. It may be deleted at any time: only the leases are lost, and they expire anyway."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tiktokactions.curation.options import CurateOptions
from tiktokactions.reviews.database import Database
from tiktokactions.reviews.rows import column_definitions, shown

FORMAT = 4
_BOTH, _MANIFEST, _GALLERY = shown("manifest gallery"), shown("manifest"), shown("gallery")


@dataclass(frozen=True)
class VideoRow:
    """A row of the table ``videos``: what the manifest says about a video, and how far its review has come."""

    video_id: str = field(metadata=_BOTH)
    row_hash: str
    """Hash of its row in the manifest."""
    status: str = field(metadata=_BOTH)
    reasons: tuple[str, ...] = field(metadata=_BOTH)
    labels: tuple[str, ...] = field(metadata=_BOTH)
    human_labels: tuple[str, ...] = field(metadata=_MANIFEST)
    creator: str | None = field(metadata=_BOTH)
    title: str | None = field(metadata=_GALLERY)
    file_name: str = field(metadata=_BOTH)
    duration_s: float | None = field(metadata=_BOTH)
    width: int | None = field(metadata=_BOTH)
    height: int | None = field(metadata=_BOTH)
    longest_scene_s: float | None = field(metadata=_MANIFEST)
    person_frames: int | None = field(metadata=_BOTH)
    sampled_frames: int | None = field(metadata=_BOTH)
    best_score: float | None = field(metadata=_GALLERY)
    """The highest score of a person in the sampled frames; None where nobody looked for people."""
    score_key: float
    """To order by: ``best_score``, with -1 where it is unknown."""
    duration_key: float
    margin: float | None
    missing_frames: int | None
    """How many more sampled frames with a person would have qualified it."""
    clip_path: str | None = field(metadata=_MANIFEST)
    """Relative to the dataset."""
    clip_start_s: float | None = field(metadata=_MANIFEST)
    clip_end_s: float | None = field(metadata=_MANIFEST)
    judged: int = field(default=0, metadata=_GALLERY)
    closed: bool = False
    conflict: str | None = field(default=None, metadata=_GALLERY)


SCHEMA = f"""\
CREATE TABLE videos(
{column_definitions(VideoRow, {"video_id": "PRIMARY KEY"})}
);
CREATE TABLE texts(video_id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE funnel(
  label TEXT PRIMARY KEY, videos INTEGER NOT NULL, accepted INTEGER NOT NULL, needs_review INTEGER NOT NULL,
  rejected INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE labels(label TEXT, video_id TEXT, PRIMARY KEY(label, video_id)) WITHOUT ROWID;
CREATE TABLE queue(
  queue TEXT, video_id TEXT, rank INTEGER NOT NULL, open INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(queue, video_id)
) WITHOUT ROWID;
CREATE INDEX queue_open ON queue(queue, rank, video_id) WHERE open;
CREATE INDEX queue_of_video ON queue(video_id);
CREATE TABLE judged(
  reviewer TEXT, video_id TEXT, verdict TEXT, skipped INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(reviewer, video_id)
) WITHOUT ROWID;
CREATE TABLE doubts(video_id TEXT PRIMARY KEY, wrong REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE alike(
  video_id TEXT, other TEXT, distance REAL NOT NULL, PRIMARY KEY(video_id, other)
) WITHOUT ROWID;
CREATE INDEX alike_of_other ON alike(other);
CREATE INDEX judged_of_video ON judged(video_id);
CREATE TABLE leases(
  video_id TEXT, reviewer TEXT, queue TEXT NOT NULL, began REAL NOT NULL, ends REAL NOT NULL,
  tab TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(video_id, reviewer)
) WITHOUT ROWID;
CREATE INDEX leases_of_reviewer ON leases(reviewer);
CREATE TABLE places(
  reviewer TEXT, queue TEXT, rank INTEGER NOT NULL DEFAULT 0, handed INTEGER NOT NULL DEFAULT 0,
  empty INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(reviewer, queue)
) WITHOUT ROWID;
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL)"""
INDEXES = (
    "CREATE INDEX IF NOT EXISTS videos_status ON videos(status, video_id)",
    "CREATE INDEX IF NOT EXISTS videos_score ON videos(score_key, video_id)",
    "CREATE INDEX IF NOT EXISTS videos_duration ON videos(duration_key, video_id)",
    "CREATE INDEX IF NOT EXISTS videos_status_score ON videos(status, score_key, video_id)",
    "CREATE INDEX IF NOT EXISTS videos_status_duration ON videos(status, duration_key, video_id)",
    "CREATE INDEX IF NOT EXISTS videos_judged ON videos(video_id) WHERE judged > 0",
    "CREATE INDEX IF NOT EXISTS videos_conflict ON videos(video_id) WHERE conflict IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS labels_of_video ON labels(video_id)",
)
"""Created together after the first rows were written, which is faster; SQLite maintains them from then on."""
ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Index:
    """The index of a dataset, opened."""

    dataset: Path
    settings: CurateOptions
    database: Database

    def close(self) -> None:
        self.database.close()


def index_path(dataset: Path) -> Path:
    return dataset / ".review" / "index.sqlite"


def open_index(dataset: Path, settings: CurateOptions) -> Index:
    """Open the index. A damaged one, or one that another version of this program made, is rebuilt.

    Raises:
        ValueError: the folder cannot be written.
    """
    path = index_path(dataset)
    try:
        database = Database(path, SCHEMA, FORMAT, synchronous="NORMAL")
    except ValueError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):
            raise  # locked, or the disk is full: no reason to delete it while another process uses it
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        database = Database(path, SCHEMA, FORMAT, synchronous="NORMAL")
    return Index(dataset, settings, database)


def forget(index: Index, video_ids: Sequence[str]) -> None:
    """Take videos out of every table."""
    with index.database.write() as connection:
        for table in ("videos", "texts", "labels", "queue", "judged", "leases", "doubts", "alike"):
            connection.executemany(f"DELETE FROM {table} WHERE video_id=?", [(i,) for i in video_ids])
        connection.executemany("DELETE FROM alike WHERE other=?", [(i,) for i in video_ids])


def set_queue(index: Index, queue: str, video_ids: Sequence[str]) -> None:
    """Fill a queue with these videos, in this order; only what has changed is written."""
    sql = "SELECT video_id, rank FROM queue WHERE queue=?"
    before = {row[0]: row[1] for row in index.database.rows(sql, (queue,))}
    moved = [(queue, i, rank) for rank, i in enumerate(video_ids) if before.pop(i, None) != rank]
    for start in range(0, len(moved), ROWS_AT_ONCE):
        with index.database.write() as connection:
            connection.executemany(
                "INSERT INTO queue(queue, video_id, rank, open)"
                " VALUES(?, ?, ?, coalesce((SELECT NOT closed FROM videos v WHERE v.video_id=?2), 1))"
                " ON CONFLICT(queue, video_id) DO UPDATE SET rank=excluded.rank",
                moved[start : start + ROWS_AT_ONCE],
            )
    if moved or before:
        with index.database.write() as connection:
            connection.executemany("DELETE FROM queue WHERE queue=? AND video_id=?", [(queue, i) for i in before])
            connection.execute("UPDATE places SET rank=0, empty=0 WHERE queue=?", (queue,))


SET_META = "INSERT INTO meta VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value=excluded.value"


def meta(index: Index, name: str) -> str | None:
    row = index.database.first("SELECT value FROM meta WHERE name=?", (name,))
    return None if row is None else str(row[0])


def set_meta(index: Index, name: str, value: str) -> None:
    index.database.run(SET_META, (name, value))
