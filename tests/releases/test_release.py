"""Releases: complete and checkable, opened by the libraries that read them, finished after a kill, reached by take-downs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tiktokactions as ta
from tests.releases.conftest import ROWS
from tiktokactions import cli
from tiktokactions.clips.clip import DataError, Side
from tiktokactions.clips.read import has_side, read_clips
from tiktokactions.curation.takedowns import Dead, read_takedowns
from tiktokactions.dataset.publisher import read_publisher
from tiktokactions.files import Place, changes, located
from tiktokactions.releases import clip_folders
from tiktokactions.releases.release import REMEMBERED, remembered

WHO: dict[str, Any] = {"publisher": "A lab", "licence": "CC-BY-NC-4.0", "contact": "lab@example.org"}
GONE = "7300000000000000003"


@pytest.fixture
def data(five_clips: Path, tmp_path: Path) -> Path:
    """A private copy, for tests that change it."""
    shutil.copytree(five_clips, tmp_path / "data", ignore=shutil.ignore_patterns(REMEMBERED))
    return tmp_path / "data"


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def check(folder: Path) -> None:
    """Every file is listed and as it was written, and every picture of the card is there."""
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    listed = re.findall(r"^[0-9a-f]{64}  (.+)$", (folder / "SHA256SUMS").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == names_in(folder) - {"SHA256SUMS"}
    pictures = re.findall(r"!\[.*\]\((.+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert pictures and all((folder / picture).is_file() for picture in pictures)


def opened_by_datasets(folder: str, tmp_path: Path, **environment: str) -> dict[str, Any]:
    """What ``load_dataset(folder)`` finds in a process of its own, all at once and streaming."""
    script = """
import hashlib, json, os, sys, datasets, fsspec
datasets.config.TORCHCODEC_AVAILABLE = False  # it would open the clips, for which this machine may lack FFmpeg's libraries
whole = datasets.load_dataset(sys.argv[1])
assert all(isinstance(part.features["video"], datasets.Video) for part in whole.values())
streamed = datasets.load_dataset(sys.argv[1], streaming=True)
found = {}
for side in whole:
    rows = whole[side].cast_column("video", datasets.Video(decode=False))
    others = streamed[side].decode(False)  # from the hub a column that was cast is decoded all the same
    for row, other in zip(rows, others, strict=True):
        assert row["video_id"] == other["video_id"]
        read = [fsspec.open(clip["video"]["path"]).open().read() for clip in (row, other)]
        found[row["video_id"]] = [side, row["label"], row["sha256"], *(hashlib.sha256(clip).hexdigest() for clip in read)]
