"""``.review/index.sqlite``: what the queue and the gallery look up, derived from the manifest, the records and the
decisions. It may be deleted at any time; only leases are nowhere else, and they end by themselves."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tiktokactions.curate.decide import frame_scores, person_score
from tiktokactions.curate.options import CurateOptions
from tiktokactions.files import read_record, record_path
from tiktokactions.review.consensus import Consensus, consensus
from tiktokactions.review.database import Database
from tiktokactions.review.order import Waiting, order_that_teaches
from tiktokactions.review.store import Decision, Store, decisions_after, gold, in_force, reviewers_per_video

FORMAT = 1
SCHEMA = """\
CREATE TABLE videos(
  video_id TEXT PRIMARY KEY,
  row_hash TEXT NOT NULL,
  status TEXT NOT NULL,
  reasons TEXT NOT NULL,
  labels TEXT NOT NULL,
  human_labels TEXT NOT NULL,
  creator TEXT,
  title TEXT,
  file_name TEXT NOT NULL,
  duration_s REAL,
  width INTEGER,
  height INTEGER,
  longest_scene_s REAL,
  person_frames INTEGER,
  sampled_frames INTEGER,
  best_score REAL,
  score_key REAL NOT NULL,
  duration_key REAL NOT NULL,
  margin REAL,
  missing_frames INTEGER,
  clip_path TEXT,
  clip_start_s REAL,
  clip_end_s REAL,
  judged INTEGER NOT NULL DEFAULT 0,
  closed INTEGER NOT NULL DEFAULT 0,
  conflict TEXT
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
CREATE INDEX judged_of_video ON judged(video_id);
CREATE TABLE leases(
  video_id TEXT, reviewer TEXT, queue TEXT NOT NULL, ends REAL NOT NULL, PRIMARY KEY(video_id, reviewer)
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
"""Made when the first rows are there, all at once, and kept up from then on."""
_COLUMNS = ["video_id", "status", "reasons", "labels", "human_labels", "creator", "source_path", "duration_s", "width"]
_COLUMNS += ["height", "longest_scene_s", "person_frames", "sampled_frames", "clip_path", "clip_start_s", "clip_end_s"]
_FROM_RECORDS = ["title", "detector", "frame_scores", "person_score"]
"""A manifest of an earlier version of this program lacks some of these; the records are read then."""
ROWS_AT_ONCE = 2000
ROWS_AT_FIRST = 50_000
"""So many where there is nothing yet and nobody is served: each page of the index is then written a few times only."""
CACHE_AT_FIRST_KB = 256_000
HUMAN = ("human_accepted", "human_rejected", "human_no_action")


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
    """Open the index; one that another version of this program made, or that is damaged, is made anew.

    Raises:
        ValueError: the folder cannot be written.
    """
    path = index_path(dataset)
    try:
        database = Database(path, SCHEMA, FORMAT, synchronous="NORMAL")
    except ValueError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):
            raise  # locked, or no room: that is no reason to take it from under another process
        _delete(path)
        database = Database(path, SCHEMA, FORMAT, synchronous="NORMAL")
    return Index(dataset, settings, database)


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


# --- from the manifest ---------------------------------------------------------------------------------------------


def refresh(index: Index, store: Store, report: Callable[[int], None] = lambda videos: None) -> bool:
    """Bring the index up to the manifest and the decisions; says whether the manifest had changed.

    Rows are compared by a hash, and only the records of those that changed are read, so that a rebuild after some
    decisions takes seconds with 300,000 videos. Requests are served meanwhile: it writes in small transactions.
    ``report`` is told from time to time how many rows have been looked at.
    """
    manifest = index.dataset / "manifest.parquet"
    stat = manifest.stat()
    state = f"{stat.st_size} {stat.st_mtime_ns} {person_settings(index.settings)}"
    changed = meta(index, "manifest") != state
    if changed:
        new = _update_videos(index, manifest, report)
        _make_indexes(index)
        _fold_those_judged(index, store, new)
        _count_labels(index)
        _update_review_queue(index)
        _set_meta(index, "manifest", state)
    if meta(index, "reviewers_per_video") != str(reviewers_per_video(store)):
        _forget_decisions(index)
        _set_meta(index, "reviewers_per_video", str(reviewers_per_video(store)))
    catch_up(index, store)
    answers = gold(store)
    known = json.dumps([[g.video_id, g.verdict, g.labels] for g in answers.values()])
    if meta(index, "gold") != known:
        before = [row[0] for row in json.loads(meta(index, "gold") or "[]")]
        fold_videos(index, store, sorted({*before, *answers}))
        _set_meta(index, "gold", known)
    return changed


def person_settings(settings: CurateOptions) -> str:
    return f"{settings.person_score} {settings.min_person_frames}"


def _update_videos(index: Index, manifest: Path, report: Callable[[int], None]) -> list[str]:
    """Returns the ids of the videos that were not there before."""
    import pyarrow.parquet as pq

    with index.database.connection() as connection:
        known = dict(connection.execute("SELECT video_id, row_hash FROM videos").fetchall())
    rows_at_once = ROWS_AT_ONCE if known else ROWS_AT_FIRST
    about = person_settings(index.settings)
    changed: list[dict[str, Any]] = []
    new: list[str] = []
    again: list[str] = []
    looked_at = 0
    with pq.ParquetFile(manifest) as file:
        is_told = set(_FROM_RECORDS) <= set(file.schema_arrow.names)
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[*_COLUMNS, *(_FROM_RECORDS if is_told else ())]):
            looked_at += batch.num_rows
            report(looked_at)
            for row in batch.to_pylist():
                said = msgspec.json.encode([about, *row.values()])
                row_hash = hashlib.blake2b(said, digest_size=12).hexdigest()
                before = known.pop(row["video_id"], None)
                if before is None:
                    new.append(row["video_id"])
                elif before != row_hash:
                    again.append(row["video_id"])
                if before != row_hash:
                    changed.append(_video_row(index, row if is_told else row | _told(index, row["video_id"]), row_hash))
                if len(changed) >= rows_at_once:
                    _write_videos(index, changed, again)
                    changed, again = [], []
    _write_videos(index, changed, again)
    _forget(index, list(known))
    return new


