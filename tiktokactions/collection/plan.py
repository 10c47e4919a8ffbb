"""Plans the windows of time that a hashtag is asked for and their cost, and chooses the videos that are kept.

The period is cut into windows that do not overlap and leave nothing out; where they end differs between hashtags. Of every
window the API gives a random draw of at most a page, or pages with the newest videos first.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tiktokactions.collection.client import PAGE
from tiktokactions.collection.ledger import RECORDS_A_DAY
from tiktokactions.collection.options import CollectOptions, PlanError
from tiktokactions.metadata.documents import DocumentError, table_rows, text_of
from tiktokactions.text import clean_hashtag

LONGEST_WINDOW_DAYS = 30
LAG_DAYS = 3
"""It takes up to 48 hours until new videos can be found."""
ROWS_PER_WINDOW, ROWS_PER_DRAW = 50, 75
"""Half a page: deleted and private videos are counted by the server but not returned. Draws give nearly full pages."""


@dataclass(frozen=True, slots=True)
class Window:
    """The days (UTC) from ``start`` to ``end``, both included."""

    start: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    def __contains__(self, day: date) -> bool:
        return self.start <= day <= self.end

    @property
    def dates(self) -> list[date]:
        return [self.start + timedelta(days=n) for n in range(self.days)]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a collection will cost, before anything is sent."""

    hashtags: int
    per_hashtag: int | None
    """None: every video of the period."""
    start: date
    end: date
    windows: int
    """Windows of one hashtag."""
    rows_per_window: int
    requests_at_best: int
    """If every draw or page is full and nothing fails; one request for each window, and those that count days."""
    requests_likely: int
    """If every second window needs a page besides, and a tenth of the requests must be repeated."""
    requests_a_day: int
    days_at_best: float
    days_likely: float
    records: int


def read_hashtags(path: Path) -> list[str]:
    """The hashtags of a CSV file with a column ``hashtag`` or of a file with one a line: cleaned, each once, in order.

    Raises:
        PlanError: there is no such file, no such column or no hashtag, or one of them holds a blank.
    """
    try:
        rows = table_rows(text_of(path.read_bytes(), str(path)))
    except (OSError, DocumentError) as error:
        raise PlanError(f"{path}: expected a CSV file with a column 'hashtag' ({error})") from None
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "hashtag" in names:
        column, rows = names.index("hashtag"), rows[1:]
    elif len(names) > 1:
        raise PlanError(f"{path}: expected a column 'hashtag', got {', '.join(names)}")
    else:
        column = 0
    found: dict[str, None] = {}
    for number, row in enumerate(rows, start=1):
        tag = clean_hashtag(row[column]) if len(row) > column else ""
        if tag and any(character.isspace() or character in "#," for character in tag):
            raise PlanError(f"{path}, row {number}: expected one hashtag without blanks, got {row[column]!r}")
        if tag:
            found[tag] = None
    if not found:
        raise PlanError(f"{path}: no hashtag in it")
    return list(found)


def period(start: date | None, end: date | None, today: date) -> tuple[date, date, str]:
    """The first and last day to ask for, and what had to be changed about them (empty if nothing).

    Default: the year that ended three days ago.

    Raises:
        PlanError: no day is left.
    """
    newest = today - timedelta(days=LAG_DAYS)
    last = newest if end is None else min(end, newest)
    first = last - timedelta(days=364) if start is None else start
    note = ""
    if end is not None and end > newest:
        note = f"asking up to {newest}, not {end}: it takes up to 48 hours until new videos can be found"
    if first > last:
        raise PlanError(
            f"from {first} to {last}: expected a first day that is not after the last ({note or 'nothing left'})"
        )
    return first, last, note


