"""Files of every shape: how many videos they tell of, and what cannot be read in them."""

from __future__ import annotations

import gzip
import json

import pytest

from tiktokactions.metadata.documents import DocumentError, rows_of, table_rows
from tiktokactions.metadata.tables import read_post

IDS = ("7301444403200000001", "7301448698167296002")
ITEMS = [{"id": i, "desc": "#a", "createTime": 1, "author": {"uniqueId": "ann"}} for i in IDS]
API = [{"id": int(i), "username": "ann", "hashtag_names": ["a"], "video_description": "#a"} for i in IDS]
LINKS = [f"https://www.tiktok.com/@ann/video/{i}" for i in IDS]


def wrapped(item: object, platform: str = "tiktok.com") -> str:
    return json.dumps({"nav_index": "1", "item_id": "x", "source_platform": platform, "data": item})


def page(items: list[dict[str, object]]) -> dict[str, object]:
    return {"data": {"videos": items, "has_more": False}, "error": {"code": "ok", "log_id": "x"}}


WEB_PAGE = {"ItemModule": dict(zip(IDS, ITEMS, strict=True)), "UserModule": {"users": {"a": {"id": "69"}}}}
PLAYLIST = {"_type": "playlist", "id": "x", "extractor": "t", "entries": [{"id": i, "extractor": "T"} for i in IDS]}
WATCHED = {
    "Profile": {"Profile Info": {"ProfileMap": {"userName": "me"}}},
    "Your Activity": {
        "Watch History": {"VideoList": [{"Date": "2023-11-14 22:13:20", "Link": LINKS[0]}]},
        "Favorite Sounds": {"FavoriteSoundList": [{"Date": "x", "Link": "https://www.tiktok.com/music/a-66"}]},
        "Lives": {"List": [{"Date": "x", "Link": "https://www.tiktok.com/@ann/live"}]},
        "Share History": {"ShareHistoryList": [{"Date": "x", "Link": LINKS[1], "Method": "copy"}]},
    },
    "Direct Messages": {"Chat History": {"ChatHistory": {"Chat with b:": [{"From": "b", "Content": LINKS[0]}]}}},
}

WATCHED_IN_FRENCH = {
    "Activité": {"Historique": {"Liste": [{"Date": "2023-11-14 22:13:20", "Lien": LINKS[0]}]}},
    "Commentaires": {"Liste": [{"date": "2023-11-14 22:13:20", "comment": "joli", "photo": "N/A", "url": LINKS[1]}]},
    "Messages": {"Avec b:": [{"From": "b", "Content": LINKS[0]}]},
}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps(ITEMS), id="a JSON list"),
        pytest.param(json.dumps(ITEMS, indent=1), id="a JSON list over many lines"),
        pytest.param("\n".join(map(json.dumps, ITEMS)), id="JSON lines"),
        pytest.param("\ufeff" + "\r\n".join(map(json.dumps, ITEMS)) + "\r\n\r\n", id="JSON lines of Windows"),
        pytest.param(json.dumps(page(API)), id="a page of the Research API"),
        pytest.param(json.dumps([page(API[:1]), page(API[1:])]), id="a list of pages"),
        pytest.param("\n".join(json.dumps(page([row])) for row in API), id="pages as JSON lines"),
        pytest.param(json.dumps({"itemList": ITEMS, "cursor": 1}), id="an answer of the web site"),
        pytest.param(json.dumps(WEB_PAGE), id="a page of the web site"),
        pytest.param(json.dumps({"data": [{"type": 1, "item": item, "common": {"x": 1}} for item in ITEMS]}), id="a search"),
        pytest.param(json.dumps([{"itemInfo": {"itemStruct": item}} for item in ITEMS]), id="details"),
        pytest.param("\n".join(map(wrapped, ITEMS)), id="Zeeschuimer"),
        pytest.param("\n".join(wrapped({"type": 1, "item": item}) for item in ITEMS), id="Zeeschuimer, a search"),
        pytest.param(json.dumps(WATCHED_IN_FRENCH), id="download your data in French"),
        pytest.param(json.dumps(PLAYLIST), id="yt-dlp -J"),
        pytest.param(json.dumps(WATCHED), id="download your data"),
        pytest.param(json.dumps([[2, ITEMS[0]], [3, "https://cdn/x.mp4", ITEMS[1]]]), id="gallery-dl -j"),
        pytest.param(json.dumps({k: {str(n): row[k] for n, row in enumerate(API)} for k in API[0]}), id="pandas, columns"),
        pytest.param(json.dumps({"columns": [*API[0]], "data": [[*row.values()] for row in API]}), id="pandas, split"),
        pytest.param(json.dumps([int(i) for i in IDS]), id="a JSON list of numbers"),
        pytest.param(json.dumps(LINKS), id="a JSON list of links"),
        pytest.param("\n".join(LINKS), id="links"),
        pytest.param(" and ".join(link.removeprefix("https://") for link in LINKS), id="links in prose"),
        pytest.param("\n".join(f'"{link}",seen' for link in LINKS), id="links among other things"),
        pytest.param("".join(f"Date: 2023-11-14 UTC\nLink: {link}\n\n" for link in LINKS), id="download your data as text"),
        pytest.param("\n".join(IDS), id="ids"),
        pytest.param("\n".join(f"{i},ann" for i in IDS), id="a table without a header"),
        pytest.param("\n".join(f"videos/@ann_video_{i}.mp4" for i in IDS), id="names of files"),
        pytest.param("id,username\n" + "\n".join(f"{i},ann" for i in IDS), id="commas"),
        pytest.param("sep=;\nVideo ID;User name\n" + "\n".join(f"{i};ann" for i in IDS), id="semicolons of Excel"),
        pytest.param("id\tusername\n" + "\n".join(f"{i}\tann" for i in IDS), id="tabs"),
        pytest.param('id,text\n' + "\n".join(f'{i},"two\nlines, and ""quotes"""' for i in IDS), id="lines in cells"),
        pytest.param("id,text\n" + "\n".join(f"{i},{'x' * 200_000}" for i in IDS), id="long cells"),
        pytest.param("id,username\n" + "\n".join(f'"=""{i}""",ann' for i in IDS), id="ids as formulas"),
    ],
)  # fmt: skip
def test_two_videos(text: str) -> None:
    for data in (text.encode(), gzip.compress(text.encode())):
        rows = list(rows_of(data, "file"))
        assert [read_post(row.said or {}, row.is_table).id for row in rows] == list(IDS), [row.problem for row in rows]


