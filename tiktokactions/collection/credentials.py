"""The client key and secret, from the environment or a file that only its owner can read. They are never shown."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tiktokactions.errors import UsageError

REAL_API = "https://open.tiktokapis.com"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAMES = ("TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET")


class CredentialsError(UsageError):
    """There are no usable credentials, or they must not be sent to this address."""


@dataclass(frozen=True)
class Credentials:
    """Key and secret; ``repr`` leaves out both."""

    client_key: str = field(repr=False)
    client_secret: str = field(repr=False)

    def account(self, base_url: str) -> str:
        """A name for the owner of the quota that reveals nothing: 16 hex digits of SHA-256 of the server and the key."""
        return hashlib.sha256(f"{base_url}\n{self.client_key}".encode()).hexdigest()[:16]


def read_credentials(path: str | os.PathLike[str] | None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Read them from ``path`` (lines ``TIKTOK_CLIENT_KEY=…`` and ``TIKTOK_CLIENT_SECRET=…``), else from the environment.

    Raises:
        CredentialsError: there are none, or others than the owner may read the file.
    """
    if path is None:
        values = {name: environment.get(name, "").strip() for name in _NAMES}
        if missing := " and ".join(name for name, value in values.items() if not value):
            raise CredentialsError(
                f"no credentials for the TikTok Research API: {missing} not set. Set both, name a file that holds them with"
                " `credentials`, or rehearse without a key with `sandbox`."
            )
        return Credentials(*values.values())
    file = Path(path)
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{file}: cannot be read ({type(error).__name__})") from None
    if mode & 0o077:
        raise CredentialsError(f"{file}: others may read it (mode {mode:o}, expected 600). Run: chmod 600 {file}")
    pairs = (line.removeprefix("export ").partition("=") for line in text.splitlines())
    found = {name.strip().upper(): value.strip().strip("\"'") for name, equals, value in pairs if equals}
    key, secret = (found.get(name, "") for name in _NAMES)
    if not key or not secret:
        # The message does not quote the file, which may hold the secret.
        raise CredentialsError(f"{file}: expected two lines, {_NAMES[0]}=… and {_NAMES[1]}=…")
    return Credentials(key, secret)


def base_url(environment: Mapping[str, str] = os.environ) -> str:
    """The API's address: ``TIKTOKACTIONS_API_URL`` if set (plain http only for this machine), else TikTok's.

    Raises:
        CredentialsError: not an address, or one without https that is not this machine.
    """
    address = environment.get("TIKTOKACTIONS_API_URL", "").strip().rstrip("/") or REAL_API
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        raise CredentialsError(
            f"TIKTOKACTIONS_API_URL={address}: expected an address such as https://host or http://127.0.0.1:8000"
        )
    if parts.scheme == "http" and not is_loopback(address):
        raise CredentialsError(
            f"TIKTOKACTIONS_API_URL={address}: the secret would cross the network unencrypted. Use https;"
            f" plain http only to this machine ({', '.join(_LOOPBACK)})"
        )
    return address


def is_loopback(address: str) -> bool:
    return urlsplit(address).hostname in _LOOPBACK
