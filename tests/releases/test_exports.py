"""Exports: each opened by the library that reads it, the same bytes twice, no names, and taken down where videos go."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.curation.tiny_onnx import write_constant_model
from tests.made_videos import write_video
from tests.releases.conftest import ROWS
from tiktokactions import cli
from tiktokactions.curation.takedowns import NotTakenDownError
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.files import ObjectPath, all_records, write_record
from tiktokactions.records import PersonBox
from tiktokactions.releases import export as exports
from tiktokactions.releases import formats
from tiktokactions.releases.formats import NAMES, Format
from tiktokactions.releases.formats.webdataset import key_of, write_shards


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
    everything = (5, {"train": 3, "val": 1, "test": 1})
    nothing = (0, {"train": 0, "val": 0, "test": 0})  # of clips in which nobody marked a part
    assert (first.clips, first.sides) == (nothing if name == "activitynet" else everything)
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
        del before["SHA256SUMS"]
        (tmp_path / "out" / "SHA256SUMS").unlink()
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
    from tiktokactions.releases.formats import parquet

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
    with pytest.raises(NotTakenDownError, match="kinetics") as told:
        exports.take_down_from_exports(data, {gone})
    assert told.value.taken_down == len(NAMES) - 1
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


# --- whatever happens on the way -------------------------------------------------------------------------------------

KILLED = """
import importlib, json, os, shutil, sys
import tiktokactions as ta
from tiktokactions.files import changes

data, folder, name = sys.argv[1:4]
ta.dataset_export, importlib.import_module(f"tiktokactions.releases.formats.{name}")  # once, and not in each process
made = 0

def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def export(end_before=None):
    def count(place):
        global made
        made += 1
        if made == end_before:
            os.kill(os.getpid(), 9)
    changes.about_to_change = count
    ta.dataset_export(data, f"{folder}/out", format=name)
    with open(f"{folder}/made", "w") as file:
        file.write(str(made))

assert child(export) == 0
shutil.rmtree(f"{folder}/out")
open(f"{data}/exports.json", "w").write("[]")
assert child(export) == 0  # once more: the first export of all writes what the others find
count = int(open(f"{folder}/made").read())
shutil.move(f"{folder}/out", f"{folder}/whole")
places = range(1, count + 1) if sys.argv[4] == "all" else sorted({1 + round(i * (count - 1) / 4) for i in range(5)})
told = {}
for k in places:
    shutil.rmtree(f"{folder}/out", ignore_errors=True)
    open(f"{data}/exports.json", "w").write("[]")
    assert child(lambda: export(k)) == -9, k
    clips = [os.path.join(at, n) for at, _, names in os.walk(f"{folder}/out") for n in names if n.endswith((".mp4", ".tar"))]
    known = f"{folder}/out" in [entry["path"] for entry in json.load(open(f"{data}/exports.json"))]
    assert child(export) == 0, k
    whole = {n for n in os.listdir(f"{folder}/out") if not n.startswith(".writing")}
    told[k] = [bool(clips) and not known, sorted(whole) != sorted(os.listdir(f"{folder}/whole"))]
