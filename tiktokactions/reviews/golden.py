"""Gold items: videos whose right answer is known."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tiktokactions.reviews.decisions import DecisionError, Gold, clean_texts
from tiktokactions.reviews.store import Store, now_utc


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
            (video_id, verdict, None if cleaned is None else json.dumps(cleaned, ensure_ascii=False), by, now_utc()),
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
