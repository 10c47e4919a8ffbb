"""Ids and accounts in the names of files and in addresses; what accompanies a video."""

from __future__ import annotations

import pytest

from tiktokactions.metadata.names import (
    account_in_address,
    account_in_name,
    companions,
    id_in_address,
    id_in_name,
    without_companions,
)

ID, OTHER = "7301444403200000001", "7301448698167296002"


@pytest.mark.parametrize(
    ("name", "video_id", "account"),
    [
        (f"{ID}.mp4", ID, None),
        (f"Leg day #squats [{ID}].mp4", ID, None),
        (f"Leg day-{ID}.webm", ID, None),
        (f"tiktok/anna.example/{ID} leg day #squats.mp4", ID, "anna.example"),
        (f"tiktok/anna.example/{ID}_01 leg day [abc].jpg", ID, "anna.example"),
        (f"@anna.example_video_{ID}.mp4", ID, "anna.example"),
        (f"anna_example_video_{ID}.mp4", ID, "anna_example"),
        (f"squat/{ID}.mp4", ID, None),
        ("How to squat [jNQXAC9IVRw].mp4", "jNQXAC9IVRw", None),
        ("How to squat [Official-HD].mp4", None, None),
        ("How to squat [1080p-final].mp4", None, None),
        (f"{ID}_{OTHER}.mp4", None, None),
        ("1234567890123456789.mp4", None, None),  # no time at which TikTok existed
        ("9301444403200000001.mp4", None, None),
        ("20231114221320123.mp4", None, None),
        ("clip 12.mp4", None, None),
    ],
)
def test_the_name_of_a_file(name: str, video_id: str | None, account: str | None) -> None:
    assert (id_in_name(f"/data/{name}"), account_in_name(f"/data/{name}")) == (video_id, account)


@pytest.mark.parametrize(
    ("address", "video_id", "account"),
    [
        (f"https://www.tiktok.com/@anna.example/video/{ID}?lang=en", ID, "anna.example"),
        (f"https://www.tiktok.com/@anna.example/photo/{ID}", ID, "anna.example"),
        (f"https://www.tiktokv.com/share/video/{ID}/", ID, None),
        (f"https://www.tiktokv.com/share/item/{ID}/", ID, None),
        (f"https://m.tiktok.com/v/{ID}.html", ID, None),
        (f"https://www.tiktok.com/embed/v2/{ID}", ID, None),
        (f"https://www.tiktok.com/share?share_item_id={ID}", ID, None),
        (f"https://www.tiktok.com/@_/video/{ID}", ID, None),
        ("https://www.tiktok.com/@anna.example", None, "anna.example"),
        ("https://vm.tiktok.com/ZMexample/", None, None),
        ("https://youtu.be/jNQXAC9IVRw?t=1", "jNQXAC9IVRw", None),
        ("https://www.youtube.com/watch?app=x&v=jNQXAC9IVRw", "jNQXAC9IVRw", None),
    ],
)
def test_an_address(address: str, video_id: str | None, account: str | None) -> None:
    assert (id_in_address(address), account_in_address(address)) == (video_id, account)


@pytest.mark.parametrize(
    ("names", "videos"),
    [
        pytest.param([], [], id="empty"),
        pytest.param(
            ["a.mp4", "a.jpg", "a.description", "a.en.vtt", "a.info.json", "a.live_chat.json", "a.mp4.json", "a.m4a"],
            ["a.mp4"],
            id="yt-dlp",
        ),
        pytest.param(
            ["a.mp4", "b.jpg", "b.json", "c.json"], ["a.mp4", "b.jpg", "c.json"], id="pictures without a video"
        ),
        pytest.param(
            [f"{ID} leg day.mp4", f"{ID} leg day [cover].jpg", f"{ID} leg day.mp4.json"],
            [f"{ID} leg day.mp4"],
            id="cover",
        ),
        pytest.param([f"{ID}_01 x.jpg", f"{ID}_02 x.jpg", f"{ID} x [66].mp3"], [f"{ID} x [66].mp3"], id="a photo post"),
        pytest.param(["a.mp4", "a.mov", "a.gif"], ["a.mp4", "a.mov", "a.gif"], id="videos of one stem"),
        pytest.param(["a b.mp4", "a.jpg"], ["a b.mp4", "a.jpg"], id="another stem"),
        pytest.param(["a.mp4", "a.mp4.part", "a.mp4.ytdl", "a.mp4.aria2"], ["a.mp4"], id="unfinished"),
        pytest.param(
            [f"{ID}.{end}" for end in ("heif", "jfif", "mp4", "sbv", "en.dfxp", "weba", "yaml")],
            [f"{ID}.mp4"],
            id="other pictures, subtitles and sound",
        ),
    ],
)
def test_companions_are_no_videos(names: list[str], videos: list[str]) -> None:
    assert without_companions(names) == videos
    assert set(companions(videos, names)) == set(names) - set(videos)


def test_what_gallery_dl_says_of_a_folder_is_no_video() -> None:
    assert without_companions(["a.mp4", "info.json"]) == ["a.mp4"]
    assert without_companions(["info.json"]) == ["info.json"]


def test_companions_of_one_video_among_others() -> None:
    names = [f"{stem}.{end}" for stem in ("a", "ab", ID) for end in ("mp4", "jpg", "info.json")]
    assert companions(["a.mp4"], names) == ["a.jpg", "a.info.json"]
    assert companions([f"Title [{ID}].webm"], names) == [f"{ID}.jpg", f"{ID}.info.json"]
