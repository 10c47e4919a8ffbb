"""``curate`` from and to an object store: the same dataset as on a disk, whether the store fails or the run is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.stores import Store
from tiktokactions.cli import main
from tiktokactions.clips.read import read_clips
from tiktokactions.curation.listed import MissingError
from tiktokactions.files import Place, located, readable, record_files
from tiktokactions.files.objects import ObjectPath
from tiktokactions.machine import scratch_folder

NO_PEOPLE: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "workers": 1}


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    for number, name in enumerate(("dance/a.mp4", "dance/b.mp4", "swim/c.mp4")):
        write_video(folder / name, numbered_frames(110, 96, 128, first=1000 * number))
    (folder / "swim" / "twin.mp4").write_bytes((folder / "dance" / "a.mp4").read_bytes())
    (folder / "swim" / "c.json").write_text(json.dumps({"id": "7231", "creator": "somebody", "title": "c"}))
    (folder / "notes.txt").write_text("not a video")
    return folder


@pytest.fixture(scope="session")
def on_disk(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("disk") / "data"
    api.curate(videos, dataset, **NO_PEOPLE)
    api.dataset_split(dataset, val=0, test=0.5, certify=0)
    return dataset


def put(videos: Path, bucket: str) -> str:
    for path in sorted(p for p in videos.rglob("*") if p.is_file()):
        (ObjectPath(bucket) / "in" / path.relative_to(videos).as_posix()).write_bytes(path.read_bytes())
    return f"{bucket}/in/"


def told(dataset: Place, videos: str) -> dict[str, Any]:
    """Records by id, without times, and with paths as they are below the folder of the videos."""
    found = {}
    for _, data in record_files(dataset):
        record = json.loads(data.replace(videos.rstrip("/").encode(), b"VIDEOS"))
        del record["timings"], record["sha256"], record["source"]["fingerprints"]
        found[record["video_id"]] = record
    return found


def table(dataset: Place) -> list[dict[str, Any]]:
    rows = pq.read_table(readable(dataset / "manifest.parquet")).to_pylist()
    return [{k: v for k, v in row.items() if k not in ("timings", "source_path", "record_sha256")} for row in rows]


def test_a_store_gives_the_dataset_of_a_disk(
    videos: Path, on_disk: Path, bucket: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A twin, a sidecar and a text file included; then split, stats, card and verify on the store."""
    source, dataset = put(videos, bucket), located(f"{bucket}/out/data/")
    options = ["--detector", "none", "--min-person-frames", "0", "--workers", "2"]
    assert main(["curate", source, "-o", str(dataset), *options, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["dataset"], result["videos"], result["accepted"], result["rejected"]) == (str(dataset), 4, 3, 1)
    assert told(dataset, source) == told(on_disk, str(videos))
    read = [p for m, p in store.asked if m == "GET" and p.startswith(f"/{ObjectPath(source.rstrip('/')).key}/")]
    assert sorted(read) == sorted(set(read)) and len([p for p in read if p.endswith(".mp4")]) == 4  # each once
    assert not list((scratch_folder() / "fetched").iterdir())
    capsys.readouterr()
    assert main(["dataset", "split", str(dataset), "--val", "0", "--test", "0.5", "--certify", "0", "--json"]) == 1
    split = json.loads(capsys.readouterr().out)
    assert (split["missing_labels"], split["possible_labels"]) == ({"test": ["swim"]}, {"test": 1})
    assert table(dataset) == table(on_disk)
    for record in told(dataset, source).values():
        if record["clip"] is not None:
            assert (dataset / record["clip"]["path"]).read_bytes() == (on_disk / record["clip"]["path"]).read_bytes()
            assert (dataset / "thumbs" / f"{record['video_id']}.strip.jpg").is_file()
    here = {p.relative_to(on_disk).as_posix() for p in on_disk.rglob("*") if p.is_file()}
    there = {f"{folder}{e}" for folder, e in everything(dataset)}
    on_store = {
        f"{p.rsplit('/', 1)[0]}.jsonl.gz" if p.startswith("records/") else p for p in here - {".lock", ".listing-lock"}
    }
    assert there == on_store
    assert main(["dataset", "verify", str(dataset)]) == 0
    assert main(["dataset", "stats", str(dataset)]) == 0
    assert f"Numbers: {dataset}/stats.json" in capsys.readouterr().out
    assert main(["dataset", "card", str(dataset)]) == 0
    assert (dataset / "README.md").read_text().count("\n") > 20

    # A rerun looks at the listings alone: nothing is read again, nothing is written.
    store.asked.clear()
    again = api.curate(source, str(dataset), **NO_PEOPLE).last_run
    assert (again.curated, again.finished_before) == (0, 5)
    assert not [(m, p) for m, p in store.asked if m in ("GET", "HEAD") and p.endswith((".mp4", ".txt"))]
    assert {p for m, p in store.asked if m in ("PUT", "DELETE")} == {f"/{ObjectPath(str(dataset)).key}/.lock"}

    # The sampled frames come from the stored sources: those of the disk. What is gone since is told.
    assert api.dataset_export(on_disk, tmp_path / "disk", format="coco", frames=True).notes == ()
    (ObjectPath(source.rstrip("/")) / "dance" / "b.mp4").unlink()
    assert main(["dataset", "export", str(dataset), "--format", "coco", "--frames", "-o", str(tmp_path / "coco")]) == 1
    assert "10 of 30 sampled frames have no picture" in capsys.readouterr().err
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "coco" / "images").iterdir()}
    from_disk = {path.name: path.read_bytes() for path in (tmp_path / "disk" / "images").iterdir()}
    assert len(pictures) == 20 and pictures.items() <= from_disk.items()


