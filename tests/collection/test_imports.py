"""What comes into a collection from files of other tools and from folders of downloads, and what is said of the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tiktokactions.collection.session import collect_export, collect_import
from tiktokactions.collection.store import Collection, CollectionError

IDS = ("7301444403200000001", "7301448698167296002")
ITEM = {
    "id": IDS[0], "desc": "so fun @bob #Boxing", "createTime": 1_700_000_000,
    "author": {"uniqueId": "ann", "nickname": "Ann"},
    "stats": {"playCount": 100, "diggCount": 5}, "music": {"id": "71", "title": "t"}, "nickname": "Ann", "isAd": False,
}  # fmt: skip
AS_API = {
    "id": IDS[0], "username": "ann", "create_time": 1_700_000_000, "video_description": "so fun @bob #Boxing",
    "music_id": "71", "music_title": "t", "view_count": 100, "like_count": 5,
}  # fmt: skip


def stored(folder: Path) -> dict[str, tuple[list[str], str | None, dict[str, Any]]]:
    with Collection(folder) as collection:
        return {video_id: (labels, creator, raw) for video_id, labels, creator, raw in collection.videos()}


def test_a_row_of_another_tool_is_kept_under_the_names_of_the_api(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_text(json.dumps([ITEM]))
    found = collect_import(tmp_path / "x.dat", tmp_path / "c")
    assert stored(tmp_path / "c") == {IDS[0]: (["boxing"], "ann", AS_API | {"nickname": "Ann", "isAd": False})}
    assert found.tools == {"TikTok's own JSON (TikTokApi, Zeeschuimer)": 1}
    assert found.columns["author.uniqueId"] == "creator" and found.columns["stats.playCount"] == "views"
    assert found.not_understood == {"nickname": 1, "isAd": 1} and found.unknown == ("region",)


@pytest.mark.parametrize("at_once", [True, False], ids=["import", "export"])
def test_where_creators_are_hashed_nothing_else_may_name_them(tmp_path: Path, at_once: bool) -> None:
    (tmp_path / "x.json").write_text(json.dumps([ITEM | {"author_name": "Ann", "url": "https://www.tiktok.com/@ann"}]))
    collect_import(tmp_path / "x.json", tmp_path / "c", hash_creators=at_once)
    [(_, creator, raw)] = stored(tmp_path / "c").values()
    if not at_once:
        collect_export(tmp_path / "c", tmp_path / "out.jsonl")
        raw = json.loads((tmp_path / "out.jsonl").read_text())
        creator = raw["username"]
    assert creator is not None and creator.startswith("creator-") and raw["username"] == creator
    assert not {"ann", "Ann", "bob"} & set(json.dumps(raw).replace('"', " ").replace("@", " ").split())


def test_a_later_file_adds_and_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([ITEM]))
    (tmp_path / "links.txt").write_text(f"https://www.tiktok.com/@ann/video/{IDS[0]}\n")
    (tmp_path / "counts.csv").write_text(f"id;views\n{IDS[0]};200\n")
    for name, new in (("x.json", 1), ("links.txt", 0), ("counts.csv", 0)):
        assert collect_import(tmp_path / name, tmp_path / "c").new == new
    [(labels, _, raw)] = stored(tmp_path / "c").values()
    assert labels == ["boxing"] and raw.items() >= (AS_API | {"view_count": 200}).items()


@pytest.mark.parametrize(
    ("rows", "rejected"),
    [
        pytest.param(["7.30144E+18,m", "7301444403200000000,m"], 2, id="a spreadsheet"),
        pytest.param(
            ["7301444403200000000,m", *(f"{int(IDS[0]) + 7 * n},m" for n in range(1, 2500))], 0, id="by chance"
        ),
        pytest.param([f"{int(float(i))},m" for i in IDS], 2, id="pandas"),
        pytest.param(["12.5,m", "a b,m", ",m"], 3, id="no ids"),
    ],
)
def test_ids_that_a_spreadsheet_rounded_are_refused(tmp_path: Path, rows: list[str], rejected: int) -> None:
    (tmp_path / "v.csv").write_text("\n".join(["id,username", *rows]))
    found = collect_import(tmp_path / "v.csv", tmp_path / "c")
    assert (found.rows, found.new, len(found.rejected)) == (len(rows), len(rows) - rejected, rejected)
    assert all("row " in told for told in found.rejected)


def as_jq(number: int) -> str:
    return f"{float(number):.17g}".replace("e+18", "").replace(".", "").ljust(19, "0")


TRUE = [7_301_444_403_200_000_001 + 7_919_191_919 * n for n in range(30)]


@pytest.mark.parametrize(
    ("ids", "rejected"),
    [
        pytest.param(list(map(as_jq, TRUE)), 30, id="jq"),
        pytest.param([str(int(float(n))) for n in TRUE], 30, id="floats"),
        pytest.param(["7301444403200000000"], 1, id="one"),
        pytest.param([*map(str, TRUE[:3]), "7301444403200000000"], 1, id="one of few"),
        pytest.param([*map(str, TRUE), "7301444403200000000"], 0, id="one of many is chance"),
        pytest.param(list(map(str, TRUE)), 0, id="whole"),
        pytest.param([f'"{as_jq(n)}"' for n in TRUE], 0, id="text is believed"),
    ],
)
def test_ids_that_json_rounded_are_refused(tmp_path: Path, ids: list[str], rejected: int) -> None:
    (tmp_path / "v.jsonl").write_text("".join(f'{{"id": {i}, "username": "ann"}}\n' for i in ids))
    found = collect_import(tmp_path / "v.jsonl", tmp_path / "c")
    assert (found.rows, len(found.rejected)) == (len(ids), rejected)
    assert found.new == len(set(ids)) * (rejected < len(ids)) - rejected * (rejected < len(ids))
    assert all("row " in told and "was rounded, by jq" in told for told in found.rejected)


def test_decomposed_accents_are_one_hashtag(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(f"id,hashtags\n{IDS[0]},cafe\u0301\n{IDS[1]},Café\n", encoding="utf-8")
    collect_import(tmp_path / "v.csv", tmp_path / "c")
    assert [labels for labels, *_ in stored(tmp_path / "c").values()] == [["café"], ["café"]]


def test_a_folder_of_downloads(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "tiktok" / "ann"
    folder.mkdir(parents=True)
    for name in (f"{IDS[0]} so fun.mp4", f"{IDS[0]} so fun [cover].jpg", "holiday.mp4", f"@bob_video_{IDS[1]}.mp4"):
        (folder / name).write_bytes(b"x")
    (folder / f"{IDS[0]} so fun.mp4.json").write_text(json.dumps(ITEM | {"category": "tiktok", "subcategory": "user"}))
    (tmp_path / "in" / "only.info.json").write_text(json.dumps({"id": "73", "uploader": "eve", "extractor": "TikTok"}))
    (tmp_path / "in" / "video_data.csv").write_text(f"video_id,video_playcount,author_username\n{IDS[1]},9,bob\n")
    found = collect_import(tmp_path / "in", tmp_path / "c")
    assert found.tools == {"yt-dlp": 1, "pyktok": 1, "gallery-dl": 1, "files named by their ids": 2}
    assert (found.rows, found.new) == (5, 3) and "holiday.mp4: no id" in found.rejected[0]
    rows = stored(tmp_path / "c")
    assert {i: creator for i, (_, creator, _) in rows.items()} == {IDS[0]: "ann", IDS[1]: "bob", "73": "eve"}
    assert rows[IDS[1]][2]["view_count"] == 9


@pytest.mark.parametrize("is_zip", [True, False], ids=["archive", "folder"])
def test_download_your_data_as_it_comes(tmp_path: Path, is_zip: bool) -> None:
    watched = "".join(f"Date: 2023-11-14 22:13:20 UTC\nLink: https://www.tiktokv.com/share/video/{i}/\n\n" for i in IDS)
    said = (
        f"Chat History with bob:\n2023-11-14 22:13:20 UTC\nbob: https://www.tiktok.com/@eve/video/{int(IDS[0]) + 1}\n"
    )
    files = {"Your Activity/Watch History.txt": watched, "Direct Messages/Direct Messages.txt": said, "x.json": "{}"}
    for name, text in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(text)
    given = Path(shutil.make_archive(str(tmp_path / "data"), "zip", tmp_path / "in")) if is_zip else tmp_path / "in"
    found = collect_import(given, tmp_path / "c")
    assert (found.rows, found.new, len(found.rejected)) == (2, 2, 0) and list(stored(tmp_path / "c")) == list(IDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no column that any known tool writes"), ("a,b\n1,2\n", "got a, b"), ("id\n", "got no row")],
)
def test_files_that_say_nothing(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(CollectionError, match=message):
        collect_import(tmp_path / "v.csv", tmp_path / "c")
