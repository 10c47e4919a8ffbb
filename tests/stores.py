"""Object stores on loopback: a real S3 protocol server (moto), which can be told to fail (503 SlowDown, broken connections,
half answers), and an emulator of Google Cloud Storage.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

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


class _Flaky:
    def __init__(self, app: Any, store: Store) -> None:
        self.app, self.store, self.lock, self.count = app, store, threading.Lock(), 0

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        with self.lock:
            self.store.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            self.count += 1
            fails = self.store.fail_every and self.count % self.store.fail_every == 0
            fault = self.store.faults[self.store.failed % len(self.store.faults)] if fails else ""
            self.store.failed += bool(fails)
        if fault == "slow_down":
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
            return [SLOW_DOWN]
        if fault == "reset_before":
            raise _break(environ)
        answer = self.app(environ, start)
        if fault == "reset_after":
            b"".join(answer)
            raise _break(environ)
        return _half(answer, environ) if fault == "half_answer" else answer


def _half(answer: Iterable[bytes], environ: dict[str, Any]) -> Iterator[bytes]:
    data = b"".join(answer)
    yield data[: len(data) // 2]
    raise _break(environ)


def _break(environ: dict[str, Any]) -> ConnectionResetError:
    connection: socket.socket = environ["werkzeug.socket"]
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


_GCS = """
import sys, time
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", int(sys.argv[1]), in_memory=True, default_bucket=sys.argv[2])
server.start()
print("ready", flush=True)
sys.stdin.read()
server.stop()
"""


@contextlib.contextmanager
def running_gcs(bucket: str) -> Iterator[str]:
    """The address of an emulator of Google Cloud Storage that has this bucket: a process of its own, which leaks sockets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", _GCS, str(port), bucket]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes) as server:  # type: ignore[call-overload]
        if server.stdout.readline() != b"ready\n":
            pytest.skip("needs gcp-storage-emulator")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
