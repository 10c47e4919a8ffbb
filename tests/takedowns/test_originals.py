"""A copied dataset is a dataset of its own; a moved one, or one seen under another name, is the same."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions.collection.store import Collection
from tiktokactions.files import all_records

IDS = [str(7_300_000_000_000_000_001 + number) for number in range(3)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data``, curated from a collection; its export and its subset."""
    root = tmp_path_factory.mktemp("original")
    for number, video_id in enumerate(IDS):
        write_video(root / f"col/media/{video_id}.mp4", numbered_frames(40, 64, 96, first=500 * number), fps=10)
        (root / f"col/media/{video_id}.info.json").write_text(json.dumps({"id": video_id}))
    (root / "rows.csv").write_text("\n".join(["id,hashtag_names", *(f"{i},dance" for i in IDS)]))
    api.collect_import(root / "rows.csv", root / "col")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "world"
    shutil.copytree(made, root)
    api.curate(root / "col/media", root / "data", detector="none", min_person_frames=0, workers=1)
    api.dataset_export(root / "data", root / "clips", format="ids")
    api.dataset_subset(root / "data", root / "subset", size=3)
    return root


def contents(*folders: Path) -> dict[str, bytes]:
    return {
        str(p): p.read_bytes() for f in folders for p in f.rglob("*") if p.is_file() and not p.name.endswith("lock")
    }


def id_of(data: Path) -> str:
    return str(json.loads((data / "dataset.json").read_text())["id"])


def exported(folder: Path) -> int:
    return len(list(csv.DictReader((folder / "ids.csv").read_text().splitlines())))


def test_a_take_down_in_a_copy_stays_in_the_copy(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original, copy = root / "data", root / "copy"
    shutil.copytree(original, copy)
    with pytest.raises(api.UsageError, match="holds an export of another dataset"):
        api.dataset_export(copy, root / "clips", format="ids")
    api.dataset_export(copy, root / "own", format="ids")
    before = contents(*(root / name for name in ("data", "clips", "subset"))) | contents(root / "col")
    capsys.readouterr()
    found = api.refresh(copy, remove=IDS[:1])
    assert f"{copy}: a copy of {original}, and a dataset of its own from now on" in capsys.readouterr().err
    assert [Path(one.folder) for one in found.removed] == [copy]
    after = contents(*(root / name for name in ("data", "clips", "subset"))) | contents(root / "col")
    media = {name for name in before if IDS[0] in name and "/media/" in name}
    assert after == {name: data for name, data in before.items() if name not in media}, "the source itself has to go"
    assert (exported(root / "own"), exported(root / "clips")) == (2, 3)
    assert id_of(copy) != id_of(original) and api.dataset_verify(copy).problems == ()
    api.refresh(copy, remove=IDS[1:2])
    assert (exported(root / "own"), capsys.readouterr().err) == (1, "")
    api.refresh(original, remove=IDS[1:2])
    assert (exported(root / "clips"), exported(root / "own")) == (2, 1)
    assert {record.video_id for record in all_records(root / "data")} == {IDS[0], IDS[2]}


def test_a_moved_dataset_keeps_what_it_has_made(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved, before = root / "moved", id_of(root / "data")
    (root / "data").rename(moved)
    api.refresh(moved, remove=IDS[:1])
    assert "copy" not in capsys.readouterr().err
    assert (exported(root / "clips"), id_of(moved)) == (2, before)
    shutil.copytree(moved, root / "data")  # a copy of it at the place where it lay before
    api.refresh(root / "data", remove=IDS[1:2])
    assert (exported(root / "clips"), id_of(moved)) == (2, before) and id_of(root / "data") != before


def test_the_same_dataset_under_another_name_is_no_copy(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "link").symlink_to(root / "data")
    before = id_of(root / "data")
    api.refresh(root / "link", remove=IDS[:1])
    assert "copy" not in capsys.readouterr().err
    assert (exported(root / "clips"), id_of(root / "data")) == (2, before)


def test_a_copy_that_was_curated_from_the_collection_itself_stays_linked(root: Path) -> None:
    copy = root / "copy"
    shutil.copytree(root / "data", copy)
    write_video(root / "col/media/7300000000000000009.mp4", numbered_frames(40, 64, 96, first=9000), fps=10)
    api.curate(root / "col/media", copy, workers=1)
    with Collection(root / "col") as collection:
        assert collection.setting("datasets") == [str(root / "data"), str(copy)]
    assert json.loads((copy / "collections.json").read_text()) == [str(root / "col")]
    found = api.refresh(copy, remove=IDS[:1])
    assert found.attention == () and [Path(one.folder).name for one in found.removed] == ["copy", "col", "data"]
    assert (exported(root / "clips"), len(list(all_records(root / "data")))) == (2, 2), "through the collection"
