"""Collecting: hashtag by hashtag, window by window, until there is enough or nothing is left.

A hashtag's windows are drawn from at random; where one holds little, it is read page by page. The collection's file holds
the whole state, so a killed run continues from the last stored page.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from tiktokactions.collection.client import (
    PAGE,
    ApiError,
    BudgetSpentError,
    Page,
    RefusedQueryError,
    ResearchClient,
    SearchLostError,
    ServerFailsError,
)
from tiktokactions.collection.design import days_to_count, rates_of, set_sizes, store_count
from tiktokactions.collection.health import Health, StoppedError, patiently
from tiktokactions.collection.ledger import QuotaSpentError
from tiktokactions.collection.plan import (
    ROWS_PER_DRAW,
    ROWS_PER_WINDOW,
    Window,
    around,
    draw,
    halves,
    split_before,
    windows_of,
)
from tiktokactions.collection.rows import VideoRow, read_row
from tiktokactions.collection.store import STATES, Collection, CollectionError, WindowState
from tiktokactions.machine import Clock, utc_day, utc_text

EMPTY_PAGES, EMPTY_PAGES_OF_A_DAY, EMPTY_PAGES_OF_ALL = 5, 20, 60
"""After so many in a row a window is cut at its dates, a single day is left for later, and so is every window."""
RESTARTS_AT_MOST = 3
SMALL = 120
"""A window that is thought to hold no more videos than this is read instead of drawn from."""
SUSPECTS_AT_MOST = 9
"""After so many failures of days that had failed before, the others are left for the next run."""
FAILING_PARTS_AT_MOST = 6
"""If so many parts of a window fail and none answers, it is not cut further."""
_PAGES_OF_SMALL = 2
_TRIES_OF_PARTS = 2
OLD_SEARCH_S = 3600
_LATE_ROWS_S = 3600
"""Rows come by falling id, which holds the time of the upload's start: a video is created somewhat later."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a collection was begun for; all later runs must ask for the same."""

    per_hashtag: int
    start: date
    end: date
    regions: tuple[str, ...]
    random: bool
    windows: int | None
    seed: int
    hash_creators: bool
    everything: bool = False

    def as_setting(self) -> dict[str, object]:
        days = {"from": self.start.isoformat(), "to": self.end.isoformat()}
        said = asdict(self) | days | {"region": list(self.regions)}
        return {name: value for name, value in said.items() if name not in ("start", "end", "regions")}

    @property
    def most(self) -> int:
        """The most videos of a hashtag that are kept."""
        return sys.maxsize if self.everything else self.per_hashtag


def begin(collection: Collection, hashtags: list[str], wanted: Wanted) -> None:
    """Store what is wanted and the windows of every hashtag. Hashtags may be added to a collection later.

    Raises:
        CollectionError: the collection was begun with other settings.
    """
    before, now = collection.setting("wanted"), wanted.as_setting()
    if before is None:
        collection.set_setting("wanted", now)
    elif {"everything": False} | before != now:
        changed = ", ".join(
            f"{name} {before.get(name)} (asked for now: {new})" for name, new in now.items() if before.get(name) != new
        )
        raise CollectionError(
            f"{collection.folder}: was begun with {changed}. Leave these options as they were, or begin another"
            " collection in another folder"
        )
    most = None if wanted.everything else wanted.per_hashtag
    rows = ROWS_PER_DRAW if wanted.random else ROWS_PER_WINDOW
    for hashtag in hashtags:
        windows = windows_of(hashtag, wanted.start, wanted.end, most, wanted.windows, wanted.seed, rows)
        collection.add_hashtag(hashtag, windows)


