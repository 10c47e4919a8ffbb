"""How far a queue is and how fast people go."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tiktokactions.reviews.store import Store

RECENT_DECISIONS = 50
"""A person's own speed is the median over so many of their latest decisions."""
RECENT_MINUTES = 10


@dataclass(frozen=True)
class Progress:
    """``left`` videos wait for one more judgement at least. ``seconds_left`` is at the pace of everybody together."""

    queue: str
    total: int
    done: int
    left: int
    own_done: int
    """Videos that this person has judged, in every queue."""
    own_today: int
    """Since midnight UTC."""
    own_seconds_per_video: float | None
    videos_per_minute: float | None
    """By everybody, over the last ten minutes."""
    seconds_left: float | None


def pace_of(store: Store, reviewer: str, queue: str, total: int, left: int, own_done: int) -> Progress:
    """A person's progress in a queue of ``total`` videos of which ``left`` are open; ``own_done`` in all queues."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0).isoformat(timespec="milliseconds")
    recently = (now - timedelta(minutes=RECENT_MINUTES)).isoformat(timespec="milliseconds")
    with store.database.connection() as connection:
        own = connection.execute(
            "SELECT seconds, at_utc FROM decisions d WHERE reviewer=? AND verdict IN ('accept', 'reject', 'unsure')"
            " AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes=d.id) ORDER BY id DESC",
            (reviewer,),
        )
        recent = own.fetchmany(RECENT_DECISIONS)
        own.close()
        own_today = connection.execute(
            "SELECT count(DISTINCT video_id) FROM decisions d WHERE reviewer=? AND at_utc>=?"
            " AND verdict IN ('accept', 'reject', 'unsure')"
            " AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes=d.id)",
            (reviewer, today),
        ).fetchone()[0]
        lately = connection.execute(
            "SELECT at_utc FROM decisions WHERE verdict IN ('accept', 'reject', 'unsure') AND origin='web'"
            " ORDER BY id DESC LIMIT 1000"
        ).fetchall()
    times = sorted(row[0] for row in lately if row[0] >= recently)
    per_minute = None
    if len(times) > 1:
        span_s = (now - datetime.fromisoformat(times[0])).total_seconds()
        per_minute = len(times) / max(span_s, 1.0) * 60
    seconds = statistics.median(row["seconds"] for row in recent) if recent else None
    pace_s = 60 / per_minute if per_minute else seconds
    return Progress(
        queue=queue,
        total=total,
        done=total - left,
        left=left,
        own_done=own_done,
        own_today=own_today,
        own_seconds_per_video=seconds,
        videos_per_minute=None if per_minute is None else round(per_minute, 2),
        seconds_left=None if pace_s is None else round(left * pace_s, 1),
    )
