"""Decides who is shown which video next: leases that expire, k judgements, gold items, skipped videos last."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tiktokactions.copies.of_dataset import duplicate_of
from tiktokactions.curation.decide import decide
from tiktokactions.errors import UsageError
from tiktokactions.files import records_of
from tiktokactions.reviews.flags import sent_back, set_aside
from tiktokactions.reviews.folding import catch_up
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.index import Index, set_queue
from tiktokactions.reviews.options import ReviewOptions
from tiktokactions.reviews.order import priority_sample, sampling_sizes, scramble
from tiktokactions.reviews.store import Store, now_utc, reviewers_per_video

LISTED = ("sent_back", "flagged")
"""Queues that are lists of flags."""
_UNSEEN = "NOT EXISTS (SELECT 1 FROM judged j WHERE j.reviewer=:me AND j.video_id=q.video_id)"
_NO_EXAMPLE = "q.video_id NOT IN (SELECT value FROM json_each(:aside))"
"""Videos that show people what a label means are not handed out: they would give their own answer."""
_NOT_MINE = "NOT EXISTS (SELECT 1 FROM leases m WHERE m.video_id=q.video_id AND m.reviewer=:me)"
_LAPSED = "(ends<=:now OR began>:now)"
"""Times of leases are those of the machine since it was started, which no setting of the clock changes; a lease of before
that start begins later than now."""
_WANTED = (
    "(SELECT v.judged FROM videos v WHERE v.video_id=q.video_id)"
    " + (SELECT count(*) FROM leases l WHERE l.video_id=q.video_id AND l.reviewer<>:me) < :k"
)
"""Fewer judgements are made or under way than are wanted, so one more person may look at it."""


@dataclass(frozen=True)
class QueueItem:
    """A video that is leased to a person now."""

    video_id: str
    queue: str
    second_look: bool = False
    """The person has skipped it before."""


def next_items(
    index: Index,
    store: Store,
    options: ReviewOptions,
    reviewer: str,
    queue: str,
    count: int,
    exclude: Collection[str],
    aside: Sequence[str] = (),
    tab: str = "",
) -> list[QueueItem]:
    """Lease the next videos of a queue to a person: at most ``count``, fewer where the queue is nearly done.

    First come the videos that this ``tab`` of the person holds already and does not name in ``exclude`` (the page was loaded
    again), then the open ones in the queue's order, then those the person has skipped. Judgements and leases together never
    exceed the number of judgements that a video needs. ``aside``: videos that are not handed out.
    """
    catch_up(index, store)
    ensure_queue(index, queue)
    is_listed = queue in ("conflicts", *LISTED)
    answers = set(gold(store)) if options.gold_every and not is_listed else set()
    answers -= {flag.video_id for flag in set_aside(store)} | set(aside)
    with index.database.write() as connection:
        # Not before the others' transactions have ended: their leases would begin later than now.
        now = time.monotonic()
        if connection.execute(f"DELETE FROM leases WHERE {_LAPSED}", {"now": now}).rowcount:
            connection.execute("UPDATE places SET empty=0 WHERE empty")
        values = {"me": reviewer, "queue": queue, "k": reviewers_per_video(store), "n": count}
        values |= {"aside": json.dumps(aside), "tab": tab, "listed": json.dumps(listed_videos(store, reviewer, queue))}
        items = _held(connection, values, exclude)[:count]
        if is_listed:
            items += _listed(connection, values | {"n": count - len(items)})
        else:
            items += _fresh(connection, values | {"n": count - len(items)}, sorted(answers), options.gold_every)
            items += _skipped(connection, values | {"n": count - len(items)})
        connection.executemany(
            "INSERT OR REPLACE INTO leases VALUES(?, ?, ?, ?, ?, ?)",
            [(item.video_id, reviewer, queue, now, now + options.lease_s, tab) for item in items],
        )
    return items


def _held(connection: sqlite3.Connection, values: dict[str, object], exclude: Collection[str]) -> list[QueueItem]:
    rows = connection.execute(
        "SELECT l.video_id, coalesce(j.skipped, 0) AS skipped FROM leases l"
        " LEFT JOIN queue q ON q.queue=l.queue AND q.video_id=l.video_id"
        " LEFT JOIN judged j ON j.reviewer=l.reviewer AND j.video_id=l.video_id"
        " WHERE l.reviewer=:me AND l.queue=:queue AND l.tab=:tab ORDER BY skipped, q.rank",
        values,
    ).fetchall()
    return [QueueItem(row[0], str(values["queue"]), row[1] > 0) for row in rows if row[0] not in exclude]


def _fresh(
    connection: sqlite3.Connection, values: dict[str, object], answers: Sequence[str], gold_every: int
) -> list[QueueItem]:
    """Videos that the person has neither judged nor skipped, from where they stand in the queue, then from its start."""
    me, queue, wanted = str(values["me"]), str(values["queue"]), int(str(values["n"]))
    if wanted <= 0:
        return []
    place = connection.execute("SELECT rank, handed, empty FROM places WHERE reviewer=:me AND queue=:queue", values)
    rank, handed, empty = place.fetchone() or (0, 0, 0)
    rows = _scan(connection, values | {"from": rank, "to": 1 << 62})
    if len(rows) < wanted and rank and not empty:
        rows += _scan(connection, values | {"from": 0, "to": rank, "n": wanted - len(rows)})
    unseen_gold = _unseen_gold(connection, values, answers)
    items: list[QueueItem] = []
    for row in rows:
        if unseen_gold and len(items) < wanted and _is_gold_turn(me, queue, handed + len(items), gold_every):
            items.append(QueueItem(unseen_gold.pop(), queue))
        if len(items) < wanted:
            items.append(QueueItem(row["video_id"], queue))
    held = connection.execute(
        "SELECT min(q.rank) FROM leases l JOIN queue q ON q.queue=l.queue AND q.video_id=l.video_id"
        " WHERE l.reviewer=:me AND l.queue=:queue",
        values,
    ).fetchone()[0]
    # Everything before the first video handed out or held is judged, skipped or held by others. (What others give back
    # there is found when the queue is searched from its start, or by people who are not that far yet.)
    ahead = [row["rank"] for row in rows if row["rank"] >= rank] + ([held] if held is not None else [])
    of_queue = "SELECT coalesce(max(rank), -1) + 1 FROM queue WHERE queue=:queue AND open"
    end = connection.execute(of_queue, values).fetchone()[0]
    connection.execute(
        "INSERT INTO places VALUES(:me, :queue, :rank, :handed, :empty)"
        " ON CONFLICT(reviewer, queue) DO UPDATE SET rank=excluded.rank, handed=excluded.handed, empty=excluded.empty",
        values | {"rank": min(ahead, default=end), "handed": handed + len(items), "empty": int(len(rows) < wanted)},
    )
    return items


def _scan(connection: sqlite3.Connection, values: dict[str, object]) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT q.video_id, q.rank FROM queue q WHERE q.queue=:queue AND q.open AND q.rank>=:from AND q.rank<:to"
        f" AND {_UNSEEN} AND {_NOT_MINE} AND {_WANTED} AND {_NO_EXAMPLE} ORDER BY q.rank LIMIT :n",
        values,
    ).fetchall()


def _unseen_gold(connection: sqlite3.Connection, values: dict[str, object], answers: Sequence[str]) -> list[str]:
    """Gold items that the person has not seen yet, in a different order for everybody."""
    if not answers:
        return []
    sql = "SELECT video_id FROM judged WHERE reviewer=:me UNION ALL SELECT video_id FROM leases WHERE reviewer=:me"
    unseen = set(answers).difference(row[0] for row in connection.execute(sql, values))
    return sorted(unseen, key=lambda video_id: scramble(f"{values['me']}:{video_id}"))


def _is_gold_turn(reviewer: str, queue: str, handed: int, gold_every: int) -> bool:
    """One turn in every ``gold_every``, at a place that cannot be guessed by counting."""
    window, turn = divmod(handed, gold_every)
    digest = hashlib.sha256(f"{reviewer}:{queue}:{window}".encode()).digest()
    return int.from_bytes(digest[:4]) % gold_every == turn


def _skipped(connection: sqlite3.Connection, values: dict[str, object]) -> list[QueueItem]:
    rows = connection.execute(
        "SELECT q.video_id FROM judged s JOIN queue q ON q.video_id=s.video_id AND q.queue=:queue"
        f" WHERE s.reviewer=:me AND s.verdict IS NULL AND q.open AND {_NOT_MINE} AND {_WANTED} AND {_NO_EXAMPLE}"
        " ORDER BY s.skipped LIMIT :n",
        values,
    ).fetchall()
    return [QueueItem(row[0], str(values["queue"]), True) for row in rows]


def listed_videos(store: Store, reviewer: str, queue: str) -> list[str]:
    """The videos of a queue that is a list of flags: those sent back to a person, those that were set aside."""
    if queue == "sent_back":
        return list(sent_back(store, reviewer))
    return [flag.video_id for flag in set_aside(store)] if queue == "flagged" else []


def _listed(connection: sqlite3.Connection, values: dict[str, object]) -> list[QueueItem]:
    which = (
        "q.conflict NOTNULL"
        if values["queue"] == "conflicts"
        else "q.video_id IN (SELECT value FROM json_each(:listed))"
    )
    rows = connection.execute(
        "SELECT q.video_id, coalesce(j.skipped, 0) AS skipped FROM videos q"
        " LEFT JOIN judged j ON j.reviewer=:me AND j.video_id=q.video_id"
        f" WHERE {which} AND (:queue<>'flagged' OR j.verdict IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.video_id=q.video_id)"
        " ORDER BY skipped, q.video_id LIMIT :n",
        values,
    ).fetchall()
    return [QueueItem(row[0], str(values["queue"]), row[1] > 0) for row in rows]


# --- leases --------------------------------------------------------------------------------------------------------


def renew(index: Index, reviewer: str, video_ids: Collection[str], lease_s: float, tab: str = "") -> None:
    """The page is still open: what a person's tab holds stays theirs."""
    with index.database.write() as connection:
        now = time.monotonic()
        connection.executemany(
            "UPDATE leases SET began=?, ends=? WHERE reviewer=? AND video_id=? AND tab=?",
            [(now, now + lease_s, reviewer, video_id, tab) for video_id in video_ids],
        )


