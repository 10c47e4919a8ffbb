"""A headless browser that is already on the machine, driven through its own debugging pipe: no driver, no port.

Only for showing the review page in the demonstration; the tests of that page use a real test driver.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tiktokactions.errors import TiktokactionsError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
FLAGS = (
    *("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--hide-scrollbars"),
    "--autoplay-policy=no-user-gesture-required",
)
ANSWER_S = 30.0
PLACE_PIPES = """\
import fcntl, os, sys

read, write = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads from descriptor 3 and writes to 4; a process in between puts the pipe there."""


class BrowserError(TiktokactionsError, RuntimeError):
    """The browser did not start or did not answer; the message says what it last said."""


def find_browser() -> str | None:
    """The first browser of Chromium's family on PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page of a browser; a context manager that starts and ends the browser.

    Raises:
        BrowserError: it does not start, or does not answer within half a minute.
    """

    def __init__(self, program: str, width: int = 1280, height: int = 800) -> None:
        self._numbers = itertools.count(1)
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = [program, *FLAGS, *sandbox, "--remote-debugging-pipe", f"--user-data-dir={self._profile.name}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PLACE_PIPES, str(to_read), str(to_write), *browser, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_read, to_write),
        )
        for fd in (to_read, to_write):
            os.close(fd)
        self._rest = b""
        self._session: str | None = None
        try:
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._call(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
        except BrowserError:
            self.close()
            raise

    def __enter__(self) -> Page:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for fd in (self._to, self._from):
            os.close(fd)
        self._profile.cleanup()

    def open(self, address: str) -> None:
        self._call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as plain JSON."""
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 15.0) -> None:
        """Until the expression holds.

        Raises:
            BrowserError: it does not within ``seconds``.
        """
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                raise BrowserError(f"the page did not come to {expression!r} within {seconds:g} s")
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """One key, down and up: a letter."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=f"Key{key.upper()}", **text)

    def screenshot(self, path: Path) -> Path:
        data = self._call("Page.captureScreenshot", format="png")["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
        return path

    # --- the pipe: JSON texts that end with a zero byte ------------------------------------------------------------

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        try:
            os.write(self._to, json.dumps(message).encode() + b"\0")
        except BrokenPipeError as error:
            raise BrowserError(f"the browser has gone: {method}") from error
        end = time.monotonic() + ANSWER_S
        while True:
            answer = json.loads(self._next_text(end, method))
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                return answer["result"]

    def _next_text(self, end: float, method: str) -> bytes:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._from, 1 << 20) if ready else b""
            if not part:
                raise BrowserError(f"the browser did not answer {method} within {ANSWER_S:g} s")
            self._rest += part
        text, self._rest = self._rest.split(b"\0", 1)
        return text
