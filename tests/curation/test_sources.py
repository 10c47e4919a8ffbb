"""What counts as a video that was asked for, and where its labels come from."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tiktokactions.curation.listed import InputError, ListedVideo, MissingError, printable_path
from tiktokactions.curation.sources import Listing, list_videos
from tiktokactions.files.objects import ObjectPath


def put(folder: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def listed(*inputs: object, **how: Any) -> dict[str, ListedVideo]:
    videos = list(list_videos([str(i) for i in inputs], Listing(**how)))
    assert len({v.path for v in videos}) == len(videos)
    return {os.path.basename(v.path): v for v in videos}


def labels(*inputs: object, **how: Any) -> dict[str, tuple[str, ...]]:
    return {name: video.labels for name, video in listed(*inputs, **how).items()}


def test_what_commands_made_among_the_videos_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "a.mp4", "theirs/dataset.json", "theirs/b.mp4", "theirs/export.json")  # other tools' names
    put(tmp_path, "data/dataset.json", "data/records/aa/x.json", "data/clips/dance/x.mp4", "data/thumbs/aa/x.jpg")
    put(tmp_path, "rel/release.json", "rel/SHA256SUMS", "rel/data/train/x.mp4")
    put(tmp_path, "ex/export.json", "ex/SHA256SUMS", "ex/train-0.tar")
    assert list(listed(tmp_path)) == ["a.mp4", "b.mp4", "dataset.json", "export.json"]
    assert capsys.readouterr().err.count("is a dataset, an export or a release, not raw videos: skipped") == 3
    with pytest.raises(InputError, match=r"data: is a dataset, which knows its videos. 'dataset merge' .*data/clips"):
        listed(tmp_path / "data")
    assert labels(tmp_path / "data" / "clips") == {"x.mp4": ("dance",)}


def test_a_folder_gives_every_regular_file_labelled_by_its_folder(tmp_path: Path) -> None:
    put(tmp_path, "top.mp4", "dance/a.mp4", "dance/salsa/b.mov", "notes.txt", "dance/.hidden")
    assert labels(tmp_path) == {
        "top.mp4": (),
        "notes.txt": (),
        ".hidden": ("dance",),
        "a.mp4": ("dance",),
        "b.mov": ("salsa",),
    }


def test_links_are_followed_but_nothing_twice(tmp_path: Path) -> None:
    put(tmp_path, "in/a.mp4", "elsewhere/b.mp4")
    os.symlink(tmp_path / "in", tmp_path / "in" / "loop")
    os.symlink(tmp_path / "elsewhere", tmp_path / "in" / "linked")
    os.symlink(tmp_path / "in" / "a.mp4", tmp_path / "in" / "z-again.mp4")
    os.symlink(tmp_path / "nowhere", tmp_path / "in" / "dangling.mp4")
    assert set(listed(tmp_path / "in")) == {"a.mp4", "b.mp4"}
    assert set(listed(tmp_path / "in", tmp_path / "in" / "a.mp4", f"{tmp_path}/in/*.mp4")) == {"a.mp4", "b.mp4"}


def test_the_dataset_inside_the_videos_folder_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "out/clips/x/a.mp4")
    assert set(listed(tmp_path, leave_out=tmp_path / "out")) == {"a.mp4"}


def test_names_that_trip_shells_and_options(tmp_path: Path) -> None:
    names = ["-rf.mp4", "two words.mp4", "quo'te\".mp4", "line\nbreak.mp4", "x" * 246 + ".mp4", "привет.mp4", "a:b.mp4"]
    put(tmp_path, *names)
    assert set(listed(tmp_path)) == set(names)


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.mp4")
    with open(path, "wb") as file:
        file.write(b"x")
    (video,) = list_videos([str(tmp_path)])
    assert os.path.exists(video.path)
    assert printable_path(video.path).endswith("caf\\xe9.mp4")


@pytest.mark.parametrize(
    ("sidecar", "said", "expected"),
    [
        ("a.json", {"label": "#tango"}, ("tango",)),
        ("a.json", {"hashtags": ["#tango", "dance", "tango"]}, ("tango", "dance")),
        ("a.info.json", {"id": "77", "tags": ["salsa", "fyp"], "uploader": "ana"}, ("salsa", "fyp")),
        ("a.mp4.json", {"hashtag_names": ["waltz"]}, ("waltz",)),
        ("a.json", {"title": "no tags here"}, ("folder",)),
        ("a.json", ["not", "an", "object"], ("folder",)),
    ],
)
def test_labels_come_from_the_sidecar_else_from_the_folder(
    sidecar: str, said: object, expected: tuple[str, ...], tmp_path: Path
) -> None:
    put(tmp_path, "folder/a.mp4")
    (tmp_path / "folder" / sidecar).write_text(json.dumps(said))
    assert labels(tmp_path) == {"a.mp4": expected}


TIKTOK = {"id": "73", "extractor_key": "TikTok", "uploader": "ann", "description": "my #Squats #legday"}
YOUTUBE = {"id": "x", "extractor_key": "Youtube", "uploader": "Fit", "tags": ["fitness", "how to"]}
GALLERY = {
    **{"id": "73", "category": "tiktok", "subcategory": "user", "desc": "no tags", "author": {"uniqueId": "ann"}},
    **{"challenges": [{"title": "squats"}], "music": {"id": "6"}, "createTime": "1700000000"},
}


@pytest.mark.parametrize(
    ("said", "folder", "order", "expected"),
    [
        pytest.param(TIKTOK, "", None, ("squats", "legday"), id="caption where nothing else names any"),
        pytest.param(TIKTOK, "lunge", None, ("lunge",), id="the class folder before the caption"),
        pytest.param(TIKTOK, "lunge", "caption,folder", ("squats", "legday"), id="or after it"),
        pytest.param(TIKTOK, "lunge", "list", (), id="or neither"),
        pytest.param(TIKTOK, "Ann", None, ("squats", "legday"), id="a creator's folder is no class"),
        pytest.param(GALLERY, "ann", None, ("squats",), id="gallery-dl"),
        pytest.param(GALLERY, "lunge", None, ("lunge",), id="gallery-dl in a class folder"),
        pytest.param(GALLERY, "lunge", "sidecar,folder", ("squats",), id="gallery-dl by wish"),
        pytest.param(YOUTUBE, "squat", None, ("squat",), id="keywords never override the class folder"),
        pytest.param(YOUTUBE, "squat", "sidecar,folder", ("squat",), id="whatever the order"),
        pytest.param(YOUTUBE, "", None, ("fitness", "how to"), id="keywords last of all"),
        pytest.param({"label": "tango"}, "lunge", None, ("tango",), id="a label that somebody wrote"),
        pytest.param({"label": "tango"}, "lunge", "folder,sidecar", ("lunge",), id="and by wish not"),
    ],
)
def test_where_labels_come_from(
    said: dict[str, Any], folder: str, order: str | None, expected: tuple[str, ...], tmp_path: Path
) -> None:
    put(tmp_path, f"{folder or '.'}/a.mp4")
    (tmp_path / folder / "a.info.json").write_text(json.dumps(said))
    how = {} if order is None else {"labels_from": order.split(",")}
    assert labels(tmp_path, **how) == {"a.mp4": expected}


def test_an_object_is_never_a_creator(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.mp4.json").write_text(json.dumps(GALLERY))
    (tmp_path / "b.json").write_text(json.dumps({"creator": {"name": "ann"}, "id": 7.3e18}))
    about = {name: video.about for name, video in listed(tmp_path).items()}
    a, b = about["a.mp4"], about["b.mp4"]
    assert (a.id, a.creator, a.uploaded, a.sound, a.category) == ("73", "ann", "2023-11-14T22:13:20Z", "6", None)
    assert (b.id, b.creator) == (None, None)
    assert b.metadata["sidecar_error"].startswith("id: the id 7.3e+18 was rounded")
    assert b.metadata["sidecar_error"].endswith("creator: expected a name, got an object")


def test_names_of_files_have_ids_and_companions_are_no_videos(tmp_path: Path) -> None:
    put(
        tmp_path,
        *(f"{name}.{end}" for name in ("7300000000000000001",) for end in ("mp4", "jpg", "description", "en.vtt")),
    )
    put(tmp_path, "Leg day [7300000000000000002].webm", "@ann_video_7300000000000000003.mp4", "plain.mp4")
    found = {name: (video.about.id, video.about.creator) for name, video in listed(tmp_path).items()}
    assert found == {
        "7300000000000000001.mp4": ("7300000000000000001", None),
        "Leg day [7300000000000000002].webm": ("7300000000000000002", None),
        "@ann_video_7300000000000000003.mp4": ("7300000000000000003", "ann"),
        "plain.mp4": (None, None),
    }


def test_a_sidecar_fills_the_source_fields_and_keeps_the_rest(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4", "orphan.json")
    said = {
        "id": 7231,
        "uploader": "ana",
        "upload_date": "20240103",
        "title": "T",
        "view_count": 5,
        "music_id": 9,
        "x": None,
    }
    (tmp_path / "a.info.json").write_text(json.dumps(said))
    (tmp_path / "b.json").write_text("{broken")
    videos = listed(tmp_path)
    about = videos["a.mp4"].about
    assert (about.id, about.creator, about.uploaded, about.title, about.sound) == ("7231", "ana", "20240103", "T", "9")
    assert about.metadata == {"view_count": 5}
    assert "b.json" in videos["b.mp4"].about.metadata["sidecar_error"]
    assert set(videos) == {"a.mp4", "b.mp4", "orphan.json"}, "a JSON file beside no video is a file like any other"


def test_companions_that_were_named_themselves_are_no_videos(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "a.jpg", "a.info.json", "b.jpg")
    every = sorted(tmp_path.iterdir())
    (tmp_path / "list.txt").write_text("\n".join(path.name for path in every))
    for inputs in (every, [f"{tmp_path}/*.[jm]*"], [tmp_path / "list.txt"]):
        assert set(listed(*inputs)) == {"a.mp4", "b.jpg"}


def test_lone_surrogates_and_infinities_in_a_sidecar_are_made_harmless(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    (tmp_path / "a.json").write_text(
        '{"title": "\\ud83d", "score": Infinity, "big": 99999999999999999999, "tags": ["\\ud800x"]}'
    )
    video = listed(tmp_path)["a.mp4"]
    assert video.about.title == "?"
    assert video.labels == ("?x",)
    assert video.about.metadata == {"big": "99999999999999999999"}


def test_a_csv_list_names_paths_labels_and_anything_else(tmp_path: Path) -> None:
    put(tmp_path, "v/a.mp4", "v/b.mp4", "v/c.mp4")
    (tmp_path / "v" / "b.json").write_text(json.dumps({"tags": ["sidecar"], "uploader": "bob"}))
    (tmp_path / "list.csv").write_text(
        "path,label,category,creator,mood\n"
        "v/a.mp4,#salsa #tango,dance,ana,happy\n"
        "v/a.mp4,waltz,,,\n"
        "v/b.mp4,,sports,,\n"
        f'"{tmp_path}/v/c.mp4",playing piano,,,\n'
        "missing.mp4,gone,,,\n"
    )
    with pytest.raises(MissingError, match=r"1 of 4 videos are not there: .*/missing\.mp4\. Correct") as caught:
        listed(tmp_path / "list.csv")
    assert caught.value.exit_code == 1
    videos = listed(tmp_path / "list.csv", skip_missing=True)
    assert {name: v.labels for name, v in videos.items()} == {
        "a.mp4": ("salsa", "tango", "waltz"),
        "b.mp4": ("sidecar",),
        "c.mp4": ("playing piano",),
    }
    assert (videos["b.mp4"].about.category, videos["b.mp4"].about.creator) == ("sports", "bob")
    assert (videos["a.mp4"].about.creator, videos["a.mp4"].about.metadata) == ("ana", {"mood": "happy"})


@pytest.mark.parametrize("between", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_lists_with_any_separator_and_cells_of_any_length(between: str, tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    rows = [["path", "label", "comments"], ["a.mp4", "squat", "x" * 200_000]]
    (tmp_path / "list.csv").write_text("\n".join(between.join(row) for row in rows))
    assert labels(tmp_path / "list.csv") == {"a.mp4": ("squat",)}


@pytest.mark.parametrize("missing", ["b.mp4", "https://example.org/v/1.mp4"], ids=["path", "page of the web"])
def test_what_a_list_names_but_is_not_there(missing: str, tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    (tmp_path / "list.txt").write_text(f"a.mp4\n{missing}\n")
    with pytest.raises(MissingError, match=f"1 of 2 videos are not there: .*{missing}"):
        listed(tmp_path / "list.txt")
    listing = Listing(skip_missing=True)
    assert [os.path.basename(video.path) for video in list_videos([str(tmp_path / "list.txt")], listing)] == ["a.mp4"]
    assert len(listing.missing) == 1


def test_an_address_that_is_not_there(bucket: str, tmp_path: Path) -> None:
    ObjectPath(f"{bucket}/in/a.mp4").write_bytes(b"video")
    (tmp_path / "list.txt").write_text(f"{bucket}/in/a.mp4\n{bucket}/in/b.mp4\n")
    with pytest.raises(MissingError, match=f"1 of 2 videos are not there: {bucket}/in/b.mp4"):
        listed(tmp_path / "list.txt")
    [video] = listed(tmp_path / "list.txt", skip_missing=True).values()
    assert video.fingerprint is not None, "the store is not asked a second time"


def test_a_csv_column_of_our_own_is_kept(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    (tmp_path / "list.csv").write_text("path,mood\na.mp4,happy\n")
    assert listed(tmp_path / "list.csv")["a.mp4"].about.metadata == {"mood": "happy"}


def test_a_text_list_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "sub/a b.mp4", "c.mp4", "d.mp4")
    text = "sub/a b.mp4\nc.mp4 salsa\n\nd.mp4\ttwo words\n"
    (tmp_path / "list.txt").write_text(text)
    expected = {"a b.mp4": ("sub",), "c.mp4": ("salsa",), "d.mp4": ("two words",)}
    assert labels(tmp_path / "list.txt") == expected
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert labels("-") == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("nowhere.mp4", "no such file or folder"),
        ("*.mp4", "no file matches it"),
        ("empty.txt", "an empty list"),
        ("bad.csv", "expected a header with a 'path' column, got 'a,b'"),
        ("latin.txt", "expected a UTF-8 list"),
    ],
)
def test_inputs_that_make_no_sense(entry: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "empty.txt", content=b"\n")
    put(tmp_path, "bad.csv", content=b"a,b\n1,2\n")
    put(tmp_path, "latin.txt", content=b"caf\xe9.mp4\n")
    with pytest.raises(InputError, match=message):
        list(list_videos([entry]))


@pytest.mark.parametrize("kind", ["bucket", "google_bucket"])
def test_names_with_nothing_between_two_slashes(kind: str, request: pytest.FixtureRequest) -> None:
    """Stores take them as they take any other name; a listing by levels leaves them out."""
    bucket = request.getfixturevalue(kind)
    for name in ("in/a.mp4", "in//b.mp4", "in//b.json", "in//swim/c.mp4", "in//z.mp4", "in/dance//d.mp4", "in///e.mp4"):
        data = b'{"title": "said"}' if name.endswith(".json") else b"video"
        ObjectPath(f"{bucket}/x").with_name(name).write_bytes(data)
    found = {v.path.removeprefix(bucket): (v.labels, v.about.title) for v in list_videos([f"{bucket}/in/"])}
    assert found == {
        "/in/a.mp4": ((), None),
        "/in//b.mp4": ((), "said"),
        "/in//z.mp4": ((), None),
        "/in///e.mp4": ((), None),
        "/in//swim/c.mp4": (("swim",), None),
        "/in/dance//d.mp4": (("dance",), None),
    }
