"""Runs the pages until somebody stops them."""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator

import uvicorn

from tiktokactions.errors import UsageError
from tiktokactions.reviews import people
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.web.app import create_app
from tiktokactions.reviews.web.safety import is_loopback
from tiktokactions.reviews.web.sessions import owner_token

REFRESH_EVERY_S = 5.0
GRACE_S = 3
_log = logging.getLogger(__name__)


def serve(desk: Desk, report: Callable[[str], None]) -> None:
    """Serve the pages of a desk until Ctrl-C or SIGTERM; then end open requests and return.

    ``report`` receives the address with the owner's token.

    Raises:
        ValueError: the port is taken, or the address is not this machine's.
    """
    host = desk.options.host
    token = desk.options.owner_token or owner_token(desk.store)
    listening = _listening(host, desk.options.port)
    try:
        people.set_owner_token(desk.store, token)
        for line in _addresses(host, listening.getsockname()[1], token):
            report(line)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(desk),
                access_log=False,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=30,
                ws="none",
            )
        )
        with _terminated_like_interrupted(), kept_up_to_date(desk), contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        listening.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        is_dual = host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(address[:2], family=family, backlog=2048, dualstack_ipv6=is_dual)
    except socket.gaierror as error:
        raise UsageError(f"`host` {host}: no such address ({error.strerror})") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"`port` {port}: in use already; choose another, or 0 for any free one") from error
        raise UsageError(f"`host` {host} `port` {port}: cannot listen there ({error.strerror})") from error
    listening.setblocking(False)
    return listening


def _addresses(host: str, port: int, token: str) -> Iterator[str]:
    path = f"/join?token={token}"
    everywhere = host in ("0.0.0.0", "::")
    shown = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
    yield f"review pages: http://{shown}:{port}{path}"
    if everywhere:
        yield f"from other machines: http://{socket.gethostname()}:{port}{path}"
    yield "this link is the owner's: keep it; make one for each other person on its page 'Owner', or with 'review invite'"
    if not is_loopback(host):
        yield "attention: what is sent is not encrypted; in a network you do not trust use an SSH tunnel instead"
    yield "stop with Ctrl-C: then what was decided is applied to the dataset"


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the server as Ctrl-C does, and the program continues after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def kept_up_to_date(desk: Desk) -> Iterator[None]:
    """Follow changes that ``apply`` or ``curate`` make while the pages are served."""
    over = threading.Event()

    def refresh() -> None:
        while not over.wait(REFRESH_EVERY_S):
            try:
                desk.refresh()
            except (ValueError, OSError, sqlite3.Error) as error:
                # A manifest that is being written can be read next time.
                _log.warning("the dataset could not be read again: %s", error)

    thread = threading.Thread(target=refresh, name="refresh", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(REFRESH_EVERY_S)
