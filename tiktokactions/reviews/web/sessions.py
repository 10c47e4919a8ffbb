"""Who is at the browser: names on this machine, tokens everywhere else; and the mark that every change must carry.

A session is a cookie: the person's token where they have one, else their name, signed. Pages carry a second value that is
derived from it and that no other site can read; requests that change something must send it back.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from tiktokactions.reviews import people
from tiktokactions.reviews.decisions import DecisionError, Reviewer
from tiktokactions.reviews.store import Store, set_setting, setting

OWNER = "owner"
TOKEN_HEADER = "X-Review-Token"
COOKIE_LIVES_S = 180 * 24 * 3600
HERE_S = 90.0
"""Somebody seen within this time counts as present: an open page reports every 30 s."""


@dataclass(frozen=True)
class Session:
    person: Reviewer
    cookie: str | None
    """None: a program that sends its token with every request."""

    @property
    def is_owner(self) -> bool:
        return self.person.role == "owner"


class Sessions:
    """``tokens_needed``: a name is not enough to get in."""

    def __init__(self, store: Store, dataset: Path, tokens_needed: bool) -> None:
        self.store, self.tokens_needed = store, tokens_needed
        # Browsers send cookies to every port of a machine: each dataset has its own.
        self.cookie_name = f"tiktokactions_{hashlib.sha256(str(dataset.resolve()).encode()).hexdigest()[:8]}"
        secret = setting(store, "cookie_secret", None) or secrets.token_hex(32)
        set_setting(store, "cookie_secret", secret)
        self._secret = bytes.fromhex(secret)
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def session_of(self, request: Request) -> Session | None:
        """Who sent a request; None for strangers."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        cookie = None if kind.lower() == "bearer" else request.cookies.get(self.cookie_name, "")
        if cookie is None:
            person = people.reviewer_of_token(self.store, token.strip())
        elif cookie.startswith("t."):
            person = people.reviewer_of_token(self.store, cookie[2:])
        else:
            person = None if self.tokens_needed else self._named(cookie)
        return None if person is None else self._seen_now(Session(person, cookie))

    def _seen_now(self, session: Session) -> Session:
        self._seen[session.person.id] = time.monotonic()
        return session

    def _named(self, cookie: str) -> Reviewer | None:
        head, _, signature = cookie.rpartition(".")
        if not head.startswith("n.") or not hmac.compare_digest(signature.encode(), self._signed(head).encode()):
            return None
        try:
            person = people.reviewer(self.store, base64.urlsafe_b64decode(head.split(".")[1]).decode())
        except (ValueError, IndexError):
            return None
        # A name that has a token by now belongs to its holder, except the owner's: they sit at this machine.
        taken = person is None or person.disabled or (person.has_token and person.id != OWNER)
        return None if taken else person

    def _signed(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:40]

    def with_token(self, token: str) -> Session | None:
        person = people.reviewer_of_token(self.store, token)
        return None if person is None else Session(person, f"t.{token}")

    def with_name(self, name: str) -> Session:
        """Only without ``tokens_needed``.

        Raises:
            DecisionError: the name cannot be shown, belongs to somebody with a token, or names are not enough here.
        """
        if self.tokens_needed:
            raise DecisionError("this server lets people in by invitation only")
        if people.reviewer_id(name) == OWNER:
            person = people.reviewer(self.store, OWNER) or people.named_reviewer(self.store, OWNER, "owner")
        else:
            person = people.named_reviewer(self.store, name)
        head = f"n.{base64.urlsafe_b64encode(person.id.encode()).decode()}.{secrets.token_hex(8)}"
        return Session(person, f"{head}.{self._signed(head)}")

    def newcomer(self) -> Session:
        """Somebody opens a page of this machine for the first time: the owner, or a guest while the owner is here."""
        with self._lock:
            name = OWNER
            if time.monotonic() - self._seen.get(OWNER, float("-inf")) < HERE_S:
                known = {person.id for person in people.reviewers(self.store)}
                name = next(name for n in range(2, len(known) + 3) if (name := f"guest {n}") not in known)
            return self._seen_now(self.with_name(name))

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
