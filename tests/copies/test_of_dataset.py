"""Copies within a dataset: the best stays, and a settle compares only what is new."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiktokactions as api
from tests.made_videos import write_video
from tests.splits.test_foreign import letterboxed, mirrored, moving, scaled
from tiktokactions.copies import of_dataset
from tiktokactions.copies.matcher import Match
from tiktokactions.files import all_records, description_path, sha256_file, write_record

SETTINGS: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "min_clip_s": 1.0, "workers": 1}


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 4 s and a small mirrored copy of the first."""
    folder = tmp_path_factory.mktemp("copies")
    for seed in range(3):
        write_video(folder / "videos" / "a" / f"v{seed}.mp4", moving(seed, 48), fps=12, crf=20)
    write_video(folder / "videos" / "a" / "copy.mp4", mirrored(scaled(moving(0, 48))), fps=12, crf=28)
    named(folder / "videos")
    api.curate(folder / "videos", folder / "data", **SETTINGS)
    return folder


def named(videos: Path) -> None:
    for path in videos.rglob("*.mp4"):
        path.with_suffix(".json").write_text(f'{{"id": "{path.stem}"}}')


@pytest.fixture
def world(curated: Path, tmp_path: Path) -> Path:
    shutil.copytree(curated, tmp_path / "world")
    return tmp_path / "world"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Receives the pairs that are compared."""
    seen: list[tuple[str, str]] = []
    original = of_dataset.same_footage

    def noting(a: Any, b: Any, names: tuple[str, str], mirrored: bool | None) -> Match | None:
        seen.append(names)
        return original(a, b, names, mirrored)

    monkeypatch.setattr(of_dataset, "same_footage", noting)
    return seen


def copies(data: Path) -> dict[str, str]:
    found = {record.video_id: of_dataset.duplicate_of(record) for record in all_records(data)}
    return {video_id: twin for video_id, twin in found.items() if twin}


def test_the_better_copy_stays(curated: Path) -> None:
    assert copies(curated / "data") == {"copy": "v0"}
    assert [(m.a, m.b, m.mirrored) for m in of_dataset.read_pairs(curated / "data")] == [("copy", "v0", True)]
    assert api.dataset_verify(curated / "data").problems == ()


def test_only_what_is_new_is_compared(world: Path, compared: list[tuple[str, str]]) -> None:
    data = world / "data"
    write_video(world / "videos" / "a" / "late.mp4", letterboxed(moving(1, 48)), fps=12, crf=24)
    named(world / "videos")
    api.curate(world / "videos", data, **SETTINGS)
    assert ("late", "v1") in compared and all("late" in pair for pair in compared)
    assert copies(data).items() > {"copy": "v0"}.items() and len(copies(data)) == 2
    compared.clear()
    api.curate(data, redecide=True, min_clip_s=1.5)
    assert compared == [] and len(copies(data)) == 2


def test_the_order_in_which_videos_come_does_not_matter(world: Path) -> None:
    (world / "one").mkdir()
    for name in ("copy", "v1", "v0"):
        for path in (world / "videos" / "a").glob(f"{name}.*"):
            shutil.copy(path, world / "one")
        api.curate(world / "one", world / "other", **SETTINGS)
    assert copies(world / "other") == {"copy": "v0"}


def test_a_damaged_or_missing_memory_is_made_again(world: Path) -> None:
    before, data = of_dataset.read_pairs(world / "data"), world / "data"
    (data / of_dataset.PAIRS).write_bytes(b"junk")
    (data / "copies" / "index-0000.parquet").unlink()
    assert len(api.dataset_verify(data).open_problems) == 2
    assert api.dataset_verify(data, repair=True, yes=True).open_problems == ()
    api.curate(data, redecide=True, min_clip_s=1.5)
    assert of_dataset.read_pairs(data) == before
    assert api.dataset_verify(data).problems == ()


def test_videos_of_an_older_dataset_are_described_from_their_clips(world: Path) -> None:
    """One was rejected as a copy and has no clip: it stays what it is."""
    data = world / "data"
    shutil.rmtree(data / "copies")
    for record in list(all_records(data)):
        description_path(data, record.video_id).unlink()
        write_record(data, replace(record, description_sha256=""))
    api.curate(data, redecide=True, min_clip_s=1.5)
    assert copies(data) == {"copy": "v0"}
    described = {r.video_id: r.description_sha256 for r in all_records(data)}
    assert described.pop("copy") == ""
    for video_id, sha256 in described.items():
        assert sha256_file(description_path(data, video_id)) == sha256


def test_a_take_down_is_forgotten_and_names_copies(world: Path) -> None:
    result = api.refresh(world / "data", remove=["v0"])
    assert [tuple(found.copies) for found in result.removed] == [("copy",)]
    assert of_dataset.read_pairs(world / "data") == []
    for path in (world / "data" / "copies").iterdir():
        assert b"v0" not in path.read_bytes()


def test_footage_that_was_taken_down_is_recognised(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The copy that was there, and a new upload under another id, with other bytes."""
    data, again = world / "data", world / "videos" / "a" / "again.mp4"
    api.refresh(data, remove=["v0"])
    assert b"v0" not in (data / "removed_hashes.parquet").read_bytes()
    write_video(again, letterboxed(moving(0, 48)), fps=12, crf=24)
    named(world / "videos")
    for _ in range(2):  # and so it stays
        api.curate(world / "videos", data, **SETTINGS | {"min_clip_s": 1.5})
        found = {record.video_id: (record.status, record.reasons) for record in all_records(data)}
        held_back = ("needs_review", ("like_taken_down",))
        accepted = ("accepted", ("people_not_required",))
        kept, other = ("again", "copy") if found["again"] == held_back else ("copy", "again")
        assert found[kept] == held_back and found["v1"] == found["v2"] == accepted and "v0" not in found
        assert found[other] == ("rejected", (f"duplicate_of:{kept}", "like_taken_down"))
    assert "2 videos may show what was taken down" in capsys.readouterr().err
    assert api.dataset_verify(data).problems == ()


@pytest.mark.parametrize(
    ("worth", "expected"),
    [
        pytest.param({"a": 3, "b": 2, "c": 1}, {"b": "a"}, id="c is a copy of b, which goes, and none of a"),
        pytest.param({"a": 2, "b": 3, "c": 1}, {"a": "b", "c": "b"}, id="both are copies of b"),
        pytest.param({"a": 1, "b": 1, "c": 1}, {"b": "a"}, id="the smaller id stays"),
        pytest.param({"a": 1, "c": 2}, {}, id="b does not qualify"),
    ],
)
def test_going_from_the_best_to_the_worst(worth: dict[str, float], expected: dict[str, str]) -> None:
    pairs = [Match(a, b, 1.0, False, 1.0, 0.0, 0.0, 3.0, 1.0) for a, b in (("a", "b"), ("b", "c"))]
    videos = of_dataset.Videos(worth={i: (value,) for i, value in worth.items()})
    assert of_dataset.duplicates(pairs, videos) == expected


def test_still_grey_videos_are_no_trouble(tmp_path: Path) -> None:
    for number, level in enumerate((90, 140)):
        grey = [np.full((120, 160, 3), level, np.uint8)] * 24
        write_video(tmp_path / "videos" / f"{number}.mp4", grey, fps=12)
    api.curate(tmp_path / "videos", tmp_path / "data", **SETTINGS)
    assert len(list(all_records(tmp_path / "data"))) == 2
    assert copies(tmp_path / "data") == {}
