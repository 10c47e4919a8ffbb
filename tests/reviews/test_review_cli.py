"""What is typed after ``review`` reaches the right function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as api
from tests.reviews.worlds import a_desk, doubtful, says
from tiktokactions import cli

APPLIED = api.ReviewApplied("d", "majority", 3, 2, 1, 5, 6, 7, 1, 1, {}, 0.5)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the functions of the room were called with."""
    made: list[Any] = []

    def record(name: str) -> Any:
        def function(**options: Any) -> Any:
            options.pop("report", None)
            made.append((name, options))
            return APPLIED

        return function

    for name in ("review", "review_apply"):
        monkeypatch.setattr(api, name, record(name))
    return made


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("review data", ("review", {"dataset": "data"})),
        ("review --port 9000 data", ("review", {"dataset": "data", "port": 9000})),
        ("review ./apply", ("review", {"dataset": "./apply"})),
        ("review apply data", ("review_apply", {"dataset": "data"})),
        ("review apply apply", ("review_apply", {"dataset": "apply"})),
        ("review serve data", ("review", {"dataset": "data"})),
    ],
)
def test_review_of_a_dataset_is_short_for_serving_it(typed: str, called: Any, calls: list[Any]) -> None:
    assert cli.main(typed.split()) == 0
    assert calls == [called]


@pytest.mark.parametrize(("typed", "code"), [("review", 2), ("review --help", 0)])
def test_review_alone_says_what_it_needs(typed: str, code: int, calls: list[Any]) -> None:
    assert cli.main(typed.split()) == code
    assert calls == []


def test_options_reach_the_function(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["review", "data", "--port", "0", "--sample", "20", "--reviewers-per-video", "2", "--json"]) == 0
    assert cli.main(["review", "apply", "./apply", "--aggregate", "glad"]) == 0
    assert calls == [
        ("review", {"dataset": "data", "port": 0, "sample": 20, "reviewers_per_video": 2}),
        ("review_apply", {"dataset": "./apply", "aggregate": "glad"}),
    ]
    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[0])["accepted"] == 5 and "2 of 3 verdicts new" in out


def test_problems_want_attention(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import dataclasses

    broken = dataclasses.replace(APPLIED, problems={"v1": "people accepted it, but"})
    monkeypatch.setattr(api, "review_apply", lambda *arguments, **options: broken)
    assert cli.main(["review", "apply", "data"]) == 1
    assert "attention: v1: people accepted it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["review", "nowhere"], "no dataset.json there"),
        (["review", "apply", "nowhere"], "no dataset.json there"),
        (["review", "status", "nowhere"], "no dataset.json there"),
        (["review", "data", "--sample", "2", "--label", "x"], "--label: got 'x', expected not together"),
        (["review", "data", "--owner-token", "secret"], "expected 16 characters or more"),
        (["review", "invite", "data", "\x00"], "1 to 100 characters"),
        (["review", "export", "data", "-o", "tasks.pdf"], "ends in"),
        (["review", "import", "data", "missing.csv"], "No such file"),
    ],
)
def test_errors_are_told_in_one_line(
    typed: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    a_desk(tmp_path / "data", doubtful(1)).close()
    assert cli.main(typed) == 2
    said = capsys.readouterr()
    assert said.out == "" and message in said.err and said.err.count("\n") <= 2 and "secret" not in said.err


def test_status_invite_export_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "data")
    desk = a_desk(tmp_path / "data", doubtful(2))
    desk.decide("ann", says("v00", seconds=2.0))
    desk.close()
    assert cli.main(["review", "invite", data, "Ben"]) == 0
    assert len(capsys.readouterr().out.splitlines()[1]) == 32
    assert cli.main(["review", "invite", data, "Cleo", "--owner", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["role"] == "owner"
    assert cli.main(["review", "export", data, "-o", str(tmp_path / "d.csv"), "--decisions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decisions"] == 1
    (tmp_path / "a.csv").write_text("video_id,verdict,annotator\nv00,reject,Dan\nv01,accept,Dan\nv05,accept,Dan\n")
    assert cli.main(["review", "import", data, str(tmp_path / "a.csv")]) == 1
    said = capsys.readouterr()
    assert "2 answers taken in, 0 known before, 1 refused" in said.out and "row 4: video 'v05'" in said.err
    assert cli.main(["review", "status", data]) == 0
    out = capsys.readouterr().out
    assert "2 videos judged, 1 decided, 1 conflicts open (1 judgements a video)" in out
    assert "Dan: 2 judged" in out and "Cohen's kappa" in out
    assert cli.main(["review", "status", data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"][0]["videos"] == 1
