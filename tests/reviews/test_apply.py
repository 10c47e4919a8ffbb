"""``review apply``: what people decided becomes statuses, labels and clips, once, whatever happens in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.curation.tiny_onnx import write_constant_model
from tests.made_videos import numbered_frames, read_numbers, write_video
from tests.reviews.worlds import says
from tiktokactions import cli
from tiktokactions.commands.review_apply import watch_reviews
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files import read_record
from tiktokactions.records import ActionSegment, VideoRecord
from tiktokactions.reviews import ledger
from tiktokactions.reviews.decisions import DecisionError
from tiktokactions.reviews.desk import open_desk
from tiktokactions.reviews.options import ReviewOptions

NO_PEOPLE: dict[str, Any] = {"detector": "none", "workers": 1}
"""Nobody looks for people: every video that is long enough waits for review."""


@pytest.fixture(scope="session")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 10 fps with two scenes of 5 and 6 s (frames 0-49, 50-109), one too short, one broken."""
    root = tmp_path_factory.mktemp("to_review")
    for n, name in enumerate(("dance/a.mp4", "dance/b.mp4", "swim/c.mp4")):
        write_video(root / "videos" / name, numbered_frames(110, 96, 160, first=n * 1000, cuts=(50,)), fps=10)
    write_video(root / "videos/swim/short.mp4", numbered_frames(20, 96, 160, first=5000), fps=10)
    (root / "videos/swim/notes.txt").write_text("not a video")
    api.curate(root / "videos", root / "data", keep_duplicates=True, min_scene_frames=5, **NO_PEOPLE)
    return root


@pytest.fixture
def data(curated: Path, tmp_path: Path) -> Path:
    """A dataset of its own for each test, its videos beside it."""
    shutil.copytree(curated / "data", tmp_path / "data", copy_function=shutil.copy2)
    return tmp_path / "data"


def records(data: Path) -> dict[str, VideoRecord]:
    """Records by the name of their source file without ending."""
    return {Path(r.source.path).stem: r for r in map(read_record, data.glob("records/*/*.json"))}


def rows(data: Path) -> dict[str, dict[str, Any]]:
    table = pq.read_table(data / "manifest.parquet").to_pylist()
    return {Path(row["source_path"]).stem: row for row in table}


def decide(data: Path, name: str, verdict: str = "accept", reviewer: str = "ann", **said: Any) -> None:
    with_desk(data, lambda desk: desk.decide(reviewer, says(records(data)[name].video_id, verdict, **said)))


def with_desk(data: Path, do: Any, **options: Any) -> Any:
    desk = open_desk(Dataset(data), ReviewOptions(**options))
    try:
        return do(desk)
    finally:
        desk.close()


def files(data: Path) -> dict[str, int]:
    """Every file with its modification time, locks aside."""
    found = {str(p.relative_to(data)): p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()}
    return {name: time_ns for name, time_ns in found.items() if not name.startswith((".lock", ".review"))}


def test_decisions_become_statuses_labels_and_clips(data: Path) -> None:
    before = records(data)
    decide(data, "a", labels=("waltz", "tango"), tags=("indoors",))
    decide(data, "b", "reject")
    decide(data, "c", "reject", no_action=True)
    applied = api.review_apply(data)
    assert (applied.accepted, applied.needs_review, applied.rejected) == (1, 0, 4)
    assert (applied.changed, applied.cut, applied.removed, applied.problems) == (3, 0, 2, {})
    found = rows(data)
    assert {
        name: (row["status"], row["reasons"], row["human_labels"], row["human_tags"]) for name, row in found.items()
    } == {
        "a": ("accepted", ["human_accepted"], ["waltz", "tango"], ["indoors"]),
        "b": ("rejected", ["human_rejected"], None, []),
        "c": ("rejected", ["human_no_action"], [], []),
        "short": ("rejected", ["too_short"], None, []),
        "notes": ("rejected", ["not_a_video"], None, []),
    }
    assert records(data)["a"].clip == before["a"].clip, "the proposed clip was what was accepted: it is not cut again"
    assert [p.stem for p in data.glob("clips/*/*.mp4")] == [before["a"].video_id]
    assert "1 clips of human action" in (data / "README.md").read_text()
    assert json.loads((data / "stats.json").read_text())["status"]["accepted"] == 1
    assert api.dataset_verify(data).problems == ()


