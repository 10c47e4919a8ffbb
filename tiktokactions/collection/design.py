"""How many videos there are, of which a collection holds a sample: the size of every window, and how sure that is.

A window that was read to its end is counted. The others are estimated from the rate at which the newest videos of some days
follow each other, corrected for the hours of the day at which this hashtag's videos are made (as its random draws show).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from tiktokactions.collection.client import Page
from tiktokactions.collection.plan import counted_days, draw
from tiktokactions.collection.rows import VideoRow
from tiktokactions.collection.store import Collection, WindowState, moment
from tiktokactions.machine import DAY_S
from tiktokactions.records import JsonObject

_PARTS = 12
"""Of a day: shorter stretches hold too few draws to tell how busy they are."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Videos a day of one hashtag, on the days where that is known, oldest first."""

    days: np.ndarray
    """Ordinals of days, (N,)."""
    videos: np.ndarray
    """Videos on each, (N,)."""
    is_counted: np.ndarray
    """Whether the window of this day was read to its end, bool (N,)."""

    def on(self, day: float) -> float | None:
        """Videos a day around this one; None if nothing is known."""
        return float(np.interp(day, self.days, self.videos)) if len(self.days) else None


def rates_of(collection: Collection, hashtag: str) -> Rates:
    """What the windows, the pages and the counted days of a hashtag say of its videos a day."""
    found: list[tuple[float, float, bool]] = []
    shares = _shares_before_midnight(collection, hashtag)
    for state in collection.windows(hashtag):
        if state.state == "done":
            found.append((_middle(state), state.shown / state.window.days, True))
        elif state.oldest is not None:
            # The draws of this stretch came again in its pages.
            read = sum(at >= state.oldest for at in _moments(collection, state.id))
            found.append((_middle(state), _a_day(read, end_of(state.window.end) - state.oldest, shares), False))
    for day, rows, span_s in collection.database.execute(
        "SELECT day, rows, span_s FROM counts WHERE hashtag=?", (hashtag,)
    ):
        found.append((float(date.fromisoformat(day).toordinal()), _a_day(rows, span_s, shares), False))
    days, videos, counted = zip(*sorted(found), strict=True) if found else ((), (), ())
    return Rates(np.array(days), np.array(videos), np.array(counted, bool))


def set_sizes(collection: Collection, hashtag: str) -> None:
    """Store how many videos every window holds, before any of those found is dropped; the windows that nothing is known of
    stay without."""
    rates = rates_of(collection, hashtag)
    with collection.transaction() as database:
        for state in collection.windows(hashtag):
            size: float | None = state.shown
            if state.state != "done":
                a_day = rates.on(_middle(state))
                size = None if a_day is None else max(float(state.shown), a_day * state.window.days)
            database.execute("UPDATE windows SET size=? WHERE id=?", (size, state.id))
        estimated = rates.videos[~rates.is_counted].tolist()
        database.execute("UPDATE hashtags SET rates=? WHERE hashtag=?", (json.dumps(estimated), hashtag))


def size_error(collection: Collection, hashtag: str) -> tuple[float, int]:
    """Relative standard error of the videos in those windows that were not read to their end, and its degrees of freedom.

    From successive differences of the rates, so that a steady growth of the hashtag counts as none.
    """
    told = collection.database.execute("SELECT rates FROM hashtags WHERE hashtag=?", (hashtag,)).fetchone()
    rates = np.array(json.loads((told and told[0]) or "[]"), float)
    rows = collection.database.execute(
        "SELECT sum(size), sum(size) FILTER (WHERE state<>'done') FROM windows WHERE hashtag=? AND state<>'split'",
        (hashtag,),
    ).fetchone()
    total, unread = (float(value or 0) for value in rows)
    if not unread or not total:
        return 0.0, 1
    if len(rates) < 2 or not rates.mean():
        return unread / total, 1
    spread = np.sqrt(np.square(np.diff(rates)).sum() / (2 * (len(rates) - 1)) / len(rates)) / rates.mean()
    return float(spread) * unread / total, len(rates) - 1


def days_to_count(states: Sequence[WindowState], hashtag: str, seed: int) -> list[date]:
    """Days on which the newest videos are counted: one at random in each of some equal parts of these windows."""
    days = [day for state in sorted(states, key=lambda s: s.window.start) for day in state.window.dates]
    parts = np.array_split(np.array(days, object), max(1, counted_days(len(states))))
    return [part[draw(f"{seed}/{hashtag}/{part[0]}") % len(part)] for part in parts if len(part)]


def store_count(collection: Collection, hashtag: str, day: date, page: Page, rows: Sequence[VideoRow]) -> None:
    """Store how many videos the newest page of a day holds, and over how long a time before midnight."""
    mine = [row for row in rows if hashtag in row.hashtags]
    oldest = min((moment(row.video_id, row.create_time) for row in mine), default=0)
    span_s = end_of(day) - oldest if page.has_more and mine else DAY_S
    # The last row ends the stretch, so it is not one of those that fall into it.
    count = len(mine) - 1 if page.has_more and mine else len(mine)
    values = (hashtag, day.isoformat(), count, max(1.0, span_s))
    collection.database.execute("INSERT OR REPLACE INTO counts(hashtag, day, rows, span_s) VALUES(?,?,?,?)", values)


def design_text(wanted: JsonObject) -> str:
    """How a collection samples, in a sentence, from what it was begun for; empty if nothing was asked for."""
    if not wanted:
        return ""
    where = f" of accounts registered in {', '.join(wanted['region'])}" if wanted["region"] else ""
    period = f"videos{where} created from {wanted['from']} to {wanted['to']} (UTC)"
    if wanted.get("everything"):
        return f"all {period}"
    kept = f"at most {wanted['per_hashtag']} of a hashtag are kept, equally many of every window as far as possible"
    if not wanted["random"]:
        return f"{period}, the newest of each window of at most 30 days; {kept}"
    return f"random draws of {period} from windows of at most 30 days; windows that hold little are read whole; {kept}"


def end_of(day: date) -> int:
    """When a day ends (Unix time)."""
    return int(datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC).timestamp())


def _middle(state: WindowState) -> float:
    return (state.window.start.toordinal() + state.window.end.toordinal()) / 2


def _a_day(rows: float, span_s: float, shares: np.ndarray) -> float:
    """Videos a day, of ``rows`` in the last ``span_s`` seconds before midnight."""
    whole, rest_s = divmod(span_s, DAY_S)
    return rows / (whole + float(np.interp(rest_s, np.linspace(0, DAY_S, _PARTS + 1), shares)))


def _shares_before_midnight(collection: Collection, hashtag: str) -> np.ndarray:
    """Which share of a day's videos is made in its last 0, 1, … 12 twelfths (UTC), as the windows show that were only drawn
    from; equal shares where there are no draws."""
    drawn = [s for s in collection.windows(hashtag) if s.draws and not s.pages]
    left_s = [DAY_S - at % DAY_S for state in drawn for at in _moments(collection, state.id)]
    counts = np.histogram(left_s, _PARTS, (0, DAY_S))[0] + 1
    return np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])


def _moments(collection: Collection, window: int) -> list[int]:
    query = "SELECT video_id, create_time FROM found JOIN videos USING(video_id) WHERE window=?"
    return [moment(video_id, at) for video_id, at in collection.database.execute(query, (window,))]
