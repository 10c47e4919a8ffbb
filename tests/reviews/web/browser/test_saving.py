"""The page moves on when a decision is on the server's disk, and nothing is lost where nobody answers."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from tests.reviews.web.browser.browsing import (
    ARRIVED,
    KEPT,
    NEEDS_CHROMIUM,
    PATIENCE_MS,
    press,
    rows,
    saved,
    shown,
    until,
)
from tests.reviews.web.visits import served, serving

pytestmark = NEEDS_CHROMIUM


class Held:
    """The first request of a page to ``path``, which stays unanswered until the test lets it go: before the server has
    heard of it, or (``answered``) when it has written what it says. Later ones pass."""

    def __init__(self, page: Any, path: str, answered: bool) -> None:
        self.answered = answered
        self.route: Any = None
        self.answer: Any = None
        page.route(path, self._hold)

    def _hold(self, route: Any) -> None:
        if self.route is not None:
            return route.continue_()
        self.route = route
        if self.answered:
            self.answer = route.fetch()

    def let_go(self) -> None:
        if self.answered:
            self.route.fulfill(response=self.answer)
        else:
            self.route.continue_()


@pytest.mark.parametrize("answered", [False, True], ids=["asked", "answered"])
def test_the_page_waits_until_a_decision_is_on_the_disk(data, visit, answered):
    with served(data) as address:
        page = visit(address, routed=True)
        before = shown(page)
        held = Held(page, "**/api/decisions", answered)
        page.keyboard.press("a")
        page.keyboard.press("r")  # of a video that nobody has seen yet: says nothing
        page.wait_for_timeout(500)
        assert shown(page) == before
        assert page.inner_text("#net") == "saving …"
        assert len(rows(data)) == int(answered)
        held.let_go()
        until(page, "id => document.body.dataset.videoId !== id", before)
        saved(page)
        assert rows(data) == [(before, "accept")]
        held = Held(page, "**/api/undo", answered)
        second = shown(page)
        page.keyboard.press("z")
        page.wait_for_timeout(300)
        assert shown(page) == second
        held.let_go()
        until(page, "id => document.body.dataset.videoId === id", before)
        assert [verdict for _, verdict in rows(data)] == ["accept", "undo"]


def test_offline_and_back(data, visit):
    with served(data) as address:
        page = visit(address)
        until(page, "[...document.querySelectorAll('video')].filter((v) => v.readyState > 2).length > 2")
        page.context.set_offline(True)
        videos = [press(page, key)[0] for key in "arr"]
        page.keyboard.press("z")
        until(page, "id => document.body.dataset.videoId === id", videos.pop())
        until(page, KEPT, 4)
        assert rows(data) == []
        page.context.set_offline(False)
        saved(page)
        assert [verdict for _, verdict in rows(data)] == ["accept", "reject", "reject", "undo"]
        press(page, "u")
        saved(page)
        assert rows(data)[-1][1] == "unsure"


def test_a_server_that_does_not_answer_counts_as_away_and_what_it_wrote_is_not_doubled(data, visit):
    with served(data) as address:
        page = visit(address, patient=False, routed=True)
        until(page, "[...document.querySelectorAll('video')].filter((v) => v.readyState > 2).length > 2")
        begun = time.monotonic()
        page.route("**/api/decisions", lambda route: route.fetch())  # written, and the answer never comes
        first, _ = press(page, "a")
        assert 0.95 * PATIENCE_MS / 1000 < time.monotonic() - begun < 10
        until(page, KEPT, 1)
        second, _ = press(page, "r")
        until(page, KEPT, 2)
        assert rows(data) == [(first, "accept")]
        page.route("**/api/decisions", lambda route: route.abort())  # stands before the other
        page.reload()  # what is kept survives it
        until(page, KEPT, 2)
        page.unroute("**/api/decisions")
        saved(page)
        assert rows(data) == [(first, "accept"), (second, "reject")]
        assert shown(page) not in (first, second)


def test_a_decision_that_the_server_refuses_stays_on_show(data, visit):
    def refuse(route: Any) -> None:
        route.fulfill(status=409, json={"error": "the segment lies outside the scene"})

    with served(data) as address:
        page = visit(address, routed=True)
        before = shown(page)
        page.route("**/api/decisions", refuse)
        page.keyboard.press("a")
        until(page, "document.getElementById('toast').textContent === 'Not saved: the segment lies outside the scene'")
        assert shown(page) == before
        page.unroute("**/api/decisions")
        until(page, "!document.body.classList.contains('saving')")
        press(page, "r")
        assert rows(data) == [(before, "reject")]


@pytest.mark.parametrize("answered", [pytest.param(False, marks=pytest.mark.slow), True], ids=["asked", "answered"])
def test_kill_between_click_and_answer(data, visit, answered):
    """What was acknowledged is there; what was not is sent again after the restart, and counts once."""
    with serving(data) as (address, process):
        page = visit(address, routed=True)
        videos = [press(page, "a")[0], press(page, "a")[0]]
        assert [video for video, _ in rows(data)] == videos  # the page has moved on: it is on the disk
        held = Held(page, "**/api/decisions", answered)
        videos.append(shown(page))
        page.keyboard.press("r")
        page.wait_for_timeout(100)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [video for video, _ in rows(data)] == videos[: 3 if answered else 2]
        held.route.abort()
        until(page, "id => document.body.dataset.videoId !== id", videos[2])
        until(page, KEPT, 1)
    with serving(data, "--port", address.rsplit(":", 1)[1]):
        saved(page)
        assert rows(data) == [(videos[0], "accept"), (videos[1], "accept"), (videos[2], "reject")]
        page.reload()
        until(page, ARRIVED)
        assert shown(page) and shown(page) not in videos
