"""A picture of a web page, taken by a headless browser that is already on the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tiktokactions.errors import TiktokactionsError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
FLAGS = (
    *("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--hide-scrollbars"),
    "--autoplay-policy=no-user-gesture-required",
)
PAGE_MS = 3000
"""The page's own clock when the picture is taken: time enough to load a video and play some of it."""
PATIENCE_S = 60.0


class BrowserError(TiktokactionsError, RuntimeError):
    """The browser took no picture."""


def find_browser() -> str | None:
    """The first browser of the Chromium family on PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def screenshot(browser: str, address: str, picture: Path, width: int = 1280, height: int = 800) -> None:
    """Write what a page looks like, ``width`` x ``height`` pixels, as PNG.

    Raises:
        BrowserError: no picture after a minute; the message ends with the browser's last words.
    """
    picture.unlink(missing_ok=True)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        page = [f"--window-size={width},{height}", f"--virtual-time-budget={PAGE_MS}", address]
        target = [f"--user-data-dir={profile}", f"--screenshot={picture.resolve()}"]
        command = [browser, *FLAGS, *sandbox, *target, *page]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stderr
        except subprocess.TimeoutExpired:
            said = f"no answer within {PATIENCE_S:g} s"
    if not picture.exists():
        raise BrowserError(f"{browser} took no picture of {address}: {' '.join(said.split()[-20:])}")