def part(start_s: float, end_s: float, *labels: str) -> ActionSegment:
    return {"start_s": start_s, "end_s": end_s, "labels": list(labels)}


def test_parts_of_a_video_have_labels_of_their_own(data: Path, tmp_path: Path) -> None:
    """From the judgement to the manifest, the exports, and back through a file."""
    parts = (part(6.52, 8.0, "spin", "jump"), part(1.0, 2.0, "wave"))
    decide(data, "a", answers={"dance": "yes"}, segments=parts)
    for wrong, why in (
        ({"segments": (part(2, 1, "spin"),)}, "a start before its end"),
        ({"segments": (part(6, 40, "spin"),)}, "inside the video"),
        ({"segments": (part(6, 7),)}, "and a label"),
        ({"segments": (part(6, 7, "spin"),), "answers": {"spin": "no"}}, "answered with no"),
        ({"segments": (part(6, 7, "spin"),), "verdict": "reject"}, "actions are marked with accept"),
    ):
        with pytest.raises(DecisionError, match=why):
            decide(data, "b", **wrong)
    decide(data, "b", labels=("dance",))
    api.review_apply(data)
    found = rows(data)["a"]
    assert found["human_segments"] == [parts[1], part(6.5, 8.0, "spin", "jump")], "on the frames, in order of time"
    assert found["human_labels"] == ["dance", "spin", "jump"], "what is marked in the clip (5 to 11 s) is in the clip"
    assert rows(data)["b"]["human_segments"] is None
    done = api.dataset_export(data, tmp_path / "out", format="activitynet")
    assert (done.clips, done.notes) == (1, ("1 clips in which people marked no part are left out",))
    [[_, video]] = json.loads((tmp_path / "out/database.json").read_text())["database"].items()
    assert video["annotations"] == [
        {"segment": [1.5, 3.0], "label": "spin", "label_id": 1},
        {"segment": [1.5, 3.0], "label": "jump", "label_id": 0},
    ]
    assert (video["duration"], video["fps"]) == (6.0, 10.0)
    for kind in ("csv", "jsonl", "json"):
        api.review_export(data, tmp_path / f"said.{kind}", decisions=True)
        text = (tmp_path / f"said.{kind}").read_text().replace("client_key", "other").replace("unique_id", "other")
        (tmp_path / f"back.{kind}").write_text(text)
        assert api.review_import(data, tmp_path / f"back.{kind}").refused == []
    said = with_desk(data, lambda desk: [list(d.segments) for d in ledger.all_rows(desk.store) if d.origin != "web"])
    assert [one for one in said if one] == [found["human_segments"]] * 2, (
        "CSV and JSON lines say the same: taken in once"
    )


def test_applying_again_writes_nothing(data: Path) -> None:
    decide(data, "a", start_s=0.5, end_s=4.5)
    decide(data, "b", "reject")
    first = api.review_apply(data)
    before = files(data)
    again = api.review_apply(data)
    assert (first.changed, again.changed, again.cut) == (2, 0, 0)
    assert files(data) == before
    assert (again.accepted, again.needs_review, again.rejected) == (first.accepted, first.needs_review, first.rejected)


SEGMENTS: dict[str, tuple[dict[str, Any], range]] = {
    "inside": ({"start_s": 0.5, "end_s": 4.5}, range(5, 45)),
    "between_frames": ({"start_s": 0.52, "end_s": 4.47}, range(5, 45)),
    "the_whole_other_scene": ({"scene": 0, "start_s": 0.0, "end_s": 5.0}, range(0, 50)),
    "to_the_very_end": ({"scene": 1, "start_s": 6.0, "end_s": 10.98}, range(60, 110)),
}
"""What is chosen, in seconds of a video of 10 fps, and the frames that its clip must hold."""


