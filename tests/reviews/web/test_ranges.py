"""Ranges as RFC 9110 has them, on the function and over HTTP."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tiktokactions.reviews.web.ranges import UnsatisfiableError, file_response, parse_range

BYTES = bytes(range(256)) * 4


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
        ("bytes=٣-٥", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=1024-", UnsatisfiableError),
        ("bytes=-0", UnsatisfiableError),
    ],
)
def test_parse_range(header, part):
    if part is UnsatisfiableError:
        with pytest.raises(UnsatisfiableError):
            parse_range(header, 1024)
    else:
        assert parse_range(header, 1024) == part


def test_nothing_of_an_empty_file_can_be_asked_for():
    assert parse_range(None, 0) is None
    for header in ("bytes=0-", "bytes=-5"):
        with pytest.raises(UnsatisfiableError):
            parse_range(header, 0)


@pytest.fixture
def client(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(BYTES)

    async def send(request: Request) -> Response:
        return await file_response(request, path)

    return TestClient(Starlette(routes=[Route("/", send, methods=["GET", "HEAD"])]))


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
    assert client.get("/", headers={"if-none-match": etag}).status_code == 304
    part = {"range": "bytes=0-0"}
    assert client.get("/", headers=part | {"if-range": etag}).status_code == 206
    assert client.get("/", headers=part | {"if-range": first.headers["last-modified"]}).status_code == 206
    # Comparison is strong (RFC 9110, 13.1.5): a weak tag and another date never match.
    for other in (f"W/{etag}", etag.strip('"'), "*", "Thu, 01 Jan 1970 00:00:00 GMT"):
        assert client.get("/", headers=part | {"if-range": other}).status_code == 200, other
    assert client.get("/", params={"v": etag.strip('"')}).headers["cache-control"].endswith("immutable")
    assert "no-cache" in first.headers["cache-control"]
