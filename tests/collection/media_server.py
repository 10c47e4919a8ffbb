"""A server on this machine that gives videos, or fails in the ways that real ones do; each id has a way of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class MediaServer:
    """``ways``: id -> ``ok`` (default), a status such as ``404``, ``429 once``, ``cut`` (half a file), ``junk``, ``slow``, or
    ``endless`` (of no announced length, sixteen times as long).
    ``video``: the bytes of every video, or what gives those of an id."""

    def __init__(self, video: bytes | Callable[[str], bytes]) -> None:
        self.video = video
        self.ways: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.slow_s = 0.3
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def pattern(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v/{{id}}.mp4"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        media = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                video_id = self.path.rsplit("/", 1)[1].split(".")[0]
                media.asked[video_id] += 1
                way = media.ways.get(video_id, "ok")
                if way.endswith("once"):
                    way = "ok" if media.asked[video_id] > 1 else way.split()[0]
                if way.isdigit():
                    self.send_error(int(way))
                    return
                if way == "slow":
                    time.sleep(media.slow_s)
                video = media.video(video_id) if callable(media.video) else media.video
                body = b"<html>no video</html>" if way == "junk" else video
                self.send_response(200)
                self.send_header("Content-Type", "video/mp4")
                body *= 16 if way == "endless" else 1
                if way != "endless":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    with contextlib.suppress(ConnectionError):
                        self.wfile.write(body[: len(body) // 2] if way == "cut" else body)
                self.close_connection = True

        return Handler

    @contextlib.contextmanager
    def running(self) -> Iterator[MediaServer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
