"""The certificate of a split: planted leaks are found and moved, recall is measured, and the interval is right."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiktokactions as api
from tests.made_videos import write_video
from tests.splits.test_foreign import moving
from tiktokactions.cli import main
from tiktokactions.dataset.assignments import Assignment, read_assignments, write_assignments
from tiktokactions.splits.certificate import Copy, clopper_pearson, largest_total, leaked, leaked_clips, sampled

SETTINGS: dict[str, Any] = {
    **{"detector": "none", "min_person_frames": 0, "min_clip_s": 1.0, "keep_duplicates": True, "workers": 1}
}


@pytest.fixture(scope="module", autouse=True)
def one_planted_clip():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tiktokactions.splits.certificate.PLANTED_CLIPS", 1)
        yield


def cropped(pictures: list[np.ndarray]) -> list[np.ndarray]:
    height, width = pictures[0].shape[:2]
    y, x = height // 8, width // 8
    return [np.ascontiguousarray(p[y : height - y, x : width - x]) for p in pictures]


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    """Six videos, and a crop of the first, which hashes do not find."""
    folder = tmp_path_factory.mktemp("certificate")
    for seed in range(6):
        write_video(folder / "videos" / f"v{seed}.mp4", moving(seed, 48), fps=12, crf=20)
    write_video(folder / "videos" / "v6.mp4", cropped(list(moving(0, 48))), fps=12, crf=20)
    rows = ["path,id,label", *(f"videos/v{n}.mp4,v{n},walk" for n in range(7))]
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    api.curate(folder / "list.csv", folder / "dataset", **SETTINGS)
    return folder / "dataset"


@pytest.fixture
def dataset(curated, tmp_path):
    return shutil.copytree(curated, tmp_path / "dataset")


def leaks(dataset: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((dataset / "splits" / "leaks.csv").read_text().splitlines()))


def test_a_copy_is_put_with_its_original(dataset, capsys):
    report = api.dataset_split(dataset, val=0.0, test=0.3, certify=100)
    sides = {i: a.side for i, a in read_assignments(dataset).items()}
    assert sides["v0"] == sides["v6"]
    found = report.certificate
    assert found is not None and (found.clips, found.compared, found.left, found.share_of_pairs) == (7, 7, 0, 1.0)
    assert found.planted == sum(of for _, of in found.by_kind.values()) > 5 and found.planted_found > found.planted / 2
    assert found.recall_low < (found.recall or 0) <= found.recall_high
    assert json.loads((dataset / "splits" / "certificate.json").read_text())["planted"] == found.planted
    assert found.remaining_low_s == 0 and found.remaining_high_s is not None and found.remaining_high is not None
    assert bool(found.remaining_high_s) == bool(found.remaining_high), "clips have seconds"
    assert "## Leaks between the splits\n\n7 of 7 clips were compared" in (dataset / "README.md").read_text()
    assert {(row["video_id"], row["other_id"]) for row in leaks(dataset)} == {("v0", "v6")}
    assert api.dataset_verify(dataset).problems == ()


def test_a_copy_that_stands_where_it_stands_is_reported(dataset, capsys):
    given = {f"v{n}": Assignment("train") for n in range(6)} | {"v6": Assignment("test")}
    write_assignments(dataset, given)
    assert main(["dataset", "split", str(dataset), "--val", "0", "--test", "0.14", "--certify", "100"]) == 1
    told = capsys.readouterr().out
    assert "1 clips have a copy on another side, and both had their sides before" in told
    assert [row["state"] for row in leaks(dataset)] == ["left"]
    assert read_assignments(dataset) == given, "sides once given stay"
    report = api.dataset_split(dataset, reassign=True, certify=100)
    assert report.certificate is not None and report.certificate.left == 0
    # Another split without a certificate: the old one says nothing of it.
    api.dataset_split(dataset, reassign=True, certify=0)
    assert not (dataset / "splits" / "certificate.json").exists() and leaks(dataset)


@pytest.mark.parametrize(
    ("pair", "is_leak", "clip"),
    [
        pytest.param(("a", "b"), True, "b", id="train and test"),
        pytest.param(("b", "c"), True, "c", id="test and val"),
        pytest.param(("a", "d"), False, None, id="one side"),
        pytest.param(("a", "e"), False, None, id="stands on none"),
        pytest.param(("a", "f"), False, None, id="has no side"),
    ],
)
def test_what_leaks(pair, is_leak, clip):
    sides = dict(zip("abcde", map(Assignment, ("train", "test", "val", "train", "none")), strict=True))
    found = leaked([Copy(pair[0], pair[1], 0.9, False)], sides)
    assert bool(found) is is_leak and leaked_clips(found, sides) == ({clip} if clip else set())


@pytest.mark.parametrize(("hits", "of", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.355), (10, 10, 0.645, 1)])
def test_the_interval_of_the_recall(hits, of, low, high):
    assert clopper_pearson(hits, of) == pytest.approx((low, high), abs=0.001)


@pytest.mark.parametrize(
    ("found", "chance", "most"), [(0, 1.0, 0), (0, 0.9, 1), (0, 0.5, 6), (3, 1.0, 3), (5, 0.0, None)]
)
def test_the_largest_total_that_fits(found, chance, most):
    assert largest_total(found, chance) == most


def test_the_bound_covers():
    """Datasets with 20 leaked clips, of which each is found by 0.8, and 100 planted copies: the bound holds 95 % of times."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        low, _ = clopper_pearson(int(rng.binomial(100, 0.8)), 100)
        held += (largest_total(int(rng.binomial(20, 0.8)), low) or 0) >= 20
    assert held >= 285


def test_the_sample_takes_clips_that_are_held_out_first():
    sides = {f"v{n}": "test" if n < 10 else "train" for n in range(1000)}
    chosen = sampled(list(sides), sides, 40, 0)
    assert len(chosen) == 40 and sum(sides[i] == "test" for i in chosen) == 10
    assert chosen == sampled(list(sides)[::-1], sides, 40, 0) != sampled(list(sides), sides, 40, 1)
    assert len(sampled(list(sides), sides, 5000, 0)) == 1000
