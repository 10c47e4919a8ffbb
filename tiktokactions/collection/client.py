"""The client of the TikTok Research API: one request at a time, and the right answer to each kind of failure.

docs/collect.md says what is retried, how often and after how long. Every request is booked in the ledger before it is sent.
No message, log or file ever holds the secret or a token.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypedDict

import httpx

from tiktokactions.collection.credentials import Credentials, is_loopback
from tiktokactions.collection.ledger import Ledger, QuotaSpentError
from tiktokactions.collection.rows import FIELDS, SAFE_FIELDS, as_id
from tiktokactions.errors import ATTENTION, TiktokactionsError
from tiktokactions.machine import Clock, utc_text
from tiktokactions.records import JsonObject

PAGE = 100
_QUERY = "/v2/research/video/query/"
_CHECK = "/v2/research/validation_task"
_TIMEOUT = httpx.Timeout(30, read=330)
"""A busy search once took 4 min 11 s to answer."""
_RENEW_EARLY_S = 300
_SERVER_WAITS_S = (30, 60, 120, 120)
_ODD_WAITS_S = (5, 15)
"""After a truncated or wrong body with HTTP 200 we ask twice more; then it counts as a failing server."""
_SEARCH_WAITS_S = (5, 10, 15, 20, 25, 30)
_RATE_WAITS_S = (10, 20, 40, 80, 160, 300, 300, 300)
_LONGEST_RETRY_AFTER_S = 300


class ApiError(TiktokactionsError, RuntimeError):
    """The API refused, and asking again would not help."""


class ServerFailsError(TiktokactionsError, RuntimeError):
    """The server answered with 5xx, nonsense or nothing, however often it was asked."""

    exit_code = ATTENTION


class SearchLostError(RuntimeError):
    """``search_id`` or cursor was refused every time: the window must begin again. Internal: the run always catches it."""


class RefusedQueryError(ApiError):
    """``invalid_params`` for this one query; others may be fine."""


class BudgetSpentError(TiktokactionsError, RuntimeError):
    """All requests allowed for this run (``budget``) have been sent."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the video query."""

    rows: list[object]
    cursor: int | None
    has_more: bool
    search_id: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as the collection logs it (TikTok's support asks for ``log_id``)."""

    at: str
    what: str
    status: int
    """HTTP status; 0 if no answer came."""
    code: str
    log_id: str
    note: str


class _Body(TypedDict, total=False):
    """What is posted."""

    json: JsonObject
    files: Mapping[str, tuple[str, bytes, str]]
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    code: str
    """``error.code``, whatever the HTTP status; ``broken`` if the body is not a JSON object."""
    message: str = ""
    data: JsonObject = field(default_factory=dict)
    text: str = ""
    log_id: str = ""
    retry_after_s: float = 0.0


class ResearchClient:
    """Gives the answers of the Research API or raises one of the errors above. Not thread-safe."""

    def __init__(
        self,
        credentials: Credentials,
        base_url: str,
        ledger: Ledger,
        clock: Clock,
        *,
        budget: int | None = None,
        safe_fields: bool = False,
        on_call: Callable[[Call], None] = lambda call: None,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._credentials, self._ledger, self._clock = credentials, ledger, clock
        # A proxy from the environment is for the network, not for a server on this machine.
        self._http = httpx.Client(base_url=base_url, timeout=_TIMEOUT, trust_env=not is_loopback(base_url))
        self._token = ""
        self._token_until = 0.0
        self._budget = budget
        self._on_call, self._on_note = on_call, on_note
        self.safe_fields = safe_fields
        """True once the server has refused one of the newer field names."""
        self.sent = 0

    def close(self) -> None:
        self._http.close()

    # --- video query ------------------------------------------------------------------------------------------------

    def videos(
        self,
        conditions: Mapping[str, Sequence[Mapping[str, object]]],
        start: date,
        end: date,
        *,
        cursor: int = 0,
        search_id: str | None = None,
        is_old_search: bool = False,
        is_random: bool = False,
        count: int = PAGE,
        fields: Sequence[str] | None = None,
        tries: int = len(_SERVER_WAITS_S) + 1,
        what: str = "",
    ) -> Page:
        """One page of the videos created from ``start`` to ``end`` (both days included, UTC); with ``is_random`` a draw.

        ``is_old_search``: a fresh search is refused for some seconds; many tries would be wasted on one that has expired.
        ``fields``: those to ask for (default: all that the server knows).

        Raises:
            SearchLostError, ServerFailsError, RefusedQueryError, ApiError, QuotaSpentError, BudgetSpentError
        """
        body: JsonObject = {
            "query": {key: list(value) for key, value in conditions.items() if value},
            "start_date": start.strftime("%Y%m%d"),
            "end_date": end.strftime("%Y%m%d"),
            "max_count": count,
        }
        if is_random:
            body["is_random"] = True
        elif cursor or search_id:
            body["cursor"] = cursor
            if search_id:
                body["search_id"] = search_id
        waits = _SEARCH_WAITS_S[:1] if is_old_search else _SEARCH_WAITS_S
        answer = self._query(body, fields, tries, what, waits)
        videos = answer.data.get("videos")
        return Page(
            rows=videos if isinstance(videos, list) else [],
            cursor=_integer(answer.data.get("cursor")),
            has_more=bool(answer.data.get("has_more")),
            search_id=str(answer.data["search_id"]) if answer.data.get("search_id") else None,
        )

    def _query(
        self, body: JsonObject, wanted: Sequence[str] | None, tries: int, what: str, waits: Sequence[int]
    ) -> _Answer:
        def ask(fields: Sequence[str]) -> _Answer:
            return self._ask(
                f"{_QUERY}?fields={','.join(fields)}", what, {"json": body}, _is_page, tries, search_waits_s=waits
            )

        if wanted is not None or self.safe_fields:
            return ask(wanted or SAFE_FIELDS)
        try:
            return ask(FIELDS)
        except RefusedQueryError as error:
            # One unknown name in `fields` fails the whole call, and its wording is not documented: the fourteen old names
            # tell whether the fields or the query was to blame.
            answer = ask(SAFE_FIELDS)
            self.safe_fields = True
            self._on_note(f"the server refuses a newer field ({error}); asking only for the 14 old ones from now on")
            return answer

    # --- batch compliance -------------------------------------------------------------------------------------------

    def submit_ids(self, video_ids: Sequence[str]) -> int:
        """Begin a compliance check of at most 10,000 ids; returns the task's number (it exceeds 64 bits)."""
        files = {"file_data": ("ids.txt", "\n".join(video_ids).encode() + b"\n", "text/plain")}
        request: _Body = {"files": files, "data": {"category": "video"}}
        what = f"check {len(video_ids)} ids"
        answer = self._ask(f"{_CHECK}/create/", what, request, lambda a: _integer(a.data.get("task_id")) is not None)
        return int(answer.data["task_id"])

    def task_status(self, task_id: int) -> str:
        """``Completed``, ``Processing`` or ``Failed``."""
        request: _Body = {"json": {"task_id": task_id}}
        what = "status of the check"
        answer = self._ask(f"{_CHECK}_status/get/", what, request, lambda a: isinstance(a.data.get("task_status"), str))
        return str(answer.data["task_status"])

    def valid_ids(self, task_id: int) -> set[str]:
        """The submitted ids that are still valid.

        Raises:
            ServerFailsError: an answer that is not a list of ids (nothing may be deleted because of one).
        """
        request: _Body = {"json": {"task_id": task_id}}
        what = "result of the check"
        return set(_lines_of(self._ask(f"{_CHECK}/download/", what, request, _is_list_of_ids, plain_text=True)))

    # --- one request ------------------------------------------------------------------------------------------------

    def _ask(
        self,
        url: str,
        what: str,
        request: _Body,
        is_whole: Callable[[_Answer], bool],
        tries: int = 5,
        plain_text: bool = False,
        search_waits_s: Sequence[int] = _SEARCH_WAITS_S,
    ) -> _Answer:
        server_waits, odd_waits = iter(_SERVER_WAITS_S), iter(_ODD_WAITS_S)
        search_waits, rate_waits, renewed = iter(search_waits_s), iter(_RATE_WAITS_S), False
        while True:
            answer = self._send(url, what, request, plain_text)
            if answer.code == "ok" and not is_whole(answer):
                # Half an answer marked "ok" would end a window too early.
                answer = replace(answer, code="broken", message="the answer lacks what was asked for")
            code, message = answer.code, answer.message
            if code == "ok":
                return answer
            # While a page is retried for hours, several tokens may expire.
            renewed = renewed and code.startswith("access_token")
            if code.startswith("access_token"):
                if renewed:
                    raise ApiError(f"the server refuses the token that it has just issued ({message or code})")
                renewed, self._token = True, ""
            elif code.startswith("scope_"):
                raise ApiError(
                    f"{code}: {message}. The project of this key lacks the scope; asking again will not help"
                )
            elif code.startswith("daily_quota"):
                until = self._ledger.refused()
                raise QuotaSpentError("the server says that the day's quota is spent", until)
            elif answer.status == 429 or code.startswith("rate_limit"):
                wait_s = next(rate_waits, None)
                if wait_s is None:
                    raise ServerFailsError(f"{code}: still after {len(_RATE_WAITS_S)} waits")
                self._wait(max(wait_s, min(answer.retry_after_s, _LONGEST_RETRY_AFTER_S)), "rate limit")
            elif code.startswith("invalid_") and _is_about_search(message):
                wait_s = next(search_waits, None)
                if wait_s is None:
                    raise SearchLostError(message)
                self._wait(wait_s, message)
            elif code.startswith("invalid_") or (400 <= answer.status < 500 and answer.status != 408):
                raise RefusedQueryError(f"{code} (HTTP {answer.status}): {message}")
            else:
                tries -= 1
                wait_s = next(odd_waits if answer.status == 200 else server_waits, None)
                if tries <= 0 or wait_s is None:
                    raise ServerFailsError(f"{code} (HTTP {answer.status}): {message}".rstrip(": "))
                self._wait(wait_s, f"{code} (HTTP {answer.status})")

    def _send(self, url: str, what: str, request: _Body, plain_text: bool) -> _Answer:
        token = self._fresh_token()
        if self._budget is not None and self.sent >= self._budget:
            raise BudgetSpentError(f"{self.sent} requests sent, which is this run's `budget`")
        self._ledger.book()
        self.sent += 1
        at = utc_text(self._clock.now())
        try:
            reply = self._http.post(url, headers={"Authorization": f"Bearer {token}"}, **request)
        except httpx.HTTPError as error:
            # Only the kind of error: some of the library's messages quote the request.
            answer = _Answer(0, "no_answer", type(error).__name__)
        else:
            answer = _read(reply, self._clock.now(), plain_text)
        self._on_call(Call(at, what, answer.status, answer.code, answer.log_id, self._without_secrets(answer.message)))
        return answer

    def _fresh_token(self) -> str:
        """A token is valid for two hours. It is renewed five minutes before that, or when the server refuses it."""
        if self._token and self._clock.now() < self._token_until - _RENEW_EARLY_S:
            return self._token
        form = {
            "client_key": self._credentials.client_key,
            "client_secret": self._credentials.client_secret,
            "grant_type": "client_credentials",
        }
        problem = ""
        for wait in (*_SERVER_WAITS_S, None):
            try:
                reply = self._http.post("/v2/oauth/token/", data=form, headers={"Cache-Control": "no-cache"})
            except httpx.HTTPError as error:
                problem = f"no answer ({type(error).__name__})"
            else:
                found = _json_object(reply.text)
                if found is not None and isinstance(found.get("access_token"), str):
                    life_s = _integer(found.get("expires_in")) or 7200
                    self._token = found["access_token"]
                    # Without this, a life shorter than the margin would mean a new token for every request.
                    self._token_until = self._clock.now() + max(life_s, life_s / 2 + _RENEW_EARLY_S)
                    return self._token
                if found is not None and reply.status_code < 500 and reply.status_code != 429:
                    said = _read(reply, self._clock.now(), plain_text=False)
                    code = said.code if found.get("error") else "no access_token in the answer"
                    text = f"no token: {code}: {said.message}".rstrip(": ")
                    raise ApiError(self._without_secrets(f"{text}. Check key and secret"))
                problem = f"HTTP {reply.status_code}"
            if wait is not None:
                self._wait(wait, f"token: {problem}")
        raise ServerFailsError(f"no token after {len(_SERVER_WAITS_S) + 1} tries: {problem}")

    def _without_secrets(self, text: str) -> str:
        key = self._credentials.client_key
        # The key is not secret, and a very short one would blot out every message.
        for secret in filter(None, (self._credentials.client_secret, self._token, key if len(key) > 7 else "")):
            text = text.replace(secret, "…")
        return text

    def _wait(self, seconds: float, why: str) -> None:
        self._on_note(self._without_secrets(f"waiting {seconds:g} s: {why}"))
        self._clock.sleep(seconds)


def _is_page(answer: _Answer) -> bool:
    """Whether it holds a list of videos (absent or null: none) and says if there are more (not needed beside a cursor)."""
    data = answer.data
    videos, more = data.get("videos"), data.get("has_more")
    return (videos is None or isinstance(videos, list)) and (
        isinstance(more, int) or (more is None and _integer(data.get("cursor")) is not None)
    )


def _lines_of(answer: _Answer) -> list[str]:
    return [line.strip() for line in answer.text.replace(",", "\n").splitlines() if line.strip()]


def _is_list_of_ids(answer: _Answer) -> bool:
    """Whether it is one: nothing may be deleted because of any other answer."""
    return all(line.isdigit() and as_id(line) for line in _lines_of(answer))


def _is_about_search(message: str) -> bool:
    """Whether it is "Search Id N is invalid or expired" or "Invalid count or cursor". What we send is right, so both pass."""
    text = message.lower().replace("_", " ")
    return "search id" in text or "cursor" in text


def _read(reply: httpx.Response, now: float, plain_text: bool) -> _Answer:
    retry_after_s = _retry_after(reply.headers.get("Retry-After", ""), now)
    found = _json_object(reply.text)
    if found is None:
        is_text = "html" not in reply.headers.get("Content-Type", "") and not reply.text.lstrip().startswith("<")
        if plain_text and reply.status_code == 200 and is_text:
            return _Answer(200, "ok", text=reply.text)
        return _Answer(reply.status_code, "broken", "the body is not a JSON object", retry_after_s=retry_after_s)
    error = found.get("error")
    error = error if isinstance(error, dict) else {"code": error}
    data = found["data"] if isinstance(found.get("data"), dict) else None
    code = str(error.get("code") or ("none" if data is None else "ok"))
    if code == "ok" and reply.status_code != 200:
        code = "none"
    message = str(error.get("message") or error.get("msg") or found.get("error_description") or "")
    log_id = str(error.get("log_id") or found.get("log_id") or "")
    return _Answer(reply.status_code, code, message, data or {}, reply.text, log_id, retry_after_s)


def _json_object(text: str) -> JsonObject | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _retry_after(text: str, now: float) -> float:
    """Seconds, from either form of the header; 0 if it is missing or cannot be read."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError):
        return 0.0


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
