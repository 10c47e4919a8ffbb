"""A local server that plays the TikTok Research API, for rehearsing a collection without a key and for our own tests.

It follows the API's specification and is as strict as the real API: it refuses what that refuses. All its videos are made up.
Faults are settings, so that a rehearsal can go as badly as you like.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import random
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tiktokactions.collection.credentials import Credentials
from tiktokactions.collection.rows import FIELDS
from tiktokactions.machine import Clock, utc_day

SANDBOX_CREDENTIALS = Credentials("sandbox-key", "sandbox-secret")
_QUERYABLE = (
    *("create_date", "username", "region_code", "video_id", "hashtag_name", "keyword", "music_id", "effect_id"),
    *("video_length", "view_count", "comment_count"),
)
_OPERATIONS = ("EQ", "IN", "GT", "GTE", "LT", "LTE")

Video = dict[str, Any]
Reply = tuple[int, dict[str, str], bytes]
"""HTTP status, headers, body."""


class World(Protocol):
    """All videos that exist."""

    def candidates(self, hashtags: Sequence[str] | None, start: date, end: date) -> list[Video]:
        """Videos created from ``start`` to ``end`` (days) that may carry one of ``hashtags`` (None: any)."""


@dataclass(frozen=True)
class ListedWorld:
    """A world that is a list of videos."""

    videos: Sequence[Video]

    def candidates(self, hashtags: Sequence[str] | None, start: date, end: date) -> list[Video]:
        return [video for video in self.videos if start <= utc_day(video["create_time"]) <= end]


@dataclass(frozen=True)
class GeneratedWorld:
    """Made-up videos for any hashtags and days, always the same for one ``seed``, made when they are asked for.

    A hashtag has up to ``busiest`` videos a day; every seventh video carries a second hashtag of the list.
    """

    hashtags: tuple[str, ...]
    seed: int = 0
    busiest: int = 40

    def candidates(self, hashtags: Sequence[str] | None, start: date, end: date) -> list[Video]:
        own = set(self.hashtags if hashtags is None else (h.lower() for h in hashtags)) & set(self.hashtags)
        # The second hashtag of a video is the next one in the list, so those before ours hold some of ours.
        before = {self.hashtags[self.hashtags.index(tag) - 1] for tag in own}
        found: dict[int, Video] = {}
        for tag in sorted(own | before):
            for offset in range((end - start).days + 1):
                for video in self._day(tag, start + timedelta(days=offset)):
                    found[video["id"]] = video
        return list(found.values())

    def _day(self, tag: str, day: date) -> list[Video]:
        draw = random.Random(f"{self.seed}/{tag}/{day}")
        busy = int(hashlib.sha256(f"{self.seed}/{tag}".encode()).hexdigest()[:4], 16) / 65535
        midnight = int(datetime.combine(day, datetime.min.time(), UTC).timestamp())
        videos = []
        for _ in range(round(self.busiest * busy * draw.uniform(0.5, 1.5))):
            created = midnight + draw.randrange(86_370)
            second = self.hashtags[(self.hashtags.index(tag) + 1) % len(self.hashtags)]
            names = [tag, second, "fyp"] if draw.random() < 1 / 7 else [tag, "fyp"]
            views = int(draw.lognormvariate(6, 2))
            videos.append(
                {
                    "id": (created - draw.randrange(1, 30) << 32) | draw.getrandbits(32),
                    "create_time": created,
                    "username": f"user.{draw.randrange(5000)}",
                    "region_code": draw.choice(("US", "US", "GB", "BR", "ID", "DE", "JP")),
                    "video_description": f"A day of {tag} " + " ".join(f"#{name}" for name in names),
                    "music_id": 7_000_000_000_000_000_000 + draw.randrange(400),
                    "like_count": views // 12,
                    "comment_count": views // 300,
                    "share_count": views // 400,
                    "view_count": views,
                    "video_duration": draw.randrange(4, 61),
                    "hashtag_names": list(dict.fromkeys(names)),
                }
            )
        return videos


@dataclass
class Faults:
    """How the server misbehaves. Shares are between 0 and 1."""

    requests_a_day: int = 1000
    token_life_s: int = 7200
    search_id_warm_up_s: float = 0.0
    """A fresh ``search_id`` is refused for this long."""
    search_id_life_s: float = 6 * 3600
    hidden_share: float = 0.0
    """Deleted and private videos: counted by the cursor, not returned."""
    sparse_share: float = 0.0
    """Keys that are missing from a row."""
    wrong_share: float = 0.0
    """Extra rows that carry only a similar hashtag (matching is approximate)."""
    repeat_share: float = 0.0
    """Pages that repeat a row of the page before."""
    error_share: float = 0.0
    """500, 503, 504, HTML, truncated bodies, and a 200 that holds an error or nothing."""
    burst: int = 0
    """How many more requests fail after one that failed by chance."""
    rate_limit_share: float = 0.0
    cursor_refused_share: float = 0.0
    failing_days: frozenset[date] = frozenset()
    """A window that holds one of these days always fails."""
    refused_fields: frozenset[str] = frozenset({"favourites_count"})
    silently_empty: bool = False
    scope_missing: bool = False
    lost_cursor_share: float = 0.0
    """``has_more`` without a cursor."""
    dead_ids: set[str] = field(default_factory=set)
    """Gone: hidden from every query and invalid in a compliance check."""
    gone_share: float = 0.0
    """Ids that a compliance check calls invalid although queries still find them (they were deleted in between)."""
    compliance_polls: int = 1
    """How often a check answers ``Processing`` before ``Completed``."""


REHEARSAL = Faults(
    search_id_warm_up_s=8, hidden_share=0.25, sparse_share=0.1, wrong_share=0.02, repeat_share=0.01, error_share=0.02,
    rate_limit_share=0.005,
)  # fmt: skip
"""About as bad as the real API on a good day, by what its users report."""


@dataclass
class _Search:
    key: str
    made: float
    ready: float
    videos: list[Video]


class ResearchServer:
    """The server's state and answers; :func:`serve` opens a port for it on this machine."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        faults: Faults | None = None,
        *,
        seed: int = 0,
        credentials: Credentials = SANDBOX_CREDENTIALS,
    ) -> None:
        self.world, self.clock, self.credentials = world, clock, credentials
        self.faults = Faults() if faults is None else faults
        self.requests: list[dict[str, Any]] = []
        """Every request that carried a valid token: ``{"path", "day", "body", "code"}``; the newest 100,000."""
        self._draw = random.Random(seed)
        self._tokens: dict[str, float] = {}
        self._sent: dict[date, int] = {}
        self._searches: dict[str, _Search] = {}
        self._tasks: dict[int, tuple[list[str], int]] = {}
        self._burst_left = 0
        self._lock = threading.Lock()

    def sent_on(self, day: date) -> int:
        return self._sent.get(day, 0)

    # --- requests ---------------------------------------------------------------------------------------------------

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        with self._lock:
            url = urlsplit(path)
            if url.path == "/v2/oauth/token/":
                return self._token(headers, body)
            expires = self._tokens.get(re.sub(r"^bearer\s+", "", headers.get("Authorization", ""), flags=re.IGNORECASE))
            if expires is None or self.clock.now() >= expires:
                text = "The access token is invalid or not found in the request."
                return self._error(401, "access_token_invalid", text)
            entry: dict[str, Any] = {"path": url.path, "day": utc_day(self.clock.now()), "body": None, "code": ""}
            self.requests = [*self.requests[-99_999:], entry] if len(self.requests) > 120_000 else self.requests
            self.requests.append(entry)
            return self._charged(url.path, parse_qs(url.query, keep_blank_values=True), headers, body, entry)

    def _charged(
        self, path: str, query: dict[str, list[str]], headers: Mapping[str, str], body: bytes, entry: dict[str, Any]
    ) -> Reply:
        faults, today = self.faults, entry["day"]
        self._sent[today] = self._sent.get(today, 0) + 1
        if self._sent[today] > faults.requests_a_day:
            text = "The API daily quota limit exceeded. Please try again later"
            return self._error(429, "daily_quota_limit_exceeded", text)
        if faults.scope_missing:
            text = "The user did not authorize the scope required for completing this request."
            return self._error(401, "scope_not_authorized", text)
        if self._draw.random() < faults.rate_limit_share:
            more = {"Retry-After": "7"} if self._draw.random() < 0.5 else {}
            text = "The API rate limit was exceeded. Please try again later."
            return self._error(429, "rate_limit_exceeded", text, more)
        self._burst_left = max(0, self._burst_left - 1)
        if self._burst_left or self._draw.random() < faults.error_share:
            self._burst_left = self._burst_left or faults.burst + 1
            return self._broken()
        if path == "/v2/research/video/query/":
            return self._query(query, body, entry)
        if path.startswith("/v2/research/validation_task"):
            return self._compliance(path, headers, body)
        return self._error(404, "not_found", "no such endpoint")

    def _token(self, headers: Mapping[str, str], body: bytes) -> Reply:
        if "x-www-form-urlencoded" not in headers.get("Content-Type", ""):
            return self._flat(400, "invalid_request", "Only `application/x-www-form-urlencoded` is supported")
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        for name in ("client_key", "client_secret", "grant_type"):
            if not form.get(name):
                text = f"{name.replace('_', ' ').capitalize()} is missed in request."
                return self._flat(400, "invalid_request", text)
        if form["grant_type"] != "client_credentials":
            return self._flat(200, "unsupported_grant_type", "Grant type is not supported.")
        if (form["client_key"], form["client_secret"]) != (self.credentials.client_key, self.credentials.client_secret):
            return self._flat(401, "invalid_client", "Client key or secret is incorrect.")
        token = f"clt.{self._draw.getrandbits(128):032x}"
        self._tokens[token] = self.clock.now() + self.faults.token_life_s
        return self._json(200, {"access_token": token, "expires_in": self.faults.token_life_s, "token_type": "Bearer"})

    # --- video query ------------------------------------------------------------------------------------------------

    def _query(self, url_query: dict[str, list[str]], raw: bytes, entry: dict[str, Any]) -> Reply:
        try:
            body = json.loads(raw)
        except ValueError:
            return self._invalid("the body is not JSON")
        entry["body"] = body
        problem = self._problem(url_query, body)
        if problem:
            return self._invalid(problem)
        start, end = _day(body["start_date"]), _day(body["end_date"])
        assert start is not None and end is not None
        if any(start <= day <= end for day in self.faults.failing_days):
            return self._error(500, "internal_error", "Something is wrong. Please try again later.")
        cursor, count = body.get("cursor") or 0, body.get("max_count") or 20
        key = json.dumps([body["query"], body["start_date"], body["end_date"]], sort_keys=True)
        now = self.clock.now()
        if body.get("is_random"):
            videos = self._matches(body["query"], start, end)
            page = self._draw.sample(videos, min(count, len(videos)))
            return self._page(page, count, len(videos) > count, self._new_id(now), url_query)
        search_id = body.get("search_id") or None
        if search_id is None:
            search_id = self._new_id(now)
            search = _Search(key, now, now + self.faults.search_id_warm_up_s, self._matches(body["query"], start, end))
            self._searches[search_id] = search
            while len(self._searches) > 16:
                self._searches.pop(next(iter(self._searches)))
        else:
            known = self._searches.get(search_id)
            if known is None or known.key != key or not known.ready <= now <= known.made + self.faults.search_id_life_s:
                return self._invalid(f"Search Id {search_id} is invalid or expired")
            search = known
        if cursor and self._draw.random() < self.faults.cursor_refused_share:
            return self._invalid("Invalid count or cursor")
        total = len(search.videos)
        page = [v for v in search.videos[cursor : cursor + count] if not self.is_hidden(v["id"])]
        if cursor and self._draw.random() < self.faults.repeat_share:
            page = [v for v in search.videos[cursor - 1 : cursor] if not self.is_hidden(v["id"])] + page
        after = min(cursor + count, total)
        lost = after < total and self._draw.random() < self.faults.lost_cursor_share
        return self._page(page, None if lost else after, after < total, search_id if total else "", url_query)

    def _problem(self, url_query: dict[str, list[str]], body: Any) -> str:
        if not isinstance(body, dict):
            return "Invalid query parameters"
        names = [name.strip() for name in ",".join(url_query.get("fields", [])).split(",") if name.strip()]
        if not names:
            return "fields is required"
        for name in names:
            if name not in FIELDS or name in self.faults.refused_fields:
                return f"The field {name} is invalid."
        start, end = _day(body.get("start_date")), _day(body.get("end_date"))
        if start is None:
            return "start_date is invalid"
        if end is None or end < start:
            return "end_date is invalid"
        if (end - start).days > 30:
            return "The end_date must be no more than 30 days after the start_date"
        count, cursor = body.get("max_count"), body.get("cursor")
        for number, least, most in ((count, 1, 100), (cursor, 0, 10**9)):
            if number is not None and (
                isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most
            ):
                return "Invalid count or cursor"
        if not isinstance(body.get("search_id") or "", str) or not isinstance(body.get("is_random") or False, bool):
            return "Invalid query parameters"
        unknown = set(body) - {"query", "start_date", "end_date", "max_count", "cursor", "search_id", "is_random"}
        query = body.get("query")
        if unknown or not isinstance(query, dict) or set(query) - {"and", "or", "not"}:
            return "Invalid query parameters"
        conditions = [c for part in query.values() for c in (part or [])]
        if not conditions:
            return "A valid query must contain at least one non-empty and, or or not condition lists"
        return "" if all(map(_is_condition, conditions)) else "Invalid query parameters"

    def _matches(self, query: dict[str, Any], start: date, end: date) -> list[Video]:
        """The newest first. Videos younger than 48 hours are not found yet."""
        if self.faults.silently_empty:
            return []
        tags = [
            value
            for condition in [*(query.get("and") or []), *(query.get("or") or [])]
            if condition["field_name"] == "hashtag_name"
            for value in condition["field_values"]
        ]
        newest = self.clock.now() - 48 * 3600
        found = [
            video
            for video in self.world.candidates(tags or None, start, end)
            if video["create_time"] <= newest and _fits(query, video) and str(video["id"]) not in self.faults.dead_ids
        ]
        for video in list(found):
            if _share(video["id"], "wrong") < self.faults.wrong_share:
                names = [f"{name}s" for name in video["hashtag_names"]]
                found.append({**video, "id": video["id"] ^ 1, "hashtag_names": names})
        return sorted(found, key=lambda video: -video["id"])

    def _page(
        self, videos: list[Video], cursor: int | None, has_more: bool, search_id: str, url_query: dict[str, list[str]]
    ) -> Reply:
        fields = {name.strip() for name in ",".join(url_query["fields"]).split(",")}
        rows = []
        for video in videos:
            keys = [key for key in video if key in fields]
            left_out = [k for k in keys if _share(video["id"], k) < self.faults.sparse_share]
            rows.append({k: video[k] for k in keys if k in ("id", "hashtag_names") or k not in left_out})
        data: dict[str, Any] = {"has_more": has_more, "search_id": search_id, "videos": rows}
        if cursor is not None:
            data["cursor"] = cursor
        return self._data(data)

    def is_hidden(self, video_id: int) -> bool:
        """Whether cursors count it although it is never returned."""
        return _share(video_id, "hidden") < self.faults.hidden_share

    def _new_id(self, now: float) -> str:
        return str((int(now) << 32) | self._draw.getrandbits(32))

    # --- batch compliance -------------------------------------------------------------------------------------------

    def _compliance(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if path.endswith("/create/"):
            kind = headers.get("Content-Type", "")
            boundary = re.search(r'boundary="?([^";]+)', kind)
            if not kind.startswith("multipart/form-data") or boundary is None:
                return self._invalid("file_data is required")
            parts = body.decode("utf-8", "replace").split(f"--{boundary[1]}")
            fields = {
                name[1]: part.split("\r\n\r\n", 1)[1].rstrip("\r\n")
                for part in parts
                if (name := re.search(r'name="([^"]+)"', part)) and "\r\n\r\n" in part
            }
            ids = fields.get("file_data", "").split()
            if fields.get("category") != "video" or not ids or len(ids) > 10_000 or not all(i.isdigit() for i in ids):
                return self._invalid("expected category=video and a file of at most 10,000 ids, one a line")
            task = 12_345_678_910_987_000_000 + len(self._tasks)
            self._tasks[task] = (ids, self.faults.compliance_polls)
            return self._data({"task_id": task})
        try:
            task_id = json.loads(body).get("task_id")
        except (ValueError, AttributeError):
            task_id = None
        if task_id not in self._tasks:
            return self._invalid("task_id is invalid")
        ids, polls = self._tasks[task_id]
        if path.endswith("_status/get/"):
            self._tasks[task_id] = (ids, polls - 1)
            return self._data({"task_status": "Processing" if polls > 0 else "Completed"})
        if polls > 0 or not path.endswith("/download/"):
            return self._invalid("the task is not completed")
        valid = "".join(f"{video_id}\n" for video_id in ids if not self._is_gone(video_id))
        return 200, {"Content-Type": "text/plain"}, valid.encode()

    def _is_gone(self, video_id: str) -> bool:
        return video_id in self.faults.dead_ids or _share(int(video_id), "gone") < self.faults.gone_share

    # --- answers ----------------------------------------------------------------------------------------------------

    def _data(self, data: dict[str, Any]) -> Reply:
        error = {"code": "ok", "http_status_code": 200, "log_id": self._log_id(), "message": "ok."}
        return self._json(200, {"data": data, "error": error})

    def _invalid(self, message: str) -> Reply:
        return self._error(400, "invalid_params", message)

    def _error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        if self.requests and not self.requests[-1]["code"]:
            self.requests[-1]["code"] = code
        found = self._json(status, {"data": {}, "error": {"code": code, "message": message, "log_id": self._log_id()}})
        found[1].update(headers or {})
        return found

    def _flat(self, status: int, error: str, text: str) -> Reply:
        return self._json(status, {"error": error, "error_description": text, "log_id": self._log_id()})

    def _broken(self) -> Reply:
        html, text = {"Content-Type": "text/html"}, "Something went wrong. Please try again later."
        return self._draw.choice(
            [
                lambda: self._error(500, "internal_error", "Something is wrong. Please try again later."),
                lambda: (504, html, b"<html><head><title>504 Gateway Time-out</title></head></html>"),
                lambda: (503, html, b"Service Unavailable"),
                lambda: (200, {"Content-Type": "application/json"}, b'{"data":{"videos":[{"id":73'),
                lambda: self._error(200, "internal_error", text),
                lambda: self._json(500, {"error": {"code": "internal_error", "msg": text}}),
                lambda: self._json(200, {"data": None, "error": {"code": "ok", "message": ""}}),
            ]
        )()

    def _json(self, status: int, body: Any) -> Reply:
        return status, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def _log_id(self) -> str:
        stamp = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y%m%d%H%M%S")
        return f"{stamp}{self._draw.getrandbits(80):020X}"


@contextlib.contextmanager
def serve(server: ResearchServer) -> Iterator[str]:
    """Run the server on a free port of this machine for as long as the block lasts; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, reply = server.answer(
                self.path, {n.title(): value for n, value in self.headers.items()}, body
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *values: Any) -> None:
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


@lru_cache(maxsize=100_000)
def _share(video_id: int, what: str) -> float:
    return int.from_bytes(hashlib.sha256(f"{video_id}/{what}".encode()).digest()[:6], "big") / 2**48


def _day(text: Any) -> date | None:
    if not isinstance(text, str) or not re.fullmatch(r"\d{8}", text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _is_condition(condition: Any) -> bool:
    if not isinstance(condition, dict) or set(condition) != {"operation", "field_name", "field_values"}:
        return False
    values = condition["field_values"]
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        return False
    if condition["operation"] not in _OPERATIONS or condition["field_name"] not in _QUERYABLE:
        return False
    return condition["operation"] == "IN" or len(values) == 1


def _fits(query: dict[str, Any], video: Video) -> bool:
    return (
        all(_holds(c, video) for c in query.get("and") or [])
        and (not query.get("or") or any(_holds(c, video) for c in query["or"]))
        and not any(_holds(c, video) for c in query.get("not") or [])
    )


def _holds(condition: dict[str, Any], video: Video) -> bool:
    name, operation, values = condition["field_name"], condition["operation"], condition["field_values"]
    if name == "hashtag_name":
        return bool({v.lower() for v in values} & {h.lower() for h in video.get("hashtag_names", [])})
    if name == "keyword":
        return any(value.lower() in video.get("video_description", "").lower() for value in values)
    if name == "create_date":
        have: Any = utc_day(video["create_time"]).strftime("%Y%m%d")
    elif name == "video_length":
        seconds = video.get("video_duration", 0)
        have = "SHORT" if seconds < 15 else "MID" if seconds <= 60 else "LONG" if seconds <= 300 else "EXTRA_LONG"
    elif name == "effect_id":
        return bool(set(values) & set(video.get("effect_ids", [])))
    else:
        have = video.get({"video_id": "id"}.get(name, name))
    if operation in ("EQ", "IN"):
        return str(have) in values
    if have is None or not str(have).isdigit() or not values[0].isdigit():
        return False
    left, right = int(have), int(values[0])
    return {"GT": left > right, "GTE": left >= right, "LT": left < right, "LTE": left <= right}[operation]
