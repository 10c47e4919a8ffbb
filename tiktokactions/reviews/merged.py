"""Merges what people decided in several datasets into the dataset that is made of them."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiktokactions.files import Place
from tiktokactions.records import JsonObject
from tiktokactions.reviews.rows import insert
from tiktokactions.reviews.store import WRITES, Store, store_path

Row = JsonObject
"""Of a table, by its columns."""
NOT_CARRIED = ("cookie_secret", WRITES)
"""Settings of one folder only: what signs its sessions, and the count of its transactions."""
RANK = {"outside": 0, "reviewer": 1, "owner": 2}


@dataclass(frozen=True)
class MergedReviews:
    """What was carried into the merged dataset, over all its merges."""

    decisions: int = 0
    """Rows of ``decisions``, undone ones and undos included."""
    in_both: int = 0
    """Rows that more than one dataset held: the same client key, person and video; there is one of each."""
    left_out: int = 0
    """Rows about videos that are not in the merged dataset, because they were taken down."""
    reviewers: int = 0
    verdicts: int = 0
    gold: int = 0


def merge_reviews(
    datasets: Sequence[Place],
    out: Place,
    unwanted: Collection[str],
    renamed: Sequence[Mapping[str, str]],
    applied: bool = True,
) -> MergedReviews:
    """Carry decisions, people, settings, gold items and applied verdicts into ``out``, all in one transaction.

    What ``out`` already holds stays, so the merge may be repeated. Where datasets disagree, the first one counts. The
    decisions of all are kept in the order of time, so that a person's newest decision on a video is in force. Without any
    reviews nothing is written.

    Args:
        datasets: the first one's settings, people and verdicts hold.
        out: the merged dataset.
        unwanted: videos about which nothing is carried.
        renamed: for each dataset the videos that have another id in ``out``: own id -> new id.
        applied: carry the verdicts that were applied, too; those are then in force in ``out``.

    Raises:
        UsageError: there are reviews, and ``out`` lies on an object store.
    """
    there = [(folder, ids) for folder, ids in zip(datasets, renamed, strict=True) if store_path(folder).exists()]
    if not there:
        return MergedReviews()
    stores = [Store(folder) for folder, _ in there]
    target = Store(out)

    def wanted_rows(store: Store, new_id: Mapping[str, str], table: str, order: str) -> Iterator[Row]:
        for row in _rows(store, table, order):
            if row["video_id"] not in unwanted:
                yield row | {"video_id": new_id.get(row["video_id"], row["video_id"])}

    try:
        with target.database.write() as connection:
            about = list(zip(stores, (ids for _, ids in there), strict=True))
            parts = [list(wanted_rows(store, ids, "decisions", "id")) for store, ids in about]
            rows = (int(store.database.rows("SELECT count(*) FROM decisions")[0][0]) for store in stores)
            left_out = sum(rows) - sum(map(len, parts))
            in_both = _add_decisions(connection, parts)
            for store, ids in about:
                for row in _rows(store, "reviewers", "created_utc, id"):
                    _add_reviewer(connection, row)
                for row in _rows(store, "settings", "name"):
                    if row["name"] not in NOT_CARRIED:
                        insert(connection, "settings", row, "INSERT OR IGNORE")
                for table in ("gold", "sampled", *(["verdicts"] if applied else [])):
                    for row in wanted_rows(store, ids, table, "video_id"):
                        insert(connection, table, row, "INSERT OR IGNORE")
        count = {
            table: int(target.database.rows(f"SELECT count(*) FROM {table}")[0][0])
            for table in ("decisions", "reviewers", "verdicts", "gold")
        }
        return MergedReviews(in_both=in_both, left_out=left_out, **count)
    finally:
        for store in (*stores, target):
            store.close()


def _rows(store: Store, table: str, order: str) -> list[Row]:
    return [dict(row) for row in store.database.rows(f"SELECT * FROM {table} ORDER BY {order}")]


def _add_decisions(connection: sqlite3.Connection, parts: Sequence[Sequence[Row]]) -> int:
    """Append what is not there yet; returns how many rows of a later dataset were in an earlier one."""
    known = {row["client_key"]: row for row in map(dict, connection.execute("SELECT * FROM decisions"))}
    undone = {row["undoes"] for row in known.values()}
    keys = [{row["client_key"] for row in part} for part in parts]
    place: list[dict[int, int]] = [{} for _ in parts]
    in_both = 0
    for number, row in _by_time(parts):
        old_id = row.pop("id")
        row["client_key"] = _free_key(known, row)
        there = known.get(row["client_key"])
        in_both += number > 0 and any(row["client_key"] in others for others in keys[:number])
        if there is None:
            if row["undoes"] is not None:
                row["undoes"] = place[number][row["undoes"]]
                if row["undoes"] in undone:  # taken back in both, each time anew
                    in_both += 1
                    continue
                undone.add(row["undoes"])
            there = row | {"id": insert(connection, "decisions", row)}
            known[row["client_key"]] = there
        place[number][old_id] = int(there["id"])
    return in_both


def _by_time(parts: Sequence[Sequence[Row]]) -> Iterator[tuple[int, Row]]:
    """(dataset, row) in the order of time, each dataset's rows in their own order (imported ones may be older than those
    before them)."""

    def timed(number: int) -> Iterator[tuple[str, int, int]]:
        latest = itertools.accumulate((row["at_utc"] for row in parts[number]), max)
        return ((at, number, place) for place, at in enumerate(latest))

    for _, number, place in heapq.merge(*(timed(number) for number in range(len(parts)))):
        yield number, dict(parts[number][place])


def _free_key(known: Mapping[str, Row], row: Row) -> str:
    """The row's client key; where another decision has it, a different one that is always the same for this row."""
    key = str(row["client_key"])
    there = known.get(key)
    same = ("reviewer", "video_id", "verdict")
    if there is None or all(there[name] == row[name] for name in same):
        return key
    return hashlib.sha256("\0".join([key, *(str(row[name]) for name in same)]).encode()).hexdigest()


def _add_reviewer(connection: sqlite3.Connection, row: Row) -> None:
    """Add a person, or join two of one id: the first name and token, the higher role, shut out if either one was."""
    token = connection.execute("SELECT id FROM reviewers WHERE token_sha256=?", (row["token_sha256"],)).fetchone()
    row = dict(row) | ({"token_sha256": None} if token is not None and token["id"] != row["id"] else {})
    there = connection.execute("SELECT * FROM reviewers WHERE id=?", (row["id"],)).fetchone()
    if there is None:
        insert(connection, "reviewers", row)
        return
    connection.execute(
        "UPDATE reviewers SET token_sha256=?, role=?, created_utc=?, disabled=? WHERE id=?",
        (
            there["token_sha256"] or row["token_sha256"],
            max(there["role"], row["role"], key=RANK.__getitem__),
            min(there["created_utc"], row["created_utc"]),
            max(there["disabled"], row["disabled"]),
            row["id"],
        ),
    )