def windows_of(
    hashtag: str,
    start: date,
    end: date,
    per_hashtag: int | None,
    windows: int | None = None,
    seed: int = 0,
    rows_per_window: int = ROWS_PER_WINDOW,
) -> list[Window]:
    """Windows of equal length that cover the period exactly, oldest first; the first and the last may be shorter.

    There are enough of them for ``rows_per_window`` videos each, at least one for every 30 days, and at most one for every
    day. Pages come from the end of a window, so the phase is drawn from the hashtag and ``seed``: the ends fall on different
    days of the month for different hashtags. Without ``per_hashtag`` everything is wanted: as few windows as can be.
    """
    days = (end - start).days + 1
    least = math.ceil(days / LONGEST_WINDOW_DAYS)
    enough = windows if windows is not None else math.ceil((per_hashtag or 0) / rows_per_window)
    count = min(days, max(least, enough))
    length = min(LONGEST_WINDOW_DAYS, math.ceil(days / count))
    # A shift of the cuts may cost one more window.
    phase = draw(f"{seed}/{hashtag}") % length if count > 1 and per_hashtag is not None else 0
    cuts = itertools.pairwise([0, *range(length - phase, days, length), days])
    return [Window(start + timedelta(days=first), start + timedelta(days=after - 1)) for first, after in cuts]


def counted_days(windows: int) -> int:
    """On how many days the videos of a hashtag are counted, to learn how many there are in so many windows."""
    return max(4, windows // 5) if windows else 0


def halves(window: Window) -> tuple[Window, Window]:
    """The two halves of a window of at least two days."""
    return split_before(window, window.start + timedelta(days=window.days // 2))


def split_before(window: Window, day: date) -> tuple[Window, Window]:
    """The window up to the day before, and from this day on."""
    return Window(window.start, day - timedelta(days=1)), Window(day, window.end)


def around(window: Window, desert: Iterable[date]) -> list[Window]:
    """The window, cut around the days that have always failed; in one piece if there are none."""
    pieces = [list(days) for _, days in itertools.groupby(window.dates, key=set(desert).__contains__)]
    return [Window(days[0], days[-1]) for days in pieces]


def choose(found: Mapping[str, Sequence[str]], wanted: int, hashtag: str, seed: int = 0) -> list[str]:
    """Which of the videos found (ids by window) are kept: as far as possible, equally many from every window.

    Within a window a hash of ``seed``, hashtag and id draws them at random, so the choice is the same on every machine
    and in every order of arrival.
    """
    windows = sorted(found, key=lambda name: draw(f"{seed}/{hashtag}/{name}"))
    ranked = [
        sorted(set(found[window]), key=lambda video_id: (draw(f"{seed}/{hashtag}/{video_id}"), video_id))
        for window in windows
    ]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*ranked))
    return list(itertools.islice((video_id for video_id in in_turn if video_id is not None), wanted))


def estimate(hashtags: int, start: date, end: date, options: CollectOptions) -> Estimate:
    """The requests and days that a collection will take. The limit on requests is reached before the one on records."""
    per_hashtag, is_drawn = options.per_hashtag, options.random is not False and not options.everything
    wanted = None if options.everything else per_hashtag
    rows = ROWS_PER_DRAW if is_drawn else ROWS_PER_WINDOW
    count = len(windows_of("", start, end, wanted, options.windows, rows_per_window=rows))
    once = count + counted_days(count) if is_drawn else max(count, math.ceil((wanted or 0) / PAGE))
    best = hashtags * once
    likely = math.ceil(
        1.1 * hashtags * (once + count // 2 if is_drawn else max(count, math.ceil(2 * (wanted or 0) / PAGE)))
    )
    requests_a_day = options.requests_a_day
    records = hashtags * (wanted or 0)

    def days_for(requests: int) -> float:
        return max(requests / requests_a_day, records / RECORDS_A_DAY)

    return Estimate(
        hashtags,
        wanted,
        start,
        end,
        count,
        math.ceil((wanted or 0) / count),
        best,
        likely,
        requests_a_day,
        round(days_for(best), 2),
        round(days_for(likely), 2),
        records,
    )


def draw(text: str) -> int:
    """A whole number below 2^64 that looks random and follows from the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
