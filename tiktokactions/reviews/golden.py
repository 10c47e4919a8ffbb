"""Gold items: videos whose right answer is known."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tiktokactions.reviews.decisions import DecisionError, Gold, clean_texts
from tiktokactions.reviews.rows import from_row
from tiktokactions.reviews.store import Store, now_utc


def set_gold(store: Store, video_id: str, verdict: str, labels: Sequence[str] | None = None, by: str = "owner") -> None:
    """Make a video a gold item: its right answer is known and tests whether people pay attention.

    Raises:
        DecisionError: a verdict other than accept and reject, or a label that cannot be shown.
    """
    if verdict not in ("accept", "reject"):
        raise DecisionError(f"gold verdict: got {verdict!r}, expected accept or reject")
    cleaned = None if labels is None else clean_texts(labels, "labels")
    labels_json = None if cleaned is None else json.dumps(cleaned, ensure_ascii=False)
    store.database.run(
        "INSERT OR REPLACE INTO gold VALUES(?, ?, ?, ?, ?)", (video_id, verdict, labels_json, by, now_utc())
    )


def remove_gold(store: Store, video_id: str) -> None:
    store.database.run("DELETE FROM gold WHERE video_id=?", (video_id,))


def gold(store: Store) -> dict[str, Gold]:
    """Gold items by video."""
    rows = store.database.rows("SELECT * FROM gold ORDER BY video_id")
    return {row["video_id"]: from_row(Gold, row) for row in rows}
