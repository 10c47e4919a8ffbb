"""Who is at the browser: the holder of a link's token; and the mark that every change must carry.

A session is a cookie with the token, and ends with it. Pages carry a second value that is derived from it and that no other
site can read; requests that change something must send it back.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from tiktokactions.reviews import people
from tiktokactions.reviews.decisions import Reviewer
from tiktokactions.reviews.store import Store, set_setting, setting

TOKEN_HEADER = "X-Review-Token"
COOKIE_LIVES_S = 180 * 24 * 3600


@dataclass(frozen=True)
class Session:
    person: Reviewer
    cookie: str | None
    """None: a program that sends its token with every request."""

    @property
    def is_owner(self) -> bool:
        return self.person.role == "owner"


def owner_token(store: Store) -> str:
    """The token of the owner's link where no other was given: the same at every start, so that an open page stays open."""
    return hmac.new(_secret(store), b"the owner's link", hashlib.sha256).hexdigest()[:32]


def _secret(store: Store) -> bytes:
    secret = setting(store, "cookie_secret", None) or secrets.token_hex(32)
    set_setting(store, "cookie_secret", secret)
    return bytes.fromhex(secret)


class Sessions:
    def __init__(self, store: Store, dataset: Path) -> None:
        self.store, self._secret = store, _secret(store)
        # Browsers send cookies to every port of a machine: each dataset has its own.
        self.cookie_name = f"tiktokactions_{hashlib.sha256(str(dataset.resolve()).encode()).hexdigest()[:8]}"

    def session_of(self, request: Request) -> Session | None:
        """Who sent a request; None for strangers."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        cookie = None if kind.lower() == "bearer" else request.cookies.get(self.cookie_name, "")
        if cookie is None:
            person = people.reviewer_of_token(self.store, token.strip())
        else:
            person = people.reviewer_of_token(self.store, cookie[2:]) if cookie.startswith("t.") else None
        return None if person is None else Session(person, cookie)

    def _signed(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:40]

    def with_token(self, token: str) -> Session | None:
        person = people.reviewer_of_token(self.store, token)
        return None if person is None else Session(person, f"t.{token}")

    def mark(self, session: Session) -> str:
        """What a page of this session sends with each change."""
        return "" if session.cookie is None else self._signed(f"change {session.cookie}")

    def may_change(self, session: Session, request: Request) -> bool:
        if session.cookie is None:
            return True  # browsers never send such a token by themselves
        return hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.mark(session).encode())

    def keep(self, response: Response, session: Session) -> None:
        """Let the browser keep a session."""
        assert session.cookie is not None
        response.set_cookie(
            self.cookie_name, session.cookie, max_age=COOKIE_LIVES_S, httponly=True, samesite="strict", path="/"
        )

    def forget(self, response: Response) -> None:
        response.delete_cookie(self.cookie_name, path="/", httponly=True, samesite="strict")
