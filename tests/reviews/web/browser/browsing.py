"""Pages in a browser as tests see them: what is shown, what is saved, and waiting for it."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if os.path.exists(p)), None)
ARGUMENTS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
 --disable-component-update --disable-sync""".split()
SIZES = {"laptop": (1280, 800), "phone": (390, 844), "landscape": (844, 390)}
WAIT_MS = 30_000
ARRIVED = "document.readyState === 'complete' && document.body.dataset.videoId"
KEPT = "n => document.getElementById('net').textContent === `offline, ${n} decision${n === 1 ? '' : 's'} kept here`"
PATIENCE_MS = 2500  # of the page: how long a decision may take before the server counts as away
PATIENT = f"""(() => {{
    const [wait, late] = [window.setTimeout.bind(window), AbortSignal.timeout.bind(AbortSignal)];
    window.setTimeout = (f, ms, ...rest) => wait(f, ms === {PATIENCE_MS} ? {10 * WAIT_MS} : ms, ...rest);
    AbortSignal.timeout = () => late({10 * WAIT_MS});
}})()"""
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Wait until it holds. Playwright's own way evaluates strings in the page, which the page's policy forbids."""
    begun = time.monotonic()
    while not _holds(page, expression, argument):
        if time.monotonic() - begun > WAIT_MS / 1000:
            said = " ".join(page.inner_text("body").split())
            raise AssertionError(f"still not so: {expression} {argument}; the page says: {said[:600]}")
        page.wait_for_timeout(25)


def _holds(page: Any, expression: str, argument: Any) -> bool:
    from playwright.sync_api import Error

    try:
        return bool(page.evaluate(expression, argument))
    except Error as error:
        if not any(said in str(error) for said in ("context was destroyed", "properties of null")):
            raise
        return False  # the page is on its way to another


def shown(page: Any) -> str:
    return page.evaluate("document.body.dataset.videoId")


def press(page: Any, key: str) -> tuple[str, str]:
    """Press a key that moves on; the videos before and after."""
    before = shown(page)
    page.keyboard.press(key)
    until(page, "id => document.body.dataset.videoId !== id", before)
    return before, shown(page)


def saved(page: Any) -> None:
    until(page, "(({state, waiting}) => state === 'saved' && waiting === '0')(document.getElementById('net').dataset)")


def rows(data: Path, columns: str = "video_id, verdict") -> list[tuple[Any, ...]]:
    with sqlite3.connect(data / "reviews.sqlite") as connection:
        found = connection.execute(f"SELECT {columns} FROM decisions ORDER BY id").fetchall()
    connection.close()
    return found
