"""Look-alikes on the page: one key away, each in or out, one decision for all, and one undo."""

from __future__ import annotations

import importlib.resources
from contextlib import closing

from tests.reviews.web.browser.browsing import NEEDS_CHROMIUM, press, rows, saved, shown, until
from tests.reviews.web.visits import served
from tests.reviews.worlds import a_desk
from tiktokactions.reviews.suggestions import keep_suggestions

pytestmark = NEEDS_CHROMIUM


def test_judging_together(data, visit):
    axe = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text()
    with served(data) as address:
        page = visit(address)
        first = shown(page)
        page.keyboard.press("e")
        until(page, "document.getElementById('toast').textContent.includes('Nothing that looks like it')")
        with closing(a_desk(data)) as desk:
            others = [item.video_id for item in desk.next_items("somebody", count=20)][:3]
            desk.release("somebody")
            keep_suggestions(desk.index, [], {}, [(first, other, n / 10) for n, other in enumerate(others)])
        page.keyboard.press("e")
        until(page, "document.querySelectorAll('#alike-clips input').length === 3")
        until(page, "[...document.querySelectorAll('#alike-clips video')].every((v) => v.readyState > 2)")
        assert page.locator("#alike-clips input:checked").count() == 0, "only copies are marked at first"
        page.evaluate(axe)
        for theme in ("light", "dark"):
            page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
            page.wait_for_timeout(250)
            found = page.evaluate("axe.run()")["violations"]
            assert [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found] == [], theme
        page.keyboard.press("1")
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        until(page, "document.getElementById('together').textContent === 'Together with 2 look-alikes.'")
        page.reload()
        until(page, "document.getElementById('together').textContent === 'Together with 2 look-alikes.'")  # a draft
        press(page, "a")
        saved(page)
        assert rows(data, "video_id, verdict, origin") == [
            (others[0], "accept", f"alike:{first}"),
            (others[2], "accept", f"alike:{first}"),
            (first, "accept", "web"),
        ]
        until(page, "document.getElementById('recorded').textContent.includes('together with 2 look-alikes')")
        page.keyboard.press("z")
        until(page, "id => document.body.dataset.videoId === id", first)
        saved(page)
        assert [row[1] for row in rows(data)] == ["accept"] * 3 + ["undo"] * 3
        page.goto(f"{address}/videos/{others[1]}")
        until(page, "document.body.dataset.ready")
        page.keyboard.press("r")
        until(page, "document.getElementById('recorded').textContent.includes('rejected')")
        page.goto(f"{address}/videos/{first}")
        until(page, "document.body.dataset.ready")
        page.keyboard.press("a")
        until(page, "document.getElementById('recorded').textContent.includes('accepted')")
        page.goto(f"{address}/videos/{others[1]}")
        until(page, "document.body.dataset.ready")
        page.keyboard.press("z")  # on its own page: this judgement, not the newest
        until(page, "document.getElementById('toast').textContent.includes('Taken back: reject')")