def everything(folder: Any, below: str = "") -> list[tuple[str, str]]:
    objects, folders = folder.entries()
    found = [(below, entry.url.rsplit("/", 1)[1]) for entry in objects]
    for url in folders:
        found += everything(ObjectPath(url), f"{below}{url.rsplit('/', 1)[1]}/")
    return found


@pytest.mark.parametrize("stored", [True, False], ids=["dataset in the bucket", "dataset on a disk"])
def test_a_take_down_reaches_the_store(
    videos: Path, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], stored: bool
) -> None:
    """Clip, thumbnails, record, rows, and the source with what lies beside it; then it is neither curated nor told again."""
    source, dataset = put(videos, bucket), located(f"{bucket}/data" if stored else tmp_path / "data")
    api.curate(source, str(dataset), **NO_PEOPLE)
    api.dataset_split(str(dataset), val=0, test=0.5)
    assert api.report([str(dataset)], tmp_path / "report.html", previews=3).sections > 2
    assert (tmp_path / "report.html").read_text().count("data:image/webp") == 3
    assert main(["refresh", str(dataset), "--remove", "7231", "--json"]) == 1
    [removed] = json.loads(capsys.readouterr().out)["removed"]
    [report] = removed["left"]
    assert removed["videos"] == 1 and "report.html" in report and "make it again" in report
    counted = {
        name: removed["artefacts"][name] for name in ("media", "clips", "thumbnails", "records", "manifest rows")
    }
    assert counted == {"media": 2, "clips": 1, "thumbnails": 2, "records": 1, "manifest rows": 1}
    assert not ObjectPath(f"{bucket}/in/swim/c.mp4").exists() and not ObjectPath(f"{bucket}/in/swim/c.json").exists()
    folder = Path(str(dataset))
    objects = everything(dataset) if stored else [("", p.relative_to(folder).as_posix()) for p in folder.rglob("*")]
    assert not [place for place in objects if "7231" in place[1]]
    kept = [name for folder, name in objects if b"7231" in bytes_at(dataset / f"{folder}{name}")]
    assert [name for name in kept if not name.startswith("removals/") and "T" not in name] == ["removed.csv"]
    (ObjectPath(bucket) / "in" / "swim" / "7231.mp4").write_bytes((videos / "swim" / "c.mp4").read_bytes())
    assert api.curate(source, str(dataset), **NO_PEOPLE).last_run.accepted == 2
    assert not (dataset / "clips" / "swim" / "7231.mp4").exists()


