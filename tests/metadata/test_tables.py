"""One row of every tool, as the tool writes it, and what it says."""

# ruff: noqa: E501 (rows as they come)
from __future__ import annotations

from typing import Any

import pytest

from tiktokactions.metadata.tables import FIELDS, Post, read_post

ID = "7301444403200000001"
WHEN = 1_700_000_000
AUTHOR = {"id": "69", "uniqueId": "anna.example", "nickname": "Anna E.", "secUid": "MS4", "followerCount": 104}
ITEM: dict[str, Any] = {
    "id": ID,
    "desc": "leg day #Squats #fyp",
    "createTime": str(WHEN),
    "author": AUTHOR,
    "authorStats": {"followerCount": 104, "heartCount": 9},
    "challenges": [{"id": "1", "title": "squats", "desc": ""}],
    "textExtra": [{"hashtagName": "Squats", "type": 1}, {"hashtagName": "fyp"}, {"userUniqueId": "bob"}],
    "stats": {"playCount": 1200, "diggCount": 5, "commentCount": 2, "shareCount": 1, "collectCount": "3"},
    "music": {"id": "6666", "title": "original sound", "duration": 30},
    "video": {"duration": 12, "height": 1024, "width": 576},
    "locationCreated": "us",
}
COUNTS = {"views": 1200, "likes": 5, "comments": 2, "shares": 1}
WEB = {
    "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day #Squats #fyp", "hashtags": ("squats", "fyp"),
    "sound": "6666", "sound_title": "original sound", "region": "US", "duration_s": 12.0, "saves": 3, **COUNTS,
}  # fmt: skip

