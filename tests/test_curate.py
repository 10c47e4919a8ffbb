"""``curate`` from end to end: what lands on disk, what a rerun does, and what happens when a run is disturbed."""

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
from tests.made_videos import numbered_frames, read_numbers, write_video
from tiktokactions.files import DatasetBusyError, dataset_lock
from tiktokactions.records import VideoRecord

NO_PEOPLE: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "workers": 1}


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels, three good videos, one without label, one too short, one text file."""
    folder = tmp_path_factory.mktemp("videos")
    sizes = {"dance/a.mp4": 0, "dance/b.mp4": 1000, "swim/c.mp4": 2000, "d.mp4": 3000}
    for name, first in sizes.items():
        write_video(folder / name, numbered_frames(190, 160, 214, first=first, cuts=(60,)), b_frames=2)
    write_video(folder / "swim/short.mp4", numbered_frames(60, 160, 214, first=4000))
    (folder / "swim/notes.txt").write_text("not a video")
    return folder


@pytest.fixture
def mine(videos: Path, tmp_path: Path) -> Path:
    """A private copy of the videos (with their time stamps) for tests that change them."""
    shutil.copytree(videos, tmp_path / "videos")
    return tmp_path / "videos"


def records(dataset: Path) -> dict[str, dict[str, Any]]:
    """Records by the file name of their source."""
    read = [json.loads(p.read_bytes()) for p in sorted(dataset.glob("records/*/*.json"))]
    return {os.path.basename(r["source"]["path"]): r for r in read}


def rows(dataset: Path) -> list[dict[str, Any]]:
    """The manifest without what may differ between two runs."""
    return [
        {k: v for k, v in row.items() if k not in ("timings", "record_sha256")}
        for row in pq.read_table(dataset / "manifest.parquet").to_pylist()
    ]


def files(dataset: Path) -> dict[str, int]:
    """Every file of a dataset with its modification time."""
    return {str(p.relative_to(dataset)): p.stat().st_mtime_ns for p in dataset.rglob("*") if p.is_file()}


@pytest.fixture(scope="session")
def made(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, api.CurateResult]:
    dataset = tmp_path_factory.mktemp("made") / "dataset"
    return dataset, api.curate(videos, dataset, **NO_PEOPLE).last_run


def test_a_folder_becomes_a_dataset(made: tuple[Path, api.CurateResult]) -> None:
    dataset, result = made
    assert (result.videos, result.accepted, result.needs_review, result.rejected) == (6, 4, 0, 2)
    found = records(dataset)
    assert {name: (r["status"], r["reasons"], r["labels"]) for name, r in found.items()} == {
        "a.mp4": ("accepted", ["people_not_required"], ["dance"]),
        "b.mp4": ("accepted", ["people_not_required"], ["dance"]),
        "c.mp4": ("accepted", ["people_not_required"], ["swim"]),
        "d.mp4": ("accepted", ["people_not_required"], []),
        "short.mp4": ("rejected", ["too_short"], ["swim"]),
        "notes.txt": ("rejected", ["not_a_video"], ["swim"]),
    }
    for name, first in (("a.mp4", 0), ("b.mp4", 1000), ("c.mp4", 2000), ("d.mp4", 3000)):
        record = found[name]
        scene = record["scenes"][record["longest_scene"]]
        assert (scene["start_frame"], scene["end_frame"]) == (60, 190)
        clip = dataset / record["clip"]["path"]
        assert read_numbers(clip) == list(range(first + 60, first + 190)), "the scene's frames, no neighbour's"
        assert clip.parent.name == {"a.mp4": "dance", "b.mp4": "dance", "c.mp4": "swim", "d.mp4": "_none"}[name]
        assert (record["clip"]["frames"], record["clip"]["fps"], record["clip"]["width"]) == (130, 30.0, 160)
        assert [s["frame"] for s in record["samples"]] == [60 + 13 * k - 1 for k in range(1, 11)]
        assert (dataset / "thumbs" / f"{record['video_id']}.strip.jpg").stat().st_size > 1000
    for name in ("manifest.parquet", "dataset.json", "stats.json", "README.md", "figures/funnel.svg"):
        assert (dataset / name).stat().st_size > 0, name
    assert not (dataset / ".staging").exists()
    assert api.dataset_verify(dataset).problems == ()


def test_a_rerun_writes_nothing(made: tuple[Path, api.CurateResult], videos: Path) -> None:
    dataset, first = made
    before = files(dataset)
    again = api.curate(videos, dataset).last_run  # the settings are the dataset's own: nothing was typed
    assert (again.curated, again.finished_before) == (0, 6)
    assert (again.videos, again.accepted, again.rejected) == (first.videos, first.accepted, first.rejected)
    assert files(dataset) == before


def test_new_videos_join_and_old_ones_stay_as_they_are(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    shutil.move(mine / "d.mp4", tmp_path / "later.mp4")
    api.curate(mine, dataset, **NO_PEOPLE)
    before = {name: t for name, t in files(dataset).items() if name.startswith(("records", "clips", "thumbs"))}
    shutil.move(tmp_path / "later.mp4", mine / "d.mp4")
    assert api.curate(mine, dataset).last_run.curated == 1
    after = files(dataset)
    assert {name: after[name] for name in before} == before
    assert json.loads((dataset / "dataset.json").read_bytes())["version"] == 2


def test_changed_thresholds_are_decided_again_without_decoding(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    api.curate(mine, dataset, **NO_PEOPLE)
    before = files(dataset)
    shutil.move(mine, tmp_path / "moved")  # decoding is impossible now
    result = api.curate(dataset, redecide=True, min_person_frames=4).last_run
    assert (result.accepted, result.needs_review, result.rejected, result.cut_again) == (0, 4, 2, 0)
    after = files(dataset)
    changed = {name for name in before if after.get(name) != before[name] and name.startswith(("clips", "thumbs"))}
    assert changed == set()
    shutil.move(tmp_path / "moved", mine)
    shorter = api.curate(dataset, redecide=True, min_clip_s=1.5, max_clip_s=3.0, min_person_frames=0).last_run
    assert (shorter.accepted, shorter.rejected, shorter.cut_again) == (5, 1, 5)
    for record in records(dataset).values():
        if record["clip"]:
            numbers = read_numbers(dataset / record["clip"]["path"])
            assert len(numbers) in (60, 90)
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert api.dataset_verify(dataset).problems == ()


def test_redecide_cuts_a_clip_that_was_lost(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    api.curate(mine / "dance", dataset, **NO_PEOPLE)
    clip = dataset / records(dataset)["a.mp4"]["clip"]["path"]
    clip.unlink()
    assert api.curate(dataset, redecide=True).last_run.cut_again == 1
    assert read_numbers(clip) == list(range(60, 190))


def test_redecide_reports_clips_whose_source_is_gone(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    api.curate(mine / "dance", dataset, **NO_PEOPLE)
    before = records(dataset)
    (mine / "dance" / "a.mp4").unlink()
    result = api.curate(dataset, redecide=True, max_clip_s=4.0).last_run
    assert result.cut_again == 1
    (problem,) = result.uncut.values()
    assert "a.mp4 is gone or has changed" in problem
    assert records(dataset)["a.mp4"] == before["a.mp4"], "what cannot be done leaves everything as it was"


def test_redecide_keeps_what_it_could_not_cut_again(mine: Path, tmp_path: Path) -> None:
    """Rejected by new thresholds, with its source away (a disk that is not mounted): nobody could bring the clip back."""
    dataset, away = tmp_path / "dataset", tmp_path / "away"
    api.curate(mine, dataset, **NO_PEOPLE)
    clips = {p: p.read_bytes() for p in dataset.glob("clips/*/*")}
    mine.rename(away)
    result = api.curate(dataset, redecide=True, min_clip_s=9.9).last_run
    assert (result.rejected, result.kept) == (result.videos, len(clips)) and not result.uncut
    assert {p: p.read_bytes() for p in dataset.glob("clips/*/*")} == clips
    assert api.dataset_verify(dataset).problems == ()
    assert api.curate(dataset, redecide=True, min_clip_s=3.5).last_run.accepted == len(clips)
    assert api.curate(dataset, redecide=True, min_clip_s=9.9).last_run.kept == len(clips)
    away.rename(mine)
    assert api.curate(dataset, redecide=True, min_clip_s=9.9).last_run.kept == 0
    assert not list(dataset.glob("clips/*/*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenes": "adaptive"}, "`scenes`: shapes the evidence"),
        ({"samples": 20}, "`samples`: shapes the evidence"),
        ({"labels_from": ("caption",)}, "`labels_from`: shapes the evidence or the labels"),
        ({"colour": 1}, "unknown option colour"),
        ({"scene_param": ("x=1",)}, "the content detector has no 'x'"),
    ],
)
def test_what_redecide_cannot_do(options: dict[str, Any], message: str, made: tuple[Path, api.CurateResult]) -> None:
    with pytest.raises(api.UsageError, match=message):
        api.curate(made[0], redecide=True, **options)


def test_other_scene_settings_decode_again_what_is_given(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    api.curate(mine, dataset, **NO_PEOPLE)
    result = api.curate(mine / "dance", dataset, scene_threshold=200.0).last_run
    assert (result.curated, result.outdated) == (2, 4)
    assert [len(records(dataset)[name]["scenes"]) for name in ("a.mp4", "b.mp4", "c.mp4")] == [1, 1, 2]


def test_identical_files_are_one_video_with_all_labels(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    shutil.copy(mine / "dance/a.mp4", mine / "swim/again.mp4")
    result = api.curate(mine, dataset, **NO_PEOPLE).last_run
    assert (result.videos, result.curated, result.identical, result.finished_before) == (6, 6, 1, 0)
    record = records(dataset)["a.mp4"]
    assert record["labels"] == ["dance", "swim"]
    assert record["source"]["copies"] == [str(mine / "swim/again.mp4")]
    before = files(dataset)
    assert api.curate(mine, dataset).last_run.curated == 0
    assert files(dataset) == before


def test_new_labels_move_the_clip_without_decoding(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    api.curate(mine / "dance", dataset, **NO_PEOPLE)
    clip = records(dataset)["a.mp4"]["clip"]
    (tmp_path / "list.csv").write_text(f"path,label,creator\n{mine}/dance/a.mp4,tango,ana\n")
    result = api.curate(tmp_path / "list.csv", dataset).last_run
    record = records(dataset)["a.mp4"]
    assert (result.curated, result.cut_again) == (0, 0)
    assert (record["labels"], record["source"]["creator"]) == (["tango"], "ana")
    assert record["clip"] == clip | {"path": f"clips/tango/{record['video_id']}.mp4"}
    assert api.dataset_verify(dataset).problems == ()


def test_a_file_with_new_content_is_a_new_video(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    broken = (mine / "d.mp4").read_bytes()
    (mine / "d.mp4").write_bytes(broken[:500])
    api.curate(mine, dataset, **NO_PEOPLE)
    assert records(dataset)["d.mp4"]["status"] == "rejected"
    (mine / "d.mp4").write_bytes(broken)
    result = api.curate(mine, dataset).last_run
    assert (result.videos, result.accepted) == (6, 4), "the half download is gone, the whole one took its place"
    assert api.dataset_verify(dataset).problems == ()


def test_a_video_whose_file_holds_another_one_now_goes_to_quarantine(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    api.curate(mine / "dance", dataset, **NO_PEOPLE)
    before, old = records(dataset)["a.mp4"], files(dataset)
    shutil.copy(mine / "d.mp4", mine / "dance/a.mp4")
    result = api.curate(mine / "dance", dataset).last_run
    [quarantine] = (dataset / "quarantine").iterdir()
    assert (result.videos, result.restore.split()[-1]) == (2, f"quarantine/{quarantine.name}")
    clip = before["clip"]["path"]
    assert (quarantine / clip).is_file() and not (dataset / clip).exists()
    assert api.dataset_verify(dataset).problems == ()
    assert api.dataset_verify(dataset, restore=quarantine.name).restored == 5
    assert {name for name in old if before["video_id"] in name} <= files(dataset).keys()


UNSAFE = ["../../evil", "a/b", "..", "con\x00trol", "x" * 400, "привет мир", "."]


def test_labels_and_ids_never_lead_outside(mine: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    names = ["dance/a.mp4", "dance/b.mp4", "swim/c.mp4", "d.mp4"]
    for name, text in zip(names, UNSAFE, strict=False):
        (mine / name).with_suffix(".json").write_text(json.dumps({"id": text, "label": text}))
    outside = {p for p in tmp_path.rglob("*") if p.is_file()}
    result = api.curate(mine, dataset, **NO_PEOPLE).last_run
    assert result.accepted == 4
    new = {p for p in tmp_path.rglob("*") if p.is_file()} - outside
    assert all(p.is_relative_to(dataset) for p in new)
    assert {r["source"]["id"] for r in records(dataset).values()} >= {"../../evil", "a/b", ".."}
    assert {p.parent.parent for p in dataset.glob("clips/*/*")} == {dataset / "clips"}
    assert len(list(dataset.glob("clips/*/*"))) == 4


def test_two_files_that_claim_one_id_both_stay(mine: Path, tmp_path: Path) -> None:
    for name in ("dance/a.mp4", "dance/b.mp4"):
        (mine / name).with_suffix(".json").write_text('{"id": "7231"}')
    api.curate(mine / "dance", tmp_path / "dataset", **NO_PEOPLE)
    ids = sorted(r["video_id"] for r in records(tmp_path / "dataset").values())
    assert ids[0] == "7231"
    assert ids[1].startswith("7231-")


@pytest.mark.skipif(os.geteuid() != 0 and not os.access("/dev/null", os.R_OK), reason="needs a readable /dev/null")
def test_junk_becomes_rows_with_reasons(mine: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "empty.mp4").touch()
    (junk / "noise.mp4").write_bytes(os.urandom(5000))
    (junk / "two words 'n\nmore.mp4").write_text("x")
    (junk / ("y" * 246 + ".mp4")).write_text("y")
    (junk / "-rf.mp4").write_text("z")
    good = (mine / "d.mp4").read_bytes()
    (junk / "half.mp4").write_bytes(good[: len(good) // 2])
    (tmp_path / "list.txt").write_text("\n".join(f"junk/{p.name}" for p in junk.iterdir() if "\n" not in p.name))
    api.curate([junk, tmp_path / "list.txt"], tmp_path / "dataset", **NO_PEOPLE)
    reasons = {name: r["reasons"] for name, r in records(tmp_path / "dataset").items()}
    assert reasons == {
        "empty.mp4": ["empty_file"],
        "noise.mp4": ["not_a_video"],
        "two words 'n\nmore.mp4": ["not_a_video"],
        "y" * 246 + ".mp4": ["not_a_video"],
        "-rf.mp4": ["not_a_video"],
        "half.mp4": ["truncated"],
    }


def test_a_file_that_may_not_be_read(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal comes from the operating system; root is refused nothing, hence the stand-in."""
    import tiktokactions.curation.resume as resume

    def refused(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    whole = resume.sha256_file
    monkeypatch.setattr(resume, "sha256_file", lambda p: refused(p) if p.endswith("d.mp4") else whole(p))
    api.curate(mine, tmp_path / "dataset", **NO_PEOPLE)
    record = records(tmp_path / "dataset")["d.mp4"]
    assert (record["status"], record["reasons"], record["failure_detail"]) == (
        "rejected",
        ["unreadable"],
        "Permission denied",
    )
    monkeypatch.undo()
    result = api.curate(mine, tmp_path / "dataset", detector="none").last_run
    assert (result.videos, result.accepted) == (6, 4), "readable again: its row is replaced by the real one"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], "d"), "no videos given"),
        (("nowhere", "d"), "nowhere: no such file or folder"),
        (("videos", None), "`output` is missing"),
        (("videos", "videos"), "the folder is not empty and not a dataset"),
        (("videos", "videos/d.mp4"), "expected a folder, got a file"),
        (("empty", "d"), "no file found there"),
    ],
)
def test_usage_errors(
    arguments: tuple[Any, Any], message: str, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(api.UsageError, match=message):
        api.curate(*arguments, **NO_PEOPLE)


def test_a_second_run_refuses_while_one_is_writing(mine: Path, tmp_path: Path) -> None:
    with (
        dataset_lock(tmp_path / "dataset"),
        pytest.raises(DatasetBusyError, match=f"process {os.getpid()} on .* is writing to this folder"),
    ):
        api.curate(mine, tmp_path / "dataset", **NO_PEOPLE)


# --- disturbed runs ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for i in range(12):
        write_video(folder / f"label{i % 3}" / f"{i:02}.mp4", numbered_frames(110, 120, 160, first=200 * i))
    return folder


def command(videos: Path, dataset: Path, *more: str) -> list[str]:
    curate = [sys.executable, "-m", "tiktokactions", "curate", str(videos), "-o", str(dataset)]
    return [*curate, "--detector", "none", "--min-person-frames", "0", *more]


def wait_for_records(dataset: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while len(list(dataset.glob("records/*/*.json"))) < count:
        assert process.poll() is None, "ended before it could be disturbed"
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="session")
def undisturbed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    dataset = tmp_path_factory.mktemp("undisturbed") / "dataset"
    api.curate(many, dataset, **NO_PEOPLE)
    return rows(dataset)


@pytest.mark.parametrize("after", [3, *(pytest.param(after, marks=pytest.mark.slow) for after in (0, 8))])
def test_killed_at_any_moment_nothing_finished_is_lost_or_redone(
    after: int, many: Path, undisturbed: list[dict[str, Any]], tmp_path: Path
) -> None:
    dataset = tmp_path / "dataset"
    process = subprocess.Popen(command(many, dataset), stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for_records(dataset, after, process)
    process.kill()
    process.wait()
    time.sleep(1.5)  # orphaned workers notice within half a second
    before = {name: t for name, t in files(dataset).items() if name.startswith("records")}
    assert len(before) >= after
    result = api.curate(many, dataset, **NO_PEOPLE).last_run
    assert result.curated == 12 - len(before)
    now = files(dataset)
    assert {name: now[name] for name in before} == before, "finished records were not written again"
    assert rows(dataset) == undisturbed
    assert api.dataset_verify(dataset).problems == ()
    assert not list(dataset.rglob(".writing-*"))


def test_ctrl_c_discards_what_is_in_flight_and_exits_130(many: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    process = subprocess.Popen(
        command(many, dataset),
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for_records(dataset, 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"interrupted" in stderr
    assert b"Traceback" not in stderr
    claimed = {json.loads(p.read_bytes())["clip"]["path"] for p in dataset.glob("records/*/*.json")}
    assert claimed <= {str(p.relative_to(dataset)) for p in dataset.glob("clips/*/*.mp4")}
    assert api.curate(many, dataset, **NO_PEOPLE).last_run.videos == 12
    assert api.dataset_verify(dataset).problems == ()


def test_a_full_disk_stops_the_run_with_a_message_and_no_half_file(many: Path, tmp_path: Path) -> None:
    """A file-size limit stands in for the full disk: the same path through the encoder and the writer."""
    dataset = tmp_path / "dataset"
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "bash", *command(many, dataset, "--crf", "1")]
    done = subprocess.run(limited, capture_output=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert b"Everything finished so far is kept" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (dataset / ".staging").exists()
    assert not list(dataset.glob("clips/*/*"))
    assert api.curate(many, dataset, **NO_PEOPLE, crf=23, keep_duplicates=True).last_run.accepted == 12


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiktokactions.commands.curate._curate_job", crash_on_b)


def crash_on_b(job: Any, options: Any, detector: Any, dataset: Path) -> str:
    from tiktokactions.curation.one_video import curate_video
    from tiktokactions.files import write_record

    if job.path.endswith("b.mp4"):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.path.endswith("c.mp4"):
        time.sleep(600)
    record: VideoRecord = curate_video(job.path, options, detector, dataset, job.video_id, job.source)
    write_record(dataset, record)
    return record.status


@pytest.mark.usefixtures("processes")
def test_a_crash_and_a_hang_cost_one_video_each_and_can_be_tried_again(
    crashing: None, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = tmp_path / "dataset"
    api.curate(mine, dataset, **NO_PEOPLE, timeout_s=5.0)
    reasons = {name: r["reasons"] for name, r in records(dataset).items()}
    assert (reasons["a.mp4"], reasons["b.mp4"]) == (["people_not_required"], ["worker_crashed"])
    assert (reasons["c.mp4"], reasons["d.mp4"]) == (["timeout"], ["people_not_required"])
    monkeypatch.undo()
    assert api.curate(mine, dataset).last_run.curated == 0
    result = api.curate(mine, dataset, retry_failed=True).last_run
    assert (result.curated, result.accepted) == (2, 4)
