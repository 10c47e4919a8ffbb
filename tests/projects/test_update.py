"""A project that learns every week: what is decided, what is new, and that nothing is half done."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tiktokactions as ta
from tests.collection.media_server import MediaServer
from tests.conftest import REPOSITORY
from tests.made_videos import numbered_frames, write_video
from tests.projects import CURATE, LEARN, WEEKLY, killed_until_done, written
from tiktokactions import cli
from tiktokactions.collection.store import Collection
from tiktokactions.commands import update as command
from tiktokactions.commands.run import read_project
from tiktokactions.projects import updates as rounds
from tiktokactions.projects.drift import two_sample_p
from tiktokactions.study.paired import answers_of, paired

UPDATE = "\n[update]\ndrift_clips = 8\nmargin = 1.0\n"


# --- one comparison ---------------------------------------------------------------------------------------------------


def answers(right: str) -> Any:
    """Of videos 0, 1, 2 ...: ``1`` right, ``0`` wrong, ``-`` not answered."""
    return {("a", str(n), None, None): mark == "1" for n, mark in enumerate(right) if mark != "-"}


@pytest.mark.parametrize(
    ("new", "last", "margin", "promoted", "reason"),
    [
        ("", "", 0.05, False, "no video of the fixed test set is left"),
        ("--11", "11--", 0.05, False, "no video of the fixed test set is left"),
        ("1" * 60, "0" * 60, 0.0, True, "+100.0 points"),
        ("0" * 60, "1" * 60, 0.05, False, "-100.0 points"),
        ("1" * 300, "1" * 300, 0.05, True, "McNemar's p = 1"),
        ("10" * 10, "01" * 10, 0.05, False, "it may be worse by more than 5 points"),
        ("10" * 10, "01" * 10, 0.6, True, "not worse by more than 60 points"),
        ("-111", "1110", 1.0, True, "on 3 videos"),
    ],
    ids=["nothing", "nothing in common", "better", "worse", "alike", "unclear", "unclear, but lenient", "in common"],
)
def test_a_model_is_promoted_unless_it_may_be_worse(new, last, margin, promoted, reason):
    found, told = rounds.decision(paired(answers(new), answers(last)), margin)
    assert found is promoted and reason in told and told.startswith("promoted:" if promoted else "kept:")


def test_a_comparison_of_two_models():
    found = paired(answers("1" * 70 + "0" * 30), answers("1" * 60 + "0" * 40))
    assert found is not None and (found.top1, found.other_top1, found.videos) == (0.7, 0.6, 100)
    assert found.difference == pytest.approx(0.1) and 0 < found.low < 0.1 < found.high
    assert found.p == pytest.approx(2 * 0.5**10), "ten videos that only one gets right, all of them the same one"
    mirrored = paired(answers("1" * 60 + "0" * 40), answers("1" * 70 + "0" * 30))
    assert mirrored is not None and mirrored.difference == pytest.approx(-0.1) and mirrored.high < 0


def distances(points: np.ndarray) -> np.ndarray:
    return -np.linalg.norm(points[:, None] - points, axis=2)


@pytest.mark.parametrize(("shift", "is_seen"), [(0.0, False), (1.5, True)], ids=["alike", "moved"])
def test_a_shift_of_features_is_seen_and_chance_is_not(shift, is_seen):
    draws = np.random.default_rng(1)
    found = [
        two_sample_p(distances(draws.normal(size=(60, 4)) + shift * (np.arange(60) < 30)[:, None]), 30)
        for _ in range(8)
    ]
    assert (max(found) < 0.01) if is_seen else (min(found) > 0.01 and max(found) > 0.3)


@pytest.mark.parametrize("new", [0, 5], ids=["nothing new", "nothing old"])
def test_one_sample_alone_shows_no_drift(new):
    assert two_sample_p(np.ones((5, 5)), new) == 1.0


# --- what is done -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CURATE, "no step pretrain, finetune with its init; an update learns what came"),
        (WEEKLY.replace('init = "runs/pretrained"', ""), "no step finetune with its init"),
        (f"{WEEKLY}\n[update]\nreplai = 1", "update: unknown name replai"),
        (f"{WEEKLY}\n[update]\nreplay = 1.0", "update: replay: got 1.0, expected 0 or more, below 1"),
        (f"{WEEKLY}\n[update]\npretrain_config = {{ epoch = 3 }}", "epoch"),
        (WEEKLY, "was not carried out yet, so there is no model to go on from: 'run' does that"),
    ],
    ids=["learns nothing", "two models", "unknown", "nothing new to learn", "recipe", "not run"],
)
def test_what_cannot_be_updated_is_refused(text, message, tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(ta.UsageError, match=re.escape(message) if "`" in message else message):
        ta.update(written(tmp_path, text))


COLLECT = """
[[step]]
command = "collect run"
hashtags = "hashtags.csv"
output = "collection"