def bytes_at(path: Place) -> bytes:
    return path.read_bytes() if path.is_file() else b""


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("dataset hydrate ids.csv --media videos -o s3://b/data", "what hydrate writes"),
        ("dataset hydrate ids.csv --media s3://b/videos -o data", "the media of hydrate"),
        ("dataset diff data other -o s3://b/diff.csv", "a difference"),
        ("review s3://b/data", "reviews.sqlite"),
        ("review apply s3://b/data", "reviews.sqlite"),
        ("review status s3://b/data", "reviews.sqlite"),
        ("collect status s3://b/collection", "collection.sqlite"),
        ("collect run hashtags.csv -o s3://b/collection --per-hashtag 1", "collection.sqlite"),
        ("pretrain videos -o s3://b/run", "a run"),
        ("finetune videos -o s3://b/run", "a run"),
        ("study scaling videos --sizes 1 --evaluate-on videos -o s3://b/study", "a study"),
        ("hashtags propose --from ucf101 -o s3://b/candidates.csv", "a list of candidates"),
        ("report data -o s3://b/report.html", "a report"),
        ("extrapolate s3://b/results.csv", "results"),
        ("extrapolate results.csv -o s3://b/extrapolation", "an extrapolation"),
        ("demo -o s3://b/demo", "a demo"),
    ],
)
def test_what_needs_a_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hashtags.csv").write_text("hashtag\nwaltz\n")
    for label in ("a", "b"):
        (tmp_path / "videos" / label).mkdir(parents=True)
        (tmp_path / "videos" / label / "clip.mp4").write_bytes(b"not looked at")
    assert main(typed.split()) == 2
    assert f": {what} cannot lie on an object store; name a place on a disk" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hashtags.csv", "videos"]


def test_a_merge_onto_a_store_is_that_of_a_disk(videos: Path, on_disk: Path, bucket: str, tmp_path: Path) -> None:
    """Of a dataset on a disk and one on a store; what people decided needs a disk."""
    write_video(tmp_path / "more" / "jump" / "d.mp4", numbered_frames(110, 96, 128, first=7000))
    api.curate(tmp_path / "more", f"{bucket}/more", **NO_PEOPLE)
    merges = [located(f"{bucket}/merged"), tmp_path / "merged"]
    for out in merges:
        found = api.dataset_merge([on_disk, f"{bucket}/more"], str(out))
        assert (found.videos, found.accepted, found.shared) == (5, 4, 0)
        assert api.dataset_verify(str(out)).problems == ()
    assert told(merges[0], str(videos)) == told(merges[1], str(videos))
    copied = tmp_path / "reviewed"
    shutil.copytree(on_disk, copied)
    api.review_invite(copied, "ann")
    with pytest.raises(api.UsageError, match=r"reviews\.sqlite cannot lie on an object store"):
        api.dataset_merge([copied, f"{bucket}/more"], f"{bucket}/both")
    assert not located(f"{bucket}/both").exists()


def test_subsets_of_a_stored_dataset(on_disk: Path, videos: Path, bucket: str, tmp_path: Path) -> None:
    """On the store and on a disk: read, exported, and reached by a take-down. A store sees no clips on a disk."""
    source, dataset = put(videos, bucket), f"{bucket}/data"
    api.curate(source, dataset, **NO_PEOPLE)
    subsets = (f"{bucket}/sub", str(tmp_path / "sub"))
    for out in subsets:
        chosen = api.dataset_subset(dataset, out, size=3, by="diverse")
        assert (chosen.clips, chosen.labels) == (3, {"dance": 2, "swim": 1})
        clips = read_clips(out, side="all").clips
        assert {clip.path for clip in clips} == {clip.path for clip in read_clips(dataset, side="all").clips}
        assert all(clip.stored for clip in clips), "their copies on this machine are known by the dataset's version"
        assert api.dataset_export(out, tmp_path / f"list-{len(out)}", format="videomae").clips == 3
    api.refresh(dataset, remove=["7231"])
    for out in subsets:
        left = {clip.video_id for clip in read_clips(out, side="all").clips}
        assert left == {clip.video_id for clip in clips} - {"7231"}
    with pytest.raises(api.UsageError, match="from a store nobody sees those in"):
        api.dataset_subset(on_disk, f"{bucket}/other", size=1)


