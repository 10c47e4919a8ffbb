"""``curate --shard i/n``: the dataset of a run without shards, whatever is killed, and nobody else changes it meanwhile."""

from __future__ import annotations

import json
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
from tiktokactions.curation.listed import ListedVideo
from tiktokactions.curation.shards import Shard, parse_shard, part_of
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    DatasetBusyError,
    Place,
    dataset_lock,
    located,
    locks,
    readable,
    record_files,
    write_atomic,
)
from tiktokactions.files.objects import ObjectPath
from tiktokactions.records import Source

NO_PEOPLE: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "workers": 1}
OPTIONS = ["--detector", "none", "--min-person-frames", "0", "--workers", "1"]
SHARDS = ("1/3", "2/3", "3/3")


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos: a twin under another label that is listed later, two that claim one id, and a file that is none."""
    folder = tmp_path_factory.mktemp("sharded")
    for number in range(8):
        write_video(folder / "dance" / f"{number}.mp4", numbered_frames(110, 96, 128, first=1000 * number))
    (folder / "swim").mkdir()
    (folder / "swim" / "twin.mp4").write_bytes((folder / "dance" / "3.mp4").read_bytes())
    for name in ("dance/5", "dance/6"):
        (folder / f"{name}.json").write_text(json.dumps({"id": "7231", "creator": "somebody"}))
    (folder / "swim" / "notes.txt").write_text("not a video")
    return folder


@pytest.fixture(scope="session")
def at_once(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("at_once") / "data"
    api.curate(videos, dataset, **NO_PEOPLE)
    return dataset


def told(dataset: Place, videos: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Manifest and records, without times, and with paths as they are below the folder of the videos."""
    rows = pq.read_table(readable(dataset / "manifest.parquet")).to_pylist()
    for row in rows:
        row["source_path"] = row["source_path"].replace(videos.rstrip("/"), "VIDEOS")
        del row["timings"], row["record_sha256"]
    records = []
    for _, data in record_files(dataset):
        record = json.loads(data.replace(videos.rstrip("/").encode(), b"VIDEOS"))
        del record["timings"], record["sha256"], record["source"]["fingerprints"]
        records.append(record)
    return rows, records


