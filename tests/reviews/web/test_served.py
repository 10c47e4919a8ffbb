"""Ranges and conditional requests as RFC 9110 has them."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tiktokactions.reviews.web.served import file_mark, file_response

BYTES = bytes(range(256)) * 4


@pytest.fixture
def client(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(BYTES)

    async def send(request: Request) -> Response:
        return await file_response(request, path)

    return TestClient(Starlette(routes=[Route("/", send, methods=["GET", "HEAD"])]))


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-99", (0, 100)),
        ("bytes=100-", (100, 1024)),
        ("bytes=1000-5000", (1000, 1024)),
        ("bytes=-24", (1000, 1024)),
        ("bytes=-5000", (0, 1024)),
        ("BYTES = 0 - 0", (0, 1)),
        ("bytes=0-0,10-20", None),  # several: the whole file
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("items=0-5", None),
        ("bytes=0x10-", None),
        ("bytes=٣-٥".encode(), None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=1024-", 416),
        ("bytes=-0", 416),
    ],
)
def test_which_part_is_sent(client, header, part):
    answer = client.get("/", headers={} if header is None else {"range": header})
    if part == 416:
        assert (answer.status_code, answer.headers["content-range"], answer.content) == (416, "bytes */1024", b"")
    elif part is None:
        assert (answer.status_code, answer.content) == (200, BYTES)
    else:
        start, end = part
        assert (answer.status_code, answer.content) == (206, BYTES[start:end])
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1024"


def test_nothing_of_an_empty_file_can_be_asked_for(client, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"")
    assert (client.get("/").status_code, client.get("/").content) == (200, b"")
    for header in ("bytes=0-", "bytes=-5"):
        assert client.get("/", headers={"range": header}).status_code == 416


def test_the_mark_in_an_address_is_the_tag(client, tmp_path):
    assert client.get("/").headers["etag"] == f'"{file_mark(tmp_path / "clip.mp4")}"'


def test_a_large_file_is_sent_in_pieces(tmp_path):
    path = tmp_path / "clip.mp4"
    with path.open("wb") as file:
        file.truncate(50_000_000)

    async def endpoint(request: Request) -> Response:
        return await file_response(request, path)

    sizes = []

    async def through(scope, receive, send):
        async def counted(message):
            sizes.append(len(message.get("body", b"")))
            await send(message)

        await Starlette(routes=[Route("/", endpoint)])(scope, receive, counted)

    assert len(TestClient(through).get("/").content) == 50_000_000
    assert max(sizes) <= 1_000_000


def test_a_changed_file_has_another_tag_and_an_old_part_is_not_continued(client, tmp_path):
    etag = client.get("/").headers["etag"]
    (tmp_path / "clip.mp4").write_bytes(BYTES[::-1] + b"more")
    answer = client.get("/", headers={"range": "bytes=512-", "if-range": etag})
    assert (answer.status_code, answer.content) == (200, BYTES[::-1] + b"more")
    assert answer.headers["etag"] != etag
    assert client.get("/", headers={"if-none-match": etag}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status", "expected", "content_range"),
    [
        ({}, 200, BYTES, None),
        ({"range": "bytes=5-9"}, 206, BYTES[5:10], "bytes 5-9/1024"),
        ({"range": "bytes=-3"}, 206, BYTES[-3:], "bytes 1021-1023/1024"),
        ({"range": "bytes=1-2,5-6"}, 200, BYTES, None),
        ({"range": "bytes=2000-"}, 416, b"", "bytes */1024"),
        ({"range": "bytes=5-9", "if-range": '"another"'}, 200, BYTES, None),
    ],
)
def test_over_http(client, method, headers, status, expected, content_range):
    answer = client.request(method, "/", headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.content == (expected if method == "GET" else b"")
    if status < 400:
        assert answer.headers["content-type"] == "video/mp4"
        assert int(answer.headers["content-length"]) == len(expected)


def test_validators(client):
    first = client.get("/")
    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"another", {etag}', "*"):
        answer = client.get("/", headers={"if-none-match": known, "range": "bytes=0-0"})
        assert (answer.status_code, answer.headers["etag"], answer.content) == (304, etag, b""), known
    part = {"range": "bytes=0-0"}
    assert client.get("/", headers=part | {"if-range": etag}).status_code == 206
    assert client.get("/", headers=part | {"if-range": first.headers["last-modified"]}).status_code == 206
    # Comparison is strong (RFC 9110, 13.1.5): a weak tag and another date never match.
    for other in (f"W/{etag}", etag.strip('"'), "*", "Thu, 01 Jan 1970 00:00:00 GMT"):
        assert client.get("/", headers=part | {"if-range": other}).status_code == 200, other
    assert client.get("/", params={"v": etag.strip('"')}).headers["cache-control"] == "private, no-cache"
    assert "no-cache" in first.headers["cache-control"]