print(json.dumps(told))
"""


@pytest.mark.parametrize(
    ("name", "places"),
    [("ids", "some"), *(pytest.param(name, "all", marks=pytest.mark.slow) for name in NAMES)],
    ids=str,
)
def test_a_killed_export_is_known_and_goes_on(data: Path, tmp_path: Path, name: Format, places: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(data), str(tmp_path), name, places],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) >= 5
    assert not [k for k, (unknown, _) in found.items() if unknown], "clips lie where no take-down looks"
    assert not [k for k, (_, other) in found.items() if other], "the same command makes it whole"


def test_what_no_export_wrote_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    api.dataset_export(data, out, format="kinetics", sides=["train"])
    (out / "mine.txt").write_text("notes")
    api.dataset_export(data, out, format="kinetics", sides=["train"])
    (out / "val.csv").write_text("my own list")
    before = bytes_of(out)
    with pytest.raises(api.UsageError, match=r"holds val.csv, which no export wrote"):
        api.dataset_export(data, out, format="kinetics")
    assert (out / "val.csv").read_text() == "my own list" and (out / "mine.txt").read_text() == "notes"
    assert {n: b for n, b in bytes_of(out).items() if n != exports.MARK} == {
        n: b for n, b in before.items() if n != exports.MARK
    }


def test_a_take_down_reaches_a_killed_export(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    api.dataset_export(data, out, format="huggingface")
    said = json.loads((out / exports.MARK).read_text())
    (out / exports.MARK).write_text(json.dumps({k: v for k, v in said.items() if k != "videos"} | {"unfinished": True}))
    (out / ".export" / "train").mkdir(parents=True)
    shutil.copy(next((out / "data" / "train").glob("*.mp4")), out / ".export" / "train")
    gone = "with.dots.in.it"
    for path in data.glob(f"records/*/{gone}.json"):
        path.unlink()
    write_manifest(data, all_records(data), Dataset(data).options)
    assert exports.take_down_from_exports(data, {gone}) == 1
    assert not (out / ".export").exists() and not list(out.rglob(f"{gone}*")) and list(out.rglob("*.mp4"))


def test_checksums_and_certificate(data: Path, tmp_path: Path) -> None:
    (data / "splits" / "certificate.json").write_text('{"leaks": 0}')
    api.dataset_export(data, tmp_path / "out", format="webdataset")
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0 and "certificate.json: OK" in done.stdout, done.stdout + done.stderr
    said = json.loads((tmp_path / "out" / exports.MARK).read_text())
    assert set(said["files"]) == {p.name for p in (tmp_path / "out").iterdir()} - {exports.MARK}


@pytest.fixture
def half_labelled(data: Path) -> Path:
    """A copy of which the first clip of the training side has no label."""
    video_id = ROWS[0][1]
    for record in list(all_records(data)):
        if record.video_id == video_id:
            source = dataclasses.replace(record.source, labels={})
            write_record(data, record.with_source(source))
    write_manifest(data, all_records(data), Dataset(data).options)
    return data


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_unlabelled_clips_have_the_same_members(half_labelled: Path, tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    out = tmp_path / "out"
    api.dataset_export(half_labelled, out, format="webdataset")
    [tar] = out.glob("train-*.tar")
    found = list(wds.WebDataset(str(tar), shardshuffle=False).to_tuple("mp4", "cls"))
    assert sorted(int(number) for _, number in found)[0] == -1 and len(found) == 3
    assert opened_by_datasets(out, tmp_path) == "{'train': 3, 'validation': 1, 'test': 1}"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_shards_without_sides_are_opened_too(half_labelled: Path, tmp_path: Path) -> None:
    shutil.rmtree(half_labelled / "splits")
    write_manifest(half_labelled, all_records(half_labelled), Dataset(half_labelled).options)
    done = api.dataset_export(half_labelled, tmp_path / "out", format="webdataset")
    assert done.sides == {"all": 5}
    assert opened_by_datasets(tmp_path / "out", tmp_path) == "{'train': 5}"


def opened_by_datasets(out: Path, home: Path) -> str:
    pytest.importorskip("datasets")
    script = (
        "import datasets, sys\n"
        "datasets.config.TORCHCODEC_AVAILABLE = False\n"
        "found = datasets.load_dataset('webdataset', data_dir=sys.argv[1])\n"
        "print({side: part.num_rows for side, part in found.items()})\n"
    )
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "hf"), "PATH": "/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", script, str(out)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_counts_are_those_of_the_lines(half_labelled: Path, tmp_path: Path) -> None:
    done = api.dataset_export(half_labelled, tmp_path / "k", format="kinetics", root=half_labelled)
    assert done.sides == {"train": 2, "val": 1, "test": 1} and "1 clips without a label" in done.notes[0]
    seen = 0
    for side, count in done.sides.items():
        rows = list(csv.DictReader(io.StringIO((tmp_path / "k" / f"{side}.csv").read_text(encoding="utf-8"))))
        assert len(rows) == count
        seen += sum((half_labelled / row["path"]).is_file() for row in rows)
    assert seen == done.clips == 4


def test_lists_with_a_root_hold_relative_paths(half_labelled: Path, tmp_path: Path) -> None:
    done = api.dataset_export(half_labelled, tmp_path / "v", format="videomae", root=tmp_path)
    lines = [
        line for name in ("train", "val", "test") for line in (tmp_path / "v" / f"{name}.csv").read_text().splitlines()
    ]
    lines += (tmp_path / "v" / "pretrain.csv").read_text().splitlines()
    assert len(lines) == 4 + 3 and done.clips == 5, "the clip without a label is there for pre-training"
    for line in lines:
        path = line.split(" ")[0]
        assert not path.startswith("/") and (tmp_path / path).is_file()


def test_odd_pictures_have_the_size_that_is_said(tmp_path: Path) -> None:
    frames = [np.full((121, 161, 3), 40 + number, np.uint8) for number in range(100)]
    import av

    (tmp_path / "videos").mkdir()
    with av.open(str(tmp_path / "videos" / "odd.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 161, 121, "yuv444p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        file.mux(stream.encode())
    unsearched: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "static": "keep"}
    api.curate(tmp_path / "videos", tmp_path / "data", workers=1, **unsearched)
    api.dataset_export(tmp_path / "data", tmp_path / "out", format="coco", frames=True)
    for image in json.loads((tmp_path / "out" / "person_boxes.json").read_text())["images"]:
        picture = cv2.imread(str(tmp_path / "out" / "images" / image["file_name"]))
        assert picture is not None and picture.shape[1::-1] == (image["width"], image["height"]) == (161, 121)


def test_an_export_on_a_store(data: Path, tmp_path: Path, store: Any) -> None:
    """Written, made anew, and reached by a take-down; the same bytes as on a disk."""
    bucket = store.make_bucket("exports")
    api.dataset_export(data, f"{bucket}/shards", format="webdataset")
    api.dataset_export(data, f"{bucket}/shards", format="webdataset")
    api.dataset_export(data, tmp_path / "shards", format="webdataset")
    there = {path.name: path.read_bytes() for path in ObjectPath(f"{bucket}/shards").iterdir()}
    here = {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    assert there == here
    gone = "with.dots.in.it"
    for path in data.glob(f"records/*/{gone}.json"):
        path.unlink()
    write_manifest(data, all_records(data), Dataset(data).options)
    assert exports.take_down_from_exports(data, {gone}) == 2
    assert key_of(gone).encode() not in (ObjectPath(f"{bucket}/shards") / "train-000000.tar").read_bytes()


@pytest.mark.parametrize(
    "stored",
    [{"rotation": 90}, {"rotation": 180}, {"rotation": 270}, {"sample_aspect_ratio": Fraction(4, 3)}],
    ids=str,
)
def test_boxes_lie_on_the_person_however_the_picture_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any]
) -> None:
    """The brightest square is a person, who walks."""

    def see(images_bgr: Sequence[np.ndarray]) -> list[tuple[PersonBox, ...]]:
        found: list[tuple[PersonBox, ...]] = []
        for image in images_bgr:
            y, x = np.nonzero(image.mean(2) > 150)
            box = float(x.min()), float(y.min()), float(x.max()), float(y.max())
            found.append((PersonBox(box, 0.9),))
        return found

    frames = np.full((100, 200, 120, 3), 40, np.uint8)
    for number, frame in enumerate(frames):
        frame[20:80, 10 + number // 2 : 40 + number // 2] = 220
    write_video(tmp_path / "videos" / "walk" / "turned.mp4", list(frames), fps=25, **stored)
    write_constant_model(tmp_path / "x.onnx", (1, 3, 416, 416), np.zeros((1, 3549, 85), np.float32))
    monkeypatch.setattr("tiktokactions.curation.one_video.open_detector", lambda _: see)
    api.curate(tmp_path / "videos", tmp_path / "data", detector=f"onnx:{tmp_path / 'x.onnx'}", workers=1)
    api.dataset_export(tmp_path / "data", tmp_path / "out", format="coco", frames=True)
    said = json.loads((tmp_path / "out" / "person_boxes.json").read_text())
    files = {image["id"]: image for image in said["images"]}
    assert len(said["annotations"]) == 10
    for one in said["annotations"]:
        picture = cv2.imread(str(tmp_path / "out" / "images" / files[one["image_id"]]["file_name"]))
        assert picture is not None and picture.shape[:2] == (200, 120)
        x, y, width, height = (round(value) for value in one["bbox"])
        assert picture[y + 3 : y + height - 3, x + 3 : x + width - 3].mean() > 200, "on the person"
        assert width * height == pytest.approx(30 * 60, rel=0.15), "and on all of it"