@pytest.mark.parametrize(("container", "fps"), [("mp4", Fraction(10)), ("mkv", Fraction(30000, 1001))])
def test_a_moved_segment_is_cut_to_the_frame(container: str, fps: Fraction, tmp_path: Path) -> None:
    """Matroska rounds time stamps to milliseconds: at 30000/1001 none of them lies where the frame rate puts it."""
    for n, name in enumerate(SEGMENTS):
        frames = numbered_frames(110, 96, 160, first=1000 * n, cuts=(50,))
        write_video(tmp_path / f"videos/{name}.{container}", frames, fps=fps, b_frames=2)
    data = tmp_path / "data"
    scale = float(10 / fps)
    options: dict[str, Any] = {"min_scene_frames": 5, "min_clip_s": 3.5 * scale, "keep_duplicates": True}
    api.curate(tmp_path / "videos", data, **options, **NO_PEOPLE)
    for name, (said, _) in SEGMENTS.items():
        decide(data, name, **(said | {key: said[key] * scale for key in ("start_s", "end_s")}))
    assert api.review_apply(data).cut == 4
    for n, (name, (_, wanted)) in enumerate(SEGMENTS.items()):
        row = rows(data)[name]
        assert read_numbers(data / row["clip_path"]) == [1000 * n + frame for frame in wanted], name
        assert row["clip_start_s"] == pytest.approx(wanted[0] / fps, abs=0.002)
        assert row["clip_end_s"] == pytest.approx((wanted[-1] + 1) / fps, abs=0.002)
        assert row["clip_frames"] == len(wanted)
    before = files(data)
    assert api.review_apply(data).changed == 0 and files(data) == before


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"start_s": 0.0, "end_s": 3.0}, "expected 3.5 to 10 s"),
        ({"start_s": 0.0, "end_s": 10.6}, "expected 3.5 to 10 s"),
        ({"start_s": 3.0, "end_s": 8.0}, "does not lie inside one scene"),
        ({"scene": 0, "start_s": 5.5, "end_s": 9.5}, "does not lie inside scene 0"),
        ({"scene": 2, "start_s": 5.5, "end_s": 9.5}, "expected 0 to 1"),
        ({"scene": 0}, "needs start_s and end_s"),
        ({"start_s": 5.5}, "expected both or neither"),
        ({"start_s": float("nan"), "end_s": 9.0}, "expected"),
        ({"start_s": 8.0, "end_s": 14.0}, "does not lie inside one scene"),
    ],
)
def test_impossible_segments_are_refused(said: dict[str, Any], message: str, data: Path) -> None:
    with pytest.raises(DecisionError, match=message):
        decide(data, "a", **said)
    assert with_desk(data, lambda desk: len(list(ledger.all_rows(desk.store)))) == 0


def test_human_decisions_outlive_curate_and_redecide(data: Path, curated: Path) -> None:
    decide(data, "a", labels=("waltz",), start_s=0.5, end_s=4.5)
    decide(data, "b", "reject")
    api.review_apply(data)
    before = rows(data)
    api.curate(data, redecide=True, min_clip_s=4.0)
    api.curate(curated / "videos", data)
    for name in ("a", "b"):
        for column in ("status", "reasons", "human_labels", "clip_start_s", "clip_end_s", "clip_frames"):
            assert rows(data)[name][column] == before[name][column], (name, column)
    # Even evidence gathered anew, with clips of another size, is overruled.
    api.curate(curated / "videos", data, samples=4, min_person_frames=0, short_side=64)
    after = rows(data)
    assert (after["a"]["status"], after["a"]["clip_start_s"], after["a"]["clip_frames"]) == ("accepted", 0.5, 40)
    assert (after["b"]["status"], after["c"]["status"]) == ("rejected", "accepted")
    assert api.dataset_verify(data).problems == ()


