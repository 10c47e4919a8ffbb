"""Scaling and sources: nested subsets, trials that finish once, crash visibly and continue; differences; leaks."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiktokactions
from tiktokactions import StudyPlan, cli
from tiktokactions.clips.clip import Clip
from tiktokactions.files import dataset_lock
from tiktokactions.study.contents import StudyError
from tiktokactions.study.options import ExtrapolateOptions, ScalingOptions, SourcesOptions, StudyOptions
from tiktokactions.study.settings import equal_epochs, keep_settings
from tiktokactions.study.sources import differences, parse_sources
from tiktokactions.study.subsets import order, parse_sizes
from tiktokactions.study.trials import Facts, Trial, run_trials, wait_until_free


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        (["1000:6000:1000"], [1000, 2000, 3000, 4000, 5000, 6000]),
        (["10", "5", "10"], [5, 10]),
        (["10:25:10", "100"], [10, 20, 100]),
        (["1_000"], [1000]),
        (["0", "10:20:10"], [0, 10, 20]),
    ],
)
def test_sizes(texts, sizes):
    assert parse_sizes(texts) == sizes


@pytest.mark.parametrize("text", ["many", "0", "10:5:1", "1:2:3:4", "-3", "1.5"])
def test_sizes_that_make_no_sense(text):
    with pytest.raises(ValueError, match="`sizes`: got"):
        parse_sizes([text])


def test_subsets_are_nested_and_depend_on_the_seed_only():
    clips = [Clip(f"/v/{i:03d}.mp4", "ab"[i % 4 == 0]) for i in range(100)]
    one = order(clips, 3)
    assert one == order(clips[::-1], 3) and one != order(clips, 4) and sorted(one, key=lambda c: c.path) == clips
    for size in (8, 20, 60):
        rare = sum(c.label == "b" for c in order(clips, 3, stratified=True)[:size])
        assert abs(rare - size / 4) <= 1, "every prefix holds each label in its share"


def test_equal_steps_and_epochs():
    options = {"epochs": 10, "batch_size": 8}
    assert equal_epochs(40, 160, options, "epochs") == 10 and equal_epochs(40, 160, options, "steps") == 40
    assert equal_epochs(160, 160, options, "steps") == 10


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a=x"], "1 source given"),
        (["a=x", "a=y"], "given twice"),
        (["a=x", "b"], "expected NAME=DATA, 'scratch' or 'synthetic'"),
        (["a/b=x", "scratch"], "source name"),
        (["a=", "scratch"], "expected NAME=DATA"),
    ],
)
def test_sources_that_make_no_sense(texts, message):
    with pytest.raises(StudyError, match=message):
        parse_sources(texts)


def test_other_settings_need_another_folder(tmp_path):
    keep_settings(tmp_path / "s", {"data": "a", "sizes": [1]}, may_grow=("sizes",))
    keep_settings(tmp_path / "s", {"data": "a", "sizes": [1, 2]}, may_grow=("sizes",))
    with pytest.raises(StudyError, match="data was 'a', now 'b'"):
        keep_settings(tmp_path / "s", {"data": "b", "sizes": [1]}, may_grow=("sizes",))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    with pytest.raises(StudyError, match="not empty and not a study"):
        keep_settings(tmp_path / "full", {}, may_grow=())


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (StudyOptions, {"repeats": 0}, "`repeats`: got 0, expected 1 or more"),
        (StudyOptions, {"jobs": 0}, "`jobs`: got 0"),
        (StudyOptions, {"equal": "videos"}, "`equal`: got 'videos', expected 'epochs' or 'steps'"),
        (ScalingOptions, {"targets": (0.9, 95.0)}, "`targets`: got 95, expected fractions"),
        (SourcesOptions, {"size": 0}, "`size`: got 0"),
        (ExtrapolateOptions, {"targets": ()}, "`targets`: got nothing"),
        (ExtrapolateOptions, {"method": "best"}, "`method`: got 'best'"),
        (ExtrapolateOptions, {"draws": -1}, "`draws`: got -1, expected 0 or more"),
    ],
)
def test_options_that_make_no_sense(kind, given, message):
    with pytest.raises(ValueError, match=message):
        kind(**given)


def test_options_from_a_file_are_overridden_by_what_is_typed(tmp_path, monkeypatch, capsys):
    called: list[dict[str, Any]] = []

    def study_scaling(**given: Any) -> StudyPlan:
        called.append({name: given[name] for name in ("equal", "repeats", "stratified", "targets", "retry")})
        return StudyPlan([], "epochs", 0.0, 1, {}, {})

    monkeypatch.setattr(tiktokactions, "study_scaling", study_scaling)
    config = tmp_path / "study.toml"
    config.write_text('equal = "steps"\nrepeats = 2\nstratified = true\ntargets = [0.9, 0.95]\nretry = true\n')
    typed = ["study", "scaling", "x", "--sizes", "2", "--evaluate-on", "y", "-o", "z", "--config", str(config)]
    cli.main([*typed, "--repeats", "4", "--equal", "epochs"])
    cli.main([*typed, "--targets", "0.8", "0.85"])
    assert called == [
        {"equal": "epochs", "repeats": 4, "stratified": True, "targets": (0.9, 0.95), "retry": True},
        {"equal": "steps", "repeats": 2, "stratified": True, "targets": (0.8, 0.85), "retry": True},
    ]
    config.write_text("repaets = 2\n")
    assert cli.main(typed) == 2
    assert "unknown name repaets; expected some of budget, dry_run, engine" in capsys.readouterr().err


def test_differences_are_paired():
    """Two sources that fail on the same videos: the difference is far surer than either accuracy."""
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.4
    better = np.where(hard & (rng.random((5, 400)) < 0.6), 0.0, 1.0)
    worse = np.where(hard, 0.0, 1.0) * np.ones((5, 1))
    found = differences({"better": better, "worse": worse})[0]
    assert found.low > 0 and found.low < found.difference < found.high and found.high - found.low < 0.13
    same = differences({"one": worse, "other": worse})[0]
    assert same.difference == 0 and -0.08 < same.low < -0.01 and 0.01 < same.high < 0.08, "seeds may yet differ"
    few = differences({"one": worse[:1, :12], "other": worse[:1, :12]})[0]
    assert few.low < -0.1 and few.high > 0.1, "twelve videos and one seed show next to nothing"
    assert [(d.first, d.second) for d in differences({"a": worse, "b": worse, "c": better})] == [
        ("a", "b"), ("a", "c"), ("b", "c")]  # fmt: skip


def test_a_crashed_trial_is_shown_and_retried_only_on_request(tmp_path):
    facts: Facts = {"size": 1, "repeat": 0, "seed": 0, "source": ""}
    trial = Trial("size-1-repeat-0", facts, None, {}, str(tmp_path / "nothing-here"), {"epochs": 1})
    first = run_trials([trial], tmp_path)
    assert not first.results and "nothing-here" in first.failed[trial.name]
    output = tmp_path / "trials" / trial.name / "output.txt"
    written = output.stat().st_size
    again = run_trials([trial], tmp_path)
    assert again.failed == first.failed and output.stat().st_size == written, "not run again"
    assert run_trials([trial], tmp_path, retry=True).failed and output.stat().st_size > written


# --- whole studies ---------------------------------------------------------------------------------------------------

PRETRAIN = """model = "tiny"\nimage_size = 32\nframes = 4\nstride = 2\nmask_ratio = 0.75\nbatch_size = 2\nepochs = 1
pictures_epochs = 0\nworkers = 0\nthreads = 1\ndevice = "cpu"\n"""
FINETUNE = 'stride = 2\nbatch_size = 2\nepochs = 1\nworkers = 0\nthreads = 1\ndevice = "cpu"\nsegments = 1\ncrops = 1\n'


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from tests.model.made_clips import make_clips

    folder = tmp_path_factory.mktemp("studies")
    for side, first in (("train", 0), ("test", 9000)):
        make_clips(folder / "squares" / side, 2, first_seed=first, ways=("left", "right"))
    make_clips(folder / "pool", 4, first_seed=500, ways=("left", "right"))
    (folder / "pretrain.toml").write_text(PRETRAIN)
    (folder / "finetune.toml").write_text(FINETUNE)
    return folder


def scaling(work: Path, study: str, *more: str) -> list[str]:
    return ["study", "scaling", str(work / "pool"), "--sizes", "0", "2:6:2", "--repeats", "1", "-o", str(work / study),
            "--evaluate-on", str(work / "squares"), "--pretrain-config", str(work / "pretrain.toml"),
            "--finetune-config", str(work / "finetune.toml"), *more]  # fmt: skip


@pytest.mark.slow
def test_scaling_killed_half_way_and_started_again(work, capsys):
    study, arguments = work / "scaling", scaling(work, "scaling", "--equal", "steps")
    process = subprocess.Popen(
        [sys.executable, "-m", "tiktokactions", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(study.glob("trials/*/result.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.read_bytes() for p in study.glob("trials/*/result.json")}
    assert kept, "the first trial was not finished in two minutes"
    assert cli.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["finished"] == told["trials"] == 4 and told["equal"] == "steps" and not told["failed"]
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert len(list(study.glob("trials/*/result.json"))) == 4 and not list(study.glob("trials/*/failed.json"))
    assert [row["size"] for row in told["table"]] == [0, 2, 4, 6]
    [real] = told["differences"]
    assert (real["first"], real["second"]) == ("6 videos", "synthetic") and real["low"] < real["high"]
    assert "size 0" in " ".join(json.loads((study / "extrapolation" / "extrapolation.json").read_text())["notes"])
    assert {row["pretrain_steps"] for row in told["table"]} <= {2, 3, 4}, "as many steps for every size, nearly"
    with (study / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["metric"] for r in rows} == {"top1", "top5"} and len(rows) == 8
    assert (study / "figures" / "accuracy_by_size.png").is_file()
    lists = [
        set((study / "subsets" / f"size-{size:07d}-repeat-0.csv").read_text().splitlines()[1:]) for size in (2, 4, 6)
    ]
    assert lists[0] < lists[1] < lists[2]
    before = {p: p.stat().st_mtime_ns for p in study.glob("trials/*/result.json")}
    assert cli.main(arguments) == 0
    assert {p: p.stat().st_mtime_ns for p in study.glob("trials/*/result.json")} == before, "nothing is done twice"
    assert "equal steps" in capsys.readouterr().out


def test_a_run_that_a_killed_study_left_behind_is_waited_for(tmp_path):
    """It ends after the step under way; until then its folder is held."""
    held, may_go, free = threading.Event(), threading.Event(), threading.Event()

    def left_behind() -> None:
        with dataset_lock(tmp_path / "pretrained"):
            held.set()
            may_go.wait(30)

    def next_one() -> None:
        wait_until_free(tmp_path / "pretrained")
        free.set()

    threads = [threading.Thread(target=target) for target in (left_behind, next_one)]
    threads[0].start()
    assert held.wait(30)
    wait_until_free(tmp_path / "pretrained", patience_s=0.2)  # somebody else's: the trial will say so
    threads[1].start()
    assert not free.wait(0.5)
    may_go.set()
    assert free.wait(30)
    for thread in threads:
        thread.join()


def test_scaling_refuses(work, capsys):
    wrong = [a if a != "2:6:2" else "2:60:2" for a in scaling(work, "wrong")]
    assert cli.main(wrong) == 2 and "has 8 clips to pre-train on" in capsys.readouterr().err
    assert not (work / "wrong").exists()
    unsplit = scaling(work, "wrong")
    unsplit[unsplit.index("--evaluate-on") + 1] = str(work / "pool")
    assert cli.main(unsplit) == 2 and "has no train side" in capsys.readouterr().err


@pytest.mark.slow  # the documents' commands are run with --dry-run by tests/test_docs.py
def test_dry_run_measures_and_leaves_nothing(work, capsys):
    assert cli.main(scaling(work, "dry", "--dry-run", "--json")) == 0
    plan = json.loads(capsys.readouterr().out)
    assert len(plan["trials"]) == 4 and plan["seconds"] > 0 and set(plan["measured"]) == {"pretrain", "finetune"}
    assert not (work / "dry").exists()


@pytest.mark.slow
def test_sources_from_end_to_end(work, capsys):
    """One source holds a test video: it is warned about, and the exit code asks for attention."""
    leaky = work / "leaky"
    leaky.mkdir()
    for clip in [*(work / "pool").rglob("*.mp4")][:2] + [*(work / "squares" / "test").rglob("*.mp4")][:1]:
        (leaky / f"{clip.parts[-3]}-{clip.parts[-2]}-{clip.name}").write_bytes(clip.read_bytes())
    listed = leaky / "list.csv"
    listed.write_text("path,label\n" + "".join(f"{p.name},none\n" for p in sorted(leaky.glob("*.mp4"))))
    code = cli.main(["study", "sources", f"pool={work / 'pool'}", f"leaky={listed}", "scratch",
                     "synthetic", f"cut=synthetic:3:{work / 'pool'}", "--repeats", "1",
                     "--size", "3", "-o", str(work / "sources"), "--evaluate-on", str(work / "squares"),
                     "--pretrain-config", str(work / "pretrain.toml"), "--finetune-config", str(work / "finetune.toml"),
                     "--json"])  # fmt: skip
    out, errors = capsys.readouterr()
    assert code == 1, errors
    told = json.loads(out)
    assert [row["source"] for row in told["table"]] == ["pool", "leaky", "scratch", "synthetic", "cut"]
    assert [row["size"] for row in told["table"]] == [3, 3, 0, 3, 3] and all(row["runs"] == 1 for row in told["table"])
    assert "'leaky' contains 1 near-duplicate" in told["warnings"][0] and "one seed" in told["warnings"][1]
    assert len(told["differences"]) == 10 and (work / "sources" / "differences.csv").is_file()
    assert (work / "sources" / "figures" / "accuracy_by_source.png").is_file()
