"""All 47 request and response examples of the API's specification, one by one: what each must lead to.

``research_api_fixtures.json`` holds them as they were written down, with the sentence on what a client must do about each.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.collection.worlds import TODAY, booked, collect, server_of, video, wanted
from tiktokactions.collection import client as clients
from tiktokactions.collection.credentials import Credentials
from tiktokactions.collection.ledger import Ledger, QuotaSpentError
from tiktokactions.collection.rows import FIELDS, SAFE_FIELDS, read_row
from tiktokactions.collection.run import Run, begin
from tiktokactions.collection.sandbox import SANDBOX_CREDENTIALS, Faults, ResearchServer, serve
from tiktokactions.collection.store import Collection
from tiktokactions.machine import JumpingClock

LISTED = json.loads((Path(__file__).parent / "research_api_fixtures.json").read_text(encoding="utf-8"))
FIXTURES: dict[str, dict[str, Any]] = {fixture["id"]: fixture for fixture in LISTED}
GOOD = "F08"
"""A last page of one row: what the server says once its trouble is over."""
SECRET = "fakesecret"


@dataclass
class Replay:
    """A server that gives the answers of these fixtures in turn, the last one for ever; tokens as in ``tokens``."""

    answers: list[str]
    tokens: list[str] = field(default_factory=lambda: ["F01"])
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        is_token = urlsplit(path).path == "/v2/oauth/token/"
        self.asked.append({"path": path, "headers": dict(headers), "body": body, "is_token": is_token})
        queue = self.tokens if is_token else self.answers
        response = FIXTURES[queue.pop(0) if len(queue) > 1 else queue[0]]["response"]
        text = response["body_text"] if "body_text" in response else json.dumps(response["body"])
        return response["status"], dict(response["headers"]), text.encode()

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [request for request in self.asked if not request["is_token"]]


@contextlib.contextmanager
def client_of(
    replay: Replay, folder: Path
) -> Iterator[tuple[clients.ResearchClient, JumpingClock, list[clients.Call]]]:
    clock, calls = JumpingClock(TODAY), list[clients.Call]()
    with serve(replay) as address:  # type: ignore[arg-type]
        ledger = Ledger(folder / "quota.sqlite", "replay", clock)
        client = clients.ResearchClient(
            Credentials("awfakekey", SECRET), address, ledger, clock, safe_fields=True, on_call=calls.append
        )
        try:
            yield client, clock, calls
        finally:
            client.close()


CARTWHEEL = {"and": [{"operation": "EQ", "field_name": "hashtag_name", "field_values": ["cartwheel"]}]}
WAITS_OF_500 = [30, 60, 120, 120]
MIDNIGHT_S = 12 * 3600
"""TODAY is noon."""


def ask(client: clients.ResearchClient, fixture: dict[str, Any]) -> Any:
    """What the fixture's request asks for, asked by the client; what it gave, shortened."""
    body, path = fixture["request"].get("body", {}), urlsplit(fixture["request"]["url"]).path
    if path.endswith("validation_task/create/"):
        return client.submit_ids(["7481727828703051777"])
    if path.endswith("status/get/"):
        return client.task_status(body["task_id"])
    if path.endswith("download/"):
        return client.valid_ids(body["task_id"])
    page = client.videos(
        CARTWHEEL, date(2025, 3, 1), date(2025, 3, 14), cursor=body.get("cursor") or 0,
        search_id=body.get("search_id"), is_random=bool(body.get("is_random")),
    )  # fmt: skip
    return len(page.rows), page.cursor, page.has_more, page.search_id