ROWS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "TikTokApi": ("TikTok's own JSON (TikTokApi, Zeeschuimer)", ITEM, WEB),
    "TikTok's page of 2022, author as text": (
        "TikTok's own JSON (TikTokApi, Zeeschuimer)",
        ITEM | {"author": "anna.example", "nickname": "Anna E."},
        WEB,
    ),
    "gallery-dl": (
        "gallery-dl",
        ITEM | {"title": "leg day", "user": "anna.example", "date": "2023-11-14 22:13:20", "category": "tiktok"}
        | {"subcategory": "user", "post_type": "video", "extension": "mp4", "num": 0, "file_id": ""},
        WEB | {"title": "leg day"},
    ),
    "gallery-dl, Instagram": (
        "gallery-dl, another site",
        {
            "category": "instagram", "subcategory": "user", "post_id": "3200000000000000000", "post_shortcode": "CxYz12_-abc",
            "username": "anna.example", "fullname": "Anna E.", "description": "leg day #squats", "tags": ["#Squats"],
            "date": "2023-11-14 22:13:20", "likes": 5,
        },
        {
            "id": "CxYz12_-abc", "creator": "anna.example", "created": WHEN, "caption": "leg day #squats",
            "hashtags": ("squats",),
        },
    ),
    "TikTok's mobile API": (
        "TikTok's mobile API",
        {
            "aweme_id": ID, "desc": "leg day #squats", "create_time": WHEN, "author": {"uid": "69", "unique_id": "anna.example"},
            "cha_list": [{"cid": "1", "cha_name": "squats"}], "text_extra": [{"hashtag_name": "squats"}], "region": "US",
            "music": {"id": 6666, "mid": "6666", "title": "t"}, "video": {"duration": 12000},
            "statistics": {"play_count": 1200, "digg_count": 5, "comment_count": 2, "share_count": 1, "collect_count": 3},
        },
        {
            "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day #squats", "hashtags": ("squats",),
            "sound": "6666", "sound_title": "t", "region": "US", "saves": 3, **COUNTS,
        },
    ),
    "yt-dlp, TikTok": (
        "yt-dlp",
        {
            "id": ID, "title": "leg day...", "description": "leg day #squats", "uploader": "anna.example", "uploader_id": "69",
            "channel": "Anna E.", "track": "original sound", "artists": ["anna"], "timestamp": WHEN, "upload_date": "20231114",
            "duration": 12, "view_count": 1200, "like_count": 5, "comment_count": 2, "repost_count": 1, "save_count": 3,
            "webpage_url": f"https://www.tiktok.com/@anna.example/video/{ID}", "extractor": "TikTok", "ext": "mp4",
        },
        {
            "id": ID, "title": "leg day...", "caption": "leg day #squats", "creator": "anna.example", "created": WHEN,
            "sound_title": "original sound", "duration_s": 12.0, "saves": 3, **COUNTS,
        },
    ),
    "yt-dlp, TikTok without an account": (
        "yt-dlp",
        {"id": ID, "extractor_key": "TikTok", "webpage_url": f"https://www.tiktok.com/@anna.example/video/{ID}?lang=en"},
        {"id": ID, "creator": "anna.example"},
    ),
    "yt-dlp, YouTube": (
        "yt-dlp",
        {
            "id": "jNQXAC9IVRw", "title": "How to squat", "description": "see #squat", "uploader": "Fit Example",
            "uploader_id": "@fitexample", "tags": ["fitness", "how to"], "categories": ["Sports"], "upload_date": "20231114",
            "extractor": "youtube", "extractor_key": "Youtube", "webpage_url": "https://www.youtube.com/watch?v=jNQXAC9IVRw",
        },
        {
            "id": "jNQXAC9IVRw", "title": "How to squat", "caption": "see #squat", "creator": "Fit Example",
            "created": 1_699_920_000, "keywords": ("fitness", "how to"),
        },
    ),
    "yt-dlp, Twitter": (
        "yt-dlp",
        {"id": "17", "uploader": "Anna", "uploader_id": "anna", "tags": ["Squats"], "extractor": "twitter", "extractor_key": "Twitter"},
        {"id": "17", "creator": "Anna", "hashtags": ("squats",)},
    ),
    "pyktok": (
        "pyktok",
        {
            "video_id": ID, "video_timestamp": "2023-11-14T22:13:20", "video_duration": "12", "video_locationcreated": "US",
            "suggested_words": "x", "video_diggcount": "5", "video_sharecount": "1", "video_commentcount": "2",
            "video_playcount": "1200.0", "video_description": "leg day #squats", "author_username": "anna.example",
            "author_name": "Anna E.", "author_verified": "False",
        },
        {
            "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day #squats", "region": "US",
            "duration_s": 12.0, **COUNTS,
        },
    ),
    "traktok": (
        "traktok",
        {
            "video_id": ID, "video_timestamp": "2023-11-14T22:13:20Z", "video_title": "leg day #squats", "video_length": "12",
            "video_url": f"https://www.tiktok.com/@anna.example/video/{ID}", "author_name": "anna.example",
            "author_nickname": "Anna E.", "video_diggcount": "5", "video_sharecount": "1", "video_commentcount": "2",
            "video_playcount": "1200",
        },
        {"id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day #squats", "duration_s": 12.0, **COUNTS},
    ),
    "pyktok of 2022": (
        "pyktok",
        {
            "video_id": ID, "video_timestamp": "2023-11-14T22:13:20", "video_length": "12", "video_title": "Anna on TikTok",
            "video_description": "leg day #squats", "author_username": "anna.example", "author_name": "Anna E.",
        },
        {"id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day #squats", "duration_s": 12.0},
    ),
    "traktok, with what R writes for nothing": (
        "the Research API",
        {"video_id": ID, "author_name": "ann", "region_code": "NA", "hashtag_names": "character(0)", "voice_to_text": "NA"},
        {"id": ID, "creator": "ann", "hashtags": ()},
    ),
    "Namibia": (
        "the Research API",
        {"id": ID, "region_code": "NA", "hashtag_names": "c(\"a\")"},
        {"id": ID, "region": "NA", "hashtags": ("a",)},
    ),
    "traktok, Research API": (
        "the Research API",
        {
            "video_id": ID, "author_name": "anna.example", "view_count": "1200", "comment_count": "2", "share_count": "1",
            "like_count": "5", "region_code": "US", "create_time": "2023-11-14 22:13:20", "music_id": "6666",
            "video_description": "leg day", "hashtag_names": "squats|fyp",
        },
        {
            "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day", "hashtags": ("squats", "fyp"),
            "sound": "6666", "region": "US", **COUNTS,
        },
    ),
    "the Research API": (
        "the Research API",
        {
            "id": int(ID), "create_time": WHEN, "username": "anna.example", "region_code": "US", "video_description": "leg day",
            "hashtag_names": ["squats"], "music_id": 7100000000000000001, "view_count": 1200, "like_count": 5,
            "comment_count": 2, "share_count": 1, "favorites_count": 3, "video_duration": 12, "effect_ids": ["0"],
            "video_tag": {"number": 0, "type": "x"},
        },
        {
            "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day", "hashtags": ("squats",),
            "sound": "7100000000000000001", "region": "US", "duration_s": 12.0, "saves": 3, **COUNTS,
        },
    ),
    "4CAT": (
        "4CAT",
        {
            "collected_from_url": "", "id": ID, "thread_id": ID, "author": "anna.example", "author_full": "Anna E.",
            "body": "leg day #squats", "timestamp": "2023-11-14 22:13:20", "unix_timestamp": str(WHEN), "music_name": "t",
            "music_id": "6666", "tiktok_url": f"https://www.tiktok.com/@anna.example/video/{ID}", "likes": "5", "comments": "2",
            "shares": "1", "plays": "1200", "saves": "3", "hashtags": "squats,fyp", "challenges": "squats", "location_created": "US",
        },
        {
            "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day #squats", "hashtags": ("squats", "fyp"),
            "sound": "6666", "sound_title": "t", "region": "US", "saves": 3, **COUNTS,
        },
    ),
    "Apify": (
        "Apify",
        {
            "id": ID, "text": "leg day #squats", "createTime": WHEN, "createTimeISO": "2023-11-14T22:13:20.000Z",
            "authorMeta": {"id": "69", "name": "anna.example", "nickName": "Anna E."}, "hashtags": [{"name": "squats"}],
            "musicMeta": {"musicName": "t", "musicId": "6666"}, "videoMeta": {"duration": 12}, "diggCount": 5, "shareCount": 1,
            "webVideoUrl": f"https://www.tiktok.com/@anna.example/video/{ID}", "playCount": 1200, "commentCount": 2,
            "collectCount": 3, "locationCreated": "US",
        },
        {
            "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day #squats", "hashtags": ("squats",),
            "sound": "6666", "sound_title": "t", "region": "US", "duration_s": 12.0, "saves": 3, **COUNTS,
        },
    ),
    "Apify, apidojo's actor": (
        "Apify (apidojo)",
        {
            "id": ID, "title": "leg day", "views": 1200, "likes": 5, "comments": 2, "shares": 1, "bookmarks": 3,
            "hashtags": ["squats"], "channel": {"name": "Anna E.", "username": "anna.example"}, "uploadedAt": WHEN,
            "video": {"duration": 12.5}, "song": {"id": 6666, "title": "t"},
            "postPage": f"https://www.tiktok.com/@anna.example/video/{ID}",
        },
        {
            "id": ID, "creator": "anna.example", "created": WHEN, "caption": "leg day", "hashtags": ("squats",),
            "sound": "6666", "sound_title": "t", "duration_s": 12.5, "saves": 3, **COUNTS,
        },
    ),
    "a list of ours": (
        "a list",
        {"id": "a1", "creator": "@ana", "label": "playing piano; salsa", "category": "music", "sound": "My Song", "mood": "x"},
        {"id": "a1", "creator": "ana", "labels": ("playing piano", "salsa"), "category": "music", "sound_title": "My Song"},
    ),
    "answers of a form": (
        "a list",
        {"timestamp": "1/2/25", "Which video?": f"https://www.tiktok.com/@anna.example/video/{ID}", "caption": "https://x.org"},
        {"id": ID, "creator": "anna.example", "caption": "https://x.org"},
    ),
    "a list of addresses": (
        "a list",
        {"url": f"https://m.tiktok.com/@anna.example/video/{ID}?is_copy_url=1"},
        {"id": ID, "creator": "anna.example"},
    ),
    "an id that was rounded beside an address that was not": (
        "a list",
        {"id": "7.30144E+18", "link": f"https://www.tiktok.com/@anna.example/video/{ID}"},
        {"id": ID, "creator": "anna.example"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tool", "said", "expected"), ROWS.values(), ids=ROWS.keys())
def test_every_tool_has_its_table(tool: str, said: dict[str, Any], expected: dict[str, Any]) -> None:
    post = read_post(said, is_table=True)
    assert post.tool == tool
    assert {name: value for name in FIELDS if (value := getattr(post, name)) is not None} == expected


@pytest.mark.parametrize(
    ("said", "field", "problem"),
    [
        pytest.param(
            {"id": "1", "creator": {"uniqueId": "a"}}, "creator", "expected a name, got an object", id="creator"
        ),
        pytest.param(
            {"id": "1", "username": "{'id': 1}"}, "creator", "expected a name, got \"{'id': 1}\"", id="as text"
        ),
        pytest.param({"id": ["1"]}, "id", "expected an id, got a list", id="id"),
        pytest.param({"id": 7.3e18}, "id", "was rounded", id="a float"),
        pytest.param({"id": "7301444403200000000"}, "id", "was rounded by a spreadsheet", id="only zeros at the end"),
        pytest.param({"id": "1", "date": "yesterday"}, "created", "expected a date, got 'yesterday'", id="date"),
        pytest.param({"id": "1", "view_count": "many"}, "views", "expected a number, got 'many'", id="count"),
        pytest.param({"id": "1", "hashtags": {"a": 1}}, "hashtags", "expected a list, got an object", id="hashtags"),
        pytest.param({"id": "1", "region_code": "America"}, "region", "expected a country of two letters", id="region"),
        pytest.param({"id": "1", "url": "https://vm.tiktok.com/ZM8/"}, "creator", None, id="a short link says nothing"),
        pytest.param({"id": "1", "is_comment_on_comment": "no"}, "id", "a comment, no video", id="comment in 4CAT"),
        pytest.param({"id": "1", "cid": "2", "text": "nice"}, "id", "a comment, no video", id="comment"),
    ],
)
def test_what_does_not_fit_is_told_and_never_becomes_text(
    said: dict[str, Any], field: str, problem: str | None
) -> None:
    post = read_post(said, is_table=True)
    assert getattr(post, field) is None
    assert problem is None or problem in "; ".join(post.problems.values())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,200", 1200),
        ("1.200", 1200),
        ("4.500.000", 4_500_000),
        ("1e+05", 100_000),
        ("4,5e+06", 4_500_000),
        ("1.2K", 1200),
        ("1200.0", 1200),
        ("1e999", None),
    ],
)
def test_counts_as_people_and_r_write_them(text: str, number: int | None) -> None:
    assert read_post({"id": "1", "view_count": text}, True).views == number


