"""The table of decisions: rows are only added; what is in force follows from them."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tiktokactions.reviews.decisions import (
    CLIENT_KEY,
    TEXT_AT_MOST,
    Decision,
    DecisionError,
    checked_decision,
    value_of,
)
from tiktokactions.reviews.rows import from_row, insert, to_row
from tiktokactions.reviews.store import Store, now_utc

BULK = "bulk"
"""The origin of what was decided of several videos at once, in the gallery."""
NOT_UNDONE = "NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.id)"
"""Of a row ``d`` of ``decisions``."""
ALIKE = "alike:"
"""Begins the ``origin`` of a judgement that was given together with that on a look-alike; its id follows."""
_BY_HAND = f"(origin='web' OR origin LIKE '{ALIKE}%')"
_IN_FORCE = f"verdict <> 'undo' AND {NOT_UNDONE}"


def add_decision(store: Store, reviewer: str, new: Decision, adjudication: bool = False) -> Decision:
    """Append a decision; it is durable when this returns. The same client key again changes nothing.

    Raises:
        DecisionError: the decision makes no sense in itself, or its client key was used for another one.
    """
    return add_decisions(store, [(reviewer, new, now_utc())], adjudication)[0]


def add_decisions(
    store: Store, decisions: Sequence[tuple[str, Decision, str]], adjudication: bool = False, origin: str = "web"
) -> list[Decision]:
    """Append many (reviewer, decision, when) in one transaction; see :func:`add_decision`."""
    taken = [
        replace(checked_decision(new), reviewer=reviewer, at_utc=at_utc, adjudication=adjudication, origin=origin)
        for reviewer, new, at_utc in decisions
    ]
    with store.database.write() as connection:
        return [_known(connection, decision) or _append(connection, decision) for decision in taken]


def _known(connection: sqlite3.Connection, decision: Decision) -> Decision | None:
    """The decision as it was written before under the same client key."""
    row = connection.execute("SELECT * FROM decisions WHERE client_key=?", (decision.client_key,)).fetchone()
    if row is None:
        return None
    known = from_row(Decision, row)
    is_undo = decision.verdict == "undo"
    about = (decision.reviewer, known.video_id if is_undo else decision.video_id)
    if (known.reviewer, known.video_id) != about or (known.verdict == "undo") != is_undo:
        raise DecisionError(f"client_key {known.client_key}: already used for another decision; make a new one")
    return replace(known, repeated=True)


def _append(connection: sqlite3.Connection, decision: Decision) -> Decision:
    row = to_row(decision)
    del row["id"]
    return replace(decision, id=insert(connection, "decisions", row))


def undo_last(
    store: Store, reviewer: str, client_key: str, page_version: str = "", takes_back: str = ""
) -> Decision | None:
    """Take back a decision of a person that is still in force, by appending a row that says so: the one whose client key is
    ``takes_back``, without it the newest.

    Returns that row, or None where there is nothing left to take back. The same client key again changes nothing.
    """
    if not CLIENT_KEY.fullmatch(client_key):
        raise DecisionError(f"client_key: got {client_key[:80]!r}, expected 8 to 128 letters, digits or _.:-")
    undo = Decision(
        client_key, "", "undo", reviewer=reviewer, at_utc=now_utc(), page_version=page_version[:TEXT_AT_MOST]
    )
    with store.database.write() as connection:
        known = _known(connection, undo)
        if known is not None:
            return known
        row = connection.execute(
            f"SELECT * FROM decisions d WHERE reviewer=? AND {_BY_HAND} AND {_IN_FORCE} AND ? IN ('', client_key)"
            " ORDER BY id DESC LIMIT 1",
            (reviewer, takes_back),
        ).fetchone()
        if row is None:
            return None
        return _take_back(connection, undo, from_row(Decision, row))


def undo_bulk(store: Store, reviewer: str, bulk_key: str, origin: str = BULK) -> list[str]:
    """Take back what a person decided in one go and is still in force, all of it or nothing; returns its videos."""
    begins = f"{bulk_key}."
    sql = f"SELECT * FROM decisions d WHERE reviewer=? AND origin=? AND {_IN_FORCE} AND substr(client_key, 1, ?)=?"
    with store.database.write() as connection:
        rows = connection.execute(sql, (reviewer, origin, len(begins), begins)).fetchall()
        for last in (from_row(Decision, row) for row in rows):
            undo = Decision(f"{last.client_key}.undo", "", "undo", reviewer=reviewer, at_utc=now_utc(), origin=origin)
            _take_back(connection, undo, last)
    return [row["video_id"] for row in rows]


def _take_back(connection: sqlite3.Connection, undo: Decision, last: Decision) -> Decision:
    undo = replace(undo, video_id=last.video_id, queue=last.queue, adjudication=last.adjudication)
    return _append(connection, replace(undo, undoes=last.id, previous=value_of(last)))


def has_decision(store: Store, client_key: str, video_id: str) -> bool:
    """Whether a decision with this client key on this video is in the table."""
    sql = "SELECT 1 FROM decisions WHERE client_key=? AND video_id=? AND verdict<>'undo'"
    return store.database.first(sql, (client_key, video_id)) is not None


def in_force(store: Store, video_ids: Sequence[str] | None = None) -> Iterator[Decision]:
    """Each person's newest decision on each video that was not taken back; of all videos, or of some.

    A skip stands beside an earlier judgement and does not replace it.
    """
    where = "" if video_ids is None else " AND video_id IN (SELECT value FROM json_each(:ids))"
    rows = store.database.rows(
        f"SELECT *, max(id) FROM decisions d WHERE {_IN_FORCE}{where}"
        " GROUP BY video_id, reviewer, verdict='skip', adjudication",
        {"ids": json.dumps(video_ids)},
    )
    return (from_row(Decision, row) for row in rows)


def in_force_by_video(store: Store) -> dict[str, list[Decision]]:
    """The decisions in force on every video that somebody decided on."""
    by_video = defaultdict[str, list[Decision]](list)
    for decision in in_force(store):
        by_video[decision.video_id].append(decision)
    return dict(by_video)


def judgements(store: Store, video_id: str) -> list[Decision]:
    """Everybody's judgement of a video that is in force; not for those who have yet to judge it."""
    return sorted((d for d in in_force(store, [video_id]) if d.verdict != "skip"), key=lambda d: d.id)


def decision_of(store: Store, reviewer: str, video_id: str) -> Decision | None:
    """A person's decision on a video that is in force."""
    found = [decision for decision in in_force(store, [video_id]) if decision.reviewer == reviewer]
    return max(found, key=lambda d: d.id, default=None)


def decisions_after(store: Store, last_id: int, limit: int = 1000) -> list[tuple[int, str, str]]:
    """(id, video id, verdict) of the rows appended after ``last_id``, oldest first."""
    rows = store.database.rows(
        "SELECT id, video_id, verdict FROM decisions WHERE id > ? ORDER BY id LIMIT ?", (last_id, limit)
    )
    return [(row["id"], row["video_id"], row["verdict"]) for row in rows]


def all_rows(store: Store) -> Iterator[Decision]:
    """The whole table, oldest first, with undos and the rows that they took back."""
    with store.database.connection() as connection:
        for row in connection.execute("SELECT * FROM decisions ORDER BY id"):
            yield from_row(Decision, row)


def labels_given(store: Store) -> list[str]:
    """Every label that people gave, in alphabetical order."""
    rows = store.database.rows(
        "SELECT DISTINCT value FROM decisions, json_each(labels) WHERE labels NOTNULL ORDER BY value"
    )
    return [row[0] for row in rows]