print(json.dumps(found), flush=True)
os._exit(0)  # pyarrow's threads, with which datasets reads, abort some processes at their exit (apache/arrow 33975)
"""
    clean = {"HF_HOME": str(tmp_path / "hf"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)} | environment
    done = subprocess.run([sys.executable, "-c", script, folder], env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


SIDES_READ: tuple[Side, ...] = ("train", "val", "test")
SIDES = dict(zip([row[1] for row in ROWS], ["train", "train", "train", "validation", "test"], strict=False))


def test_a_release_is_complete_and_opens(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    ml = pytest.importorskip("mlcroissant")
    out = tmp_path / "out"
    done = ta.release(data, out, **WHO)
    assert (done.clips, done.sides) == (5, {"train": 3, "val": 1, "test": 1})
    check(out)
    assert done.files == len(names_in(out))
    found = opened_by_datasets(str(out), tmp_path, HF_HUB_OFFLINE="1")
    assert {video_id: side for video_id, (side, *_) in found.items()} == SIDES
    assert all(said == got == same for _, _, said, got, same in found.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rdflib about itself
        croissant = ml.Dataset(str(out / "croissant.json"))
        clips, sides = list(croissant.records("records")), list(croissant.records("splits"))
    assert not croissant.metadata.ctx.issues.errors
    assert "http://mlcommons.org/croissant/1.1" in json.loads((out / "croissant.json").read_text())["conformsTo"]
    assert len(clips) == 5
    for clip in clips:
        assert clip["records/clip"] == (out / clip["records/path"].decode()).read_bytes()
    splits = {row["splits/name"] for row in sides}
    assert {clip["records/split"].decode() for clip in clips} <= {str(name) for name in splits}
    for secret in (b"Ann Smith", b"carla", (data / "creator-salt").read_bytes().strip(), str(data).encode()):
        assert not any(
            secret in path.read_bytes() for path in out.rglob("*") if path.is_file() and path.suffix != ".png"
        )


def test_one_trains_on_a_release_as_on_its_dataset(data: Path, tmp_path: Path) -> None:
    ta.release(data, tmp_path / "out", **WHO)
    for name in ("huggingface", "fiftyone"):
        ta.dataset_export(data, tmp_path / name, format=name)
    for side in SIDES_READ:
        known = read_clips(data, side=side)
        for folder in ("out", "huggingface"):
            found = read_clips(tmp_path / folder, side=side)
            assert {(c.video_id, c.label, c.labels) for c in found.clips} == {
                (c.video_id, c.label, c.labels) for c in known.clips
            }
            assert found.labels == known.labels and has_side(tmp_path / folder, side)
            assert all(Path(clip.path).is_file() for clip in found.clips)
    with pytest.raises(DataError, match="fiftyone: an export for other tools; train on the dataset, a release"):
        read_clips(tmp_path / "fiftyone", side="train")
    assert not ta.dataset_verify(tmp_path / "out").problems and not ta.dataset_verify(tmp_path / "huggingface").problems
    gone = next(tmp_path.glob("out/data/train/*.mp4"))
    gone.rename(gone.with_name("other.mp4"))
    with pytest.raises(DataError, match="out: 1 clips are gone"):
        read_clips(tmp_path / "out", side="train")
    told = {(p.kind, Path(p.path).name) for p in ta.dataset_verify(tmp_path / "out").problems}
    assert told == {("export_damaged", gone.name), ("foreign_file", "other.mp4")}
    with pytest.raises(ta.UsageError, match="is a release or an export, which is made again and not repaired"):
        ta.dataset_verify(tmp_path / "out", repair=True)


def test_publishers_facts_are_asked_for_once_and_kept(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["release", str(data), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "publisher.toml" in said and "--publisher, --licence, --contact" in said
    assert not (tmp_path / "out").exists() and (data / "publisher.toml").is_file()
    ta.release(data, tmp_path / "out", **WHO)
    ta.dataset_card(data)
    assert read_publisher(data).contact == "lab@example.org"
    for path in (data / "README.md", tmp_path / "out" / "README.md"):
        assert "lab@example.org" in path.read_text(encoding="utf-8")
    assert "license: cc-by-nc-4.0" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    ta.release(data, tmp_path / "out", gated=True, licence="Ask us: nobody else")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "license: other\nlicense_name: " in card and "extra_gated_prompt: " in card
    assert not [problem for problem in ta.dataset_verify(data).problems if "publisher" in problem.path]
    (data / "publisher.toml").write_text("name = 3\n")
    with pytest.raises(ta.UsageError, match="each a text in quotes"):
        ta.release(data, tmp_path / "out")


def test_no_folder_has_more_files_than_allowed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_folders, "FILES_A_FOLDER", 3)
    ta.release(data, tmp_path / "out", **WHO)
    check(tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "manifest.parquet").to_pylist()
    assert len(rows) == 5 and all(re.fullmatch(r"data/\w+/[0-9a-f]/.+\.mp4", row["path"]) for row in rows)
    monkeypatch.undo()
    ta.release(data, tmp_path / "out")
    check(tmp_path / "out")
    assert not list((tmp_path / "out").glob("data/*/*/*.mp4")), "clips that were moved are not there twice"


@pytest.mark.parametrize("choice", [{"sides": ["train"]}, {"labels": ["salsa"]}, {"ids_only": True}], ids=str)
def test_the_card_describes_this_folder(data: Path, tmp_path: Path, choice: dict[str, Any]) -> None:
    ta.release(data, tmp_path / "out", **WHO)
    done = ta.release(data, tmp_path / "out", **choice)
    check(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"\n{done.clips} clips of human action" in card
    clips = len(list((tmp_path / "out").rglob("*.mp4")))
    assert clips == (0 if "ids_only" in choice else done.clips)
    if "ids_only" in choice:
        assert not (tmp_path / "out" / "manifest.parquet").exists() and "split: train" not in card


def test_what_is_not_a_release_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ta.UsageError, match="not empty and not a release"):
        ta.release(data, tmp_path / "out", **WHO)
    assert names_in(tmp_path / "out") == {"mine.txt"} and not remembered(data)


def test_a_damaged_clip_is_not_released(data: Path, tmp_path: Path) -> None:
    clip = next((data / "clips").rglob(f"{GONE}.mp4"))
    whole = clip.read_bytes()
    clip.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ta.UsageError, match="nothing damaged is released"):
        ta.release(data, tmp_path / "out", **WHO)
    clip.write_bytes(whole)
    ta.release(data, tmp_path / "out")
    check(tmp_path / "out")


class Killed(BaseException):
    """Nobody catches it."""


def killed_release(data: Path, out: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A release that ends before its write number ``at``; whether it got so far."""
    left = at

    def count(place: Place) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    monkeypatch.setattr(changes, "about_to_change", count)
    try:
        ta.release(data, out, **WHO)
    except Killed:
        return True
    finally:
        monkeypatch.setattr(changes, "about_to_change", lambda place: None)
    return False


