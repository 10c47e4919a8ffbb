"""Training, evaluation and prediction as typed: what is printed, what ``--json`` promises, exit codes."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from tests.model.made_clips import make_clips
from tiktokactions import cli
from tiktokactions.cli.results import evaluation_lines, finetune
from tiktokactions.model.run import Run

SMALL = ["--image-size", "32", "--frames", "4", "--stride", "2", "--workers", "0", "--threads", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    for side, first in (("train", 0), ("test", 9000)):
        make_clips(folder / "squares" / side, 2, first_seed=first, ways=("left", "right"))
    return folder


@pytest.fixture(scope="module")
def runs(work: Path) -> Path:
    """A pre-trained and a fine-tuned run."""
    data, small = str(work / "squares"), [*SMALL, "--batch-size", "2", "--epochs", "1"]
    pretrained, finetuned = str(work / "runs" / "pretrained"), str(work / "runs" / "finetuned")
    assert cli.main(["pretrain", data, "-o", pretrained, "--model", "tiny", "--pictures-epochs", "0", *small]) == 0
    assert cli.main(["finetune", data, "-o", finetuned, "--init", pretrained, *small, "--crops", "1"]) == 0
    return work / "runs"


def typed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main([str(a) for a in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_json_of_training(runs, work, capsys):
    code, out, _ = typed(capsys, "finetune", work / "squares", "-o", runs / "finetuned", "--init", runs / "pretrained",
                         *SMALL, "--batch-size", "2", "--epochs", "1", "--crops", "1", "--json")  # fmt: skip
    result = json.loads(out)
    assert code == 0 and result["run"] == str(runs / "finetuned") and result["steps"] == 2 and result["loss"] > 0
    assert result["test"]["videos"] == 4 and 0 <= result["test"]["top1"] <= 1
    assert "Try `base_lr`" in result["warning"]  # after two steps
    [told] = [line for line in finetune(Run(runs / "finetuned"), {}).lines if line.startswith("warning: ")]
    assert result["warning"] in told


def test_json_of_evaluation(runs, work, capsys):
    code, out, _ = typed(capsys, "evaluate", runs / "finetuned", work / "squares", "--workers", "0", "--json")
    result = json.loads(out)
    assert code == 0 and result["videos"] == 4 and result["top5"] == 1.0 and result["views"] == 15
    assert Path(result["folder"], "confusion.png").is_file()
    code, out, _ = typed(capsys, "evaluate", runs / "finetuned", work / "squares", "--workers", "0", "--side", "train")
    assert code == 0 and "top-1" in out and "95 % interval" in out


def test_json_of_prediction(runs, work, capsys):
    video = next((work / "squares" / "test").rglob("*.mp4"))
    code, out, _ = typed(capsys, "predict", runs / "finetuned", video, "--workers", "0", "--json")
    [prediction] = json.loads(out)
    assert code == 0 and prediction["path"] == str(video)
    assert {guess["label"] for guess in prediction["top"]} == {"left", "right"}
    assert sum(guess["probability"] for guess in prediction["top"]) == pytest.approx(1, abs=1e-5)
    code, out, _ = typed(capsys, "predict", runs / "finetuned", video, "--workers", "0")
    assert code == 0 and "%" in out


def test_a_bad_file_is_told_and_the_others_are_predicted(runs, work, tmp_path, capsys):
    shutil.copytree(work / "squares" / "test", tmp_path / "odd" / "test")
    (tmp_path / "odd" / "test" / "left" / "bad.mp4").write_bytes(b"not a video")
    quick = ["--workers", "0", "--segments", "1", "--crops", "1"]
    code, out, err = typed(capsys, "predict", runs / "finetuned", tmp_path / "odd", *quick)
    assert code == 1 and out.count(".mp4") == 4 and "%" in out
    assert re.search(r"attention: .*bad\.mp4: not_a_video", err)
    code, out, _ = typed(capsys, "predict", runs / "finetuned", tmp_path / "odd", *quick, "--json")
    assert code == 1 and [p["reason"] is None for p in json.loads(out)].count(False) == 1
    tested = tmp_path / "tested"
    code, out, _ = typed(capsys, "evaluate", runs / "finetuned", tmp_path / "odd", "-o", tested, *quick)
    assert code == 1 and "4 videos" in out and "1 more cannot be read" in out
    code, _, _ = typed(
        capsys, "evaluate", runs / "finetuned", tmp_path / "odd", "-o", tested, *quick, "--skip-unreadable"
    )
    assert code == 0


def test_features_of_a_pretrained_run(runs, work, capsys):
    code, out, _ = typed(capsys, "predict", runs / "pretrained", work / "squares", "--features", work / "f.parquet",
                         "--workers", "0", "--segments", "1", "--crops", "1", "--json")  # fmt: skip
    assert code == 0 and json.loads(out) == {
        **{"features": str(work / "f.parquet"), "videos": 8, "length": 192},
        "unreadable": {},
    }


def test_export(runs, work, capsys):
    code, out, _ = typed(capsys, "export", runs / "finetuned", "-o", work / "hf", "--json")
    assert code == 0 and json.loads(out) == {"output": str(work / "hf")}
    assert (work / "hf" / "config.json").is_file()


def test_a_dry_run_writes_nothing(work, tmp_path, capsys):
    code, out, _ = typed(capsys, "pretrain", work / "squares", "-o", tmp_path / "run", "--batch-size", "4", "--dry-run")
    assert code == 0 and "94,210,944" in out and "visible tokens" in out
    assert not (tmp_path / "run").exists()


def test_several_data_are_mixed(work, tmp_path, capsys):
    train = work / "squares" / "train"
    code, out, _ = typed(capsys, "pretrain", train / "left", train / "right", "--mix", "3", "1", "-o", tmp_path / "run",
                         "--model", "tiny", *SMALL, "--batch-size", "2", "--epochs", "1", "--json")  # fmt: skip
    assert code == 0 and json.loads(out)["steps"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain", "nowhere", "-o", "run"], "nowhere: no such file or folder"),
        (["pretrain", "DATA", "-o", "run", "--mix", "1", "2"], "--mix"),
        (["pretrain", "DATA", "-o", "run", "--mask-ratio", "2"], "--mask-ratio: got 2.0"),
        (["pretrain", "DATA", "-o", "run"], "fewer than one step takes"),
        (["finetune", "DATA", "-o", "run", "--init", "nowhere"], "nowhere"),
        (["finetune", "DATA", "-o", "run", "--test", "nowhere"], "nowhere"),
        (
            ["finetune", "DATA", "-o", "run", "--test", "OTHER"],
            "OTHER: 1 label unknown to DATA: up; it knows left, right",
        ),
        (["evaluate", "DATA", "DATA"], "no run.json there"),
        (["predict", "DATA", "DATA"], "no run.json there"),
        (["export", "DATA", "-o", "out"], "DATA"),
    ],
)
def test_bad_usage(work, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DATA").symlink_to(work / "squares")
    (tmp_path / "OTHER" / "up").mkdir(parents=True)
    (tmp_path / "OTHER" / "up" / "clip.mp4").write_bytes(b"not looked at")
    code, out, err = typed(capsys, *arguments)
    assert code == 2 and out == "" and message in err


def test_what_cannot_be_read_is_left_out_and_listed(work, tmp_path, capsys):
    """Of every data that is given, the validation side included, in one list."""
    for name in ("one", "other"):
        shutil.copytree(work / "squares" / "train", tmp_path / name)
        (tmp_path / name / "left" / f"{name}.mp4").write_bytes(b"not a video")
    small = [*SMALL, "--model", "tiny", "--batch-size", "2", "--epochs", "1"]
    data = [tmp_path / "one", tmp_path / "other"]
    code, _, err = typed(capsys, "pretrain", *data, "-o", tmp_path / "stopped", *small)
    assert code == 2 and re.search(r"(one|other)\.mp4: not_a_video", err)
    for command in (["pretrain", *data], ["finetune", data[0], "--val", data[1], "--validate-epochs", "1"]):
        run = tmp_path / command[0]
        code, _, err = typed(capsys, *command, "-o", run, "--skip-unreadable", *small)
        assert code == 0 and f"2 of 10 clips cannot be read and are left out: {run}/unreadable.csv" in err
        rows = list(csv.DictReader((run / "unreadable.csv").read_text().splitlines()))
        assert [Path(row["path"]).name for row in rows] == ["one.mp4", "other.mp4"]
        assert all(row["reason"].startswith("not_a_video") for row in rows)
        code, _, err = typed(capsys, *command, "-o", run, "--skip-unreadable", *small)
        assert code == 0 and "2 of 10 clips cannot be read" in err and "decoding" not in err  # remembered


def test_a_decoder_that_is_not_installed(work, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    code, out, err = typed(capsys, "pretrain", work / "squares", "-o", tmp_path / "run", "--decoder", "torchcodec")
    assert code == 2 and out == "" and "--decoder torchcodec: torchcodec is not installed" in err


def test_nothing_to_test_on_is_said(work, tmp_path, capsys):
    code, out, _ = typed(capsys, "finetune", work / "squares" / "train", "-o", tmp_path / "run", "--model", "tiny", *SMALL,
                         "--batch-size", "2", "--epochs", "1")  # fmt: skip
    assert code == 0 and "not tested: the data have no test side, and no --test was given" in out


def test_unknown_names_in_a_config_file(work, tmp_path, capsys):
    (tmp_path / "c.toml").write_text("epoch = 3\n")
    code, _, err = typed(capsys, "pretrain", work / "squares", "-o", tmp_path / "run", "--config", tmp_path / "c.toml")
    assert code == 2 and "unknown name epoch" in err
    (tmp_path / "c.toml").write_text('epochs = 3\nmodel = "tiny"\nbatch_size = 4\nbase_lr = 1\n')
    dry = ["--config", tmp_path / "c.toml", "--dry-run", "--json"]
    code, out, _ = typed(capsys, "pretrain", work / "squares", "-o", tmp_path / "run", *dry)
    plan: dict[str, Any] = json.loads(out)
    assert code == 0 and plan["steps"] == 3


@pytest.mark.parametrize(("classes", "is_told"), [(3, False), (20, True)])
def test_top_5_is_told_where_it_tells_something(classes, is_told):
    told = {"data": "d", "videos": 9, "classes": classes, "views": 3, "folder": "f", "unreadable": 0}
    shares = {"top1": 0.5, "top1_low": 0.3, "top1_high": 0.7, "top5": 1.0, "mean_class_accuracy": 0.5}
    assert any("top-5" in line for line in evaluation_lines(told | shares)) == is_told