SEARCH = "7710175829651307597"
RETRIED = (1, 300, False, SEARCH)
"""The page of F08, which comes after the trouble."""
OUTCOMES: dict[str, tuple[Any, list[float], int]] = {
    # id: (what comes of it, seconds waited, requests sent beside those for tokens)
    "F01": (RETRIED, [], 1),
    "F02": (clients.ApiError, [], 0),
    "F03": (clients.ApiError, [], 0),
    "F04": (clients.ApiError, [], 0),
    "F05": (RETRIED, [30], 1),
    "F06": ((3, 100, True, SEARCH), [], 1),
    "F07": ((1, 200, True, SEARCH), [], 1),
    "F08": ((1, 300, False, SEARCH), [], 1),
    "F09": ((1, 1, False, SEARCH), [], 1),
    "F10": ((0, 0, False, None), [], 1),
    "F11": ((0, 400, True, SEARCH), [], 1),
    "F12": ((0, None, True, SEARCH), [], 1),
    "F13": ((0, 200, False, SEARCH), [], 1),
    "F14": ((1, 1, False, SEARCH), [], 1),
    "F15": ((1, 100, False, SEARCH), [], 1),
    "F16": ((1, 1, False, SEARCH), [], 1),
    "F17": ((1, 100, False, SEARCH), [], 1),
    "F18": ((1, 100, False, SEARCH), [], 1),
    "F19": ((1, 100, False, SEARCH), [], 1),
    "F20": ((1, 200, False, SEARCH), [], 1),
    "F21": ((2, 100, True, SEARCH), [], 1),
    "F22": (RETRIED, [], 2),
    "F23": (RETRIED, [], 2),
    "F24": (clients.ApiError, [], 1),
    "F25": (clients.ApiError, [], 1),
    "F26": (QuotaSpentError, [], 1),
    "F27": (RETRIED, [10], 2),
    "F28": (RETRIED, [10], 2),
    "F29": (RETRIED, [5], 2),
    "F30": (RETRIED, [5], 2),
    **{name: (clients.RefusedQueryError, [], 1) for name in ("F31", "F32", "F33", "F34", "F36")},
    "F35": (RETRIED, [5], 2),  # what we send is legal, so this text is F30's
    **{name: (RETRIED, [30], 2) for name in ("F37", "F38", "F39", "F40", "F43")},
    **{name: (RETRIED, [5], 2) for name in ("F41", "F42")},
    "F44": (12345678910987654321, [], 1),
    "F45": ("Processing", [], 1),
    "F46": ({"7481727828703051777", "7481727802933248002"}, [], 1),
    "F47": ((0, 100, False, SEARCH), [], 1),
}


def test_every_fixture_has_its_line() -> None:
    assert sorted(OUTCOMES) == sorted(FIXTURES) and len(FIXTURES) == 47


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_what_comes_of(tmp_path: Path, name: str) -> None:
    outcome, waits, requests = OUTCOMES[name]
    is_token = FIXTURES[name]["request"]["url"].endswith("/oauth/token/")
    replay = Replay([GOOD]) if is_token else Replay([name, GOOD])
    replay.tokens = [name, "F01"] if is_token else ["F01"]
    with client_of(replay, tmp_path) as (client, clock, calls):
        if isinstance(outcome, type):
            with pytest.raises(outcome) as caught:
                ask(client, FIXTURES[name])
            assert SECRET not in str(caught.value)
        else:
            assert ask(client, FIXTURES[name]) == outcome
        assert clock.now() - TODAY == sum(waits)
        assert len(replay.requests) == len(calls) == requests
        assert booked(tmp_path / "quota.sqlite", "replay") == ([requests] if requests else [])
    said = FIXTURES[name]["response"].get("body", {}).get("error", {})
    if requests and not is_token and isinstance(said, dict) and said.get("log_id"):
        assert calls[0].log_id == said["log_id"] and calls[0].code == said["code"]