def _told(index: Index, video_id: str) -> dict[str, Any]:
    """What a manifest of an earlier version does not tell, from the record."""
    try:
        record = read_record(record_path(index.dataset, video_id))
    except (FileNotFoundError, ValueError):  # 'dataset verify' speaks of it; here the row of the manifest has to do
        return {"title": None, "detector": None, "frame_scores": [], "person_score": 1.0}
    return {
        "title": record.source.title,
        "detector": record.detector.name if record.detector is not None else None,
        "frame_scores": frame_scores(record),
        "person_score": person_score(record, index.settings),
    }


def _video_row(index: Index, row: dict[str, Any], row_hash: str) -> dict[str, Any]:
    scores = row["frame_scores"]
    wanted = max(1, index.settings.min_person_frames)
    # How far the frame that is still missing is from counting: the one that would make the video qualify.
    margin = row["person_score"] - scores[wanted - 1] if len(scores) >= wanted else None
    seen = row["detector"] not in (None, "none")
    best_score = max(scores, default=0.0) if seen and row["sampled_frames"] else None
    return {
        "video_id": row["video_id"],
        "row_hash": row_hash,
        "status": row["status"],
        "reasons": _json(row["reasons"]),
        "labels": _json(row["labels"]),
        "human_labels": _json(row["human_labels"]),
        "creator": row["creator"],
        "title": row["title"],
        "file_name": row["source_path"].replace("\\", "/").rsplit("/", 1)[-1],
        "duration_s": row["duration_s"],
        "width": row["width"],
        "height": row["height"],
        "longest_scene_s": row["longest_scene_s"],
        "person_frames": row["person_frames"],
        "sampled_frames": row["sampled_frames"],
        "best_score": best_score,
        "score_key": -1.0 if best_score is None else best_score,
        "duration_key": -1.0 if row["duration_s"] is None else row["duration_s"],
        "margin": margin if seen else None,
        "missing_frames": wanted - (row["person_frames"] or 0) if seen else None,
        "clip_path": row["clip_path"],
        "clip_start_s": row["clip_start_s"],
        "clip_end_s": row["clip_end_s"],
    }


def _json(texts: list[str] | None) -> str:
    return msgspec.json.encode(texts or []).decode()