[[step]]
command = "download"
collection = "collection"
curate = "data"
"""


@pytest.mark.parametrize(
    ("day", "fetched"),
    [
        ("2026-01-13", ["collection", "2026-01-01-2026-01-10"]),
        ("2026-01-03", ["collection"]),
    ],
    ids=["a week later", "no new day is known yet"],
)
def test_new_days_are_a_collection_of_their_own(day, fetched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Collection(tmp_path / "collection", create=True) as collection:
        collection.set_setting("wanted", {"to": "2025-12-31"})
    project = read_project(written(tmp_path, COLLECT + CURATE.replace('"videos"', '"collection/"') + LEARN))
    known = rounds.Updates(rounds.Model("a", "b"), 1, 1)
    begun = rounds.begun_of(project, known, f"{day}T03:00:00+00:00")
    assert begun.first == date(2026, 1, 1)
    later = rounds.begun_of(project, replace(known, begun=begun), "2026-02-02T03:00:00+00:00")
    assert later == begun, "a round that was begun goes on as it was"
    steps = rounds.data_steps(project, begun)
    assert [Path(str(step.call["collection"])).name for step in steps if step.command == "download"] == fetched
    [curated] = list[Any](step.call["videos"] for step in steps if step.command == "curate")
    assert [Path(name).name for name in ([curated] if isinstance(curated, str) else curated)] == fetched, "all of them"
    assert [step.call["end"] for step in steps if step.command == "collect run"] == [date(2026, 1, 10)] * (
        len(fetched) - 1
    )


@pytest.mark.parametrize(
    ("left", "mix", "more"),
    [
        ({"train", ""}, [0.5, 0.5], {"old", "sample-new", "sample-old", "see-new", "see-old"}),
        ({""}, [1.0], {"sample-new", "sample-old", "see-new", "see-old"}),
        (set(), [1.0], set()),
    ],
    ids=["old clips to train on", "old clips, but none to train on", "none"],
)
def test_what_is_no_longer_there_is_not_replayed(left, mix, more, tmp_path, monkeypatch):
    """All old clips were taken down, or are copies of better ones that came: the round goes on without them."""
    project = read_project(written(tmp_path, WEEKLY))
    monkeypatch.setattr(rounds, "Dataset", lambda path: SimpleNamespace(tables=None))
    monkeypatch.setattr(rounds, "is_split", lambda tables: True)
    monkeypatch.setattr(rounds, "candidates_of", lambda data, choice: [{}] * (("".join(choice.sides)) in left))
    known = rounds.Updates(rounds.Model("a", "b"), 1, 1)
    place = tmp_path / "project.updates" / "1"
    steps = {s.name: s for s in rounds.learning_steps(project, known, place, rounds.UpdateOptions(), ({}, {}))}
    assert steps["pretrain"].call["mix"] == mix
    assert set(steps) - {"new", "test", "pretrain", "finetune", "last"} == more


# --- weeks ------------------------------------------------------------------------------------------------------------


def add_videos(folder: Path, *numbers: int) -> None:
    for number in numbers:
        path = folder / "videos" / ("walking", "jumping")[number % 2] / f"{number}.mp4"
        write_video(path, numbered_frames(20 + number % 7, 96, 64, first=1000 * number), fps=10)


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory) -> Path:
    """A project that was carried out once, on ten videos."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("weekly")
    add_videos(folder, *range(10))
    (folder / "lab.toml").write_text(WEEKLY + UPDATE)
    assert {step.state for step in ta.run(folder / "lab.toml").steps} == {"done"}
    return folder


def cron_line() -> tuple[list[str], str]:
    """The five fields and the command of the example for cron."""
    page = (REPOSITORY / "docs" / "projects.md").read_text()
    [line] = re.findall(r"^([\d*]+ [\d*]+ [\d*]+ [\d*]+ [\d*]+) +(.*tiktokactions update.*)$", page, re.MULTILINE)
    return line[0].split(), line[1]


def is_due(fields: list[str], now: datetime) -> bool:
    values = (now.minute, now.hour, now.day, now.month, now.isoweekday() % 7)
    return all(field in ("*", str(value)) for field, value in zip(fields, values, strict=True))


