"""The noun: what an opened dataset knows, what it refuses, and what an edit of it leaves on the disk."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions.clips.read import read_clips
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.errors import UsageError
from tiktokactions.files import DatasetBusyError, dataset_lock, delete, record_path, write_record


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


def test_of_an_unsettled_dataset_the_last_settled_version_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [first, *_] = Dataset(folder).records()
    before = contents(folder)
    with contextlib.suppress(ZeroDivisionError), Dataset(folder).editing("curate") as edit:
        edit.begin()
        delete(record_path(folder, first.video_id))
        write_manifest(folder, edit.dataset.records(), edit.options)
        raise ZeroDivisionError
    data = Dataset(folder)
    with data.reading():
        assert (sum(data.counts.values()), data.version, data.settled) == (4, 1, False)
        assert data.record(first.video_id) == first and len(list(data)) == 4
    assert "'curate' was interrupted; run it again to finish. This is version 1" in capsys.readouterr().err
    with data.editing("curate") as edit:  # the edit is not of that version
        edit.begin()
        assert len(list(edit.dataset)) == 3
    assert sum(Dataset(folder).counts.values()) == 3 and not (folder / ".settled").exists()
    assert contents(folder).keys() == before.keys() - {
        f"records/{record_path(Path(), first.video_id).parent.name}/{first.video_id}.json"
    }


def test_who_reads_is_told_a_run_at_work_from_an_interrupted_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Dataset(folder).editing("curate") as edit:
        edit.begin()
        data = Dataset(folder)
        assert data.at_work is not None and (data.at_work.process, data.at_work.host) == (os.getpid(), gethostname())
        api.dataset_diff(folder, since=1)
        assert (
            f"'curate' is at work on it (process {os.getpid()} on {gethostname()} since 20" in capsys.readouterr().err
        )
        found = api.dataset_verify(folder)
        assert found.problems == () and "is at work" in found.going_on
        with pytest.raises(UsageError, match="'curate' is at work"):
            data.require_settled()
    assert Dataset(folder).at_work is None
    cut_an_edit_short(folder, "split")
    api.dataset_diff(folder, since=1)
    assert "'dataset split' was interrupted; run it again" in capsys.readouterr().err
    assert [p.kind for p in api.dataset_verify(folder).problems] == ["unsettled"]


def refuse_writing(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """As a disk that is mounted read-only; root is refused nothing, hence the stand-in."""
    whole, make = tempfile.mkstemp, os.open

    def refused(path: object) -> bool:
        return os.path.realpath(str(path)).startswith(str(folder))

    def mkstemp(*args: Any, **options: Any) -> Any:
        if refused(options.get("dir")):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(options["dir"]))
        return whole(*args, **options)

    def open_(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and refused(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return make(path, flags, *args, **options)

    patch.setattr(tempfile, "mkstemp", mkstemp)
    patch.setattr(os, "open", open_)


READERS: dict[str, Callable[[api.Dataset, Path], bool]] = {
    "stats": lambda data, out: data.stats().videos == 4,
    "verify": lambda data, out: data.verify().problems == (),
    "export": lambda data, out: data.export(out / "kinetics", format="kinetics").clips == 3,
    "export of ids": lambda data, out: data.export(out / "ids", format="ids").files > 0,
    "subset": lambda data, out: data.subset(out / "subset", size=2).clips == 2,
    "diff": lambda data, out: data.diff(since=1).same == 3,
    "card": lambda data, out: data.card() == data.folder / "README.md",
    "training": lambda data, out: len(read_clips(data, side="train").clips) == 2,
    "check against": lambda data, out: bool(api.dataset_check_against(data, [str(data.folder / "clips")]).pairs),
    "release": lambda data, out: data.release(out / "r", publisher="A", licence="MIT", contact="a@b.org").clips == 3,
    "report": lambda data, out: api.report(data, out / "report.html", previews=1).sections > 0,
}
SAID = {
    "stats": "stats.json and figures not written",
    "export": "no take-down will find the export",
    "export of ids": "no take-down will find the export",
    "subset": "no take-down will find the subset",
    "card": "README.md not written",
    "check against": "pairs.csv does not list what was found",
    "release": "no take-down will find the release",
}
"""What could not be written, in one line."""


@pytest.fixture(scope="module")
def split(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split") / "dataset"
    shutil.copytree(original, folder)
    api.dataset_split(folder, test=1 / 3, val=0)
    return folder


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in ("report", "release", "check against") else []) for n in READERS],
)
def test_everything_that_reads_works_where_nothing_can_be_written(
    split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = contents(split)
    refuse_writing(monkeypatch, split)
    assert READERS[name](api.Dataset(split), tmp_path)
    assert contents(split) == before
    said = capsys.readouterr().err.splitlines()
    assert SAID.get(name, "") in " ".join(said) and bool(said) == (name in SAID)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in ("report", "release", "check against") else []) for n in READERS],
)
def test_everything_that_reads_works_while_a_run_is_at_work(
    split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A run that has rejected everything, and taken its clips and sides away, when somebody looks."""
    shutil.copytree(split, tmp_path / "dataset")
    folder = tmp_path / "dataset"
    with Dataset(folder).editing("curate") as edit:
        edit.begin()
        for clip in folder.glob("clips/*/*"):
            delete(clip)
        for record in list(edit.dataset):
            write_record(folder, replace(record, status="rejected", clip=None, segment=None))
        delete(folder / "splits/assignments.csv")
        write_manifest(folder, edit.dataset.records(), edit.options)
        assert edit.dataset.counts["rejected"] == 4
        assert READERS[name](api.Dataset(folder), tmp_path)
    assert "'curate' is at work on it" in capsys.readouterr().err or name == "verify"
    assert Dataset(folder).counts["rejected"] == 4
