"""A small dataset that exports, subsets and hydration share."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions.dataset.assignments import Assignment, write_assignments
from tiktokactions.files import all_records, write_record
from tiktokactions.records import PersonBox

ROWS = (
    # file, id, label, creator
    ("a.mp4", "7300000000000000001", "salsa", "Ann Smith"),
    ("b.mp4", "with.dots.in.it", "salsa", "Ann Smith"),
    ("c.mp4", "7300000000000000003", "jumping jacks", "bob"),
    ("d.mp4", "7300000000000000004", 'quote " & <tag>', "carla"),
    ("e.mp4", "7300000000000000005", "跳舞", "dora"),
    ("junk.mp4", "7300000000000000006", "salsa", "emil"),
)


@pytest.fixture(scope="session")
def five_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split dataset of five clips with boxes, and one rejected video."""
    folder = tmp_path_factory.mktemp("exports")
    (folder / "videos").mkdir()
    for number, (name, *_) in enumerate(ROWS[:-1]):
        write_video(folder / "videos" / name, numbered_frames(120, 160, 96 + 64 * (number % 2), first=500 * number))
    (folder / "videos" / "junk.mp4").write_bytes(b"junk")
    with (folder / "list.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "id", "label", "creator"))
        writer.writerows((f"videos/{name}", *rest) for name, *rest in ROWS)
    data = folder / "data"
    api.curate(folder / "list.csv", data, detector="none", min_person_frames=0, keep_duplicates=True, workers=1)
    for record in list(all_records(data)):
        samples = tuple(
            dataclasses.replace(s, people=(PersonBox((10, 20, 50, 90), 1.0), PersonBox((0, 0, 9, 9), 0.1)))
            for s in record.samples
        )
        write_record(data, dataclasses.replace(record, samples=samples))
    sides = ("train", "train", "train", "val", "test")
    write_assignments(data, {row[1]: Assignment(side) for row, side in zip(ROWS, sides, strict=False)})
    api.dataset_split(data)
    return data


@pytest.fixture
def sources_stay(five_clips: Path, tmp_path: Path) -> Iterator[None]:
    """For a test that takes down: a copy of the dataset has the sources of the original."""
    videos = five_clips.parent / "videos"
    shutil.copytree(videos, tmp_path / "sources", copy_function=os.link)
    yield
    for path in (tmp_path / "sources").iterdir():
        if not (videos / path.name).exists():
            os.link(path, videos / path.name)
