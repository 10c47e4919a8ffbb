"""Videos that the owner must look at, and judgements that the owner sends back: the table ``flags``.

A video that somebody finds illegal or too sensitive to show, or in which somebody seems to be a minor, is set aside at once:
nobody but owners is shown it until one of them has settled the flag.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiktokactions.reviews.decisions import TEXT_AT_MOST, DecisionError
from tiktokactions.reviews.rows import from_row
from tiktokactions.reviews.store import Store, now_utc
from tiktokactions.text import printable

SET_ASIDE = ("illegal", "sensitive", "minor")
SENT_BACK = "sent_back"
_OPEN = "SELECT id, at_utc, reviewer, video_id, kind, comment FROM flags WHERE settled_utc IS NULL"


@dataclass(frozen=True)
class Flag:
    id: int
    at_utc: str
    reviewer: str
    """Who set it; of a judgement that was sent back, who gave it and must look again."""
    video_id: str
    kind: str
    comment: str


def add_flag(store: Store, reviewer: str, video_id: str, kind: str, comment: str = "") -> None:
    """Set a flag, unless the same one is open. Raises ``DecisionError`` for an unknown kind."""
    if kind not in (*SET_ASIDE, SENT_BACK):
        raise DecisionError(f"flag: got {kind!r}, expected one of {', '.join((*SET_ASIDE, SENT_BACK))}")
    same = (reviewer, video_id, kind)
    with store.database.write() as connection:
        if not connection.execute(f"{_OPEN} AND (reviewer, video_id, kind)=(?, ?, ?)", same).fetchone():
            told = (now_utc(), *same, printable(comment.strip(), TEXT_AT_MOST))
            connection.execute(
                "INSERT INTO flags(at_utc, reviewer, video_id, kind, comment) VALUES(?, ?, ?, ?, ?)", told
            )


def open_flags(store: Store) -> list[Flag]:
    """Those that nobody has settled, the oldest first."""
    return [from_row(Flag, row) for row in store.database.rows(f"{_OPEN} ORDER BY id")]


def set_aside(store: Store) -> list[Flag]:
    return [flag for flag in open_flags(store) if flag.kind in SET_ASIDE]


def sent_back(store: Store, reviewer: str) -> dict[str, Flag]:
    """By video, the judgements that a person must give again."""
    mine = (flag for flag in open_flags(store) if flag.kind == SENT_BACK and flag.reviewer == reviewer)
    return {flag.video_id: flag for flag in mine}


def settle_flag(store: Store, flag: int) -> None:
    store.database.run("UPDATE flags SET settled_utc=? WHERE id=? AND settled_utc IS NULL", (now_utc(), flag))
