"""The table of decisions: append-only; what is in force follows from its rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tiktokactions.reviews.decisions import (
    CLIENT_KEY,
    TEXT_AT_MOST,
    Decision,
    DecisionError,
    NewDecision,
    checked_decision,
    value_of,
)
from tiktokactions.reviews.store import Store, now_utc

_IN_FORCE = "verdict <> 'undo' AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.id)"


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