def start(videos: str, dataset: str, shard: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tiktokactions", "curate", videos, "-o", dataset, *OPTIONS, "--json"]
    return subprocess.Popen([*command, "--shard", shard], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_three_shards_one_killed_and_continued_are_one_run(videos: Path, at_once: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "data"
    killed = start(str(videos), str(dataset), "2/3")
    until = time.monotonic() + 60
    while not list(dataset.glob("records/*/*.json")) and time.monotonic() < until:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    others = [start(str(videos), str(dataset), shard) for shard in ("1/3", "3/3")]
    ended = [process.communicate() for process in others]
    assert [process.returncode for process in others] == [0, 0], ended
    waiting = [json.loads(out)["waits_for"] for out, _ in ended]
    assert ["2/3"] in waiting and all("2/3" in shards for shards in waiting)
    assert not api.Dataset(dataset).settled
    again = start(str(videos), str(dataset), "2/3")
    out, err = again.communicate()
    assert again.returncode == 0, err
    result = json.loads(out)
    assert (result["videos"], result["accepted"], result["waits_for"], result["shard"]) == (9, 8, [], "2/3")
    assert told(dataset, str(videos)) == told(at_once, str(videos))
    assert api.Dataset(dataset).settled and not list((dataset / ".shards").iterdir())
    assert api.dataset_verify(dataset).open_problems == ()


@pytest.mark.parametrize(
    "stored", [pytest.param(True, id="store", marks=pytest.mark.slow), pytest.param(False, id="disk")]
)
def test_shards_in_turn_then_new_files(videos: Path, at_once: Path, bucket: str, tmp_path: Path, stored: bool) -> None:
    """Every part once, the last settles; a run without shards finds nothing to do; a new file is curated by one of them."""
    source, dataset = str(videos), located(tmp_path / "data")
    if stored:
        for path in sorted(p for p in videos.rglob("*") if p.is_file()):
            write_atomic(ObjectPath(bucket) / "in" / path.relative_to(videos).as_posix(), path.read_bytes())
        source, dataset = f"{bucket}/in/", located(f"{bucket}/data")
    runs = [api.curate(source, str(dataset), shard=shard, **NO_PEOPLE).last_run for shard in SHARDS]
    assert [run.waits_for for run in runs] == [("2/3", "3/3"), ("3/3",), ()]
    assert sum(run.curated for run in runs) == 9 and min(run.curated for run in runs) > 0
    assert told(dataset, source) == told(at_once, str(videos))
    again = api.curate(source, str(dataset), **NO_PEOPLE).last_run
    assert (again.curated, again.finished_before, again.cut_again) == (0, 10, 0)
    if not stored:
        more = tmp_path / "more"
        write_video(more / "new.mp4", numbered_frames(110, 96, 128, first=50_000))
        runs = [api.curate([source, more], str(dataset), shard=shard, **NO_PEOPLE).last_run for shard in SHARDS]
        assert [run.curated for run in runs].count(1) == 1 and runs[-1].videos == 10
        assert api.Dataset(dataset).settled and api.Dataset(dataset).version == 2


def test_a_run_without_shards_finishes_what_they_left(videos: Path, at_once: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "data"
    first = api.curate(videos, dataset, shard="1/2", **NO_PEOPLE).last_run
    whole = api.curate(videos, dataset, **NO_PEOPLE).last_run
    assert (first.curated + whole.curated, whole.videos) == (9, 9)
    assert told(dataset, str(videos)) == told(at_once, str(videos)) and not list((dataset / ".shards").iterdir())


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "2", "a/b", "1/0", "-1/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"`shard`: got .* expected i/n"):
        parse_shard(text)
    assert (parse_shard("2/8"), str(Shard(2, 8))) == (Shard(2, 8), "2/8")


def listed(path: str, size: int, video_id: str | None = None) -> ListedVideo:
    return ListedVideo(f"s3://b/{path}", about=Source(path="", id=video_id), fingerprint=(size, "etag"))


def test_parts_are_whole_apart_and_keep_together_what_is_one_video(tmp_path: Path) -> None:
    assert part_of([], Shard(1, 2)) == []
    many = [listed(f"{i}.mp4", 1000 + i) for i in range(500)]
    twins = [listed(f"twin{i}.mp4", 1000 + i) for i in range(0, 500, 50)]
    one_id = [
        listed("x.mp4", 7, "id1"),
        listed("y.mp4", 8, "id1"),
        listed("z.mp4", 8, "id2"),
        listed("w.mp4", 9, "id2"),
    ]
    everything = [*many, *twins, *one_id]
    parts = [part_of(everything, Shard(i + 1, 4)) for i in range(4)]
    assert sorted(v.path for part in parts for v in part) == sorted(v.path for v in everything)
    assert all(90 < len(part) < 180 for part in parts)
    of = {video.path: i for i, part in enumerate(parts) for video in part}
    assert all(of[twin.path] == of[twin.path.replace("twin", "")] for twin in twins)
    assert len({of[video.path] for video in one_id}) == 1
    assert all([everything.index(v) for v in part] == sorted(everything.index(v) for v in part) for part in parts)
    # On a disk files of one size with other ends are apart.
    for i in range(60):
        (tmp_path / f"{i}.mp4").write_bytes(b"the same beginning %03d" % (i % 30))
    here = [ListedVideo(str(tmp_path / f"{i}.mp4")) for i in range(60)]
    halves = [{v.path for v in part_of(here, Shard(i + 1, 2))} for i in range(2)]
    assert halves[0].isdisjoint(halves[1]) and min(map(len, halves)) > 10
    assert all(
        (str(tmp_path / f"{i}.mp4") in halves[0]) == (str(tmp_path / f"{i + 30}.mp4") in halves[0]) for i in range(30)
    )


@pytest.fixture(params=["disk", "store"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return located(tmp_path / "data" if request.param == "disk" else f"{request.getfixturevalue('bucket')}/data")


def test_shards_keep_editors_out_and_editors_keep_shards_out(dataset: Place) -> None:
    one, two = (locks.shard_lock(dataset, f"{i}-of-2", f"shard {i}/2") for i in (1, 2))
    with one, two, pytest.raises(DatasetBusyError, match=r"shard [12]/2"), dataset_lock(dataset):
        pass
    with dataset_lock(dataset), pytest.raises(DatasetBusyError), locks.shard_lock(dataset, "1-of-2", "shard 1/2"):
        pass
    one, same = (locks.shard_lock(dataset, "1-of-2", "shard 1/2") for _ in range(2))
    with one, pytest.raises(DatasetBusyError, match="shard 1/2"), same:
        pass
    with dataset_lock(dataset):
        pass


def test_a_shard_of_a_dead_machine_is_seen(dataset: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody renews its lease: after a while the same shard starts elsewhere, and editors go on."""
    monkeypatch.setattr(locks, "LEASE_S", 0.4)
    lease = dataset / ".shards" / "1-of-2.lease"
    left = json.dumps(
        {"owner": "shard 1/2 (process 7 on node9)", "host": "node9", "process": 7, "token": "x", "beat": 3}
    )
    write_atomic(lease, left.encode())
    with locks.shard_lock(dataset, "1-of-2", "shard 1/2"):
        assert json.loads(lease.read_bytes())["token"] != "x"
    write_atomic(lease, left.encode())
    with dataset_lock(dataset):
        assert not lease.is_file()


@pytest.mark.parametrize(
    ("number", "options", "message"),
    [
        ("1/3", {}, "shard 1/2 is at work; its videos are not shared among 3"),
        ("2/2", {"min_person_frames": 2}, "shard 1/2 has other settings than 2/2"),
    ],
)
def test_shards_that_do_not_fit_are_refused(
    videos: Path, tmp_path: Path, number: str, options: dict[str, Any], message: str
) -> None:
    dataset = tmp_path / "data"
    api.curate(videos, dataset, shard="1/2", **NO_PEOPLE)
    with locks.shard_lock(dataset, "1-of-2", "shard 1/2"), pytest.raises(UsageError, match=message):
        api.curate(videos, dataset, shard=number, **(NO_PEOPLE | options))
