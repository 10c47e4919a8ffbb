"""``gs://``: curated from and to a bucket of an emulator on loopback, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator

import pytest

from tests import stores
from tests.made_videos import numbered_frames, write_video
from tiktokactions import api
from tiktokactions.cli import main
from tiktokactions.files import located, objects, record_files
from tiktokactions.files.objects import ObjectPath, StoreError

NO_PEOPLE = ["--detector", "none", "--min-person-frames", "0", "--workers", "1"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    if importlib.util.find_spec("gcsfs") is None:
        pytest.skip("needs gcsfs")
    with stores.running_gcs("videos") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        yield "gs://videos"


def test_a_bucket_to_a_bucket_is_as_from_disk_to_disk(bucket, tmp_path, capsys):
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


def test_listing_and_removing(bucket):
    folder = ObjectPath(bucket) / "listing"
    (folder / "x" / "one.txt").write_bytes(b"1")
    (folder / "two.txt").write_bytes(b"22")
    files, folders = folder.entries()
    assert [(entry.url, entry.size_bytes) for entry in files] == [(f"{bucket}/listing/two.txt", 2)]
    assert [name.rstrip("/").rsplit("/", 1)[1] for name in folders] == ["x"]
    before = files[0].etag
    (folder / "two.txt").write_bytes(b"33")
    assert before and (folder / "two.txt").entry().etag not in ("", before), "a change shows in the etag"
    (folder / "two.txt").unlink()
    assert not (folder / "two.txt").exists() and (folder / "x" / "one.txt").read_bytes() == b"1"
    with pytest.raises(FileNotFoundError):
        (folder / "two.txt").read_bytes()


def test_a_bucket_that_is_not_there_is_said(bucket, tmp_path, capsys):
    write_video(tmp_path / "videos" / "a.mp4", numbered_frames(60, 96, 128), fps=15)
    assert main(["curate", str(tmp_path / "videos"), "-o", "gs://nowhere/data", *NO_PEOPLE]) == 1
    assert "gs://nowhere/data: cannot be written to" in capsys.readouterr().err


def test_no_credentials_are_said(monkeypatch):
    auth = pytest.importorskip("google.auth.exceptions")
    asked = []

    def refuse() -> None:
        asked.append(1)
        raise auth.DefaultCredentialsError("none were found")

    with pytest.raises(StoreError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        objects._steady("gs://videos/a", refuse)
    assert len(asked) == 1, "asking again would not find any"


def test_what_passes_is_tried_again_but_not_for_minutes(monkeypatch):
    """gcsfs itself tries for half a minute each time."""
    retry = pytest.importorskip("gcsfs.retry")
    asked = []
    monkeypatch.setattr(objects.time, "sleep", lambda seconds: None)

    def fail() -> None:
        asked.append(1)
        raise retry.HttpError({"code": 503, "message": "backend error"})

    with pytest.raises(StoreError, match="failed 3 times, the last time with: backend error"):
        objects._steady("gs://videos/a", fail)
    assert len(asked) == 3