@pytest.mark.parametrize(
    "body",
    [
        {"data": None, "error": {"code": "ok", "message": ""}},
        {"data": {"videos": {}}, "error": None},
        {"data": {"videos": []}, "error": {"code": "ok"}},
        {"data": {"videos": [], "has_more": "perhaps"}, "error": {"code": "ok"}},
        [1, 2, 3],
    ],
)
def test_half_an_answer_does_not_end_a_window(tmp_path: Path, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {"response": {"status": 200, "headers": {"Content-Type": "application/json"}, "body": body}}
    monkeypatch.setitem(FIXTURES, "odd", odd)
    with client_of(Replay(["odd", "odd", GOOD]), tmp_path) as (client, clock, _):
        assert ask(client, FIXTURES[GOOD]) == RETRIED and clock.now() - TODAY == 20


def test_a_page_that_takes_long_may_outlive_several_tokens(tmp_path: Path) -> None:
    with client_of(Replay(["F23", "F29", "F23", "F37", "F23", GOOD]), tmp_path) as (client, _, _):
        assert ask(client, FIXTURES[GOOD]) == RETRIED


@pytest.mark.parametrize(
    ("name", "error", "waits", "requests"),
    [
        *((name, clients.ServerFailsError, WAITS_OF_500, 5) for name in ("F37", "F38", "F39", "F40", "F43")),
        *((name, clients.ServerFailsError, [5, 15], 3) for name in ("F41", "F42")),
        *((name, clients.SearchLostError, [5, 10, 15, 20, 25, 30], 7) for name in ("F29", "F30")),
        ("F22", clients.ApiError, [], 2),
        ("F27", clients.ServerFailsError, [10, 20, 40, 80, 160, 300, 300, 300], 9),
    ],
)
def test_trouble_that_does_not_end(
    tmp_path: Path, name: str, error: type[Exception], waits: list[float], requests: int
) -> None:
    replay = Replay([name])
    with client_of(replay, tmp_path) as (client, clock, _):
        with pytest.raises(error):
            ask(client, FIXTURES[name])
        assert (clock.now() - TODAY, len(replay.requests)) == (sum(waits), requests)


def test_the_token_endpoint_that_never_answers(tmp_path: Path) -> None:
    replay = Replay([GOOD], tokens=["F05"])
    with client_of(replay, tmp_path) as (client, _, _), pytest.raises(clients.ServerFailsError, match="no token"):
        ask(client, FIXTURES[GOOD])
    assert len(replay.asked) == 5


def test_the_spent_quota_is_remembered(tmp_path: Path) -> None:
    replay = Replay(["F26", GOOD])
    with client_of(replay, tmp_path) as (client, clock, _):
        for _ in range(2):
            with pytest.raises(QuotaSpentError) as caught:
                ask(client, FIXTURES[GOOD])
        assert caught.value.until == TODAY + MIDNIGHT_S + 60 and len(replay.requests) == 1
        clock.sleep(MIDNIGHT_S + 60)
        assert ask(client, FIXTURES[GOOD]) == RETRIED


def test_a_token_is_asked_for_again_five_minutes_early(tmp_path: Path) -> None:
    replay = Replay([GOOD])
    with client_of(replay, tmp_path) as (client, clock, _):
        for pause_s, tokens in ((0, 1), (7200 - 301, 1), (2, 2)):
            clock.sleep(pause_s)
            ask(client, FIXTURES[GOOD])
            assert sum(request["is_token"] for request in replay.asked) == tokens


def test_what_the_client_sends_is_what_the_examples_send(tmp_path: Path) -> None:
    replay = Replay(["F06", "F07", "F44", "F45", "F46"])
    with client_of(replay, tmp_path) as (client, _, _):
        for name in ("F06", "F07", "F44", "F45", "F46"):
            ask(client, FIXTURES[name])
    token, *sent = replay.asked
    assert token["body"].decode() == urlencode(FIXTURES["F01"]["request"]["form"])
    for request, name in zip(sent, ("F06", "F07", "F44", "F45", "F46"), strict=True):
        example = FIXTURES[name]["request"]
        assert urlsplit(request["path"]).path == urlsplit(example["url"]).path
        assert request["headers"]["Authorization"] == example["headers"]["Authorization"]
        if "body" in example:
            assert json.loads(request["body"]) == example["body"]
    assert sent[2]["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="category"' in sent[2]["body"] and b"7481727828703051777\n" in sent[2]["body"]


# --- rows -----------------------------------------------------------------------------------------------------------


def rows_of(name: str) -> list[Any]:
    response = FIXTURES[name]["response"]
    body = json.loads(response["body_text"]) if "body_text" in response else response["body"]
    found: list[Any] = body["data"]["videos"]
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("F14", {"video_id": "7481727802933248153", "creator": "name4"}),
        ("F15", {"video_id": "7481727828703051793", "hashtags": ("cartwheel",)}),
        ("F16", {"video_id": "7481727828703051794", "creator": None}),
        ("F17", {"hashtags": ("cartwheel", "gymnastics")}),
        ("F18", {"hashtags": (), "create_time": None}),
        ("F19", {"hashtags": ("cartwheels", "gym")}),
    ],
)
def test_rows(name: str, expected: dict[str, Any]) -> None:
    [raw] = rows_of(name)
    row = read_row(raw)
    assert row is not None and {key: getattr(row, key) for key in expected} == expected
    kept = json.loads(row.raw)
    assert kept.keys() == raw.keys(), "absent stays absent, structures stay as they came"
    assert all(kept[key] == value for key, value in raw.items() if "\x00" not in str(value))


