"""Datasets of every shape, opened by the libraries: labels missing, several or odd; sides missing, or folds."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from pathlib import Path

import pytest

import tiktokactions as ta
from tests.releases.conftest import ROWS
from tests.releases.test_exports import opened_by_datasets as opened_shards
from tests.releases.test_release import WHO, opened_by_datasets
from tiktokactions.dataset.assignments import Assignment, write_assignments
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.files import all_records, write_record

pytestmark = pytest.mark.slow
IDS = [row[1] for row in ROWS[:-1]]
ODD = ("null", 'a "b", c/d\\e', "# - : {}", "🕺🏽 танец \u202e\u200b", "NaN")
SHAPES: dict[str, tuple[list[tuple[str, ...]], list[str]]] = {
    "no labels, no sides": ([(), (), (), (), ()], []),
    "some labels, train alone": ([("a",), (), ("a",), (), ("b",)], ["train"] * 5),
    "the side that comes first has none": ([(), (), ("a",), ("b",), ("b",)], ["train", "train", "val", "test", "test"]),
    "several labels, folds": ([("a", "b"), ("b",), ("c", "a"), (), ("b", "c")], ["fold0", "fold1"] * 2 + ["fold2"]),
    "odd labels, no train": ([(label,) for label in ODD], ["val", "val", "test", "test", "test"]),
}


@pytest.fixture(params=SHAPES)
def shaped(five_clips: Path, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, dict[str, str | None]]:
    """A dataset of this shape, and the first label of each clip."""
    labels, sides = SHAPES[request.param]
    data = Path(shutil.copytree(five_clips, tmp_path / "data", ignore=shutil.ignore_patterns("exports.json")))
    shutil.rmtree(data / "splits")
    given = dict(zip(IDS, labels, strict=True))
    for record in list(all_records(data)):
        source = dataclasses.replace(record.source, labels={record.source.path: given.get(record.video_id, ())})
        write_record(data, record.with_source(source))
    if sides:
        write_assignments(data, {i: Assignment(side) for i, side in zip(IDS, sides, strict=True)})
    write_manifest(data, all_records(data), Dataset(data).options)
    return data, {video_id: (some[0] if some else None) for video_id, some in given.items()}


def test_every_library_opens_it(shaped: tuple[Path, dict[str, str | None]], tmp_path: Path) -> None:
    ml = pytest.importorskip("mlcroissant")
    data, labels = shaped
    sides = ta.release(data, tmp_path / "out", **WHO).sides
    found = opened_by_datasets(str(tmp_path / "out"), tmp_path, HF_HUB_OFFLINE="1")
    assert {video_id: label for video_id, (_, label, *_) in found.items()} == labels
    assert {side for side, *_ in found.values()} == {{"val": "validation", "all": "train"}.get(s, s) for s in sides}
    assert all(said == got == same for _, _, said, got, same in found.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rdflib about itself
        clips = list(ml.Dataset(str(tmp_path / "out" / "croissant.json")).records("records"))
    names = {clip["records/video_id"].decode(): clip["records/clip"] for clip in clips}
    assert set(names) == set(labels) and all(clip[4:8] == b"ftyp" for clip in names.values())
    ta.dataset_export(data, tmp_path / "shards", format="webdataset")
    counts = json.loads(opened_shards(tmp_path / "shards", tmp_path).replace("'", '"'))
    assert sum(counts.values()) == len(labels)