def test_what_a_table_does_not_know_stays_as_it_came() -> None:
    post = read_post({"id": "1", "author": "ann", "author_verified": "False", "mood": {"x": 1}, "nothing": None})
    assert post.rest == {"author_verified": "False", "mood": {"x": 1}} and post.unknown == ("author_verified", "mood")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("so fun #Boxing #fyp day 0", ("boxing", "fyp")),
        ("#a#b, #c! see https://x.org/#part &#39;", ("a", "b", "c")),
        ("#cafe\u0301 and #CAFÉ", ("café",)),
        ("＃拳击 #кик… #नृत्य", ("拳击", "кик", "नृत्य")),
        ("cut \ud83d #boxing", ("boxing",)),
        ("none # here", ()),
    ],
)
def test_hashtags_of_a_caption(caption: str, expected: tuple[str, ...]) -> None:
    assert read_post({"id": "1", "caption": caption}).caption_hashtags == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("salsa", ("salsa",)),
        ("playing piano", ("playing piano",)),
        ("#salsa #tango", ("salsa", "tango")),
        ("#salsa,#tango", ("salsa", "tango")),
        ("salsa; tango|waltz", ("salsa", "tango", "waltz")),
        (["#a", " b ", ""], ("a", "b")),
        ("  #  ", ()),
    ],
)
def test_labels_keep_their_blanks_and_capitals(value: object, expected: tuple[str, ...]) -> None:
    assert read_post({"id": "1", "label": value}).labels == expected


def test_a_post_of_nothing() -> None:
    assert read_post({}) == Post("a list")
