"""Whatever reads videos whose ids have to be checked again says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiktokactions as ta
from tiktokactions import cli
from tiktokactions.collection.store import Collection
from tiktokactions.dataset.subset_mark import first_due_at, write_origin
from tiktokactions.machine import DAY_S, Clock
from tiktokactions.takedowns.links import overdue


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``col``, which is overdue; ``data``, made of it, and its ``subset``; ``own``, a dataset that checks its ids itself."""
    (tmp_path / "rows.csv").write_text("id,hashtag_names\n7300000000000000001,dance\n")
    ta.collect_import(tmp_path / "rows.csv", tmp_path / "col")
    with Collection(tmp_path / "col") as collection:
        collection.set_setting("checked_at", Clock().now() - 16 * DAY_S)
    for name in ("data/clips/run", "subset", "own"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("data", "subset", "own"):
        (tmp_path / name / "dataset.json").write_text("{}")
    (tmp_path / "data/collections.json").write_text(json.dumps([str(tmp_path / "col"), str(tmp_path / "gone")]))
    (tmp_path / "data/clips/run/1.mp4").write_bytes(b"")
    (tmp_path / "subset/subset.json").write_text('{"of": "../data"}')
    for name, said in (
        ("export/export.json", {"of": "8fc0"}),
        ("moved/export.json", {"of": "of another machine", "refresh_due": Clock().now() - DAY_S}),
        ("fresh/release.json", {"id": "of another machine", "refresh_due": Clock().now() + DAY_S}),
        ("run/run.json", {"data": {"sources": [f"{tmp_path}/export"]}, "init": None}),
        ("tuned/run.json", {"data": {"sources": ["list.csv"]}, "init": {"path": f"{tmp_path}/run/checkpoints"}}),
        ("study/study.json", {"sources": {"own": f"{tmp_path}/data"}, "finetune": {"model": "tiny"}}),
        ("merged/merge.json", {"of": [f"{tmp_path}/own", f"{tmp_path}/data"]}),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(json.dumps(said))
    for name in ("merged/dataset.json", "run/checkpoints"):
        (tmp_path / name).write_text("{}")
    write_origin("8fc0", tmp_path / "data")
    (tmp_path / "own/refresh.json").write_text(json.dumps({"checked_at": Clock().now() - 9 * DAY_S, "every_days": 8}))
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["col"], ["col"]),
        (["col/media"], ["col"]),
        (["data"], ["col"]),
        (["data/clips/run/1.mp4"], ["col"]),
        (["subset"], ["col"]),
        (["data", "subset", "col", "own"], ["col", "own"]),
        (["own"], ["own"]),
        (["export/train.csv"], ["col"]),
        (["run"], ["col"]),
        (["tuned/evaluations"], ["col"]),
        (["study"], ["col"]),
        (["merged"], ["col", "own"]),
        (["moved/train.csv"], ["moved"]),
        (["fresh", "gone", "rows.csv"], []),
    ],
)
def test_overdue(root: Path, paths: list[str], named: list[str]) -> None:
    warnings = overdue([str(root / path) for path in paths])
    assert [warning.partition(": ")[0] for warning in warnings] == [str(root / name) for name in named]
    assert all(f"Run: tiktokactions refresh {root}" in w or "made of a dataset whose" in w for w in warnings)


def test_exports_say_when_the_ids_of_their_dataset_are_to_be_checked(root: Path) -> None:
    checked = Clock().now() - 16 * DAY_S
    for name, due in (("data", checked + 15 * DAY_S), ("own", Clock().now() - DAY_S), ("subset", None)):
        assert first_due_at(root / name) == (due if due is None else pytest.approx(due, abs=60))


@pytest.mark.parametrize(
    "typed",
    [
        *(["report", "{}"], ["dataset", "verify", "{}"], ["pretrain", "{}", "-o", "run"], ["evaluate", "run", "{}"]),
        *(["study", "sources", "a={}", "scratch", "--evaluate-on", "x", "-o", "y"], ["review", "status", "{}"]),
        *(["curate", "{}/clips", "-o", "new"], ["release", "{}", "-o", "out"], ["export", "{}", "-o", "out"]),
    ],
    ids=lambda typed: " ".join(typed),
)
def test_every_command_warns(
    root: Path, typed: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise ta.UsageError("not run")

    name = {"study": "study_sources", "dataset": "dataset_verify", "review": "review_status"}.get(typed[0], typed[0])
    monkeypatch.setattr(ta, name, refuse)
    assert cli.main([word.format(root / "data") for word in typed]) == 2
    assert f"warning: {root / 'col'}: its refresh was due on" in capsys.readouterr().err


def test_what_is_damaged_is_left_to_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "data/collections.json").write_text("[")
    assert cli.main(["dataset", "stats", str(root / "data")]) == 2
    assert "Traceback" not in capsys.readouterr().err
