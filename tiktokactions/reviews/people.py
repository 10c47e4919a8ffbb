"""Who may judge: names, roles, and the tokens that let people in."""

from __future__ import annotations

import hashlib
import secrets

from tiktokactions.reviews.decisions import TEXT_AT_MOST, DecisionError, Reviewer, clean_label
from tiktokactions.reviews.rows import from_row
from tiktokactions.reviews.store import Store, now_utc

IMPORTED = " (imported)"
"""Ends the names of people whose answers were imported while somebody here has their name."""
_PEOPLE = "SELECT *, token_sha256 NOTNULL AS has_token FROM reviewers"


def invite(store: Store, name: str, role: str = "reviewer") -> tuple[Reviewer, str]:
    """A new person and the token that lets them in; only its SHA-256 is kept. A second invitation ends the first.

    Raises:
        DecisionError: a name that cannot be shown, or the owner's.
    """
    known = reviewer(store, reviewer_id(name))
    if known is not None and known.role == "outside":
        raise DecisionError(f"{known.name}: answers of this name were imported; choose another name")
    if reviewer_id(name).endswith(IMPORTED):
        raise DecisionError(f"{name}: names that end in {IMPORTED.strip()} are those of imported answers")
    if known is not None and known.role == "owner" and role != "owner":
        raise DecisionError(f"{known.name}: is the owner already; choose another name")
    token = secrets.token_urlsafe(24)
    return _with_token(store, name, role, token), token


def set_owner_token(store: Store, token: str) -> Reviewer:
    """The person ``owner``, let in by this token from now on."""
    return _with_token(store, "owner", "owner", token)


def _with_token(store: Store, name: str, role: str, token: str) -> Reviewer:
    name = clean_label(name, "name")
    store.database.run(
        "INSERT INTO reviewers(id, name, role, token_sha256, created_utc) VALUES(?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO UPDATE SET token_sha256=excluded.token_sha256, role=excluded.role, disabled=0",
        (reviewer_id(name), name, role, _sha256(token), now_utc()),
    )
    found = reviewer(store, reviewer_id(name))
    assert found is not None
    return found


def reviewer_id(name: str) -> str:
    """The form in which names are compared: case does not matter, nor do joiners, which cannot be seen."""
    return clean_label(name, "name").casefold().translate({0x200C: None, 0x200D: None})


def reviewer_of_token(store: Store, token: str) -> Reviewer | None:
    """Who was given this token; None for a wrong one and for people who are shut out."""
    return _person(store, "WHERE token_sha256=? AND NOT disabled", _sha256(token))


def outside_person(store: Store, name: str) -> Reviewer:
    """The person under whose name answers are imported, made where there is none: never one who judges here, who may be
    somebody else.

    Raises:
        DecisionError: a name that cannot be shown.
    """
    name = clean_label(name, "name")
    found = reviewer(store, reviewer_id(name))
    if found is not None and found.role != "outside":
        name = f"{name[: TEXT_AT_MOST - len(IMPORTED)]}{IMPORTED}"
        found = reviewer(store, reviewer_id(name))
    if found is None:
        store.database.run(
            "INSERT OR IGNORE INTO reviewers(id, name, role, created_utc) VALUES(?, ?, 'outside', ?)",
            (reviewer_id(name), name, now_utc()),
        )
        found = reviewer(store, reviewer_id(name))
    assert found is not None
    return found


def disable_reviewer(store: Store, person: str) -> None:
    """Shut a person out; what they decided stays."""
    store.database.run("UPDATE reviewers SET disabled=1 WHERE id=?", (person,))


def reviewer(store: Store, person: str) -> Reviewer | None:
    return _person(store, "WHERE id=?", person)


def reviewers(store: Store) -> list[Reviewer]:
    """Everybody, in the order in which they came."""
    return [from_row(Reviewer, row) for row in store.database.rows(f"{_PEOPLE} ORDER BY created_utc, id")]


def _person(store: Store, where: str, value: str) -> Reviewer | None:
    row = store.database.first(f"{_PEOPLE} {where}", (value,))
    return None if row is None else from_row(Reviewer, row)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