@pytest.mark.slow
def test_three_weeks_by_cron_with_a_clock_that_jumps(carried_out, tmp_path, monkeypatch, capsys):
    lab = shutil.copytree(carried_out, tmp_path / "lab", symlinks=True)
    fields, line = cron_line()
    monkeypatch.chdir(lab)
    words = line.partition("tiktokactions ")[2].split()[:2]
    now, said = datetime(2026, 3, 2), list[tuple[str, int]]()
    arriving = {datetime(2026, 3, 5): range(10, 14), datetime(2026, 3, 19): range(14, 17)}
    while now < datetime(2026, 3, 24):
        if now in arriving:
            add_videos(lab, *arriving[now])
        if is_due(fields, now):
            monkeypatch.setattr(command, "utc_now", lambda at=now: at.isoformat())
            code = cli.main(words)
            said.append((now.isoformat(), code))
        now += timedelta(minutes=30)
    assert [at[:10] for at, _ in said] == ["2026-03-02", "2026-03-09", "2026-03-16", "2026-03-23"], "on Mondays"
    assert [code for _, code in said] == [0] * 4
    known = rounds.read_updates(Path("lab.updates"))
    assert known is not None and [one.at[:10] for one in known.rounds] == ["2026-03-09", "2026-03-23"]
    assert [(one.came, one.promoted, one.since, one.version) for one in known.rounds] == [
        (4, True, 1, 2),
        (3, True, 2, 3),
    ]
    first, second = known.rounds
    begun = [ta.Run(one.model.pretrained).info for one in known.rounds]
    assert [info.init and info.init.path for info in begun] == ["runs/pretrained", first.model.pretrained], (
        "each from the last"
    )
    lists = [Path(one.model.pretrained, "clips.csv").read_text() for one in known.rounds]
    learned = [set(re.findall(r"(\w+)\.mp4", text)) for text in lists]
    assert begun[1].data.shares is not None and len(learned[0] & learned[1]) > 1, "old clips are replayed"
    tests = [answers_of(Path(one.model.finetuned, "evaluations/test")).keys() for one in known.rounds]
    assert tests[0] == tests[1] == answers_of(Path("lab.updates/2/last")).keys(), "the test set is fixed"
    assert second.compared is not None and second.compared.videos == len(tests[0])
    assert [found.what for found in second.drift] == ["labels", "creators", "regions", "AI label", "features"]
    page = Path("lab.updates/report.html").read_text()
    assert "What each round decided" in page and "Drift: new clips" in page and second.reasons[0][:20] in page

    def learned_so_far() -> dict[Path, bytes]:
        files = [p for name in ("runs", "lab.updates") for p in Path(name).rglob("*") if p.is_file()]
        return {p: p.read_bytes() for p in files if not p.is_relative_to("lab.updates/3")}

    before = learned_so_far()
    again = ta.update("lab.toml")
    assert (again.state, again.finetuned, again.trained_on_removed) == ("nothing new", second.model.finetuned, ())
    assert learned_so_far() == before and ta.Dataset("data").info.version == 3

    with Path("lab.updates/1/diff.csv").open() as file:
        gone = next(line.split(",")[1] for line in file if line.startswith("came") and line.endswith("train\n"))
    ta.refresh("data", remove=[gone])
    tainted = ta.update("lab.toml").trained_on_removed
    own = [line for line in tainted if " of its " in line]
    assert [line.split(":")[0] for line in own][:2] == [first.model.pretrained, first.model.finetuned]
    assert not [line for line in tainted if line.startswith("runs/")], "models of before had not seen it"
    assert {line.split(":")[0] for line in tainted} >= {second.model.pretrained, second.model.finetuned}
    assert gone not in Path("lab.updates/1/diff.csv").read_text()


def nothing_is_promoted_half(updates: Path) -> None:
    known = rounds.read_updates(updates)
    if known is not None and known.rounds:
        assert ta.Run(updates.parent / known.promoted[0].finetuned).finished


@pytest.mark.slow
def test_killed_anywhere_a_round_ends_as_if_undisturbed(carried_out, tmp_path):
    words = [sys.executable, "-m", "tiktokactions", "update", "lab.toml"]
    alike: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(REPOSITORY)}, "stderr": subprocess.DEVNULL}
    alike["stdout"] = subprocess.DEVNULL
    undisturbed, killed = (shutil.copytree(carried_out, tmp_path / name / "lab") for name in ("one", "two"))
    for lab in (undisturbed, killed):
        add_videos(lab, *range(10, 14))
    subprocess.run(words, cwd=undisturbed, check=True, **alike)
    whole = partial(nothing_is_promoted_half, killed / "lab.updates")
    assert killed_until_done(words, killed, 8, (1, 8), whole, **alike) >= 3
    found = [rounds.read_updates(lab / "lab.updates") for lab in (undisturbed, killed)]
    [first], [second] = (one.rounds if one else () for one in found)
    assert (first.reasons, first.compared, first.drift) == (second.reasons, second.compared, second.drift)
    losses = [ta.Run(lab / "lab.updates/1/pretrained").result.loss for lab in (undisturbed, killed)]
    assert losses[0] == losses[1] and (killed / "lab.updates/report.html").is_file()


