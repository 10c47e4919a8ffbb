"""``gs://``: curated from and to a bucket of an emulator on loopback, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions.cli import main
from tiktokactions.files import located, record_files
from tiktokactions.files.objects import ObjectPath

NO_PEOPLE = ["--detector", "none", "--min-person-frames", "0", "--workers", "1"]


@pytest.fixture
def bucket(google_bucket: str) -> str:
    return google_bucket


@pytest.mark.slow
def test_a_bucket_to_a_bucket_is_as_from_disk_to_disk(
    bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("dance/a b.mp4", "dance/ü%20.mp4", "swim/c.mp4")):
        path = tmp_path / "videos" / name
        write_video(path, numbered_frames(60, 96, 128, first=1000 * number), fps=15)
        (ObjectPath(bucket) / "in" / name).write_bytes(path.read_bytes())
    assert main(["curate", f"{bucket}/in/", "-o", f"{bucket}/data", *NO_PEOPLE]) == 0
    assert main(["curate", str(tmp_path / "videos"), "-o", str(tmp_path / "data"), *NO_PEOPLE]) == 0

    def evidence(dataset: str) -> dict[str, tuple[object, ...]]:
        records = [json.loads(data) for _, data in record_files(located(dataset))]
        return {r["video_id"]: (r["status"], r["labels"], r["scenes"], r["clip"]["sha256"]) for r in records}

    stored = evidence(f"{bucket}/data")
    assert stored == evidence(str(tmp_path / "data")) and {status for status, *_ in stored.values()} == {"accepted"}

    capsys.readouterr()
    assert main(["curate", f"{bucket}/in/", "-o", f"{bucket}/data", *NO_PEOPLE]) == 0
    assert "0 curated" in capsys.readouterr().out, "etags tell that nothing changed"
    assert api.dataset_verify(f"{bucket}/data").problems == ()
    sides = api.dataset_split(f"{bucket}/data", val=0, test=0.34).sides
    assert sides["train"] == 2 and sides["test"] == 1
    for form in ("webdataset", "huggingface", "labelstudio"):
        assert api.dataset_export(f"{bucket}/data", tmp_path / form, format=form).clips == 3
    clips = [path.read_bytes() for path in (tmp_path / "labelstudio" / "clips").glob("*.mp4")]
    assert sorted(clips) == sorted(path.read_bytes() for path in (tmp_path / "data" / "clips").rglob("*.mp4"))
    api.dataset_export(f"{bucket}/data", f"{bucket}/out", format="ids")
    api.dataset_export(f"{bucket}/data", tmp_path / "ids", format="ids")
    there = {path.name: path.read_bytes() for path in located(f"{bucket}/out").iterdir()}
    assert there == {path.name: path.read_bytes() for path in (tmp_path / "ids").iterdir()}


def test_a_bucket_that_is_not_there_is_said(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "videos" / "a.mp4", numbered_frames(60, 96, 128), fps=15)
    assert main(["curate", str(tmp_path / "videos"), "-o", "gs://nowhere/data", *NO_PEOPLE]) == 1
    assert "gs://nowhere/data: cannot be written to" in capsys.readouterr().err
    assert main(["curate", "gs://nowhere/videos/", "-o", str(tmp_path / "data"), *NO_PEOPLE]) == 2
    assert "gs://nowhere/videos/: no object and nothing below it" in capsys.readouterr().err
