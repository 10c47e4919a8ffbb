"""Every kind of damage to a dataset is found, and repaired where it can be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, read_numbers, write_video
from tiktokactions.verdicts.verify import Verification


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    for i in range(2):
        write_video(folder / "videos" / "dance" / f"{i}.mp4", numbered_frames(120, 160, 160, first=500 * i))
    api.curate(folder / "videos", folder / "dataset", detector="none", min_person_frames=0)
    return folder / "dataset"


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "dataset")
    return tmp_path / "dataset"


def first(dataset: Path, pattern: str) -> Path:
    return sorted(dataset.glob(pattern))[0]


def flip_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def stray_clip(dataset: Path) -> None:
    shutil.copy(first(dataset, "clips/*/*"), dataset / "clips" / "dance" / "stray.mp4")


def move_record(dataset: Path) -> None:
    record = first(dataset, "records/*/*.json")
    record.rename(record.with_name("other.json"))


DAMAGE: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a clip is gone": (lambda d: first(d, "clips/*/*").unlink(), {"missing_clip"}),
    "a clip changed": (lambda d: flip_bytes(first(d, "clips/*/*")), {"clip_changed"}),
    "a clip was cut short": (lambda d: os.truncate(first(d, "clips/*/*"), 3000), {"clip_changed"}),
    "a record is damaged": (lambda d: first(d, "records/*/*.json").write_text("{"), {"bad_record", "orphan_clip"}),
    "a clip nobody knows": (stray_clip, {"orphan_clip"}),
    "a thumbnail nobody knows": (lambda d: (d / "thumbs/x.strip.jpg").write_text("x"), {"orphan_thumbnail"}),
}


def kinds(found: Verification) -> set[str]:
    return {problem.kind for problem in found.problems}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_repaired(name: str, dataset: Path) -> None:
    damage, expected = DAMAGE[name]
    assert api.dataset_verify(dataset).problems == ()
    damage(dataset)
    found = api.dataset_verify(dataset)
    assert kinds(found) == expected
    assert found.open_problems == found.problems
    repaired = api.dataset_verify(dataset, repair=True)
    assert repaired.open_problems == ()
    assert api.dataset_verify(dataset).problems == ()
    for clip in dataset.glob("clips/*/*"):
        assert len(read_numbers(clip)) == 120


def test_a_record_under_another_name_is_found(dataset: Path) -> None:
    move_record(dataset)
    assert "misplaced_record" in kinds(api.dataset_verify(dataset))


def test_a_clip_that_cannot_be_cut_again_is_rejected_not_forgotten(dataset: Path, original: Path) -> None:
    sources = original.parent / "videos"
    first(dataset, "clips/*/*").unlink()
    sources.rename(original.parent / "away")
    try:
        repaired = api.dataset_verify(dataset, repair=True)
    finally:
        (original.parent / "away").rename(sources)
    assert repaired.problems[0].repaired.startswith("rejected (clip_failed): ")
    assert api.dataset_verify(dataset).problems == ()
    stats = api.dataset_stats(dataset)
    assert stats.reasons["clip_failed"] == 1


def test_not_a_dataset(tmp_path: Path) -> None:
    for command in (api.dataset_verify, api.dataset_stats, api.dataset_card):
        with pytest.raises(api.UsageError, match="expected a folder made by 'tiktokactions curate'"):
            command(tmp_path)
