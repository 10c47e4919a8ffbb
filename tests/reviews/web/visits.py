"""Visitors of the pages for tests: in-process ones, and servers of their own."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.testclient import TestClient

from tests.conftest import REPOSITORY
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.reviews import people
from tiktokactions.reviews.desk import Desk, open_desk
from tiktokactions.reviews.options import ReviewOptions
from tiktokactions.reviews.web import create_app

HOME = "http://127.0.0.1:8000"
OWNER_TOKEN = "the token of the owner"


class Visitor(TestClient):
    """A browser with a cookie and the page's mark; ``post`` sends both unless told otherwise."""

    def __init__(self, desk: Desk, address: str = HOME, **settings: object) -> None:
        super().__init__(create_app(desk), base_url=address, **settings)  # type: ignore[arg-type]
        self.mark = ""
        self.owner_token = desk.options.owner_token or OWNER_TOKEN
        people.set_owner_token(desk.store, self.owner_token)

    def enter(self, path: str = "/") -> Visitor:
        """By a link with a token; without one by the owner's."""
        said = {"token": path.partition("?token=")[2] or self.owner_token}
        assert self.post("/api/join", json=said).status_code == 200 and self.get(path).status_code == 200
        self.mark = self.get("/api/session").json()["token"]
        return self

    def change(self, path: str, body: object, **headers: str):
        return self.post(path, json=body, headers={"X-Review-Token": self.mark} | headers)


def decision(video_id: str, verdict: str = "accept", key: str = "", **changes: object) -> dict[str, object]:
    return {"client_key": key or f"key-of-{video_id}-{verdict}", "video_id": video_id, "verdict": verdict} | changes


@contextlib.contextmanager
def served(dataset: Path, **options: Any) -> Iterator[str]:
    """The pages of a dataset on a port of their own, by a thread of the test; yields the address."""
    desk = open_desk(Dataset(dataset), ReviewOptions(**options))
    people.set_owner_token(desk.store, OWNER_TOKEN)
    settings = uvicorn.Config(create_app(desk), port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server has ended"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        desk.close()


@contextlib.contextmanager
def serving(dataset: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``tiktokactions review`` as a process of its own; yields its address. Ended by SIGINT unless it has ended."""
    port = [] if "--port" in options else ["--port", "0"]
    port += [] if "--host" in options else ["--owner-token", OWNER_TOKEN]
    arguments = ["-m", "tiktokactions", "review", str(dataset), *port, *options]
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    said: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: said.extend(iter(process.stderr.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        for _ in range(600):
            found = re.search(r"http://\S+", "".join(said))
            if found:
                yield found[0] if "--host" in options else found[0].partition("/join")[0], process
                break
            assert process.poll() is None, "".join(said)
            time.sleep(0.05)
        else:
            raise AssertionError(f"no address within 30 s: {''.join(said)}")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            process.kill()
            reader.join(5)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
