"""How far a queue has come, and how fast people are."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tiktokactions.reviews.ledger import NOT_UNDONE
from tiktokactions.reviews.store import Store

RECENT_DECISIONS = 50
"""A person's own speed is the median over this many of their latest decisions."""
RECENT_MINUTES = 10
_JUDGED = "verdict IN ('accept', 'reject', 'unsure')"


@dataclass(frozen=True)
class Progress:
    """``left`` videos wait for ``judgements_left`` in all. ``seconds_left``, for those judgements, is at the pace of
    everybody together."""

    queue: str
    total: int
    done: int
    left: int
    judgements_left: int
    own_done: int
    """Videos that this person has judged, in every queue."""
    own_today: int
    """Since midnight UTC."""
    own_seconds_per_video: float | None
    videos_per_minute: float | None
    """By everybody, over the last ten minutes."""
    seconds_left: float | None


def pace_of(
    store: Store, reviewer: str, queue: str, total: int, left: int, judgements_left: int, own_done: int
) -> Progress:
    """A person's progress in a queue of ``total`` videos of which ``left`` are open; ``own_done`` in all queues."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0).isoformat(timespec="milliseconds")
    recently = (now - timedelta(minutes=RECENT_MINUTES)).isoformat(timespec="milliseconds")
    own = f"FROM decisions d WHERE reviewer=? AND {_JUDGED} AND {NOT_UNDONE}"
    recent = store.database.rows(
        f"SELECT seconds {own} AND seconds>0 ORDER BY id DESC LIMIT {RECENT_DECISIONS}", (reviewer,)
    )
    own_today = store.database.rows(f"SELECT count(DISTINCT video_id) {own} AND at_utc>=?", (reviewer, today))[0][0]
    lately = store.database.rows(
        f"SELECT at_utc FROM decisions WHERE {_JUDGED} AND origin='web' ORDER BY id DESC LIMIT 1000"
    )
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
        judgements_left=judgements_left,
        own_done=own_done,
        own_today=own_today,
        own_seconds_per_video=seconds,
        videos_per_minute=None if per_minute is None else round(per_minute, 2),
        seconds_left=None if pace_s is None else round(judgements_left * pace_s, 1),
    )