def release(index: Index, reviewer: str, video_ids: Collection[str] | None = None, tab: str = "") -> None:
    """Give back some videos that a person's tab holds, or all that the person holds."""
    with index.database.write() as connection:
        rows = connection.execute("SELECT video_id, queue, tab FROM leases WHERE reviewer=?", (reviewer,)).fetchall()
        for row in rows:
            if video_ids is None or (row["video_id"] in video_ids and row["tab"] == tab):
                connection.execute("DELETE FROM leases WHERE reviewer=? AND video_id=?", (reviewer, row["video_id"]))
                _step_back(connection, row["queue"], row["video_id"])


def lease_again(index: Index, reviewer: str, queue: str, video_id: str, lease_s: float, tab: str = "") -> None:
    """Lease a video again to the person who took back a decision on it, even if somebody else holds it."""
    with index.database.write() as connection:
        now = time.monotonic()
        values = (video_id, reviewer, queue, now, now + lease_s, tab)
        connection.execute("INSERT OR REPLACE INTO leases VALUES(?, ?, ?, ?, ?, ?)", values)
        _step_back(connection, queue, video_id)


def _step_back(connection: sqlite3.Connection, queue: str, video_id: str) -> None:
    connection.execute(
        "UPDATE places SET empty=0, rank=min(rank,"
        " coalesce((SELECT q.rank FROM queue q WHERE q.queue=?1 AND q.video_id=?2), rank)) WHERE queue=?1",
        (queue, video_id),
    )


