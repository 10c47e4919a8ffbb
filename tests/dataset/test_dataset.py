"""The noun: what an opened dataset knows, what it refuses, and what an edit of it leaves on the disk."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.errors import UsageError
from tiktokactions.files import DatasetBusyError, dataset_lock


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noun")
    for i in range(3):
        write_video(folder / "videos" / "dance" / f"{i}.mp4", numbered_frames(120, 160, 160, first=500 * i))
    (folder / "videos" / "junk.mp4").write_bytes(b"junk")
    api.curate(folder / "videos", folder / "dataset", detector="none", min_person_frames=0, workers=1)
    return folder / "dataset"


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "dataset")
    return tmp_path / "dataset"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_it_knows(folder: Path) -> None:
    data = Dataset(folder)
    assert (data.name, data.version, data.settled, data.is_subset) == ("dataset", 1, True, False)
    assert (data.options.detector, data.options.min_person_frames) == ("none", 0)
    assert data.counts == {"accepted": 3, "needs_review": 0, "rejected": 1}
    ids = [record.video_id for record in data]
    assert len(ids) == 4
    assert [i for batch in data.batches(["video_id"]) for i in batch["video_id"].to_pylist()] == ids
    assert data.record(ids[0]).video_id == ids[0]
    assert data.sides == {}
    assert data.parent is data
    assert repr(data) == f"Dataset('{folder}', version 1)"
    assert Dataset(data).folder == folder  # a dataset stands for its folder


def test_a_split_subset_knows_its_sides_and_its_parent(folder: Path, tmp_path: Path) -> None:
    api.dataset_split(folder, test=1 / 3, val=0)
    api.dataset_subset(folder, tmp_path / "two", size=2)
    subset = Dataset(tmp_path / "two")
    assert sorted(Dataset(folder).sides.values()) == ["test", "train", "train"]
    assert (subset.is_subset, subset.parent.folder.resolve(), len(subset.sides)) == (True, folder.resolve(), 2)
    assert subset.counts["accepted"] == len([record.video_id for record in subset]) == 2
    assert repr(subset).endswith(f"subset of '{subset.parent.folder}')")
    with pytest.raises(UsageError, match="is a subset, whose clips and records belong to"):
        Dataset.whole(tmp_path / "two")


def damage(folder: Path) -> None:
    (folder / "dataset.json").write_text("{")


def newer(folder: Path) -> None:
    info = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(info | {"format": 99}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(lambda folder: (folder / "dataset.json").unlink(), "no dataset.json there", id="no dataset"),
        pytest.param(lambda folder: shutil.rmtree(folder), "no dataset.json there", id="no folder"),
        pytest.param(damage, "not a valid dataset.json", id="damaged"),
        pytest.param(newer, "format 99, this program reads up to 2: update", id="newer"),
    ],
)
def test_what_cannot_be_opened_is_refused(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        Dataset(folder)


def test_an_edit_that_changes_nothing_writes_nothing(folder: Path) -> None:
    before = contents(folder)
    with Dataset(folder).editing("split"):
        assert (folder / ".lock-owner").exists()
    assert contents(folder) == before


def test_an_edit_says_so_until_everything_is_written(folder: Path) -> None:
    data = Dataset(folder)
    (folder / "README.md").unlink()
    with data.editing("split") as edit:
        edit.begin()
        assert not Dataset(folder).settled
        with pytest.raises(DatasetBusyError), dataset_lock(folder):
            pass
        next(folder.glob("records/*/*.json")).unlink()
    assert data.settled
    assert sum(data.counts.values()) == 3
    assert (folder / "README.md").is_file()


def cut_an_edit_short(folder: Path, by: str) -> None:
    edit = contextlib.ExitStack()
    edit.enter_context(Dataset(folder).editing(by)).begin()
    error = RuntimeError("cut short")
    assert not edit.__exit__(type(error), error, None)


@pytest.mark.parametrize(
    ("cut_short", "after", "settled"),
    [
        ("split", "split", True),
        ("split", "curate", True),
        ("curate", "split", False),
        ("curate", "curate", True),
        ("curate", "review", True),
        ("takedown", "verify", True),
    ],
)
def test_an_edit_cut_short_leaves_the_dataset_unsettled(
    folder: Path, cut_short: str, after: str, settled: bool
) -> None:
    cut_an_edit_short(folder, cut_short)
    data = Dataset(folder)
    assert (data.settled, data.info.under_way) == (False, cut_short)
    assert repr(data).endswith("unsettled)")
    with data.editing(after) as edit:
        edit.begin()
    assert (data.settled, data.info.under_way) == (settled, "" if settled else cut_short)


def test_reading_an_unsettled_dataset_writes_its_manifest_again(folder: Path) -> None:
    cut_an_edit_short(folder, "verify")
    next(folder.glob("records/*/*.json")).unlink()
    data = Dataset(folder)
    assert sum(data.counts.values()) == 4
    with data.reading():
        assert sum(data.counts.values()) == 3
    assert not data.settled
