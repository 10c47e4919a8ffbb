"""Collecting: hashtag by hashtag, window by window, page by page, until there is enough or nothing is left.

The collection's file holds the whole state, so a killed run continues from the last stored page.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from tiktokactions.collection.client import (
    ApiError,
    BudgetSpentError,
    Page,
    RefusedQueryError,
    ResearchClient,
    SearchLostError,
    ServerFailsError,
)
from tiktokactions.collection.ledger import QuotaSpentError
from tiktokactions.collection.plan import Window, around, halves, windows_of
from tiktokactions.collection.rows import read_row
from tiktokactions.collection.store import STATES, Collection, CollectionError, WindowState
from tiktokactions.errors import TiktokactionsError
from tiktokactions.machine import Clock, utc_text

EMPTY_PAGES_AT_MOST = 5
RESTARTS_AT_MOST = 3
DRY_DRAWS_AT_MOST = 2
"""Random draws in a row of which less than a tenth is new."""
BUSY_HASHTAG = "fyp"
"""Asked for before zeros are believed, unless this collection has met a busy hashtag itself."""
_TRIES_OF_PARTS = 2
_FAILURES_BEFORE_PROBE, _FAILURES_IN_DESERT = 3, 12
_EMPTIES_BEFORE_PROBE, _EMPTIES_WHEN_TRUSTED, _EMPTIES_AT_MOST = 3, 20, 60
Answer = TypeVar("Answer")
_PAUSES_S = (900, 1800, 3600, 7200, 7200, 7200)


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

    def as_setting(self) -> dict[str, object]:
        return {
            "per_hashtag": self.per_hashtag,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "region": list(self.regions),
            "random": self.random,
            "windows": self.windows,
            "seed": self.seed,
            "hash_creators": self.hash_creators,
        }


class StoppedError(TiktokactionsError, RuntimeError):
    """The run cannot go on now. What is stored stays, and the same command continues."""


def begin(collection: Collection, hashtags: list[str], wanted: Wanted) -> None:
    """Store what is wanted and the windows of every hashtag. Hashtags may be added to a collection later.

    Raises:
        CollectionError: the collection was begun with other settings.
    """
    before, now = collection.setting("wanted"), wanted.as_setting()
    if before is None:
        collection.set_setting("wanted", now)
    elif before != now:
        changed = ", ".join(
            f"{name} {before.get(name)} (asked for now: {new})" for name, new in now.items() if before.get(name) != new
        )
        raise CollectionError(
            f"{collection.folder}: was begun with {changed}. Leave these options as they were, or begin another"
            " collection in another folder"
        )
    for hashtag in hashtags:
        windows = windows_of(hashtag, wanted.start, wanted.end, wanted.per_hashtag, wanted.windows, wanted.seed)
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
        self.failures, self.failures_allowed = 0, _FAILURES_BEFORE_PROBE
        self.empties: list[WindowState] = []
        self.empties_allowed, self.doubtful = _EMPTIES_BEFORE_PROBE, 0
        self.refused, self.pauses = 0, 0

    def run(self) -> None:
        """Collect every open hashtag.

        Raises:
            StoppedError: quota, budget or the API itself ended the run early.
            ApiError: the API refuses this key.
        """
        for state in self.collection.windows(None, "incomplete", "failing", "doubtful"):
            self.collection.restart_window(state)
        try:
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
        wanted = self.wanted.per_hashtag
        roots = [state for state in self.collection.windows(hashtag, *STATES) if state.part_of is None]
        share = math.ceil(wanted / len(roots))
        try:
            self._first_pass(hashtag, share, {root.id: root.window.days for root in roots})
            while self._found(hashtag) < wanted and (more := self.collection.windows(hashtag, "more")):
                for state in more:
                    if self._found(hashtag) < wanted:
                        self._window(state, need=1)
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
        kept = self.collection.finish_hashtag(hashtag, wanted, after, reason, self.wanted.seed)
        self.report(f"{place} #{hashtag}: {kept} of {wanted}" + (f" ({reason})" if reason else ""))

    def _first_pass(self, hashtag: str, share: int, root_days: dict[int, int]) -> None:
        """Ask for every window once, for its share, and at the end once more for windows that were lost half-way."""
        for attempt in ("open", "incomplete"):
            if attempt == "incomplete":
                for state in self.collection.windows(hashtag, "incomplete"):
                    self.collection.restart_window(state)
            while states := self.collection.windows(hashtag, "open"):
                state = states[0]
                pieces = around(state.window, self.collection.failing_days()) if state.cursor == 0 else []
                if len(pieces) > 1:
                    self.collection.split_window(state, pieces, "days that have always failed are asked for separately")
                    continue
                part = math.ceil(share * state.window.days / root_days[self.collection.roots(hashtag)[state.id]])
                have = self.collection.number(
                    "SELECT count(*) FROM found WHERE hashtag=? AND window=?", hashtag, state.id
                )
                self._window(state, need=part - have)

    def _found(self, hashtag: str) -> int:
        return self.collection.number("SELECT count(*) FROM found WHERE hashtag=?", hashtag)

    # --- one window -------------------------------------------------------------------------------------------------

    def _window(self, state: WindowState, need: int) -> None:
        """Ask for pages until ``need`` new videos are stored or the window ends; its state is left in the collection."""
        if need <= 0 and state.state == "open" and state.pages:
            self.collection.set_window(state, "more")
            return
        while True:
            try:
                page = self._page(state)
            except SearchLostError as error:
                if state.restarts >= RESTARTS_AT_MOST:
                    why = f"the search was lost {state.restarts + 1} times ({error})"
                    self.collection.set_window(state, "incomplete", why)
                    return
                self.collection.restart_window(state)
                state = self._again(state)
                continue
            except ServerFailsError as error:
                self._server_failed(state, error)
                return
            self.failures, self.pauses = 0, 0
            new, after = self._store(state, page)
            need -= new
            if after != "open":
                return
            state = self._again(state)
            if need <= 0:
                self.collection.set_window(state, "more")
                return

    def _page(self, state: WindowState) -> Page:
        known_bad = state.window.start in self.collection.failing_days()
        tries = {"tries": 1} if known_bad else {"tries": _TRIES_OF_PARTS} if state.part_of is not None else {}
        window = f"#{state.hashtag} {state.window.start}..{state.window.end}"
        return self._patiently(
            lambda: self.client.videos(
                self._conditions(state.hashtag),
                state.window.start,
                state.window.end,
                cursor=state.cursor,
                search_id=state.search_id,
                is_random=self.wanted.random,
                what=f"{window} from {state.cursor}",
                **tries,
            )
        )

    def _conditions(self, hashtag: str) -> dict[str, list[dict[str, object]]]:
        found: list[dict[str, object]] = [{"operation": "EQ", "field_name": "hashtag_name", "field_values": [hashtag]}]
        if self.wanted.regions:
            found.append({"operation": "IN", "field_name": "region_code", "field_values": list(self.wanted.regions)})
        return {"and": found}

    def _store(self, state: WindowState, page: Page) -> tuple[int, str]:
        """Store a page; returns how many of its rows are new, and the window's state after it."""
        rows = [row for raw in page.rows if (row := read_row(raw, self.salt)) is not None]
        after = self._after(state, page)
        at = utc_text(self.clock.now())
        new = self.collection.store_page(state, page, rows, after, at, is_random=self.wanted.random)
        if any(state.hashtag in row.hashtags for row in rows) and self.collection.setting("canary") is None:
            days = (state.window.start.isoformat(), state.window.end.isoformat())
            self.collection.set_setting("canary", [state.hashtag, *days])
        if self.wanted.random and self._again(state).dry_draws >= DRY_DRAWS_AT_MOST:
            after = "done"
            self.collection.set_window(state, after)
        if page.rows:
            self.empties = []
        elif after == "done" and state.pages == 0:
            self.empties.append(state)
            if len(self.empties) >= self.empties_allowed:
                self._doubt_empties()
        if after == "done" and page.has_more and not self.wanted.random:
            self.collection.set_window(state, after, f"{EMPTY_PAGES_AT_MOST} empty pages in a row")
        return new, after

    def _after(self, state: WindowState, page: Page) -> str:
        if self.wanted.random:
            # An empty draw: there is nothing to draw from.
            return "open" if page.rows else "done"
        if not page.has_more:
            return "done"
        if page.cursor is None or page.cursor <= state.cursor:
            return "incomplete"
        return "done" if not page.rows and state.empty_pages + 1 >= EMPTY_PAGES_AT_MOST else "open"

    def _again(self, state: WindowState) -> WindowState:
        return next(s for s in self.collection.windows(state.hashtag) if s.id == state.id)

    # --- when the API does not do its work --------------------------------------------------------------------------

    def _patiently(self, ask: Callable[[], Page]) -> Page:
        return patiently(ask, self.clock, self.wait, self.note)

    def _server_failed(self, state: WindowState, error: ServerFailsError) -> None:
        """Halve the window, or give up on its day; stop if the API fails for everything."""
        known_bad = state.window.start in self.collection.failing_days()
        if not known_bad:
            self.failures += 1
            if self.failures >= self.failures_allowed:
                self._probe_failures(error)
        if state.window.days > 1 and not known_bad:
            self.collection.split_window(state, halves(state.window), f"the server failed: {error}")
        else:
            self.collection.restart_window(state, "failing", f"the server fails for these days: {error}")

    def _probe_failures(self, error: ServerFailsError) -> None:
        try:
            self._probe()
        except (ServerFailsError, SearchLostError):
            if not self.wait or self.pauses == len(_PAUSES_S):
                raise StoppedError(
                    f"the API fails for everything ({error}); what is stored stays, and the same command continues later"
                ) from None
            self.note(f"the API fails for everything ({error}); pausing {_PAUSES_S[self.pauses] // 60} minutes")
            self.clock.sleep(_PAUSES_S[self.pauses])
            self.pauses += 1
            self.failures = 0
        else:
            # It answers for others: only these days fail, so fewer probes will do.
            self.failures, self.failures_allowed = 0, _FAILURES_IN_DESERT

    def _doubt_empties(self) -> None:
        """After several empty windows in a row, ask for something that is known to be there."""
        known = self.collection.setting("canary") is not None
        try:
            page = self._probe()
        except (ServerFailsError, SearchLostError):
            return
        if page.rows:
            self.empties, self.empties_allowed = [], _EMPTIES_WHEN_TRUSTED
            return
        for state in self.empties:
            self.collection.restart_window(state, "doubtful", "empty, while a busy hashtag was empty too")
        self.doubtful += len(self.empties)
        self.empties = []
        if known or self.doubtful >= _EMPTIES_AT_MOST:
            raise StoppedError(
                "the API gives empty answers without an error, even for a hashtag that is known to have videos;"
                " the same command will ask for the empty windows again later"
            )

    def _probe(self) -> Page:
        """A query that has given videos before, else one for a hashtag that everybody uses, in the last week."""
        known = self.collection.setting("canary")
        if known:
            hashtag, window = known[0], Window(date.fromisoformat(known[1]), date.fromisoformat(known[2]))
        else:
            end = self.wanted.end
            hashtag, window = BUSY_HASHTAG, Window(max(self.wanted.start, end - timedelta(days=6)), end)
        conditions, what = self._conditions(hashtag), f"canary #{hashtag}"
        return self._patiently(
            lambda: self.client.videos(conditions, window.start, window.end, tries=_TRIES_OF_PARTS, what=what)
        )


def patiently(ask: Callable[[], Answer], clock: Clock, wait: bool, note: Callable[[str], None]) -> Answer:
    """Ask; with ``wait``, sleep through a spent quota until it is renewed."""
    while True:
        try:
            return ask()
        except QuotaSpentError as error:
            if not wait:
                raise
            note(str(error))
            while (left := error.until - clock.now()) > 0:
                clock.sleep(min(left, 3600))


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
    empty = "SELECT count(*) FROM windows WHERE hashtag=? AND state='done' AND reason LIKE '%empty pages%'"
    if capped := collection.number(empty, hashtag):
        parts.append(f"{capped} windows left after {EMPTY_PAGES_AT_MOST} empty pages")
    if mismatched := collection.number("SELECT count(*) FROM rejected WHERE hashtag=?", hashtag):
        parts.append(f"{mismatched} answers without the hashtag")
    return "; ".join(parts) if days or capped else "; ".join(["the period holds no more", *parts])