def test_an_undone_decision_is_taken_out_again(data: Path) -> None:
    original = rows(data)
    decide(data, "a", labels=("waltz",), start_s=0.5, end_s=4.5)
    decide(data, "b", "reject")
    api.review_apply(data)
    for n in range(2):
        with_desk(data, lambda desk, n=n: desk.undo("ann", f"undo-{n:04}"))
    applied = api.review_apply(data)
    assert (applied.changed, applied.verdicts, applied.cut) == (2, 0, 2)
    ignored = {"timings", "record_sha256"}
    for name, row in rows(data).items():
        assert {k: v for k, v in row.items() if k not in ignored} == {
            k: v for k, v in original[name].items() if k not in ignored
        }
    assert api.dataset_verify(data).problems == ()


def test_a_missing_source_is_a_row_with_a_reason(curated: Path, tmp_path: Path) -> None:
    shutil.copytree(curated / "videos", tmp_path / "videos", copy_function=shutil.copy2)
    data = tmp_path / "data"
    api.curate(tmp_path / "videos", data, keep_duplicates=True, min_scene_frames=5, **NO_PEOPLE)
    (tmp_path / "videos/dance").rename(tmp_path / "away")
    decide(data, "a", start_s=0.5, end_s=4.5)
    decide(data, "b")
    assert cli.main(["review", "apply", str(data)]) == 1
    found = rows(data)
    assert (found["a"]["status"], found["a"]["reasons"]) == ("needs_review", ["source_missing"])
    assert (data / found["a"]["clip_path"]).is_file() and found["a"]["clip_start_s"] == 5.0, "the old clip is kept"
    assert found["b"]["status"] == "accepted", "as proposed: nothing had to be cut"
    before = files(data)
    assert list(api.review_apply(data).problems) == [found["a"]["video_id"]]
    assert files(data) == before, "as long as nothing changes nothing is written"
    (tmp_path / "away").rename(tmp_path / "videos/dance")
    applied = api.review_apply(data)
    assert (applied.problems, applied.cut, rows(data)["a"]["status"]) == ({}, 1, "accepted")
    assert rows(data)["a"]["clip_start_s"] == 0.5


def test_a_rejected_clip_without_a_source_is_not_destroyed(curated: Path, tmp_path: Path) -> None:
    shutil.copytree(curated / "videos", tmp_path / "videos", copy_function=shutil.copy2)
    data = tmp_path / "data"
    api.curate(tmp_path / "videos", data, keep_duplicates=True, min_scene_frames=5, **NO_PEOPLE)
    shutil.rmtree(tmp_path / "videos")
    decide(data, "a", "reject")
    assert api.review_apply(data).removed == 0
    row = rows(data)["a"]
    assert row["status"] == "rejected" and (data / row["clip_path"]).is_file()
    assert api.dataset_verify(data).problems == ()
    with_desk(data, lambda desk: desk.undo("ann", "undo-0001"))
    api.review_apply(data)
    row = rows(data)["a"]
    assert (row["status"], row["reasons"]) == ("needs_review", ["no_detector"]) and (data / row["clip_path"]).is_file()


@pytest.mark.parametrize(("name", "reason"), [("short", "too_short"), ("notes", "not_a_video")])
def test_what_cannot_be_a_clip_cannot_be_accepted(name: str, reason: str, data: Path) -> None:
    decide(data, name)
    applied = api.review_apply(data)
    assert list(applied.problems) == [records(data)[name].video_id] and reason in next(iter(applied.problems.values()))
    assert (rows(data)[name]["status"], rows(data)[name]["reasons"]) == ("rejected", [reason])


def test_two_judgements_are_needed_and_a_conflict_changes_nothing(data: Path) -> None:
    with_desk(data, lambda desk: None, reviewers_per_video=2)
    decide(data, "a", reviewer="ann")
    assert api.review_apply(data).changed == 0
    decide(data, "a", reviewer="ben")
    decide(data, "b", reviewer="ann")
    decide(data, "b", "reject", reviewer="ben")
    applied = api.review_apply(data)
    assert (applied.verdicts, applied.conflicts, applied.accepted, applied.needs_review) == (1, 1, 1, 2)
    b = records(data)["b"].video_id
    with_desk(data, lambda desk: desk.decide("owner", says(b, "reject"), adjudication=True))
    applied = api.review_apply(data)
    assert (applied.conflicts, rows(data)["b"]["reasons"]) == (0, ["human_rejected"])


