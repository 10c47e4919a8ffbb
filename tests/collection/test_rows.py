"""One row of an answer, whatever is in its text."""

from __future__ import annotations

import json

import pytest

from tiktokactions.collection.rows import read_row


@pytest.mark.parametrize(
    ("caption", "hashtags"),
    [
        ("cut emoji \ud83d #Boxing", ("boxing",)),
        ("#bo\x00xing", ("boxing",)),
        ("#cafe\u0301 #CAFÉ", ("café",)),
        ("", ()),
    ],
    ids=["half an emoji", "a NUL", "decomposed accents", "empty"],
)
def test_any_text_can_be_stored(caption: str, hashtags: tuple[str, ...]) -> None:
    """One lone surrogate used to end a collection for ever."""
    row = read_row({"id": 7301444403200000001, "video_description": caption, "username": "ann\udc80"})
    assert row is not None and (row.video_id, row.hashtags, row.creator) == ("7301444403200000001", hashtags, "ann?")
    assert json.loads(row.raw.encode())["id"] == 7301444403200000001


def test_hashtags_of_the_api_are_composed_too() -> None:
    row = read_row({"id": "1", "hashtag_names": ["Cafe\u0301", "café", "\ud800"]})
    assert row is not None and row.hashtags == ("café", "?")
