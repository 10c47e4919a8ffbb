"""Which paths a record keeps when its files are moved, deleted or found again."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from tiktokactions.curation.listed import ListedVideo
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.resume import jobs_left, join_updates, read_checkpoint
from tiktokactions.curation.sources import list_videos
from tiktokactions.files import fingerprint, write_record
from tiktokactions.records import DetectorInfo, Source, VideoRecord


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def put_record(dataset: Path, video: ListedVideo, video_id: str) -> VideoRecord:
    path = Path(video.path)
    source = Source(
        path=video.path,
        fingerprints={video.path: fingerprint(video.path)},
        labels={video.path: video.labels},
        sha256=sha256(path),
    )
    record = VideoRecord(video_id, source, detector=DetectorInfo("none", "", 0.0), evidence_fingerprint="e")
    write_record(dataset, record.with_source(source))
    return record


@pytest.mark.parametrize(
    ("change", "labels", "names"),
    [
        pytest.param(lambda videos: None, ("pushup",), ["pushup/x.mp4"], id="nothing"),
        pytest.param(
            lambda videos: os.rename(videos / "pushup/x.mp4", videos / "squat/x.mp4"),
            ("squat",),
            ["squat/x.mp4"],
            id="moved to the right class",
        ),
        pytest.param(
            lambda videos: os.rename(videos / "pushup", videos / "lunge"),
            ("lunge",),
            ["lunge/x.mp4"],
            id="folder renamed",
        ),
        pytest.param(
            lambda videos: os.link(videos / "pushup/x.mp4", videos / "squat/x.mp4"),
            ("pushup", "squat"),
            ["pushup/x.mp4", "squat/x.mp4"],
            id="copied",
        ),
        pytest.param(lambda videos: os.remove(videos / "pushup/x.mp4"), ("pushup",), ["pushup/x.mp4"], id="deleted"),
    ],
)
def test_a_path_that_is_gone_leaves_the_record(
    change: object, labels: tuple[str, ...], names: list[str], tmp_path: Path
) -> None:
    videos, dataset = tmp_path / "videos", tmp_path / "data"
    for name in ("pushup/x.mp4", "squat/y.mp4"):
        (videos / name).parent.mkdir(parents=True)
        (videos / name).write_text(name)
    listed = {Path(video.path).name: video for video in list_videos([str(videos)])}
    record = put_record(dataset, listed["x.mp4"], "x")
    put_record(dataset, listed["y.mp4"], "y")
    assert callable(change)
    change(videos)
    checkpoint = read_checkpoint(dataset)
    assert list(jobs_left(list_videos([str(videos)]), checkpoint, dataset, CurateOptions(), "e")) == []
    joined = join_updates(record, checkpoint.updates["x"], checkpoint.left["x"])
    assert joined is not None
    assert [str(Path(p).relative_to(videos)) for p in (joined.source.path, *joined.source.copies)] == names
    assert joined.labels == labels
    # What is written now is what the next run expects.
    write_record(dataset, joined)
    again = read_checkpoint(dataset)
    assert list(jobs_left(list_videos([str(videos)]), again, dataset, CurateOptions(), "e")) == []
    assert not any(again.updates.values()) and not any(again.left.values())


def test_an_absent_disk_is_no_deletion(tmp_path: Path) -> None:
    """The same bytes found elsewhere, while the folder of the first path, and the one above it, are not there."""
    disk, dataset = tmp_path / "disk" / "videos", tmp_path / "data"
    disk.mkdir(parents=True)
    (disk / "x.mp4").write_text("x")
    put_record(dataset, ListedVideo(str(disk / "x.mp4"), ("pushup",)), "x")
    os.rename(tmp_path / "disk", tmp_path / "away")
    checkpoint = read_checkpoint(dataset)
    found = [ListedVideo(str(tmp_path / "away/videos/x.mp4"), ("squat",))]
    assert list(jobs_left(found, checkpoint, dataset, CurateOptions(), "e")) == []
    assert checkpoint.updates["x"] and not checkpoint.left["x"]


@pytest.mark.parametrize("is_back", [False, True], ids=["gone", "back"])
def test_rows_of_files_that_never_were_there_go(is_back: bool, tmp_path: Path) -> None:
    path, dataset = tmp_path / "ghost.mp4", tmp_path / "data"
    source = Source(path=str(path), labels={str(path): ("squat",)})
    ghost = VideoRecord("path-1", source, detector=DetectorInfo("none", "", 0.0), failure="vanished")
    write_record(dataset, ghost)
    if is_back:
        path.write_text("x")
    checkpoint = read_checkpoint(dataset)
    assert list(jobs_left([], checkpoint, dataset, CurateOptions(), "e")) == []
    assert (join_updates(ghost, (), checkpoint.left["path-1"]) is None) is not is_back


@pytest.mark.parametrize(
    ("failure", "again"), [("vanished", ["x"]), ("unreadable", ["x"]), ("corrupt", []), ("timeout", [])]
)
def test_a_file_whose_disk_was_away_for_a_moment_is_curated(failure: str, again: list[str], tmp_path: Path) -> None:
    """It was hashed, and gone when its turn came; a file that is broken stays so, and a slow one until it is asked for."""
    (tmp_path / "x.mp4").write_text("x")
    listed = ListedVideo(str(tmp_path / "x.mp4"), ("squat",))
    record = put_record(tmp_path / "data", listed, "x")
    write_record(tmp_path / "data", dataclasses.replace(record, failure=failure))
    checkpoint = read_checkpoint(tmp_path / "data")
    jobs = jobs_left([listed], checkpoint, tmp_path / "data", CurateOptions(), "e")
    assert [job.video_id for job in jobs] == again