@pytest.mark.slow
def test_a_changed_object_is_curated_anew_and_a_relabelled_one_moves(videos: Path, bucket: str, tmp_path: Path) -> None:
    source, dataset = put(videos, bucket), located(f"{bucket}/data")
    api.curate(source, str(dataset), **NO_PEOPLE)
    write_video(tmp_path / "b.mp4", numbered_frames(110, 96, 128, first=5000))
    (ObjectPath(source) / "dance" / "b.mp4").write_bytes((tmp_path / "b.mp4").read_bytes())
    (ObjectPath(source) / "swim" / "c.json").write_bytes(json.dumps({"id": "7231", "label": "diving"}).encode())
    result = api.curate(source, str(dataset), **NO_PEOPLE).last_run
    assert (result.curated, result.videos, result.accepted) == (1, 4, 3)
    assert (dataset / "clips" / "diving" / "7231.mp4").is_file()
    assert not (dataset / "clips" / "swim" / "7231.mp4").exists()
    shorter = api.curate(str(dataset), redecide=True, max_clip_s=3.5, min_clip_s=3.0).last_run
    assert shorter.cut_again == 3 and not shorter.uncut  # the sources are fetched again for it
    assert not api.dataset_verify(str(dataset)).problems


def test_a_store_that_fails_at_times_loses_nothing(videos: Path, on_disk: Path, bucket: str, store: Store) -> None:
    source, dataset = put(videos, bucket), located(f"{bucket}/data")
    with store.failing(every=9):
        api.curate(source, str(dataset), **NO_PEOPLE)
        assert store.failed > 8
    assert told(dataset, source) == told(on_disk, str(videos))
    assert not api.dataset_verify(str(dataset)).problems


@pytest.mark.slow
def test_a_killed_run_goes_on(videos: Path, on_disk: Path, bucket: str) -> None:
    source, dataset = put(videos, bucket), located(f"{bucket}/data")
    options = ["--detector", "none", "--min-person-frames", "0", "--workers", "1"]
    command = [sys.executable, "-m", "tiktokactions", "curate", source, "-o", str(dataset), *options]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list((dataset / "records").glob("*/*.json")):
        time.sleep(0.1)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert (dataset / ".lock").exists()
    api.curate(source, str(dataset), **NO_PEOPLE)
    assert told(dataset, source) == told(on_disk, str(videos))


@pytest.mark.parametrize(
    ("videos", "output", "message"),
    [
        ("s3://no-such-bucket/in/", "{tmp}/data", "no object and nothing below it"),
        ("{bucket}/*.mp4", "{tmp}/data", "no object matches it"),
        ("{tmp}", "s3://no-such-bucket/data", "Does the bucket exist"),
        ("{tmp}", "s3://", "expected an address such as s3://bucket/folder"),
    ],
)
def test_addresses_that_lead_nowhere(
    videos: str, output: str, message: str, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = {"bucket": bucket, "tmp": str(tmp_path)}
    assert main(["curate", videos.format(**at), "-o", output.format(**at), "--detector", "none"]) in (1, 2)
    assert message in capsys.readouterr().err


def test_lists_name_objects(videos: Path, bucket: str, tmp_path: Path) -> None:
    """A local list of addresses, and a list that lies on the store with paths beside it."""
    source = put(videos, bucket)
    (tmp_path / "list.csv").write_text(f"path,label,creator\n{source}dance/b.mp4,jump,me\n{source}gone.mp4,jump,me\n")
    (ObjectPath(source) / "list.txt").write_bytes(b"swim/c.mp4\trow\n")
    lists = [str(tmp_path / "list.csv"), f"{source}list.txt"]
    with pytest.raises(MissingError, match=f"1 of 2 videos are not there: {source}gone.mp4"):
        api.curate(lists, tmp_path / "data", **NO_PEOPLE)
    result = api.curate(lists, tmp_path / "data", skip_missing=True, **NO_PEOPLE).last_run
    assert (result.videos, result.accepted) == (2, 2)
    by_path = {r["source"]["path"]: r for r in told(tmp_path / "data", source).values()}
    assert {path: (r["labels"], r["status"], r["reasons"]) for path, r in by_path.items()} == {
        "VIDEOS/dance/b.mp4": (["jump"], "accepted", ["people_not_required"]),
        "VIDEOS/swim/c.mp4": (["row"], "accepted", ["people_not_required"]),
    }