def test_utf16_with_tabs_as_a_spreadsheet_saves_unicode_text() -> None:
    [row] = rows_of(f"id\tcaption\n{IDS[0]}\tñandú #a".encode("utf-16"), "file")
    assert row.said == {"id": IDS[0], "caption": "ñandú #a"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param('{"id": 1}\n{"id": ', "not JSON", id="a line that was cut"),
        pytest.param(wrapped({"id": "1"}, "instagram.com"), "an item of instagram.com", id="another platform"),
        pytest.param(wrapped({"cid": "1"}, "tiktok-comments"), "an item of tiktok-comments", id="comments"),
        pytest.param("id,caption\n1,so, so", "3 cells, expected 2", id="a separator without quotes"),
        pytest.param(
            f"{IDS[0]}\nhello world", "expected an id or the address of a video, got 'hello world'", id="a word"
        ),
        pytest.param("[1200, 5]", "expected an object, an id or an address", id="counts"),
        pytest.param('[{"users": {"id": 1}}]', "no video in it", id="something else"),
    ],
)
def test_what_cannot_be_read_is_a_row_with_its_reason(text: str, problem: str) -> None:
    *_, last = rows_of(text.encode(), "file")
    assert last.said is None and problem in last.problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", "no column that any known tool writes, got nothing", id="empty"),
        pytest.param(b"a,b\n1,2", "no column that any known tool writes, got a, b", id="unknown columns"),
        pytest.param("id,caption\n1,é".encode("latin-1"), "expected UTF-8 text", id="latin"),
        pytest.param(gzip.compress(b"id\n1")[:-6], "damaged file", id="cut gzip"),
    ],
)
def test_a_file_that_says_nothing(data: bytes, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem):
        list(rows_of(data, "file"))


def test_the_day_of_watching_is_not_that_of_the_video() -> None:
    rows = [*rows_of(json.dumps(WATCHED).encode(), "file"), *rows_of(json.dumps(WATCHED_IN_FRENCH).encode(), "file")]
    posts = [read_post(row.said or {}) for row in rows]
    assert [(post.created, post.unknown) for post in posts] == [
        (None, ("Date",)), (None, ("Date", "Method")), (None, ("Date",)), (None, ("Date", "Comment", "Photo")),
    ]  # fmt: skip


def test_columns_of_nested_values_become_objects_again() -> None:
    table = "id,authorMeta.name,hashtags/0/name,hashtags/1/name,webVideoUrl\n1,ann,a,b,x\n2,bob,,,x"
    first, second = (read_post(row.said or {}, True) for row in rows_of(table.encode(), "file"))
    assert (first.creator, first.hashtags, second.creator, second.hashtags) == ("ann", ("a", "b"), "bob", None)


def test_lists_in_the_notation_of_python_and_r() -> None:
    table = """id|hashtag_names\n1|['a', "b'c"]\n2|c("a", "b")\n3|["a"]\n4|[{'title': 'a'}]\n5|list("a")\n"""
    tags = [read_post(row.said or {}, True).hashtags for row in rows_of(table.encode(), "file")]
    assert tags == [("a", "b'c"), ("a", "b"), ("a",), ("a",), ("a",)]


@pytest.mark.parametrize("text", ["", "\n", "a\n"])
def test_small_tables(text: str) -> None:
    assert table_rows(text) == ([["a"]] if text.strip() else [])