def count_leases(index: Index) -> dict[str, int]:
    """Videos held now, by person."""
    sql = f"SELECT reviewer, count(*) FROM leases WHERE NOT {_LAPSED} GROUP BY reviewer"
    rows = index.database.rows(sql, {"now": time.monotonic()})
    return {row[0]: row[1] for row in rows}


# --- queues on request ---------------------------------------------------------------------------------------------


def ensure_queue(index: Index, queue: str) -> None:
    """Fill the queue of a label the first time somebody asks for it."""
    if not queue.startswith("label:"):
        return
    if index.database.first("SELECT 1 FROM queue WHERE queue=? LIMIT 1", (queue,)) is None:
        fill_label_queue(index, queue)


def fill_label_queue(index: Index, queue: str) -> None:
    """All clips of a label: those that need review in their order, then the others shuffled."""
    rows = index.database.rows(
        "SELECT l.video_id, q.rank FROM labels l JOIN videos v USING(video_id)"
        " LEFT JOIN queue q ON q.queue='review' AND q.video_id=l.video_id"
        " WHERE l.label=? AND (v.clip_path NOTNULL OR v.reasons LIKE '%human_%')",
        (queue.removeprefix("label:"),),
    )
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"] or 0, scramble(row["video_id"])))
    set_queue(index, queue, [row["video_id"] for row in rows])