def test_more_judgements_wanted_take_nothing_out(data: Path) -> None:
    """What was accepted stays until there is a new verdict, and while somebody still says so; a conflict changes nothing."""
    decide(data, "a", labels=("waltz",))
    decide(data, "b")
    decide(data, "c", labels=())
    before = api.review_apply(data)
    with_desk(data, lambda desk: None, reviewers_per_video=2)
    again = api.review_apply(data)
    assert (before.accepted, again.accepted, again.changed) == (3, 3, 0)
    decide(data, "b", "reject", reviewer="ben")
    applied = api.review_apply(data)
    assert (applied.accepted, applied.conflicts, applied.changed) == (3, 1, 0)
    decide(data, "b", "reject")  # ann thinks again
    decide(data, "a", "reject")
    assert api.review_apply(data).accepted == 1
    assert {name: row["human_labels"] for name, row in rows(data).items() if name in "abc"} == {
        "a": None, "b": None, "c": [],
    }  # fmt: skip


def test_people_overrule_rejections_by_quality_and_duplicates(curated: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    api.curate(curated / "videos", data, min_scene_frames=5, min_brightness=250.0, **NO_PEOPLE)
    assert {r.status for r in records(data).values()} == {"rejected"}
    decide(data, "a")
    applied = api.review_apply(data)
    row = rows(data)["a"]
    assert (applied.cut, row["status"], row["reasons"], row["clip_frames"]) == (1, "accepted", ["human_accepted"], 60)
    before = files(data)
    assert api.review_apply(data).changed == 0 and files(data) == before


def test_a_duplicate_that_people_accept_stays_linked_to_its_twin(tmp_path: Path) -> None:
    """Both would be found on different sides of a split otherwise."""
    rng = np.random.default_rng(0)
    frames = [np.kron(rng.integers(0, 255, (8, 6, 3), np.uint8), np.ones((20, 20, 1), np.uint8)) for _ in range(8)]
    shown = [frames[n // 10] for n in range(80)]
    write_video(tmp_path / "videos/dance/a.mp4", iter(shown), fps=10)
    write_video(tmp_path / "videos/dance/b.mp4", iter(shown), fps=10, crf=30)
    data = tmp_path / "data"
    api.curate(tmp_path / "videos", data, scene_threshold=1000.0, **NO_PEOPLE)
    copy = next(name for name, r in records(data).items() if r.status == "rejected")
    twin = records(data)[copy].reasons[0]
    assert twin.startswith("duplicate_of:")
    decide(data, copy)
    api.review_apply(data)
    assert records(data)[copy].reasons == ("human_accepted", twin)
    api.curate(data, redecide=True)
    assert (records(data)[copy].status, records(data)[copy].reasons) == ("accepted", ("human_accepted", twin))


APPLY = "import sys; import tiktokactions as api; print('begun', flush=True); api.review_apply(sys.argv[1])"


@pytest.mark.parametrize("after_s", [0.4, 1.2, *(pytest.param(n / 10, marks=pytest.mark.slow) for n in range(20))])
def test_killed_in_the_middle_the_next_run_finishes(after_s: float, data: Path, repository: Path) -> None:
    for name in ("a", "b", "c"):
        decide(data, name, start_s=0.5, end_s=4.5, labels=("waltz",))
    process = subprocess.Popen(
        [sys.executable, "-c", APPLY, str(data)],
        env=os.environ | {"PYTHONPATH": str(repository)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline()
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    api.review_apply(data)
    for name in ("a", "b", "c"):
        row = rows(data)[name]
        assert (row["status"], row["human_labels"], row["clip_frames"]) == ("accepted", ["waltz"], 40)
    assert api.dataset_verify(data).problems == ()
    before = files(data)
    assert api.review_apply(data).changed == 0 and files(data) == before


def test_watching_applies_what_comes_in(data: Path) -> None:
    decide(data, "a", labels=("waltz",))
    said: list[str] = []

    def report(text: str) -> None:
        said.append(text)
        if "verdicts applied" in text and len([line for line in said if "verdicts applied" in line]) == 1:
            decide(data, "b", "reject")  # while it is watching
        elif "verdicts applied" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch_reviews(data, every_s=0.05, report=report)
    assert (rows(data)["a"]["status"], rows(data)["b"]["status"]) == ("accepted", "rejected")


def test_without_any_review_nothing_is_made(data: Path) -> None:
    before = files(data)
    assert api.review_apply(data).verdicts == 0
    assert files(data) == before and not (data / "reviews.sqlite").exists()


def test_what_people_saw_counts_everywhere_and_nothing_is_not_unsaid(data: Path) -> None:
    """The hashtags are "dance" (a, b) and "swim" (c): a is a waltz, b shows somebody who does neither, of c nobody spoke."""
    from tiktokactions.clips.read import read_clips
    from tiktokactions.dataset.history import accepted_rows, state_of

    decide(data, "a", answers={"dance": "no", "waltz": "yes"})
    decide(data, "b", labels=())
    decide(data, "c")
    api.review_apply(data)
    found = {name: (row["human_labels"], row["human_answers"]) for name, row in rows(data).items() if name in "abc"}
    assert found == {
        "a": (["waltz"], [("waltz", "yes"), ("dance", "no")]), "b": ([], [("*", "no"), ("dance", "no")]), "c": (None, None),
    }  # fmt: skip
    clips = read_clips(str(data), side="all").clips
    assert {clip.answers and dict(clip.answers).get("dance") for clip in clips} == {"no", None}
    assert sorted(str(clip.label) for clip in read_clips(str(data), side="all").clips) == ["None", "swim", "waltz"]
    labels = json.loads((data / "stats.json").read_text())["labels"]
    assert {row["label"] for row in labels if row["accepted"]} == {"waltz", "(none)", "swim"}
    [b] = [row for row in accepted_rows(data) if row["human_labels"] == []]
    assert state_of(b) != state_of(b | {"human_labels": None})
    with pytest.raises(ValueError, match="no accepted clip fits"):
        api.dataset_subset(data, data.parent / "subset", size=1, labels=["dance"])
    api.dataset_export(data, data.parent / "tar", format="webdataset")
    exported = read_clips(str(data.parent / "tar"), side="all").clips
    assert {(c.video_id, c.labels, c.answers) for c in exported} == {(c.video_id, c.labels, c.answers) for c in clips}
    decide(data, "c", answers={"swim": "cannot_tell"})
    api.review_apply(data)
    c = rows(data)["c"]
    assert (c["human_labels"], c["human_answers"]) == (None, [("swim", "cannot_tell")]), (
        "the hashtag stays, and the doubt"
    )
    assert api.dataset_verify(data).problems == ()


def test_the_detectors_verdict_is_overruled_both_ways(curated: Path, tmp_path: Path) -> None:
    answer = np.zeros((1, 52 * 52 + 26 * 26 + 13 * 13, 85), np.float32)
    answer[0, 1000, 2:6] = (2.5, 2.5, 0.9, 1.0)
    weights = tmp_path / "yolox.onnx"
    write_constant_model(weights, (1, 3, 416, 416), answer)
    data = tmp_path / "data"
    options: dict[str, Any] = {"min_scene_frames": 5, "keep_duplicates": True, "workers": 1}
    api.curate(curated / "videos", data, detector=f"onnx:{weights}", **options)
    assert rows(data)["a"]["reasons"] == ["enough_people"]
    decide(data, "a", "reject")
    api.review_apply(data)
    api.curate(data, redecide=True, min_person_frames=1)
    assert (rows(data)["a"]["status"], rows(data)["a"]["person_frames"]) == ("rejected", 10)
