"""A local server that plays the TikTok Research API, for rehearsing a collection without a key and for our own tests.

It follows the API's specification and is as strict as the real API: it refuses what that refuses, and the conditions that a
collection never sends. All its videos are made up.
Faults are settings, so that a rehearsal can go as badly as you like.
"""

from __future__ import annotations

import contextlib
import email
import hashlib
import http.server
import json
import random
import re
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec

from tiktokactions.collection.credentials import Credentials
from tiktokactions.collection.rows import FIELDS
from tiktokactions.machine import Clock, utc_day
from tiktokactions.records import JsonObject

SANDBOX_CREDENTIALS = Credentials("sandbox-key", "sandbox-secret")
_SEARCH_LIFE_S = 6 * 3600
_FAILED = "Something is wrong. Please try again later."

Video = JsonObject
Reply = tuple[int, dict[str, str], bytes]
"""HTTP status, headers, body."""


class World(Protocol):
    """All videos that exist."""

    def candidates(self, hashtags: Sequence[str], start: date, end: date) -> list[Video]:
        """Videos created from ``start`` to ``end`` (days) that may carry one of ``hashtags``."""


@dataclass(frozen=True)
class GeneratedWorld:
    """Made-up videos for any hashtags and days, always the same for one ``seed``, made when they are asked for.

    A hashtag has up to ``busiest`` videos a day; every seventh video carries a second hashtag of the list.
    """

    hashtags: tuple[str, ...]
    seed: int = 0
    busiest: int = 40

    def candidates(self, hashtags: Sequence[str], start: date, end: date) -> list[Video]:
        own = {hashtag.lower() for hashtag in hashtags} & set(self.hashtags)
        # The second hashtag of a video is the next one in the list, so those before ours hold some of ours.
        before = {self.hashtags[self.hashtags.index(tag) - 1] for tag in own}
        days = [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
        videos = (video for tag in sorted(own | before) for day in days for video in self._day(tag, day))
        return list({video["id"]: video for video in videos}.values())

    def _day(self, tag: str, day: date) -> Iterator[Video]:
        draw = random.Random(f"{self.seed}/{tag}/{day}")
        busy = int(hashlib.sha256(f"{self.seed}/{tag}".encode()).hexdigest()[:4], 16) / 65535
        midnight = int(datetime.combine(day, datetime.min.time(), UTC).timestamp())
        for _ in range(round(self.busiest * busy * draw.uniform(0.5, 1.5))):
            created = midnight + draw.randrange(86_370)
            second = self.hashtags[(self.hashtags.index(tag) + 1) % len(self.hashtags)]
            names = [tag, second, "fyp"] if draw.random() < 1 / 7 else [tag, "fyp"]
            views = int(draw.lognormvariate(6, 2))
            yield {
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


@dataclass
class Faults:
    """How the server misbehaves. Shares are between 0 and 1."""

    requests_a_day: int = 1000
    token_life_s: int = 7200
    search_id_warm_up_s: float = 0.0
    """A fresh ``search_id`` is refused for this long."""
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
    failing_days: frozenset[date] = frozenset()
    """A window that holds one of these days always fails."""
    refused_fields: frozenset[str] = frozenset({"favourites_count"})
    silently_empty: bool = False
    scope_missing: bool = False
    dead_ids: set[str] = field(default_factory=set)
    """Gone: hidden from every query and invalid in a compliance check."""
    gone_share: float = 0.0
    """Ids that a compliance check calls invalid although queries still find them (they were deleted in between)."""


REHEARSAL = Faults(
    search_id_warm_up_s=8,
    hidden_share=0.25,
    sparse_share=0.1,
    wrong_share=0.02,
    repeat_share=0.01,
    error_share=0.02,
    rate_limit_share=0.005,
)
"""About as bad as the real API on a good day, by what its users report."""


class _Condition(msgspec.Struct, forbid_unknown_fields=True):
    """Only what a collection asks for."""

    operation: Literal["EQ", "IN"]
    field_name: Literal["hashtag_name", "region_code"]
    field_values: Annotated[list[str], msgspec.Meta(min_length=1)]

    def holds(self, video: Video) -> bool:
        have = video.get("hashtag_names", []) if self.field_name == "hashtag_name" else [video.get("region_code")]
        return bool({value.lower() for value in self.field_values} & {str(value).lower() for value in have})


class _Query(msgspec.Struct, forbid_unknown_fields=True):
    query: dict[Literal["and", "or", "not"], list[_Condition] | None]
    start_date: Annotated[str, msgspec.Meta(pattern=r"^\d{8}$")]
    end_date: Annotated[str, msgspec.Meta(pattern=r"^\d{8}$")]
    max_count: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    cursor: Annotated[int, msgspec.Meta(ge=0, le=10**9)] | None = None
    search_id: str | None = None
    is_random: bool | None = None


_REFUSALS = dict.fromkeys(("max_count", "cursor"), "Invalid count or cursor")
_REFUSALS |= {name: f"{name} is invalid" for name in ("start_date", "end_date")}


class _Search(NamedTuple):
    key: str
    made: float
    videos: list[Video]


class ResearchServer:
    """The server's state and answers; :func:`serve` opens a port for it on this machine."""

    def __init__(self, world: World, clock: Clock, faults: Faults | None = None, *, seed: int = 0) -> None:
        self.world, self.clock = world, clock
        self.faults = Faults() if faults is None else faults
        self.requests: deque[JsonObject] = deque(maxlen=100_000)
        """The newest requests that carried a valid token: ``{"path", "day", "body"}``."""
        self._draw = random.Random(seed)
        self._tokens: dict[str, float] = {}
        self._sent: Counter[date] = Counter()
        self._searches: dict[str, _Search] = {}
        self._tasks: dict[int, list[str]] = {}
        self._polled: set[int] = set()
        self._burst_left = 0

    # --- requests ---------------------------------------------------------------------------------------------------

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        url, faults, today = urlsplit(path), self.faults, utc_day(self.clock.now())
        if url.path == "/v2/oauth/token/":
            return self._token(headers, body)
        expires = self._tokens.get(re.sub(r"^bearer\s+", "", headers.get("Authorization", ""), flags=re.IGNORECASE))
        if expires is None or self.clock.now() >= expires:
            text = "The access token is invalid or not found in the request."
            return self._error(401, "access_token_invalid", text)
        self.requests.append({"path": url.path, "day": today, "body": None})
        self._sent[today] += 1
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
        if url.path == "/v2/research/video/query/":
            return self._query([name.strip() for name in parse_qs(url.query).get("fields", [""])[0].split(",")], body)
        if url.path.startswith("/v2/research/validation_task"):
            return self._compliance(url.path, headers, body)
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
        if Credentials(form["client_key"], form["client_secret"]) != SANDBOX_CREDENTIALS:
            return self._flat(401, "invalid_client", "Client key or secret is incorrect.")
        token = f"clt.{self._draw.getrandbits(128):032x}"
        self._tokens[token] = self.clock.now() + self.faults.token_life_s
        return self._json(200, {"access_token": token, "expires_in": self.faults.token_life_s, "token_type": "Bearer"})

    # --- video query ------------------------------------------------------------------------------------------------

    def _query(self, fields: Sequence[str], raw: bytes) -> Reply:
        try:
            body = self.requests[-1]["body"] = json.loads(raw)
            asked = msgspec.convert(body, _Query)
            start, end = (datetime.strptime(day, "%Y%m%d").date() for day in (asked.start_date, asked.end_date))
        except msgspec.ValidationError as error:
            place = re.search(r"`\$\.(\w+)", str(error))
            return self._invalid(_REFUSALS.get(place[1] if place else "", "Invalid query parameters"))
        except ValueError:
            return self._invalid("the body is not JSON, or names a day that is none")
        if problem := self._problem(fields, asked, start, end):
            return self._invalid(problem)
        if any(start <= day <= end for day in self.faults.failing_days):
            return self._error(500, "internal_error", _FAILED)
        cursor, count, now = asked.cursor or 0, asked.max_count or 20, self.clock.now()
        if asked.is_random:
            videos = [v for v in self._matches(asked, start, end) if not self.is_hidden(v["id"])]
            page = self._draw.sample(videos, min(count, len(videos)))
            return self._page(page, count, len(videos) > count, self._new_id(now), fields)
        key = json.dumps([body["query"], asked.start_date, asked.end_date], sort_keys=True)
        if not asked.search_id:
            search_id, search = self._new_id(now), _Search(key, now, self._matches(asked, start, end))
            self._searches[search_id] = search
            if len(self._searches) > 16:
                del self._searches[next(iter(self._searches))]
        else:
            search_id = asked.search_id
            known = self._searches.get(search_id)
            fresh_s, old_s = self.faults.search_id_warm_up_s, _SEARCH_LIFE_S
            if known is None or known.key != key or not fresh_s <= now - known.made <= old_s:
                return self._invalid(f"Search Id {search_id} is invalid or expired")
            search = known
        repeats = int(cursor > 0 and self._draw.random() < self.faults.repeat_share)
        page = [v for v in search.videos[max(0, cursor - repeats) : cursor + count] if not self.is_hidden(v["id"])]
        total = len(search.videos)
        after = min(cursor + count, total)
        return self._page(page, after, after < total, search_id if total else "", fields)

    def _problem(self, fields: Sequence[str], asked: _Query, start: date, end: date) -> str:
        if not any(fields):
            return "fields is required"
        for name in fields:
            if name not in FIELDS or name in self.faults.refused_fields:
                return f"The field {name} is invalid."
        if end < start:
            return "end_date is invalid"
        if (end - start).days > 30:
            return "The end_date must be no more than 30 days after the start_date"
        if not any(asked.query.values()):
            return "A valid query must contain at least one non-empty and, or or not condition lists"
        conditions = asked.query.get("and") or []
        many = any(c.operation == "EQ" and len(c.field_values) > 1 for c in conditions)
        return "Invalid query parameters" if many or asked.query.get("or") or asked.query.get("not") else ""

    def _matches(self, asked: _Query, start: date, end: date) -> list[Video]:
        """The newest first. Videos younger than 48 hours are not found yet."""
        if self.faults.silently_empty:
            return []
        conditions = asked.query.get("and") or []
        tags = [tag for c in conditions if c.field_name == "hashtag_name" for tag in c.field_values]
        newest = self.clock.now() - 48 * 3600
        found = [
            video
            for video in self.world.candidates(tags, start, end)
            if video["create_time"] <= newest
            and all(c.holds(video) for c in conditions)
            and str(video["id"]) not in self.faults.dead_ids
        ]
        found += [
            {**video, "id": video["id"] ^ 1, "hashtag_names": [f"{name}s" for name in video["hashtag_names"]]}
            for video in found
            if _share(video["id"], "wrong") < self.faults.wrong_share
        ]
        return sorted(found, key=lambda video: -video["id"])

    def _page(self, videos: list[Video], cursor: int, has_more: bool, search_id: str, fields: Sequence[str]) -> Reply:
        rows = [self._row(video, fields) for video in videos]
        return self._data({"has_more": has_more, "search_id": search_id, "videos": rows, "cursor": cursor})

    def _row(self, video: Video, fields: Sequence[str]) -> Video:
        told = {name for name in video if _share(video["id"], name) >= self.faults.sparse_share} | {
            "id",
            "hashtag_names",
        }
        return {name: video[name] for name in fields if name in video and name in told}

    def is_hidden(self, video_id: int) -> bool:
        """Whether cursors count it although it is never returned."""
        return _share(video_id, "hidden") < self.faults.hidden_share

    def _new_id(self, now: float) -> str:
        return str((int(now) << 32) | self._draw.getrandbits(32))

    # --- batch compliance -------------------------------------------------------------------------------------------

    def _compliance(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if path.endswith("/create/"):
            form = email.message_from_bytes(f"Content-Type: {headers.get('Content-Type')}\n\n".encode() + body)
            parts = {
                part.get_param("name", header="Content-Disposition"): str(part.get_payload())
                for part in form.walk()
                if not part.is_multipart()
            }
            ids = parts.get("file_data", "").split()
            if parts.get("category") != "video" or not 0 < len(ids) <= 10_000 or not all(map(str.isdigit, ids)):
                return self._invalid("expected category=video and a file of at most 10,000 ids, one a line")
            task = 12_345_678_910_987_000_000 + len(self._tasks)
            self._tasks[task] = ids
            return self._data({"task_id": task})
        try:
            task = json.loads(body)["task_id"]
            ids = self._tasks[task]
        except (ValueError, TypeError, KeyError):
            return self._invalid("task_id is invalid")
        if path.endswith("_status/get/"):
            status = "Completed" if task in self._polled else "Processing"
            self._polled.add(task)
            return self._data({"task_status": status})
        if task not in self._polled or not path.endswith("/download/"):
            return self._invalid("the task is not completed")
        gone = {i for i in ids if i in self.faults.dead_ids or _share(int(i), "gone") < self.faults.gone_share}
        valid = "".join(f"{video_id}\n" for video_id in ids if video_id not in gone)
        return 200, {"Content-Type": "text/plain"}, valid.encode()

    # --- answers ----------------------------------------------------------------------------------------------------

    def _data(self, data: Mapping[str, object]) -> Reply:
        error = {"code": "ok", "http_status_code": 200, "log_id": self._log_id(), "message": "ok."}
        return self._json(200, {"data": data, "error": error})

    def _invalid(self, message: str) -> Reply:
        return self._error(400, "invalid_params", message)

    def _error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        body = {"data": {}, "error": {"code": code, "message": message, "log_id": self._log_id()}}
        return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode()

    def _flat(self, status: int, error: str, text: str) -> Reply:
        return self._json(status, {"error": error, "error_description": text, "log_id": self._log_id()})

    def _broken(self) -> Reply:
        html, text = {"Content-Type": "text/html"}, "Something went wrong. Please try again later."
        replies = [
            self._error(500, "internal_error", _FAILED),
            (504, html, b"<html><head><title>504 Gateway Time-out</title></head></html>"),
            (503, html, b"Service Unavailable"),
            (200, {"Content-Type": "application/json"}, b'{"data":{"videos":[{"id":73'),
            self._error(200, "internal_error", text),
            self._json(500, {"error": {"code": "internal_error", "msg": text}}),
            self._json(200, {"data": None, "error": {"code": "ok", "message": ""}}),
        ]
        return self._draw.choice(replies)

    def _json(self, status: int, body: object) -> Reply:
        return status, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def _log_id(self) -> str:
        stamp = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y%m%d%H%M%S")
        return f"{stamp}{self._draw.getrandbits(80):020X}"


@contextlib.contextmanager
def serve(server: ResearchServer) -> Iterator[str]:
    """Run the server on a free port of this machine for as long as the block lasts; gives its address."""

    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                given = {name.title(): value for name, value in self.headers.items()}
                status, headers, reply = server.answer(self.path, given, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *values: object) -> None:
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