def refill_queues(index: Index) -> None:
    """Bring the queues that were filled on request up to a changed dataset."""
    name = ""
    # Jumping from name to name costs one look-up each; DISTINCT would read the whole index.
    while name := index.database.rows("SELECT min(queue) FROM queue WHERE queue>?", (name,))[0][0]:
        if name.startswith("label:"):
            fill_label_queue(index, name)


def draw_sample(index: Index, store: Store, size: int, seed: int, stratified: bool = False) -> None:
    """Quality control: draw ``size`` of the videos that the program accepted, and put them into ``sample``.

    What people judged so far, in whatever order, and what was applied, does not matter: a video that they judged may be
    drawn, and counts as judged. The draw is kept in the table ``sampled``. Each video has a random number that depends on
    the seed alone, so that asking for more adds to the draw.

    With ``stratified`` a draw is by priority sampling (Duffield, Lund and Thorup 2007), which estimates without bias: rare
    labels are drawn as often as large ones, and what ``review suggest`` doubts more often. ``weight``: how many videos a
    drawn one stands for, in proportion to the others of its draw.
    """
    rows = store.database.rows("SELECT video_id, weight FROM sampled WHERE seed=? ORDER BY position", (seed,))
    drawn = [row[0] for row in rows]
    if len(drawn) < size:
        labels = _accepted_by_program(index)
        left = labels.keys() - set(drawn)
        if left and drawn and (stratified or any(row[1] != 1 for row in rows)):
            told = f"{len(drawn)} videos were drawn before, and a stratified draw takes no more"
            raise UsageError(f"`seed` {seed}: {told}; take another seed")
        sizes = dict.fromkeys(left, 1.0)
        if stratified:
            wrong = {row[0]: row[1] for row in index.database.rows("SELECT video_id, wrong FROM doubts")}
            sizes = sampling_sizes({i: json.loads(told) for i, told in labels.items()}, wrong)
        weights = priority_sample(sizes, size - len(drawn), seed)
        with store.database.write() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO sampled(video_id, seed, position, labels, drawn_utc, weight)"
                " VALUES(?, ?, ?, ?, ?, ?)",
                [
                    (i, seed, len(drawn) + n, labels[i], now_utc(), weight if stratified else 1.0)
                    for n, (i, weight) in enumerate(weights.items())
                ],
            )
        drawn += weights
    set_queue(index, "sample", drawn[:size])


def _accepted_by_program(index: Index) -> dict[str, str]:
    """Labels, as JSON, of the videos that were accepted by their evidence, whatever people said of them since."""
    sql = "SELECT video_id, labels, reasons LIKE '%human_%' FROM videos"
    rows = index.database.rows(f"{sql} WHERE status='accepted' OR reasons LIKE '%human_%'")
    found = {i: labels for i, labels, by_people in rows if not by_people}
    judged = {i: labels for i, labels, by_people in rows if by_people}
    for record in records_of(index.dataset, judged):
        if duplicate_of(record) is None and decide(record, index.settings).status == "accepted":
            found[record.video_id] = judged[record.video_id]
    return found


def queue_counts(index: Index, queue: str, k: int, aside: Sequence[str] = ()) -> tuple[int, int, int]:
    """Videos in a queue (but not those ``aside``), those that wait for a judgement, and the judgements they wait for."""
    if queue == "conflicts":
        sql = "SELECT count(*), count(*), count(*) FROM videos WHERE conflict NOTNULL"
    elif k == 1:
        open_ones = "count(*) FILTER (WHERE open)"
        sql = f"SELECT count(*), {open_ones}, {open_ones} FROM queue q WHERE queue=:queue AND {_NO_EXAMPLE}"
    else:
        sql = (
            "SELECT count(*), count(*) FILTER (WHERE q.open), coalesce(sum(max(1, :k - v.judged)) FILTER (WHERE q.open), 0)"
            f" FROM queue q JOIN videos v USING(video_id) WHERE q.queue=:queue AND {_NO_EXAMPLE}"
        )
    total, left, judgements = index.database.rows(sql, {"queue": queue, "k": k, "aside": json.dumps(aside)})[0]
    return total, left, judgements


def count_judged(index: Index, reviewer: str) -> int:
    """Videos that a person has judged."""
    sql = "SELECT count(*) FROM judged WHERE reviewer=? AND verdict NOTNULL"
    return int(index.database.rows(sql, (reviewer,))[0][0])
