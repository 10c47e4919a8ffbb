"""Exports: each opened by the library that reads it, the same bytes twice, no names, and taken down where videos go."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.release.conftest import ROWS
from tiktokactions import cli
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.files import all_records
from tiktokactions.release import export as exports
from tiktokactions.release import formats
from tiktokactions.release.formats import NAMES, Format
from tiktokactions.release.formats.webdataset import key_of, write_shards


@pytest.fixture
def data(five_clips: Path, tmp_path: Path) -> Path:
    """A private copy, for tests that change it."""
    shutil.copytree(five_clips, tmp_path / "data")
    (tmp_path / "data" / exports.REMEMBERED).unlink(missing_ok=True)
    return tmp_path / "data"


def clips_of(data: Path) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(data / "manifest.parquet").to_pylist()
    return {row["video_id"]: row for row in rows if row["status"] == "accepted"}


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes_twice_and_no_names(five_clips: Path, tmp_path: Path, name: Format) -> None:
    out = tmp_path / "out"
    first = api.dataset_export(five_clips, out, format=name, frames=True)
    before = bytes_of(out)
    assert api.dataset_export(five_clips, out, format=name, frames=True) == first
    assert bytes_of(out) == before
    assert first.clips == 5 and first.sides == {"train": 3, "val": 1, "test": 1}
    assert first.files == len(json.loads((out / exports.MARK).read_text())["files"]) == len(before) - 1
    for path in out.rglob("*"):
        if path.is_file() and path.suffix not in (".mp4", ".png", ".jpg"):
            data = path.read_bytes()
            for secret in (b"Ann Smith", b"carla", (five_clips / "creator-salt").read_bytes().strip()):
                assert secret not in data, f"{path.name} tells {secret!r}"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes_from_a_copy_elsewhere(five_clips: Path, tmp_path: Path, name: Format) -> None:
    """Where a dataset lies, and what its folder is called, is in no export; ``videomae`` names its clips where they lie."""
    api.dataset_export(five_clips, tmp_path / "out", format=name, frames=True)
    copy = shutil.copytree(five_clips, tmp_path / "far" / "away")
    before = bytes_of(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "first")
    api.dataset_export(copy, tmp_path / "out", format=name, frames=True)
    if name == "videomae":
        for path in (tmp_path / "out").glob("*.csv"):
            path.write_text(path.read_text().replace(str(copy), str(five_clips)))
    assert bytes_of(tmp_path / "out") == before


def test_formats_are_all_there() -> None:
    assert set(NAMES) == {path.stem for path in Path(formats.__file__).parent.glob("[a-z]*.py")}


def test_kinetics(five_clips: Path, tmp_path: Path) -> None:
    api.dataset_export(five_clips, tmp_path / "out", format="kinetics")
    clips = clips_of(five_clips)
    seen = []
    for side in ("train", "val", "test"):
        for row in csv.DictReader(io.StringIO((tmp_path / "out" / f"{side}.csv").read_text(encoding="utf-8"))):
            clip = clips[row["youtube_id"]]
            assert (row["label"], row["split"]) == (clip["labels"][0], side) and clip["split"] == side
            assert float(row["time_start"]) == pytest.approx(clip["clip_start_s"], abs=1e-6)
            assert float(row["time_end"]) == pytest.approx(clip["clip_end_s"], abs=1e-6)
            seen.append(row["youtube_id"])
    assert sorted(seen) == sorted(clips)


def test_videomae_lists_hold_no_spaces(five_clips: Path, tmp_path: Path) -> None:
    api.dataset_export(five_clips, tmp_path / "out", format="videomae")
    classes = (tmp_path / "out" / "classes.txt").read_text(encoding="utf-8").splitlines()
    clips = clips_of(five_clips)
    seen = 0
    for side in ("train", "val", "test"):
        for line in (tmp_path / "out" / f"{side}.csv").read_text().splitlines():
            path, number = line.split(" ")
            video_id = Path(path).name.removesuffix(".mp4")
            assert Path(path).read_bytes() == (five_clips / clips[video_id]["clip_path"]).read_bytes()
            assert classes[int(number)] == clips[video_id]["labels"][0]
            seen += 1
    assert seen == 5
    pretrain = [line.split(" ") for line in (tmp_path / "out" / "pretrain.csv").read_text().splitlines()]
    assert len(pretrain) == 3 and all(rest == ["0", "-1"] for _, *rest in pretrain)
    with pytest.raises(api.UsageError, match="separated by spaces"):
        api.dataset_export(five_clips, tmp_path / "a b", format="videomae")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves its files open
def test_webdataset_is_read_by_its_library(five_clips: Path, tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    out = tmp_path / "out"
    api.dataset_export(five_clips, out, format="webdataset", shard_mb=1)
    classes = (out / "classes.txt").read_text(encoding="utf-8").splitlines()
    clips = clips_of(five_clips)
    seen = []
    for tar in sorted(out.glob("*.tar")):
        for sample in wds.WebDataset(str(tar), shardshuffle=False):
            facts = json.loads(sample["json"])
            clip = clips[facts["video_id"]]
            assert sample["__key__"] == key_of(facts["video_id"])
            assert sample["mp4"] == (five_clips / clip["clip_path"]).read_bytes()
            assert classes[int(sample["cls"])] == clip["labels"][0]
            assert tar.name.startswith(f"{clip['split']}-") and facts["split"] == clip["split"]
            seen.append(facts["video_id"])
    assert sorted(seen) == sorted(clips)


def test_shards_are_numbered_and_bounded(five_clips: Path, tmp_path: Path) -> None:
    samples = [[(f"{number}.mp4", bytes(400)), (f"{number}.json", b"{}")] for number in range(5)]
    names = ["train-000000.tar", "train-000001.tar", "train-000002.tar"]
    assert [path.name for path in write_shards(samples, tmp_path, "train", 1000)] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names, "and nothing unfinished"


def test_huggingface_is_opened_by_datasets(five_clips: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    api.dataset_export(five_clips, tmp_path / "out", format="huggingface")
    script = (
        "import datasets, json, sys\n"
        # It would open the clips through torchcodec, which loads only where FFmpeg's libraries are installed.
        "datasets.config.TORCHCODEC_AVAILABLE = False\n"
        "found = datasets.load_dataset('videofolder', data_dir=sys.argv[1])\n"
        "rows = {}\n"
        "for side, part in found.items():\n"
        "    for row in part.cast_column('video', datasets.Video(decode=False)):\n"
        "        rows[row['video_id']] = [side, row['label'], row['video']['path']]\n"
        "print(json.dumps(rows))\n"
    )
    environment = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hf"),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    for video_id, clip in clips_of(five_clips).items():
        side, label, path = rows.pop(video_id)
        assert side == {"val": "validation"}.get(clip["split"], clip["split"])
        assert label == clip["labels"][0]
        assert Path(path).read_bytes() == (five_clips / clip["clip_path"]).read_bytes()
    assert not rows
    assert (tmp_path / "out" / "README.md").read_text(encoding="utf-8").startswith("---\n")


def test_parquet_holds_the_clips(five_clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiktokactions.release.formats import parquet

    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    api.dataset_export(five_clips, tmp_path / "out", format="parquet")
    file = pq.ParquetFile(tmp_path / "out" / "train-00000.parquet")
    assert file.metadata.num_row_groups == file.metadata.num_rows == 3
    clips = clips_of(five_clips)
    for row in file.read().to_pylist():
        clip = clips[row["video_id"]]
        assert row["video"] == (five_clips / clip["clip_path"]).read_bytes()
        assert (row["label"], row["split"]) == (clip["labels"][0], "train")
        assert row["creator"].startswith("creator-")
    assert len({r["creator"] for r in file.read().to_pylist()}) <= 3


def test_coco_is_loaded_by_pycocotools(five_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pycocotools")
    import cv2
    from pycocotools.coco import COCO

    api.dataset_export(five_clips, tmp_path / "out", format="coco", frames=True)
    coco = COCO(str(tmp_path / "out" / "person_boxes.json"))
    assert coco.getCatIds(catNms=["person"]) == [1]
    assert len(coco.getImgIds()) == 50
    assert len(coco.getAnnIds()) == 50, "the box below the score that counts is left out"
    box = coco.loadAnns(coco.getAnnIds()[:1])[0]
    assert box["bbox"] == [10, 20, 40, 70] and box["area"] == 2800
    for image in coco.loadImgs(coco.getImgIds()):
        picture = cv2.imread(str(tmp_path / "out" / "images" / image["file_name"]))
        assert picture is not None and picture.shape[:2] == (image["height"], image["width"])


def test_coco_frames_are_the_sampled_ones(five_clips: Path, tmp_path: Path, read_number) -> None:
    import cv2

    api.dataset_export(five_clips, tmp_path / "out", format="coco", frames=True)
    told = json.loads((tmp_path / "out" / "person_boxes.json").read_text(encoding="utf-8"))
    firsts = {row[1]: 500 * number for number, row in enumerate(ROWS[:-1])}
    for image in told["images"][::7]:
        picture = cv2.imread(str(tmp_path / "out" / "images" / image["file_name"]))
        assert picture is not None
        assert read_number(picture[..., ::-1]) == firsts[image["video_id"]] + image["frame"]


def test_fiftyone_follows_its_layout(five_clips: Path, tmp_path: Path) -> None:
    """The documented layout; where FiftyOne is installed its own importer reads it too."""
    out = tmp_path / "out"
    api.dataset_export(five_clips, out, format="fiftyone")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["type"] == "eta.core.datasets.LabeledVideoDataset" and len(manifest["index"]) == 5
    for entry in manifest["index"]:
        labels = json.loads((out / entry["labels"]).read_text(encoding="utf-8"))
        said = {a["name"]: a["value"] for a in labels["attrs"]["attrs"]}
        clip = clips_of(five_clips)[said["video_id"]]
        assert said["label"] == clip["labels"][0] and said["split"] == clip["split"]
        assert (out / entry["data"]).read_bytes() == (five_clips / clip["clip_path"]).read_bytes()
        assert len(labels["frames"]) == 10
        for number, frame in labels["frames"].items():
            assert int(number) == frame["frame_number"] and 1 <= int(number) <= clip["clip_frames"]
            [person] = frame["objects"]["objects"]
            assert person["bounding_box"]["top_left"]["x"] == pytest.approx(10 / clip["width"])
    try:
        from fiftyone.utils.data.importers import FiftyOneVideoLabelsDatasetImporter
    except ImportError:
        pytest.skip("fiftyone is not installed: the layout was checked, not opened")
    importer = FiftyOneVideoLabelsDatasetImporter(str(out))
    importer.setup()
    assert len(list(importer)) == 5


def test_labelstudio_tasks(five_clips: Path, tmp_path: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    out = tmp_path / "out"
    api.dataset_export(five_clips, out, format="labelstudio")
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    choices = [c.get("value") for c in ElementTree.parse(out / "config.xml").getroot().iter("Choice")]
    assert set(choices) == {row[2] for row in ROWS} | {"no action"}
    for task in tasks:
        name = task["data"]["video"].partition("?d=")[2]
        assert (out / name).is_file()
        [result] = task["predictions"][0]["result"]
        assert set(result["value"]["choices"]) <= set(choices)


def test_croissant_is_valid(five_clips: Path) -> None:
    ml = pytest.importorskip("mlcroissant")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rdflib, about itself
        found = ml.Dataset(str(five_clips / "croissant.json"))
        records = list(found.records("videos"))
    assert not found.metadata.ctx.issues.errors, found.metadata.ctx.issues.report()
    assert found.metadata.data_biases and found.metadata.personal_sensitive_information
    assert {r["videos/video_id"].decode() for r in records} == {row[1] for row in ROWS}
    told = json.loads((five_clips / "croissant.json").read_text(encoding="utf-8"))
    manifest = next(d for d in told["distribution"] if d["@id"] == "manifest")
    assert manifest["sha256"] == hashlib.sha256((five_clips / "manifest.parquet").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("choice", "clips"),
    [
        ({"sides": ["train"]}, 3),
        ({"sides": ["val", "test"]}, 2),
        ({"labels": ["salsa"]}, 2),
        ({"labels": ["salsa", "跳舞"]}, 3),
    ],
    ids=str,
)
def test_only_what_was_asked_for(five_clips: Path, tmp_path: Path, choice: dict[str, Any], clips: int) -> None:
    assert api.dataset_export(five_clips, tmp_path / "out", format="huggingface", **choice).clips == clips


def test_names_that_are_not_there_are_told(
    five_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: dict[str, Any] = {"sides": ["train", "tarin"], "labels": ["salsa", "Salsa", "waltz"]}
    notes = ("`sides`: no clip fits tarin", "`labels`: no clip fits Salsa, waltz")
    assert api.dataset_export(five_clips, tmp_path / "out", format="kinetics", **told).notes == notes
    assert api.dataset_subset(five_clips, tmp_path / "subset", by="labels", **told).notes == notes
    typed = ["--sides", "train", "tarin", "--format", "kinetics", "-o", str(tmp_path / "typed")]
    assert cli.main(["dataset", "export", str(five_clips), *typed]) == 1
    assert "attention: --sides: no clip fits tarin" in capsys.readouterr().err


def test_an_unsplit_dataset_has_one_side(data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / "splits")
    write_manifest(data, all_records(data), Dataset(data).options)
    assert api.dataset_export(data, tmp_path / "out", format="kinetics").sides == {"all": 5}
    [row, *_] = csv.DictReader(io.StringIO((tmp_path / "out" / "all.csv").read_text(encoding="utf-8")))
    assert row["split"] == ""


def test_videos_that_go_leave_every_export(data: Path, tmp_path: Path) -> None:
    for name in NAMES:
        api.dataset_export(data, tmp_path / name, format=name, frames=True)
    gone = "with.dots.in.it"
    shutil.rmtree(tmp_path / "kinetics")  # moved away by its owner
    for path in data.glob(f"records/*/{gone}.json"):
        path.unlink()
    write_manifest(data, all_records(data), Dataset(data).options)
    assert exports.take_down_from_exports(data, {gone}) == len(NAMES) - 1
    for name in NAMES[1:]:
        for path in (tmp_path / name).rglob("*"):
            assert gone not in path.name and key_of(gone) not in path.name
            if path.is_file() and path.suffix in (".json", ".csv", ".jsonl", ".tar", ".xml"):
                assert gone.encode() not in path.read_bytes(), path
    assert "kinetics" not in {entry["format"] for entry in exports.remembered(data)}
    assert exports.take_down_from_exports(data, {gone}) == 0, "nothing is left to be done"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda out: out.mkdir() or (out / "mine.txt").write_text("x"), "not empty and not an export"),
        (lambda out: out.write_text("x"), "expected a folder"),
    ],
    ids=["somebody's folder", "a file"],
)
def test_what_is_not_ours_is_not_written_to(five_clips: Path, tmp_path: Path, prepare, message: str) -> None:
    prepare(tmp_path / "out")
    with pytest.raises(api.UsageError, match=message):
        api.dataset_export(five_clips, tmp_path / "out", format="kinetics")


def test_the_command(five_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert cli.main(["dataset", "export", str(five_clips), "--format", "kinetics", "-o", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 5
    assert cli.main(["dataset", "export", str(five_clips), "--format", "coco", "-o", out]) == 2
    assert "holds an export in the format kinetics" in capsys.readouterr().err
    arguments = [
        "dataset",
        "export",
        str(five_clips),
        "--format",
        "ids",
        "--labels",
        "nothing",
        "-o",
        str(tmp_path / "x"),
    ]
    assert cli.main(arguments) == 1 and "--labels: no clip fits nothing" in capsys.readouterr().err
    assert cli.main([*arguments[:4], "kinetics", *arguments[5:7], "nothing", "-o", str(tmp_path / "y")]) == 2
