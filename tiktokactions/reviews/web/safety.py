"""Security of the pages: the checks that every request must pass, and the headers of every answer."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_AT_MOST = 256 * 1024
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self';"
        " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether a server on this address can be reached from this machine alone."""
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def own_names(host: str) -> frozenset[str]:
    """Names by which a server that listens on ``host`` may be called."""
    if is_loopback(host):
        return frozenset({"localhost"})
    name = socket.gethostname().lower()
    return frozenset({"localhost", host.lower(), name, name.partition(".")[0], f"{name.partition('.')[0]}.local"})


def host_is_ours(header: str | None, names: Collection[str], loopback_only: bool) -> bool:
    """Another site can make its own name point here (DNS rebinding), but not an address: so addresses pass, and names only
    if they are ours."""
    found = _HOST.fullmatch(header or "")
    if found is None:
        return False
    name = found[1].lower().rstrip(".")
    address = _address(name)
    if address is not None:
        return address.is_loopback or not loopback_only
    return name in names


class Guard:
    """ASGI middleware around the whole application: Host, Origin, content type and size of requests; headers of answers."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app, self.names, self.loopback_only = app, own_names(host), is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                # Browsers ask for static files every time, and get them only if they have changed.
                headers.setdefault("cache-control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await JSONResponse({"error": refusal[1]}, refusal[0])(scope, receive, send_safely)
            return
        await self.app(scope, _limited(receive), send_safely)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not host_is_ours(hosts[0], self.names, self.loopback_only):
            return 400, "This server does not answer to that host name; open it by the address it printed."
        if scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope['scheme']}://{hosts[0]}":
            return 403, "Sent by a page of another site."
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return 403, "Sent by a page of another site."
        if scope["method"] == "POST":
            length = headers.get("content-length", "0")
            is_empty = length == "0" and "transfer-encoding" not in headers and "content-type" not in headers
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json" and not is_empty:
                return 415, "Content-Type: expected application/json."
            if not length.isdigit() or int(length) > BODY_BYTES_AT_MOST:
                return 413, f"Body: at most {BODY_BYTES_AT_MOST} bytes."
        return None


class BodyTooLargeError(ValueError):
    """More bytes came than were announced or allowed. Internal: the server answers it with 413."""


def _limited(receive: Receive) -> Receive:
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_BYTES_AT_MOST:
            raise BodyTooLargeError(f"Body: at most {BODY_BYTES_AT_MOST} bytes.")
        return message

    return limited