def _write_videos(index: Index, rows: list[dict[str, Any]], again: list[str]) -> None:
    """``again``: those of them that are there already."""
    if not rows:
        return
    names = list(rows[0])
    is_first = len(rows) > ROWS_AT_ONCE
    updates = ", ".join(f"{name}=excluded.{name}" for name in names[1:])
    with index.database.write() as connection:
        if is_first:
            connection.execute(f"PRAGMA cache_size=-{CACHE_AT_FIRST_KB}")
        connection.executemany(
            f"INSERT INTO videos({', '.join(names)}) VALUES({', '.join(':' + name for name in names)})"
            f" ON CONFLICT(video_id) DO UPDATE SET {updates}",
            rows,
        )
        connection.executemany("DELETE FROM labels WHERE video_id=?", [(video_id,) for video_id in again])
        connection.executemany(
            "INSERT OR IGNORE INTO labels VALUES(?, ?)",
            [
                (label, row["video_id"])
                for row in rows
                for label in [*msgspec.json.decode(row["human_labels"]), *msgspec.json.decode(row["labels"])]
            ],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO texts VALUES(?, ?)", [(row["video_id"], searched_text(row)) for row in rows]
        )
        if is_first:
            connection.execute("PRAGMA cache_size=-2000")  # as it is by default


def _make_indexes(index: Index) -> None:
    with index.database.write() as connection:
        for statement in INDEXES:
            connection.execute(statement)


def searched_text(row: Mapping[str, Any]) -> str:
    """What the gallery's text filter looks in: id, creator, title and file name, without regard to case."""
    return "\n".join(str(row[name] or "") for name in ("video_id", "creator", "title", "file_name")).casefold()


def _count_labels(index: Index) -> None:
    """The funnel of every label, counted once per change of the manifest: it reads every video."""
    with index.database.connection() as connection:
        rows = connection.execute(
            "SELECT l.label, count(*), sum(v.status='accepted'), sum(v.status='needs_review'), sum(v.status='rejected')"
            " FROM labels l JOIN videos v USING(video_id) GROUP BY l.label"
        ).fetchall()
    with index.database.write() as connection:
        connection.execute("DELETE FROM funnel")
        connection.executemany("INSERT INTO funnel VALUES(?, ?, ?, ?, ?)", [tuple(row) for row in rows])
        connection.execute("PRAGMA analysis_limit=1000")
        connection.execute("ANALYZE")


def _forget(index: Index, video_ids: Sequence[str]) -> None:
    with index.database.write() as connection:
        for table in ("videos", "texts", "labels", "queue", "judged", "leases"):
            connection.executemany(f"DELETE FROM {table} WHERE video_id=?", [(i,) for i in video_ids])


def forget_videos(dataset: Path, video_ids: Sequence[str]) -> None:
    """Take videos out of the index of a dataset, where it has one; and every proxy, whose names do not tell of which video
    they are."""
    shutil.rmtree(dataset / ".review" / "proxies", ignore_errors=True)
    if not index_path(dataset).exists():
        return
    index = open_index(dataset, CurateOptions())
    try:
        _forget(index, video_ids)
        with index.database.connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        index.close()


# --- queues --------------------------------------------------------------------------------------------------------


def _update_review_queue(index: Index) -> None:
    """Put the videos that need review in order. Those that people decided stay in it, closed, so that a further
    judgement can be asked for later."""
    with index.database.connection() as connection:
        rows = connection.execute(
            "SELECT video_id, labels, missing_frames, margin FROM videos"
            " WHERE status='needs_review' OR reasons LIKE '%human_%' OR reasons LIKE '%source_missing%'"
        ).fetchall()
        accepted = dict(connection.execute("SELECT label, accepted FROM funnel").fetchall())
    waiting = [
        Waiting(row["video_id"], next(iter(json.loads(row["labels"])), ""), row["missing_frames"], row["margin"])
        for row in rows
    ]
    set_queue(index, "review", order_that_teaches(waiting, accepted))


def set_queue(index: Index, queue: str, video_ids: Sequence[str]) -> None:
    """A queue holds these videos, in this order; only what differs from before is written."""
    with index.database.connection() as connection:
        before = dict(connection.execute("SELECT video_id, rank FROM queue WHERE queue=?", (queue,)).fetchall())
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


# --- from the decisions --------------------------------------------------------------------------------------------


