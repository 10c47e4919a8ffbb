"""Browsing the dataset: filters, orders and paging that stay fast at 300,000 videos (pages are found by key)."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass

from tiktokactions.errors import UsageError
from tiktokactions.reviews.index import Index, VideoRow
from tiktokactions.reviews.rows import from_row

COUNTED_AT_MOST = 10_000
ORDERS = {"id": "video_id", "score": "score_key", "duration": "duration_key"}
"""Columns to order by; the keys are the scores and durations with -1 for unknown ones, so that none is NULL."""


@dataclass(frozen=True)
class Filters:
    """What the gallery shows; None does not restrict."""

    status: str | None = None
    label: str | None = None
    reason: str | None = None
    text: str | None = None
    """Part of an id, creator, title or file name, without regard to case."""
    score_min: float | None = None
    """The highest score of a person in the sampled frames."""
    score_max: float | None = None
    judged: str | None = None
    """``yes``, ``no`` or ``conflict``."""
    order: str = "id"
    """``id``, ``score`` or ``duration``; with a ``-`` in front from high to low. Unknown values count as lowest."""

    def __post_init__(self) -> None:
        if self.order.removeprefix("-") not in ORDERS:
            raise UsageError(f"order: got {self.order[:40]!r}, expected {', '.join(ORDERS)}, or one of them after a -")
        if self.judged not in (None, "yes", "no", "conflict"):
            raise UsageError(f"judged: got {self.judged[:40]!r}, expected yes, no or conflict")


@dataclass(frozen=True)
class GalleryPage:
    rows: list[VideoRow]
    next: str | None
    """Pass it as ``after`` for the next page; None: this is the last."""
    previous: str | None
    """Pass it as ``before`` for the previous page; None: this is the first."""
    total: int | None
    """Videos that pass the filters; None: more than 10,000."""


@dataclass(frozen=True)
class LabelCount:
    """The funnel of a label."""

    label: str
    videos: int
    accepted: int
    needs_review: int
    rejected: int
    judged: int


def browse(
    index: Index, filters: Filters, after: str | None = None, before: str | None = None, limit: int = 60
) -> GalleryPage:
    """A page of the gallery. It is found by its first row, never by counting from the start.

    Raises:
        ValueError: a cursor that did not come from a page of the same order.
    """
    conditions, values = _conditions(filters)
    column, down = ORDERS[filters.order.removeprefix("-")], filters.order.startswith("-")
    backwards = before is not None
    cursor = _cursor(before if backwards else after, column)
    # CROSS JOIN keeps SQLite to this order: the narrow tables are read through, the wide one only where they match.
    source, key = "videos v", "v.video_id"
    if filters.label is not None:
        source, key = "labels l CROSS JOIN videos v ON v.video_id=l.video_id", "l.video_id"
    if filters.text:
        first, key = ("texts t", "t.video_id") if filters.label is None else ("labels l CROSS JOIN texts t", key)
        source = f"{first} CROSS JOIN videos v ON v.video_id={key}"
    direction, beyond = ("DESC", "<") if down != backwards else ("ASC", ">")
    order = f"{key} {direction}" if column == "video_id" else f"v.{column} {direction}, v.video_id {direction}"
    where = " AND ".join(conditions) or "1"
    place = ""
    place_values: list[str | float] = []
    if cursor is not None and column == "video_id":
        place, place_values = f" AND {key} {beyond} ?", [cursor[1]]
    elif cursor is not None:
        place, place_values = f" AND (v.{column}, v.video_id) {beyond} (?, ?)", [*cursor]
    found = index.database.rows(
        f"SELECT v.* FROM {source} WHERE {where}{place} ORDER BY {order} LIMIT ?", [*values, *place_values, limit + 1]
    )
    more, rows = len(found) > limit, found[:limit]
    if more or cursor is not None:
        counted = f"SELECT 1 FROM {source} WHERE {where} LIMIT {COUNTED_AT_MOST + 1}"
        total: int = index.database.rows(f"SELECT count(*) FROM ({counted})", values)[0][0]
    else:
        total = len(found)
    if backwards:
        rows.reverse()
    has_next, has_previous = (True, more) if backwards else (more, cursor is not None)
    return GalleryPage(
        rows=[from_row(VideoRow, row) for row in rows],
        next=_cursor_text(rows[-1], column) if rows and has_next else None,
        previous=_cursor_text(rows[0], column) if rows and has_previous else None,
        total=total if total <= COUNTED_AT_MOST else None,
    )


def _conditions(filters: Filters) -> tuple[list[str], list[str | float]]:
    reason = None if filters.reason is None else re.sub(r"([\\%_])", r"\\\1", filters.reason)
    with_value = {
        "l.label=?": filters.label,
        "v.status=?": filters.status,
        "v.reasons LIKE ? ESCAPE '\\'": None if reason is None else f'%"{reason}%',
        "instr(t.text, ?)": filters.text.casefold() if filters.text else None,
        "v.score_key>=?": filters.score_min,
        "v.score_key BETWEEN 0 AND ?": filters.score_max,
    }
    known = {condition: value for condition, value in with_value.items() if value is not None}
    conditions = list(known)
    if filters.text and filters.label is not None:
        conditions.append("t.video_id=l.video_id")
    if filters.judged is not None:
        conditions.append({"yes": "v.judged>0", "no": "v.judged=0", "conflict": "v.conflict NOTNULL"}[filters.judged])
    return conditions, list(known.values())


def _cursor(text: str | None, column: str) -> tuple[float, str] | None:
    if text is None:
        return None
    try:
        name, value, video_id = json.loads(text)
    except (ValueError, TypeError) as error:
        raise UsageError(f"cursor {text[:40]!r}: not one that a page of the gallery gave") from error
    if name != column or not isinstance(video_id, str) or not isinstance(value, (int, float)):
        raise UsageError(f"cursor {text[:40]!r}: made for another order")
    return value, video_id


def _cursor_text(row: sqlite3.Row, column: str) -> str:
    return json.dumps([column, 0 if column == "video_id" else row[column], row["video_id"]])


def label_funnel(index: Index, limit: int | None = None) -> list[LabelCount]:
    """Every label with its videos by status, the largest first."""
    # Go from the few judged videos to their labels; left to itself, SQLite reads the videos of every label.
    judged = index.database.rows(
        "SELECT l.label, count(*) FROM videos v CROSS JOIN labels l ON l.video_id=v.video_id"
        " WHERE v.judged>0 GROUP BY l.label"
    )
    by_label = {row[0]: row[1] for row in judged}
    most = -1 if limit is None else limit
    rows = index.database.rows("SELECT * FROM funnel ORDER BY videos DESC, label LIMIT ?", (most,))
    return [LabelCount(**dict(row), judged=by_label.get(row["label"], 0)) for row in rows]