# --- weeks of metadata and files: a made-up API, and a server that gives files ----------------------------------------

TAGS = ("archery", "bowling")
FETCHED = f"""
[[step]]
command = "collect run"
hashtags = "hashtags.csv"
output = "collection"
per_hashtag = 5
from = 2024-03-01
to = 2024-03-03
sandbox = true
speed = 1e6

[[step]]
command = "download"
collection = "collection"
i-am-entitled = true
workers = 2
pause_s = 0

{CURATE.replace('"videos"', '"collection"')}{WEEKLY.removeprefix(CURATE)}{UPDATE}"""
AT_A_TIME = (
    "import os, sys; from tiktokactions.commands import update as c; c.utc_now = lambda: os.environ['NOW'];"
    "from tiktokactions.cli import main; sys.exit(main(['update', 'weekly.toml']))"
)
"""An update on another day than today's."""


class Gone(dict[str, str]):
    """Every seventh video."""

    def get(self, video_id: str, otherwise: Any = None) -> Any:
        return "404" if zlib.crc32(video_id.encode()) % 7 == 0 else otherwise


def film(video_id: str) -> bytes:
    """Each id has frames of its own, for as long as the sandbox's metadata can say."""
    rng = np.random.default_rng(zlib.crc32(video_id.encode()))
    picture = rng.integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder, "v.mp4"), [np.roll(picture, n, 1) for n in range(122)], fps=2)
        return Path(folder, "v.mp4").read_bytes()


def contents(lab: Path) -> dict[str, object]:
    """What a series of rounds has led to, whatever happened on the way."""
    known = rounds.read_updates(lab / "weekly.updates")
    assert known is not None and known.begun is None
    clips = {path.name: path.read_bytes() for path in (lab / "data/clips").rglob("*.mp4")}
    losses = [ta.Run(lab / one.model.pretrained).result.loss for one in known.rounds]
    told = [(one.since, one.version, one.came, one.promoted, one.reasons, one.drift) for one in known.rounds]
    return {"clips": clips, "losses": losses, "rounds": told, "promoted": known.promoted, "to": known.collected}


@pytest.mark.slow
def test_weeks_of_collecting_and_downloading_killed_at_random(tmp_path, monkeypatch):
    """Three rounds: two that bring videos, between them the same day again. Every seventh file is gone."""
    pytest.importorskip("torch")
    pytest.importorskip("yt_dlp")
    with MediaServer(film).running() as server:
        server.ways = Gone()
        env = os.environ | {"PYTHONPATH": str(REPOSITORY), "TIKTOKACTIONS_DOWNLOAD_URL": server.pattern}
        env |= {"TIKTOKACTIONS_OFFLINE": "0"}
        words = [sys.executable, "-m", "tiktokactions", "run", "weekly.toml"]
        lab, killed = tmp_path / "one" / "lab", tmp_path / "two" / "lab"
        lab.mkdir(parents=True)
        (lab / "hashtags.csv").write_text("hashtag\n" + "".join(f"{name}\n" for name in TAGS))
        (lab / "weekly.toml").write_text(FETCHED)
        assert subprocess.run(words, cwd=lab, env=env).returncode in (0, 1), "1: a file failed for now"
        shutil.copytree(lab, killed, symlinks=True)
        command, kills = [sys.executable, "-c", AT_A_TIME], 0
        whole = partial(nothing_is_promoted_half, killed / "weekly.updates")
        for now in ("2024-03-12T03:00:00+00:00", "2024-03-12T04:00:00+00:00", "2024-03-19T03:00:00+00:00"):
            subprocess.run(command, cwd=lab, check=True, env=env | {"NOW": now})
            kills += killed_until_done(command, killed, 5, (1, 9), whole, env=env | {"NOW": now})
    one, two = contents(lab), contents(killed)
    assert kills >= 5 and len(one["rounds"]) == 2 and one["to"] == date(2024, 3, 16)  # type: ignore[arg-type]
    assert one == two
