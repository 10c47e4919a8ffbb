"""Whether the API does its work at all: a small request now and then, so that a bad day costs a handful of requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeVar

from tiktokactions.collection.client import ResearchClient, SearchLostError, ServerFailsError
from tiktokactions.collection.ledger import QuotaSpentError
from tiktokactions.collection.store import Collection, WindowState
from tiktokactions.errors import TiktokactionsError
from tiktokactions.machine import Clock

BUSY_HASHTAG = "fyp"
"""Asked for before zeros are believed, unless this collection has met a busy hashtag itself."""
_PROBE_ROWS = 10
_FAILURES_BEFORE_PROBE, _FAILURES_IN_DESERT = 3, 12
_EMPTIES_BEFORE_PROBE, _EMPTIES_WHEN_TRUSTED, _EMPTIES_AT_MOST = 3, 20, 60
_PAUSES_S = (900, 1800, 3600, *(7200,) * 36)
"""Three days; each costs one small request."""
Answer = TypeVar("Answer")


class StoppedError(TiktokactionsError, RuntimeError):
    """The run cannot go on now. What is stored stays, and the same command continues."""


class Health:
    """What the answers of a run say about the API. ``wait``: pause while it fails, instead of stopping."""

    def __init__(
        self,
        collection: Collection,
        client: ResearchClient,
        clock: Clock,
        period: tuple[date, date],
        *,
        wait: bool,
        note: Callable[[str], None],
    ) -> None:
        self.collection, self.client, self.clock, self.period = collection, client, clock, period
        self.wait, self.note = wait, note
        self.failures, self.failures_allowed = 0, _FAILURES_BEFORE_PROBE
        self.empties: list[WindowState] = []
        self.empties_allowed, self.doubtful = _EMPTIES_BEFORE_PROBE, 0

    def begin(self) -> None:
        """Where the last run ended because everything failed, one small request decides whether to begin at all."""
        if self.collection.setting("failing") is not None:
            self._wait_until_alive(str(self.collection.setting("failing")))

    @property
    def tries(self) -> int | None:
        """How often a request may be tried: once while others fail; None: as often as is usual."""
        return 1 if self.failures else None

    def answered(self) -> None:
        self.failures = 0

    def failed(self, error: ServerFailsError) -> bool:
        """A window failed; after several in a row, find out whether everything does. True if it did for a while.

        Raises:
            StoppedError: everything fails, and went on failing for as long as we wait.
        """
        self.failures += 1
        if self.failures < self.failures_allowed:
            return False
        has_paused = self._wait_until_alive(str(error))
        # It answers for others: only these days fail, so fewer probes will do.
        self.failures_allowed = _FAILURES_BEFORE_PROBE if has_paused else _FAILURES_IN_DESERT
        return has_paused

    def found(self, state: WindowState, hashtag_is_there: bool) -> None:
        """A page had rows. The first page of a busy hashtag is remembered for probes."""
        self.empties = []
        if hashtag_is_there and self.collection.setting("canary") is None:
            days = (state.window.start.isoformat(), state.window.end.isoformat())
            self.collection.set_setting("canary", [state.hashtag, *days])

    def empty(self, state: WindowState) -> None:
        """A window is empty; after several in a row, ask for something that is known to be there.

        Raises:
            StoppedError: that is empty too.
        """
        self.empties.append(state)
        if len(self.empties) < self.empties_allowed:
            return
        known = self.collection.setting("canary") is not None
        try:
            gives_videos = self._probe()
        except (ServerFailsError, SearchLostError):
            return
        if gives_videos:
            self.empties, self.empties_allowed = [], _EMPTIES_WHEN_TRUSTED
            return
        for emptied in self.empties:
            self.collection.restart_window(emptied, "doubtful", "empty, while a busy hashtag was empty too")
        self.doubtful += len(self.empties)
        self.empties = []
        if known or self.doubtful >= _EMPTIES_AT_MOST:
            raise StoppedError(
                "the API gives empty answers without an error, even for a hashtag that is known to have videos;"
                " the same command will ask for the empty windows again later"
            )

    def _wait_until_alive(self, problem: str) -> bool:
        """True if that took a pause."""
        for number, pause_s in enumerate((*_PAUSES_S, None)):
            try:
                self._probe()
            except (ServerFailsError, SearchLostError):
                self.collection.set_setting("failing", problem)
                if not self.wait or pause_s is None:
                    raise StoppedError(
                        f"the API fails for everything ({problem}); what is stored stays, and the same command continues"
                        " later"
                    ) from None
                self.note(f"the API fails for everything ({problem}); pausing {pause_s // 60} minutes")
                self.clock.sleep(pause_s)
            else:
                self.collection.set_setting("failing", None)
                self.failures = 0
                return number > 0
        raise AssertionError("the last pause is none")

    def _probe(self) -> bool:
        """One small request, for a hashtag that has given videos before, else for one that everybody uses, in the last week:
        whether there are any."""
        known = self.collection.setting("canary")
        if known:
            hashtag, start, end = known[0], date.fromisoformat(known[1]), date.fromisoformat(known[2])
        else:
            hashtag, end = BUSY_HASHTAG, self.period[1]
            start = max(self.period[0], end - timedelta(days=6))
        condition = {"operation": "EQ", "field_name": "hashtag_name", "field_values": [hashtag]}
        page = patiently(
            lambda: self.client.videos(
                {"and": [condition]}, start, end, count=_PROBE_ROWS, fields=("id",), tries=1, what=f"canary #{hashtag}"
            ),
            self.clock,
            self.wait,
            self.note,
        )
        return bool(page.rows) or page.has_more


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
