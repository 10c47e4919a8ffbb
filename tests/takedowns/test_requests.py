"""What a take-down may be asked by: ids, addresses, names of files, and lists of these."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiktokactions.errors import UsageError
from tiktokactions.takedowns.requests import read_ids

ID = "7301444403200000001"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (ID, ID),
        ("our.own-id_1", "our.own-id_1"),
        (f"https://www.tiktok.com/@ann/video/{ID}?lang=en", ID),
        (f"https://www.tiktokv.com/share/video/{ID}/", ID),
        ("http://127.0.0.1:80/@ann/video/12", "12"),
        (f"@ann_video_{ID}.mp4", ID),
        (f"in/tiktok/ann/{ID} leg day.mp4", ID),
    ],
)
def test_a_name(name: str, expected: str) -> None:
    assert read_ids([name, name]) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        f"{ID}\n12\n",
        f"https://www.tiktok.com/@ann/video/{ID}\n12\n",
        f"title;Video ID\nx;{ID}\ny;12\n",
        f"\ufeffurl,seen\nhttps://www.tiktok.com/@ann/video/{ID},yes\nhttp://x.org/video/12,\n",
    ],
    ids=["ids", "an address", "semicolons", "addresses in a column"],
)
def test_a_list(text: str, tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_text(text, encoding="utf-8")
    assert read_ids([str(tmp_path / "gone.txt")]) == [ID, "12"]


def test_the_file_of_a_video_is_its_name(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.mp4").write_bytes(b"\xff\xfe video")
    assert read_ids([str(tmp_path / f"{ID}.mp4")]) == [ID]


@pytest.mark.parametrize("name", ["", "../x", "two words"])
def test_what_is_no_id(name: str) -> None:
    with pytest.raises(UsageError, match="expected an id, the address of a video"):
        read_ids([name])