def catch_up(index: Index, store: Store) -> None:
    """Take in the decisions appended since the last time, by whatever process."""
    while True:
        seen = int(meta(index, "decisions_seen") or 0)
        new = decisions_after(store, seen)
        if not new:
            return
        _fold(index, store, sorted({video_id for _, video_id, _ in new}), new[-1][0])
        if any(verdict in ("skip", "undo") for _, _, verdict in new):
            with index.database.write() as connection:
                connection.execute("UPDATE places SET empty=0 WHERE empty")


def fold_videos(index: Index, store: Store, video_ids: Sequence[str]) -> None:
    """Take in what is said of some videos now."""
    _fold(index, store, list(video_ids), None)


def _fold(index: Index, store: Store, video_ids: list[str], last_id: int | None) -> None:
    k, known_answers = reviewers_per_video(store), gold(store)
    said: dict[str, list[Decision]] = {video_id: [] for video_id in video_ids}
    with index.database.write() as connection:
        # Read inside the transaction: another thread may fold newer decisions of the same videos before or after.
        for decision in in_force(store, video_ids):
            said[decision.video_id].append(decision)
        for video_id, decisions in said.items():
            answer = consensus(decisions, k, known_answers.get(video_id))
            _write_state(connection, video_id, decisions, answer, k)
        if last_id is not None:
            _put_meta(
                connection, "decisions_seen", str(max(last_id, int(_get_meta(connection, "decisions_seen") or 0)))
            )


def _write_state(
    connection: sqlite3.Connection, video_id: str, decisions: list[Decision], answer: Consensus, k: int
) -> None:
    closed = answer.judged >= k or answer.is_final
    connection.execute("DELETE FROM judged WHERE video_id=?", (video_id,))
    people: dict[str, list[Any]] = {}
    for decision in sorted(decisions, key=lambda d: d.id):
        person = people.setdefault(decision.reviewer, [None, 0])
        if decision.verdict == "skip":
            person[1] = decision.id
        else:
            person[0] = decision.verdict
    connection.executemany(
        "INSERT INTO judged VALUES(?, ?, ?, ?)", [(name, video_id, *values) for name, values in people.items()]
    )
    # Whoever said something no longer holds it; whoever took that back is given it again by the queue.
    connection.executemany("DELETE FROM leases WHERE video_id=? AND reviewer=?", [(video_id, name) for name in people])
    connection.execute(
        "UPDATE videos SET judged=?, closed=?, conflict=? WHERE video_id=?",
        (answer.judged, closed, answer.conflict, video_id),
    )
    connection.execute("UPDATE queue SET open=? WHERE video_id=? AND open<>?1", (not closed, video_id))


def _fold_those_judged(index: Index, store: Store, new: Sequence[str]) -> None:
    """Videos that came into the dataset after somebody had judged them (their answers were imported, say)."""
    with store.database.connection() as connection:
        judged = {row[0] for row in connection.execute("SELECT DISTINCT video_id FROM decisions")}
    fold_videos(index, store, sorted(judged.intersection(new)))


def _forget_decisions(index: Index) -> None:
    with index.database.write() as connection:
        connection.execute("DELETE FROM judged")
        connection.execute(
            "UPDATE videos SET judged=0, closed=0, conflict=NULL WHERE judged OR closed OR conflict NOTNULL"
        )
        connection.execute("UPDATE queue SET open=1 WHERE NOT open")
        connection.execute("UPDATE places SET rank=0, empty=0")
        _put_meta(connection, "gold", "[]")
        _put_meta(connection, "decisions_seen", "0")


def meta(index: Index, name: str) -> str | None:
    with index.database.connection() as connection:
        return _get_meta(connection, name)


def _get_meta(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _set_meta(index: Index, name: str, value: str) -> None:
    with index.database.write() as connection:
        _put_meta(connection, name, value)


def _put_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value=excluded.value", (name, value)
    )


def video_ids_with(index: Index, where: str, values: Sequence[Any] = ()) -> Iterator[str]:
    """Ids of the videos for which an SQL condition on the table ``videos`` holds, in order."""
    with index.database.connection() as connection:
        for row in connection.execute(f"SELECT video_id FROM videos WHERE {where} ORDER BY video_id", values):
            yield row[0]