class Run:
    """One run over a collection. ``report`` gets a line for each hashtag, ``note`` a line for each wait."""

    def __init__(
        self,
        collection: Collection,
        client: ResearchClient,
        wanted: Wanted,
        clock: Clock,
        *,
        wait: bool,
        report: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self.collection, self.client, self.wanted, self.clock = collection, client, wanted, clock
        self.wait, self.report, self.note = wait, report, note
        self.salt = collection.salt() if wanted.hash_creators else None
        self.health = Health(collection, client, clock, (wanted.start, wanted.end), wait=wait, note=note)
        self.refused, self.empty_pages = 0, 0
        self.search: tuple[str | None, float] = (None, 0.0)
        """The last search that answered, and when."""
        self.suspects: set[date] = set()
        """Days that only failed in the run before, or in this one."""
        self.suspects_failed = 0

    def run(self) -> None:
        """Collect every open hashtag.

        Raises:
            StoppedError: quota, budget or the API itself ended the run early.
            ApiError: the API refuses this key.
        """
        self.suspects = self.collection.failing_days()
        for state in self.collection.windows(None, "incomplete", "failing", "doubtful"):
            self.collection.restart_window(state)
        try:
            self.health.begin()
            for again in (False, True):
                tags = self.collection.hashtags("open")
                if again:
                    # Ask once more for windows that were empty before the first busy hashtag was met.
                    states = self.collection.windows(None, "doubtful")
                    if not states or self.collection.setting("canary") is None:
                        break
                    tags = [tag for tag in tags if tag in {state.hashtag for state in states}]
                    for state in states:
                        self.collection.restart_window(state)
                for number, hashtag in enumerate(tags, start=1):
                    self._hashtag(hashtag, f"{number}/{len(tags)}")
        except (QuotaSpentError, BudgetSpentError) as error:
            raise StoppedError(str(error)) from None
        finally:
            self.collection.set_setting("safe_fields", self.client.safe_fields)

    # --- one hashtag ------------------------------------------------------------------------------------------------

    def _hashtag(self, hashtag: str, place: str) -> None:
        wanted = self.wanted.most
        try:
            self._first_pass(hashtag)
            while self._found(hashtag) < wanted and (more := self.collection.windows(hashtag, "more")):
                for state in more:
                    if self._found(hashtag) < wanted:
                        self._more(state)
                self._first_pass(hashtag)  # of what windows were cut into
            self._count_days(hashtag)
        except RefusedQueryError as error:
            self.refused += 1
            reason = f"the API refuses it: {error}"
            self.collection.database.execute("UPDATE hashtags SET reason=? WHERE hashtag=?", (reason, hashtag))
            self.report(f"{place} #{hashtag}: {reason}")
            if self.refused == 3 and self.collection.setting("canary") is None:
                raise ApiError(f"the API refuses every query: {error}") from None
            return
        found = self._found(hashtag)
        reason = shortfall(self.collection, hashtag, found, wanted)
        unread = self.collection.windows(hashtag, "open", "incomplete", "failing", "doubtful")
        after = "open" if unread and found < wanted else "done"
        set_sizes(self.collection, hashtag)
        kept = self.collection.finish_hashtag(hashtag, wanted, after, reason, self.wanted.seed)
        of = "" if self.wanted.everything else f" of {wanted}"
        self.report(f"{place} #{hashtag}: {kept}{of}" + (f" ({reason})" if reason else ""))

    def _first_pass(self, hashtag: str) -> None:
        """Ask for every window once, for its share, and at the end once more for windows that were lost half-way."""
        roots = {s.id: s.window.days for s in self.collection.windows(hashtag, *STATES) if s.part_of is None}
        share = math.ceil(self.wanted.most / len(roots))
        for attempt in ("open", "incomplete"):
            if attempt == "incomplete":
                for state in self.collection.windows(hashtag, "incomplete"):
                    self.collection.restart_window(state)
            while states := self.collection.windows(hashtag, "open"):
                state = min(states, key=self._turn)
                pieces = around(state.window, self.suspects) if state.cursor == 0 else []
                if len(pieces) > 1:
                    self.collection.split_window(state, pieces, "days that have always failed are asked for separately")
                elif self.suspects_failed >= SUSPECTS_AT_MOST and state.window.start in self.suspects:
                    self.collection.set_window(state, "failing", "the server fails for these days")
                elif self.wanted.random:
                    self._drawn_window(state)
                else:
                    part = share * state.window.days / roots[self.collection.roots(hashtag)[state.id]]
                    self._window(state, need=math.ceil(part) - state.shown)

    def _turn(self, state: WindowState) -> tuple[bool, int, int]:
        """When a window is asked for. Draws follow no order of time: what a stopped run holds is spread over the period as
        well. The parts of windows come last, the larger ones first."""
        is_part = state.part_of is not None
        by_chance = self.wanted.random and not is_part
        return is_part, draw(f"{self.wanted.seed}/{state.window}") if by_chance else 0, state.id

    def _found(self, hashtag: str) -> int:
        return self.collection.number("SELECT count(*) FROM found WHERE hashtag=?", hashtag)

    # --- one window, drawn from -------------------------------------------------------------------------------------

    def _drawn_window(self, state: WindowState) -> None:
        """One draw from a window; a window that holds little is read instead."""
        expected = rates_of(self.collection, state.hashtag).on(state.window.start.toordinal())
        is_small = expected is not None and expected * state.window.days <= SMALL
        if state.draws:  # a run was killed between a draw and what follows from it
            is_small = is_small or state.shown < PAGE
        elif not is_small and not state.pages:
            page = self._page(state, is_random=True)
            if page is None:
                return
            self._store(state, page, is_random=True)
            state = self.collection.window(state.id)
            # Nobody says how many rows a draw should have, so a short one only hints at a small window.
            is_small = len(page.rows) < PAGE and (expected is None or not page.has_more)
        if is_small or state.pages:
            self._window(state, need=sys.maxsize, pages=_PAGES_OF_SMALL)
        else:
            self.collection.set_window(state, "more")

    def _more(self, state: WindowState) -> None:
        """Find more in a window that holds more: the next pages, or another draw while most of one would be new."""
        size = (rates_of(self.collection, state.hashtag).on(state.window.start.toordinal()) or 0) * state.window.days
        if not self.wanted.random:
            self._window(state, need=1)
        elif state.pages or state.dry_draws or size < 3 * PAGE or state.shown > size / 2:
            self._window(state, need=sys.maxsize)
        elif (page := self._page(state, is_random=True)) is not None:
            self._store(state, page, is_random=True)
            self.collection.set_window(state, "more")

    def _count_days(self, hashtag: str) -> None:
        """Learn how many videos there are in the windows that were only drawn from, by the newest page of some days."""
        states = [s for s in self.collection.windows(hashtag, "more") if not s.pages]
        counted = {
            row[0] for row in self.collection.database.execute("SELECT day FROM counts WHERE hashtag=?", (hashtag,))
        }
        for day in days_to_count(states, hashtag, self.wanted.seed):
            if day.isoformat() in counted:
                continue
            try:
                page = self._ask(hashtag, Window(day, day), f"#{hashtag} videos on {day}", tries=_TRIES_OF_PARTS)
            except (ServerFailsError, SearchLostError):
                continue
            store_count(self.collection, hashtag, day, page, self._rows(page))

    # --- one window, read -------------------------------------------------------------------------------------------

    def _window(self, state: WindowState, need: int, pages: int = sys.maxsize) -> None:
        """Ask for pages until ``need`` new videos are stored, ``pages`` are read or the window ends; its state is left in
        the collection."""
        if need <= 0 and state.state == "open" and state.pages:
            self.collection.set_window(state, "more")
            return
        while True:
            try:
                page = self._page(state)
            except SearchLostError as error:
                if self._go_on_below(state, f"the search was lost ({error})"):
                    return
                if state.restarts >= RESTARTS_AT_MOST:
                    why = f"the search was lost {state.restarts + 1} times ({error})"
                    self.collection.set_window(state, "incomplete", why)
                    return
                self.collection.restart_window(state)
                state = self.collection.window(state.id)
                continue
            if page is None:
                return
            new, after = self._store(state, page)
            need, pages = need - new, pages - 1
            state = self.collection.window(state.id)
            if after != "open":
                return
            if state.empty_pages >= EMPTY_PAGES and self._behind_empty_pages(state):
                return
            if need <= 0 or pages <= 0:
                self.collection.set_window(state, "more")
                return

    def _go_on_below(self, state: WindowState, why: str) -> bool:
        """End a window at the oldest day that its pages have reached, and begin a new search for the days up to there; False
        if they have not got past the first one."""
        reached = None if state.oldest is None else utc_day(state.oldest + _LATE_ROWS_S)
        if reached is None or reached + timedelta(days=1) not in state.window or reached < state.window.start:
            return False
        parts = split_before(state.window, reached + timedelta(days=1))
        self.collection.split_window(state, parts, why)
        self.collection.set_window(self._parts(state)[1], "done")
        return True

    def _behind_empty_pages(self, state: WindowState) -> bool:
        """The server says that there is more and gives empty pages: reach the rows behind them by date. True if this search
        is left."""
        why = f"{state.empty_pages} empty pages in a row, although the server says that there is more"
        if self.empty_pages >= EMPTY_PAGES_OF_ALL or (
            state.window.days == 1 and state.empty_pages >= EMPTY_PAGES_OF_A_DAY
        ):
            self.collection.set_window(state, "incomplete", why)
            return True
        if self._go_on_below(state, why):
            return True
        if state.window.days == 1:
            return False
        reached = None if state.oldest is None else utc_day(state.oldest)
        # The day on which it went wrong is asked for by itself.
        inside = reached is not None and state.window.start < reached <= state.window.end
        parts = split_before(state.window, reached) if inside and reached is not None else halves(state.window)
        self.collection.split_window(state, parts, why)
        return True

    def _parts(self, state: WindowState) -> list[WindowState]:
        return [part for part in self.collection.windows(state.hashtag) if part.part_of == state.id]

    def _page(self, state: WindowState, is_random: bool = False) -> Page | None:
        """The next page of a window, or a draw from it; None if the server failed, and the window was dealt with."""
        known_bad = state.window.start in self.suspects
        tries = 1 if known_bad else self.health.tries or (_TRIES_OF_PARTS if state.part_of is not None else None)
        what = f"#{state.hashtag} {state.window.start}..{state.window.end} from {state.cursor}"
        more: dict[str, Any] = {} if tries is None else {"tries": tries}
        if is_random:
            more |= {"is_random": True}
        else:
            more |= {"cursor": state.cursor, "search_id": state.search_id}
        try:
            page = self._ask(state.hashtag, state.window, what, **more)
        except ServerFailsError as error:
            self._server_failed(state, error, known_bad)
            return None
        self.health.answered()
        if known_bad:
            self.suspects -= set(state.window.dates)
            self.suspects_failed = 0
        return page

    def _ask(self, hashtag: str, window: Window, what: str, **more: Any) -> Page:
        conditions: list[dict[str, object]] = [
            {"operation": "EQ", "field_name": "hashtag_name", "field_values": [hashtag]}
        ]
        if self.wanted.regions:
            regions = list(self.wanted.regions)
            conditions.append({"operation": "IN", "field_name": "region_code", "field_values": regions})
        query = {"and": conditions}

        def ask() -> Page:
            search_id, answered_s = self.search
            is_old = more.get("search_id") != search_id or self.clock.now() - answered_s > OLD_SEARCH_S
            return self.client.videos(query, window.start, window.end, is_old_search=is_old, what=what, **more)

        page = patiently(ask, self.clock, self.wait, self.note)
        self.search = (page.search_id or more.get("search_id"), self.clock.now())
        return page

    def _rows(self, page: Page) -> list[VideoRow]:
        return [row for raw in page.rows if (row := read_row(raw, self.salt)) is not None]

    def _store(self, state: WindowState, page: Page, is_random: bool = False) -> tuple[int, str]:
        """Store a page or a draw; returns how many of its rows are new, and the window's state after it."""
        rows = self._rows(page)
        after = "open" if is_random else self._after(state, page)
        new = self.collection.store_page(state, page, rows, after, utc_text(self.clock.now()), is_random)
        self.empty_pages = 0 if page.rows else self.empty_pages + page.has_more
        if page.rows:
            self.health.found(state, any(state.hashtag in row.hashtags for row in rows))
        elif after == "done" and state.pages == 0 and not state.shown:
            self.health.empty(self.collection.window(state.id))
        return new, self.collection.window(state.id).state

    def _after(self, state: WindowState, page: Page) -> str:
        if not page.has_more:
            return "done"
        return "incomplete" if page.cursor is None or page.cursor <= state.cursor else "open"

    def _server_failed(self, state: WindowState, error: ServerFailsError, known_bad: bool) -> None:
        """Halve the window, or give up on its day; stop if the API fails for everything."""
        why = f"the server failed: {error}"
        if known_bad:
            self.suspects_failed += 1
            if state.window.days > 1:
                self.collection.split_window(state, halves(state.window), why)
                return
        elif self.health.failed(error):
            return  # everything failed for a while, so this window is as good as others
        elif self._go_on_below(state, why):
            return
        elif state.window.days > 1:
            self.collection.split_window(state, halves(state.window), why)
            if not self._all_fails(state):
                return
        with self.collection.transaction():
            for part in self._open_parts(state):
                self.collection.restart_window(part, "failing", f"the server fails for these days: {error}")
                self.suspects.update(part.window.dates)

    def _open_parts(self, state: WindowState) -> list[WindowState]:
        """The window, or all that is open of the whole that it was cut from if it was cut."""
        if self.collection.window(state.id).state != "split":
            return [state]
        roots = self.collection.roots(state.hashtag)
        return [s for s in self.collection.windows(state.hashtag, "open") if roots[s.id] == roots[state.id]]

    def _all_fails(self, state: WindowState) -> bool:
        """Whether many parts of the window that this one was cut from have failed, and none has answered."""
        roots = self.collection.roots(state.hashtag)
        parts = [s for s in self.collection.windows(state.hashtag, *STATES) if roots[s.id] == roots[state.id]]
        failed = sum(part.state == "split" for part in parts)
        return failed >= FAILING_PARTS_AT_MOST and not any(s.pages or s.draws or s.state == "done" for s in parts)


def shortfall(collection: Collection, hashtag: str, found: int, wanted: int) -> str:
    """Why a hashtag has fewer videos than wanted; empty if it has enough."""
    if found >= wanted:
        return ""
    row = collection.database.execute("SELECT state, reason FROM hashtags WHERE hashtag=?", (hashtag,)).fetchone()
    if row and row[1].startswith("the API refuses"):
        return str(row[1])
    days: Counter[str] = Counter()
    for state in collection.windows(hashtag, "open", "more", "incomplete", "failing", "doubtful"):
        days[state.state] += state.window.days
    texts = {
        "open": "days not asked for yet",
        "more": "days not read to the end",
        "incomplete": "days lost half-way",
        "failing": "days that only fail",
        "doubtful": "days that may be wrongly empty",
    }
    parts = [f"{days[name]} {text}" for name, text in texts.items() if name in days]
    if mismatched := collection.number("SELECT count(*) FROM rejected WHERE hashtag=?", hashtag):
        parts.append(f"{mismatched} answers without the hashtag")
    whole = "" if wanted == sys.maxsize else "the period holds no more"
    return "; ".join(parts if days else filter(None, [whole, *parts]))
