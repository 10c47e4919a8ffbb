"""Brings what people decided into the index: who has judged what, which videos are closed, where people disagree."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from tiktokactions.reviews.consensus import Consensus, consensus
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.flags import set_aside
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.index import SET_META, Index, meta, set_meta
from tiktokactions.reviews.ledger import decisions_after, in_force
from tiktokactions.reviews.store import Store, reviewers_per_video


def catch_up(index: Index, store: Store) -> None:
    """Take in the decisions and flags that any process has appended since the last time."""
    flagged, known = {flag.video_id for flag in set_aside(store)}, set(json.loads(meta(index, "flags") or "[]"))
    if flagged != known:
        fold_videos(index, store, sorted(flagged ^ known))
        set_meta(index, "flags", json.dumps(sorted(flagged)))
        index.database.run("UPDATE places SET empty=0 WHERE empty")
    while True:
        seen = int(meta(index, "decisions_seen") or 0)
        new = decisions_after(store, seen)
        if not new:
            return
        fold_videos(index, store, sorted({video_id for _, video_id, _ in new}), new[-1][0])
        if any(verdict in ("skip", "undo") for _, _, verdict in new):
            index.database.run("UPDATE places SET empty=0 WHERE empty")


def fold_videos(index: Index, store: Store, video_ids: Sequence[str], last_id: int | None = None) -> None:
    """Take in the decisions on some videos again; ``last_id``: the newest row that they include."""
    k, known_answers = reviewers_per_video(store), gold(store)
    flagged = {flag.video_id for flag in set_aside(store)}
    said: dict[str, list[Decision]] = {video_id: [] for video_id in video_ids}
    with index.database.write() as connection:
        # Read inside the transaction: another thread may fold newer decisions of the same videos before or after.
        for decision in in_force(store, video_ids):
            said[decision.video_id].append(decision)
        for video_id, decisions in said.items():
            answer = consensus(decisions, k, known_answers.get(video_id))
            _write_state(connection, video_id, decisions, answer, answer.judged >= k or video_id in flagged)
            if video_id in flagged:
                connection.execute("DELETE FROM leases WHERE video_id=?", (video_id,))
        if last_id is not None:
            before = connection.execute("SELECT value FROM meta WHERE name='decisions_seen'").fetchone()
            connection.execute(SET_META, ("decisions_seen", str(max(last_id, int(before[0]) if before else 0))))


def _write_state(
    connection: sqlite3.Connection, video_id: str, decisions: list[Decision], answer: Consensus, is_closed: bool
) -> None:
    closed = is_closed or answer.is_final
    connection.execute("DELETE FROM judged WHERE video_id=?", (video_id,))
    decisions = sorted(decisions, key=lambda d: d.id)
    verdicts = {d.reviewer: d.verdict for d in decisions if d.verdict != "skip"}
    skipped = {d.reviewer: d.id for d in decisions if d.verdict == "skip"}
    people = list(dict.fromkeys(d.reviewer for d in decisions))
    judged = [(name, video_id, verdicts.get(name), skipped.get(name, 0)) for name in people]
    connection.executemany("INSERT INTO judged VALUES(?, ?, ?, ?)", judged)
    # A decision ends the lease of its reviewer; the queue leases the video again after an undo.
    connection.executemany("DELETE FROM leases WHERE video_id=? AND reviewer=?", [(video_id, name) for name in people])
    connection.execute(
        "UPDATE videos SET judged=?, closed=?, conflict=? WHERE video_id=?",
        (answer.judged, closed, answer.conflict, video_id),
    )
    connection.execute("UPDATE queue SET open=? WHERE video_id=? AND open<>?1", (not closed, video_id))


def fold_those_judged(index: Index, store: Store, new: Sequence[str]) -> None:
    """Take in the decisions on new videos: they may have been judged before (by imported answers, for example)."""
    judged = {row[0] for row in store.database.rows("SELECT DISTINCT video_id FROM decisions")}
    fold_videos(index, store, sorted(judged.intersection(new)))


def forget_decisions(index: Index) -> None:
    """Clear what the index knows of judgements; :func:`catch_up` then takes in all of them again."""
    with index.database.write() as connection:
        connection.execute("DELETE FROM judged")
        connection.execute(
            "UPDATE videos SET judged=0, closed=0, conflict=NULL WHERE judged OR closed OR conflict NOTNULL"
        )
        connection.execute("UPDATE queue SET open=1 WHERE NOT open")
        connection.execute("UPDATE places SET rank=0, empty=0")
        connection.executemany(SET_META, [("gold", "[]"), ("flags", "[]"), ("decisions_seen", "0")])