@pytest.mark.parametrize(
    ("answers", "found", "rejected", "state", "requests"),
    [
        (["F06", "F07", "F08"], 5, 0, "done", 3),
        (["F10"], 0, 0, "done", 1),
        # Lost half-way: once more from the start at the end of the hashtag, then left for the next run.
        (["F06", *["F11"] * 9], 3, 0, "incomplete", 5),
        (["F06", "F12"], 3, 0, "incomplete", 3),
        (["F06", "F13"], 3, 0, "done", 2),
        (["F19"], 0, 1, "done", 1),
        (["F06", "F20"], 3, 0, "done", 2),
        (["F14"], 1, 0, "done", 1),
        (["F16"], 1, 0, "done", 1),
    ],
)
def test_a_window_of_such_pages(
    tmp_path: Path, answers: list[str], found: int, rejected: int, state: str, requests: int
) -> None:
    replay = Replay(answers)
    what = wanted(900, date(2025, 3, 1), date(2025, 3, 14), windows=1)
    with client_of(replay, tmp_path) as (client, clock, _), Collection(tmp_path / "c", create=True) as collection:
        begin(collection, ["cartwheel"], what)
        Run(collection, client, what, clock, wait=False, report=lambda _: None, note=lambda _: None).run()
        count = collection.database.execute
        assert count("SELECT count(*) FROM found").fetchone()[0] == found == collection.count_videos()
        assert count("SELECT count(*) FROM rejected").fetchone()[0] == rejected
        [window] = collection.windows("cartwheel", "open", "done", "more", "incomplete", "failing", "doubtful")
    assert (window.state, len(replay.requests)) == (state, requests)


# --- the same requests, to our own server ---------------------------------------------------------------------------


SAME = {
    "F02": 400, "F03": 401, "F04": 200, "F22": 401, "F31": 400, "F32": 400, "F33": 400, "F34": 400, "F35": 400,
    "F36": 400, "F47": 200, "F06": 200, "F21": 200, "F29": 400,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SAME))
def test_our_server_answers_the_same_requests_alike(name: str) -> None:
    """Strict where the real one is, and tolerant where it is: status and code are the example's."""
    days = datetime(2025, 3, 1, tzinfo=UTC).date()
    server = server_of([video(1, days, "cartwheel")], Faults())
    request, response = FIXTURES[name]["request"], FIXTURES[name]["response"]
    key, secret = SANDBOX_CREDENTIALS.client_key, SANDBOX_CREDENTIALS.client_secret
    form = {"client_key": key, "client_secret": secret, "grant_type": "client_credentials"}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    token = json.loads(server.answer("/v2/oauth/token/", kind, urlencode(form).encode())[2])["access_token"]
    path = request["url"].removeprefix("https://open.tiktokapis.com")
    if "form" in request:
        sent = {n: {"awfakekey": key, "fakesecret": secret}.get(v, v) for n, v in request["form"].items()}
        status, _, body = server.answer(path, kind, urlencode(sent).encode())
    else:
        given = request["headers"].get("Authorization", "")
        headers = {"Content-Type": "application/json", "Authorization": given.replace("clt.fakeToken1", token)}
        if name == "F22":
            headers["Authorization"] = "Bearer clt.somethingElse"
        if name == "F29":
            request["body"]["search_id"] = "7710175829651307597"
        status, _, body = server.answer(path, headers, json.dumps(request["body"]).encode())
    error, expected = json.loads(body).get("error"), response["body"].get("error")
    assert status == SAME[name]
    if isinstance(expected, dict):
        assert error["code"] == expected["code"]
        assert not expected["message"] or error["message"].split()[0] == expected["message"].split()[0]
    else:
        assert error == expected


def test_the_fields_are_those_of_the_specification() -> None:
    assert len(SAFE_FIELDS) == 14 and set(rows_of("F17")[0]) <= set(FIELDS)
    asked = {name.strip() for f in LISTED for name in f["request"]["url"].partition("fields=")[2].split(",")}
    assert asked - {""} - set(FIELDS) == {"favourites_count"}


def test_a_random_draw_stops_when_nothing_new_comes(tmp_path: Path) -> None:
    world = [video(n, date(2025, 3, 1 + n % 14), "cartwheel") for n in range(30)]
    server: ResearchServer = server_of(world)
    what = wanted(900, date(2025, 3, 1), date(2025, 3, 14), random=True, windows=1)
    got, _, _ = collect(server, tmp_path, ["cartwheel"], what)
    assert len(got["cartwheel"]) == 30 and len(server.requests) <= 4
