"""Object stores on loopback, S3 (moto) and Google Cloud Storage (gcp-storage-emulator): real protocol servers, which can be
told to fail (503 SlowDown, broken connections, half answers)."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import struct
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import ThreadingHTTPServer
from typing import Any

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message>'
    b"<RequestId>0</RequestId></Error>"
)
FAULTS = ("slow_down", "reset_before", "reset_after", "half_answer")
"""``reset_before``: the connection breaks before the request is carried out; ``reset_after``: it is carried out, but the
answer never comes; ``half_answer``: the answer breaks in the middle."""


@dataclass
class Store:
    """The server: its address, what it was asked, and every how many requests it fails (0: never)."""

    url: str
    fail_every: int = 0
    faults: tuple[str, ...] = FAULTS
    asked: list[tuple[str, str]] = field(default_factory=list)
    failed: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def make_bucket(self, name: str) -> str:
        import botocore.session

        client = botocore.session.get_session().create_client("s3", endpoint_url=self.url)
        client.create_bucket(Bucket=name)
        return f"s3://{name}"

    @contextlib.contextmanager
    def failing(self, every: int, faults: tuple[str, ...] = FAULTS) -> Iterator[None]:
        self.fail_every, self.failed, self.faults = every, 0, faults
        try:
            yield
        finally:
            self.fail_every = 0

    def next_fault(self, method: str, path: str) -> str:
        """Notes one request; how it is to fail, '' if it is not."""
        with self.lock:
            self.asked.append((method, path))
            if not self.fail_every or len(self.asked) % self.fail_every:
                return ""
            self.failed += 1
            return self.faults[(self.failed - 1) % len(self.faults)]


class _Flaky:
    def __init__(self, app: Any, store: Store) -> None:
        self.app, self.store = app, store

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        fault = self.store.next_fault(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if fault == "slow_down":
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
            return [SLOW_DOWN]
        if fault == "reset_before":
            raise _break(environ["werkzeug.socket"])
        answer = self.app(environ, start)
        if fault == "reset_after":
            b"".join(answer)
            raise _break(environ["werkzeug.socket"])
        return _half(answer, environ) if fault == "half_answer" else answer


def _half(answer: Iterable[bytes], environ: dict[str, Any]) -> Iterator[bytes]:
    data = b"".join(answer)
    yield data[: len(data) // 2]
    raise _break(environ["werkzeug.socket"])


def _break(connection: socket.socket) -> ConnectionResetError:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    return ConnectionResetError("broken on purpose")


@contextlib.contextmanager
def running_store() -> Iterator[Store]:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, type: str, message: str, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):  # the connection that was broken on purpose
                super().handle()

    store = Store("")
    flaky = _Flaky(DomainDispatcherApplication(create_backend_app), store)
    server = make_server("127.0.0.1", 0, flaky, threaded=True, request_handler=Quiet)
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.block_on_close = False  # type: ignore[attr-defined]
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- Google Cloud Storage --------------------------------------------------------------------------------------------

GOOGLE_SAYS = {
    "slow_down": (503, "Backend Error"),
    "unauthorized": (401, "Anonymous caller does not have storage.objects.get access to the object."),
    "forbidden": (403, "somebody@example.com does not have storage.objects.get access to the object."),
    "bad_request": (400, "Invalid bucket name: it is invalid"),
    "exists": (412, "At least one of the pre-conditions you specified did not hold."),
}
"""Faults that are answers."""


class GoogleStore(Store):
    make: Any = None

    def make_bucket(self, name: str) -> str:
        self.make(name)
        return f"gs://{name}"


class _ExistsError(Exception):
    pass


@contextlib.contextmanager
def running_google_store() -> Iterator[GoogleStore]:
    from gcp_storage_emulator.handlers import buckets
    from gcp_storage_emulator.server import RequestHandler
    from gcp_storage_emulator.storage import Storage

    class Careful(Storage):
        """The emulator lacks ``ifGenerationMatch=0``, by which Google creates an object only where there is none."""

        only_new = False

        def create_file(self, bucket: str, name: str, *args: Any, **options: Any) -> Any:
            if self.only_new and name in self.objects.get(bucket, {}):
                raise _ExistsError
            return super().create_file(bucket, name, *args, **options)

    storage, one_at_a_time = Careful(use_memory_fs=True), threading.Lock()

    class Handler(RequestHandler):
        rfile: Any
        wfile: Any

        def log_message(self, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):  # the connection that was broken on purpose
                super().handle()

        def _answer(self, carry_out: Any) -> None:
            address = urllib.parse.urlsplit(self.path)
            fault = store.next_fault(self.command, urllib.parse.unquote(address.path))
            self.rfile = io.BytesIO(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            if fault == "reset_before":
                raise _break(self.connection)
            connection, self.wfile = self.wfile, io.BytesIO()
            if fault in GOOGLE_SAYS:
                self._say(fault)
            else:
                with one_at_a_time:
                    storage.only_new = urllib.parse.parse_qs(address.query).get("ifGenerationMatch") == ["0"]
                    try:
                        carry_out(self)
                    except _ExistsError:
                        self._say("exists")
            data, self.wfile = self.wfile.getvalue(), connection
            if fault == "reset_after":
                raise _break(self.connection)
            self.wfile.write(data[: len(data) // 2] if fault == "half_answer" else data)
            if fault == "half_answer":
                raise _break(self.connection)

        def _say(self, fault: str) -> None:
            status, message = GOOGLE_SAYS[fault]
            data = json.dumps({"error": {"code": status, "message": message}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:  # noqa: N802
            self._answer(RequestHandler.do_GET)

        def do_POST(self) -> None:  # noqa: N802
            self._answer(RequestHandler.do_POST)

        def do_PUT(self) -> None:  # noqa: N802
            self._answer(RequestHandler.do_PUT)

        def do_DELETE(self) -> None:  # noqa: N802
            self._answer(RequestHandler.do_DELETE)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, storage))
    server.daemon_threads, server.block_on_close = True, False
    store = GoogleStore(f"http://127.0.0.1:{server.server_port}")
    store.make = lambda name: buckets.create_bucket(name, storage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