def killed_anywhere(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: list[int]) -> None:
    for at in moments:
        out = tmp_path / f"out{at}"
        assert killed_release(data, out, at, monkeypatch), at
        there = {path.name: path.stat().st_ino for path in out.rglob("*.mp4")}
        assert not there or str(out) in {entry["path"] for entry in remembered(data)}, (
            "remembered before its first clip"
        )
        assert not (out / "SHA256SUMS").exists()
        ta.release(data, out, **WHO)
        check(out)
        assert {path.name: path.stat().st_ino for path in out.rglob("*.mp4")}.items() >= there.items(), (
            "nothing is redone"
        )


def test_a_killed_release_is_finished_by_the_same_command(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_anywhere(data, tmp_path, monkeypatch, [4, 7, 14])


@pytest.mark.slow
def test_a_release_killed_at_any_write_is_finished(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_anywhere(data, tmp_path, monkeypatch, list(range(20)))


@pytest.mark.usefixtures("sources_stay")
def test_a_take_down_reaches_releases(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ta.release(data, tmp_path / "out", **WHO)
    assert killed_release(data, tmp_path / "killed", 12, monkeypatch)
    shutil.copytree(data, tmp_path / "copy")
    ta.refresh(tmp_path / "copy", remove=[GONE])
    assert list((tmp_path / "out").rglob(f"{GONE}.mp4")), (
        "a copy of a dataset leaves the releases of the original alone"
    )
    ta.refresh(data, remove=[GONE])
    check(tmp_path / "out")
    for folder in (tmp_path / "out", tmp_path / "killed"):
        assert not list(folder.rglob(f"{GONE}.mp4"))
    for name in (
        "manifest.parquet",
        "ids.csv",
        "removed.csv",
        "README.md",
        "croissant.json",
        "data/train/metadata.parquet",
    ):
        assert GONE.encode() not in (tmp_path / "out" / name).read_bytes()
    told = read_takedowns(tmp_path / "out")
    assert len(told) == 1 and GONE not in (tmp_path / "out" / "removed.csv").read_text(encoding="utf-8")
    [day] = {takedown.removed for takedown in told.values()}
    assert json.loads((tmp_path / "out" / "release.json").read_text())["last_takedown"] == day
    assert f"the last on {day}" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    ta.dataset_export(data, tmp_path / "ids", format="ids")
    assert json.loads((tmp_path / "ids" / "export.json").read_text())["last_takedown"] == day
    assert GONE in Dead(told.values()) and ROWS[0][1] not in Dead(told.values())
    ta.release(data, tmp_path / "killed")
    check(tmp_path / "killed")
    assert not list((tmp_path / "killed").rglob(f"{GONE}.mp4"))


@pytest.mark.slow
@pytest.mark.usefixtures("sources_stay")
def test_a_release_on_a_store(data: Path, bucket: str) -> None:
    done = ta.release(data, f"{bucket}/released", **WHO)
    place = located(f"{bucket}/released")
    assert done.clips == 5 and (place / "SHA256SUMS").is_file()
    assert (place / "data" / "train" / f"{GONE}.mp4").is_file()
    ta.refresh(data, remove=[GONE])
    assert not (place / "data" / "train" / f"{GONE}.mp4").is_file()
    assert GONE not in (place / "SHA256SUMS").read_text(encoding="utf-8")
