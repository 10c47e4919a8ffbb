"""``reviews.sqlite``: what people decided, append-only, and who they are. The one file here that cannot be made again."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tiktokactions.review.database import Database
from tiktokactions.review.decisions import (
    CLIENT_KEY,
    TEXT_AT_MOST,
    Decision,
    DecisionError,
    Gold,
    NewDecision,
    Reviewer,
    checked_decision,
    clean_label,
    clean_texts,
    value_of,
)

FORMAT = 1
SCHEMA = """\
CREATE TABLE decisions(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_key TEXT NOT NULL UNIQUE,
  at_utc TEXT NOT NULL,
  reviewer TEXT NOT NULL,
  video_id TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK(verdict IN ('accept', 'reject', 'skip', 'unsure', 'undo')),
  labels TEXT,
  tags TEXT NOT NULL DEFAULT '[]',
  no_action INTEGER NOT NULL DEFAULT 0,
  scene INTEGER,
  start_s REAL,
  end_s REAL,
  seconds REAL NOT NULL DEFAULT 0,
  page_version TEXT NOT NULL DEFAULT '',
  queue TEXT NOT NULL DEFAULT '',
  adjudication INTEGER NOT NULL DEFAULT 0,
  origin TEXT NOT NULL DEFAULT 'web',
  undoes INTEGER UNIQUE REFERENCES decisions(id),
  previous TEXT,
  CHECK((verdict = 'undo') = (undoes IS NOT NULL))
);
CREATE INDEX decisions_of_video ON decisions(video_id, reviewer, id);
CREATE INDEX decisions_of_reviewer ON decisions(reviewer, id);
CREATE INDEX decisions_by_time ON decisions(reviewer, at_utc);
CREATE TABLE reviewers(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK(role IN ('owner', 'reviewer', 'outside')),
  token_sha256 TEXT UNIQUE,
  created_utc TEXT NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE gold(video_id TEXT PRIMARY KEY, verdict TEXT NOT NULL, labels TEXT, by TEXT NOT NULL, at_utc TEXT NOT NULL);
CREATE TABLE sampled(
  video_id TEXT NOT NULL, seed INTEGER NOT NULL, position INTEGER NOT NULL, labels TEXT NOT NULL, drawn_utc TEXT NOT NULL,
  PRIMARY KEY(video_id, seed)
);
CREATE TABLE verdicts(
  video_id TEXT PRIMARY KEY,
  verdict TEXT NOT NULL CHECK(verdict IN ('accept', 'reject')),
  labels TEXT NOT NULL,
  tags TEXT NOT NULL,
  no_action INTEGER NOT NULL,
  scene INTEGER,
  start_s REAL,
  end_s REAL,
  judgements INTEGER NOT NULL,
  confidence REAL NOT NULL,
  method TEXT NOT NULL
)"""

_IN_FORCE = "verdict <> 'undo' AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.id)"


class Store:
    """``DATASET/reviews.sqlite``, opened. Every write is on disk when its function returns."""

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset
        self.database = Database(store_path(dataset), SCHEMA, FORMAT, synchronous="FULL")

    def close(self) -> None:
        self.database.close()


def store_path(dataset: Path) -> Path:
    return dataset / "reviews.sqlite"


def now_utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


# --- decisions -----------------------------------------------------------------------------------------------------


def add_decision(
    store: Store,
    reviewer: str,
    new: NewDecision,
    *,
    adjudication: bool = False,
    origin: str = "web",
    at_utc: str | None = None,
) -> Decision:
    """Append a decision; it is durable when this returns. The same client key again changes nothing.

    Raises:
        DecisionError: the decision makes no sense in itself, or its client key was used for another one.
    """
    return add_decisions(store, [(reviewer, new, at_utc or now_utc())], adjudication=adjudication, origin=origin)[0]


def add_decisions(
    store: Store,
    decisions: Sequence[tuple[str, NewDecision, str]],
    *,
    adjudication: bool = False,
    origin: str = "web",
) -> list[Decision]:
    """Append many (reviewer, decision, when) in one transaction; see :func:`add_decision`."""
    checked = [(reviewer, checked_decision(new), at_utc) for reviewer, new, at_utc in decisions]
    with store.database.write() as connection:
        return [_insert(connection, reviewer, new, at_utc, adjudication, origin) for reviewer, new, at_utc in checked]


def _insert(
    connection: sqlite3.Connection, reviewer: str, new: NewDecision, at_utc: str, adjudication: bool, origin: str
) -> Decision:
    known = _by_key(connection, new.client_key)
    if known is not None:
        if (known.reviewer, known.video_id) != (reviewer, new.video_id) or known.verdict == "undo":
            raise DecisionError(f"client_key {new.client_key}: already used for another decision; make a new one")
        return replace(known, repeated=True)
    row = {
        "client_key": new.client_key,
        "at_utc": at_utc,
        "reviewer": reviewer,
        "video_id": new.video_id,
        "verdict": new.verdict,
        "labels": None if new.labels is None else _json(new.labels),
        "tags": _json(new.tags),
        "no_action": int(new.no_action),
        "scene": new.scene,
        "start_s": new.start_s,
        "end_s": new.end_s,
        "seconds": new.seconds,
        "page_version": new.page_version,
        "queue": new.queue,
        "adjudication": int(adjudication),
        "origin": origin,
    }
    return _append(connection, row)


def _append(connection: sqlite3.Connection, row: dict[str, Any]) -> Decision:
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    cursor = connection.execute(f"INSERT INTO decisions({names}) VALUES({marks})", row)
    found = connection.execute("SELECT * FROM decisions WHERE id=?", (cursor.lastrowid,)).fetchone()
    return decision_of_row(found)


def undo_last(store: Store, reviewer: str, client_key: str, page_version: str = "") -> Decision | None:
    """Take back the newest decision of a person that is not taken back yet, by appending a row that says so.

    Returns that row, or None where there is nothing left to take back. The same client key again changes nothing.
    """
    if not CLIENT_KEY.fullmatch(client_key):
        raise DecisionError(f"client_key: got {client_key[:80]!r}, expected 8 to 128 letters, digits or _.:-")
    with store.database.write() as connection:
        known = _by_key(connection, client_key)
        if known is not None:
            if known.reviewer != reviewer or known.verdict != "undo":
                raise DecisionError(f"client_key {client_key}: already used for another decision; make a new one")
            return replace(known, repeated=True)
        last = connection.execute(
            f"SELECT * FROM decisions d WHERE reviewer=? AND origin='web' AND {_IN_FORCE} ORDER BY id DESC LIMIT 1",
            (reviewer,),
        ).fetchone()
        if last is None:
            return None
        row = {
            "client_key": client_key,
            "at_utc": now_utc(),
            "reviewer": reviewer,
            "video_id": last["video_id"],
            "verdict": "undo",
            "page_version": page_version[:TEXT_AT_MOST],
            "queue": last["queue"],
            "adjudication": last["adjudication"],
            "undoes": last["id"],
            "previous": json.dumps(value_of(decision_of_row(last)), ensure_ascii=False),
        }
        return _append(connection, row)


def _by_key(connection: sqlite3.Connection, client_key: str) -> Decision | None:
    row = connection.execute("SELECT * FROM decisions WHERE client_key=?", (client_key,)).fetchone()
    return None if row is None else decision_of_row(row)


def has_decision(store: Store, client_key: str, video_id: str) -> bool:
    """Whether a decision with this client key on this video is in the table."""
    with store.database.connection() as connection:
        known = _by_key(connection, client_key)
    return known is not None and known.video_id == video_id and known.verdict != "undo"


def decision_of_row(row: sqlite3.Row) -> Decision:
    return Decision(
        client_key=row["client_key"],
        video_id=row["video_id"],
        verdict=row["verdict"],
        labels=None if row["labels"] is None else tuple(json.loads(row["labels"])),
        tags=tuple(json.loads(row["tags"])),
        no_action=bool(row["no_action"]),
        scene=row["scene"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        seconds=row["seconds"],
        page_version=row["page_version"],
        queue=row["queue"],
        id=row["id"],
        at_utc=row["at_utc"],
        reviewer=row["reviewer"],
        adjudication=bool(row["adjudication"]),
        origin=row["origin"],
        undoes=row["undoes"],
        previous=None if row["previous"] is None else json.loads(row["previous"]),
    )


def _json(texts: Iterable[str]) -> str:
    return json.dumps(list(texts), ensure_ascii=False)


def in_force(store: Store, video_ids: Sequence[str] | None = None) -> Iterator[Decision]:
    """The newest decision of each person on each video that is not taken back, by video; of all or of some videos.

    A skip stands beside an earlier judgement and does not replace it.
    """
    with store.database.connection() as connection:
        for part in _parts(video_ids):
            where = "" if part is None else f" AND video_id IN ({','.join('?' * len(part))})"
            rows = connection.execute(
                f"SELECT *, max(id) FROM decisions d WHERE {_IN_FORCE}{where}"
                " GROUP BY video_id, reviewer, verdict='skip', adjudication",
                part or (),
            ).fetchall()
            yield from map(decision_of_row, rows)


def _parts(video_ids: Sequence[str] | None, size: int = 500) -> Iterator[list[str] | None]:
    if video_ids is None:
        yield None
        return
    for start in range(0, len(video_ids), size):
        yield list(video_ids[start : start + size])


def judgements(store: Store, video_id: str) -> list[Decision]:
    """What everybody says of a video, as it is in force; not for those who have yet to judge it."""
    return sorted((d for d in in_force(store, [video_id]) if d.verdict != "skip"), key=lambda d: d.id)


def decision_of(store: Store, reviewer: str, video_id: str) -> Decision | None:
    """What a person says of a video, as it is in force."""
    found = [decision for decision in in_force(store, [video_id]) if decision.reviewer == reviewer]
    return max(found, key=lambda d: d.id, default=None)


def decisions_after(store: Store, last_id: int, limit: int = 1000) -> list[tuple[int, str, str]]:
    """(id, video id, verdict) of the rows appended after ``last_id``, oldest first."""
    with store.database.connection() as connection:
        rows = connection.execute(
            "SELECT id, video_id, verdict FROM decisions WHERE id > ? ORDER BY id LIMIT ?", (last_id, limit)
        ).fetchall()
    return [(row["id"], row["video_id"], row["verdict"]) for row in rows]


def all_rows(store: Store) -> Iterator[Decision]:
    """The whole table, oldest first, undone rows and undos too."""
    with store.database.connection() as connection:
        for row in connection.execute("SELECT * FROM decisions ORDER BY id"):
            yield decision_of_row(row)


def labels_given(store: Store) -> list[str]:
    """Every label that people gave, in alphabetical order."""
    with store.database.connection() as connection:
        rows = connection.execute(
            "SELECT DISTINCT value FROM decisions, json_each(labels) WHERE labels NOTNULL ORDER BY value"
        ).fetchall()
    return [row[0] for row in rows]


def count_decisions(store: Store) -> int:
    with store.database.connection() as connection:
        return int(connection.execute("SELECT count(*) FROM decisions").fetchone()[0])


# --- people --------------------------------------------------------------------------------------------------------


def invite(store: Store, name: str, role: str = "reviewer") -> tuple[Reviewer, str]:
    """A new person and the token that lets them in; only its SHA-256 is kept. Again: a new token, the old one ends.

    Raises:
        DecisionError: a name that cannot be shown, or the owner's.
    """
    known = reviewer(store, reviewer_id(name))
    if known is not None and known.role == "owner" and role != "owner":
        raise DecisionError(f"{known.name}: is the owner already; choose another name")
    token = secrets.token_urlsafe(24)
    return _with_token(store, name, role, token), token


def set_owner_token(store: Store, token: str) -> Reviewer:
    """The person ``owner``, let in by this token from now on."""
    return _with_token(store, "owner", "owner", token)


def _with_token(store: Store, name: str, role: str, token: str) -> Reviewer:
    name = clean_label(name)
    with store.database.write() as connection:
        connection.execute(
            "INSERT INTO reviewers(id, name, role, token_sha256, created_utc) VALUES(?, ?, ?, ?, ?)"
            " ON CONFLICT(id) DO UPDATE SET token_sha256=excluded.token_sha256, role=excluded.role, disabled=0",
            (reviewer_id(name), name, role, _sha256(token), now_utc()),
        )
    found = reviewer(store, reviewer_id(name))
    assert found is not None
    return found


def reviewer_id(name: str) -> str:
    """How a name is compared: without regard to case."""
    return clean_label(name).casefold()


def reviewer_of_token(store: Store, token: str) -> Reviewer | None:
    """Who was given this token; None for a wrong one and for people who are shut out."""
    with store.database.connection() as connection:
        row = connection.execute(
            "SELECT * FROM reviewers WHERE token_sha256=? AND NOT disabled", (_sha256(token),)
        ).fetchone()
    return None if row is None else _reviewer_of_row(row)


def named_reviewer(store: Store, name: str, role: str = "reviewer") -> Reviewer:
    """The person of this name, made where there is none: for a server that only this machine reaches, and for imports.

    Raises:
        DecisionError: a name that cannot be shown, or that belongs to somebody with a token.
    """
    wanted = reviewer_id(name)
    found = reviewer(store, wanted)
    if found is None:
        with store.database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO reviewers(id, name, role, created_utc) VALUES(?, ?, ?, ?)",
                (wanted, clean_label(name), role, now_utc()),
            )
        found = reviewer(store, wanted)
    assert found is not None
    if role != "outside" and (found.has_token or found.disabled):
        raise DecisionError(f"{found.name}: this name belongs to somebody with an invitation; use that link")
    return found


def disable_reviewer(store: Store, person: str) -> None:
    """Shut a person out; what they decided stays."""
    with store.database.write() as connection:
        connection.execute("UPDATE reviewers SET disabled=1 WHERE id=?", (person,))


def reviewer(store: Store, person: str) -> Reviewer | None:
    with store.database.connection() as connection:
        row = connection.execute("SELECT * FROM reviewers WHERE id=?", (person,)).fetchone()
    return None if row is None else _reviewer_of_row(row)


def reviewers(store: Store) -> list[Reviewer]:
    with store.database.connection() as connection:
        rows = connection.execute("SELECT * FROM reviewers ORDER BY created_utc, id").fetchall()
    return [_reviewer_of_row(row) for row in rows]


def _reviewer_of_row(row: sqlite3.Row) -> Reviewer:
    return Reviewer(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        created_utc=row["created_utc"],
        disabled=bool(row["disabled"]),
        has_token=row["token_sha256"] is not None,
    )


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


# --- settings, gold items ------------------------------------------------------------------------------------------


def setting(store: Store, name: str, default: Any) -> Any:
    with store.database.connection() as connection:
        row = connection.execute("SELECT value FROM settings WHERE name=?", (name,)).fetchone()
    return default if row is None else json.loads(row["value"])


def set_setting(store: Store, name: str, value: Any) -> None:
    """Remember a JSON value; nothing is written where it is the same already."""
    if setting(store, name, None) == value:
        return
    with store.database.write() as connection:
        connection.execute(
            "INSERT INTO settings VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
            (name, json.dumps(value)),
        )


def reviewers_per_video(store: Store) -> int:
    return int(setting(store, "reviewers_per_video", 1))


def set_gold(store: Store, video_id: str, verdict: str, labels: Sequence[str] | None = None, by: str = "owner") -> None:
    """Make a video a gold item: its right answer is known and tests whether people pay attention.

    Raises:
        DecisionError: a verdict other than accept and reject, or a label that cannot be shown.
    """
    if verdict not in ("accept", "reject"):
        raise DecisionError(f"gold verdict: got {verdict!r}, expected accept or reject")
    cleaned = None if labels is None else clean_texts(labels, "labels")
    with store.database.write() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO gold VALUES(?, ?, ?, ?, ?)",
            (video_id, verdict, None if cleaned is None else _json(cleaned), by, now_utc()),
        )


def remove_gold(store: Store, video_id: str) -> None:
    with store.database.write() as connection:
        connection.execute("DELETE FROM gold WHERE video_id=?", (video_id,))


def gold(store: Store) -> dict[str, Gold]:
    with store.database.connection() as connection:
        rows = connection.execute("SELECT * FROM gold ORDER BY video_id").fetchall()
    return {
        row["video_id"]: Gold(
            row["video_id"], row["verdict"], None if row["labels"] is None else tuple(json.loads(row["labels"]))
        )
        for row in rows
    }


# --- taking videos away --------------------------------------------------------------------------------------------


def remove_videos(dataset: Path, ids: Iterable[str]) -> int:
    """Forget videos that were taken down: every row about them, overwritten on disk. Returns how many videos had any.

    The derived index forgets them too. A dataset without reviews is left without.
    """
    from tiktokactions.review.index import forget_videos

    wanted = sorted(set(ids))
    forget_videos(dataset, wanted)
    if not store_path(dataset).exists():
        return 0
    store = Store(dataset)
    removed: set[str] = set()
    try:
        with store.database.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for video_id in wanted:
                # Undo rows point at the rows they take back, and are about the same video.
                for table in ("decisions", "gold", "sampled", "verdicts"):
                    if connection.execute(f"DELETE FROM {table} WHERE video_id=?", (video_id,)).rowcount:
                        removed.add(video_id)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        store.close()
    return len(removed)
