from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from tests.model.made_clips import make_clips
from tiktokactions.clips.clip import ClipSet
from tiktokactions.model.classification import classifier, soft_target_loss
from tiktokactions.model.evaluate import evaluate, load_run, merge_views, run_views, top_accuracy
from tiktokactions.model.export import export
from tiktokactions.model.finetune import dry_finetune, finetune
from tiktokactions.model.hardware import Hardware, Processes
from tiktokactions.model.labels import class_counts, class_weights, targets_of, with_all_labels
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions, PredictOptions, PretrainOptions
from tiktokactions.model.predict import Prediction, predict, windows_of, write_features, write_window_features
from tiktokactions.model.pretrain import pretrain
from tiktokactions.model.run import Run, RunError, filled, read_log, read_run
from tiktokactions.model.teacher import Teacher, load_teacher
from tiktokactions.model.weights import WeightsError, read_weights
from tiktokactions.video import UnreadableError

SMALL: dict[str, Any] = {
    "model": "tiny",
    "image_size": 32,
    "frames": 4,
    "stride": 2,
    "workers": 0,
    "threads": 1,
    "device": "cpu",
}
QUICK: dict[str, Any] = SMALL | {
    "batch_size": 4,
    "num_samples": 1,
    "epochs": 2,
    "base_lr": 0.02,
    "log_steps": 1,
    "drop_path": 0.3,
}
PLAIN: dict[str, Any] = {"mixup": 0, "cutmix": 0}
LEARNING: dict[str, Any] = PLAIN | {
    "augment": "none",
    "erase": 0,
    "drop_path": 0,
    "layer_decay": 1,
    "flip": False,
    "min_area": 0.7,
}
LOOKS = EvaluateOptions(workers=0, threads=1, segments=2, crops=2, device="cpu")


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("train"), 3)


@pytest.fixture(scope="module")
def test(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("test"), 1, first_seed=5000)


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    run(train, folder)
    return folder


def run(train, folder, val=None, init=None, report=lambda progress: None, **options):
    return finetune(train, FinetuneOptions(**(QUICK | options)), folder, val=val, init=init, report=report)


def losses(folder):
    return [(line["step"], line["loss"]) for line in read_log(folder) if "loss" in line]


# --- fine-tuning ------------------------------------------------------------------------------------------------------


def test_a_run_leaves_everything_behind(train, test, tmp_path):
    result = run(train, tmp_path / "run", val=test, ema=0.9).result
    info: Any = read_run(tmp_path / "run")
    assert result.finished and result.steps == 6
    assert "this model has not learned: the training loss was 1.3" in str(result.warning)
    assert info.labels == ("down", "left", "right", "up") and info.model.classes == 4
    assert info.derived.lr == pytest.approx(0.02 * 4 / 256)
    for name in ("model.safetensors", "average.safetensors", "curves.svg", "clips.csv", "result.json"):
        assert (tmp_path / "run" / name).stat().st_size > 0, name
    looks = [line["val_top1"] for line in read_log(tmp_path / "run") if "val_top1" in line]
    assert len(looks) == 2 and all(0 <= look <= 1 for look in looks)
    weights, average = (load_file(tmp_path / "run" / f"{name}.safetensors") for name in ("model", "average"))
    assert not torch.equal(weights["head.weight"], average["head.weight"])
    assert torch.equal(load_run(tmp_path / "run")[0].head.weight, average["head.weight"])


def test_it_learns_to_tell_apart(tmp_path, train):
    """Two ways to move, learned by heart: the chain from clips through the loop to the evaluation works."""
    two = make_clips(Path(train.source), 3, ways=("right", "down"))
    right = tuple(clip for clip in two.clips if clip.label == "right")
    val = dataclasses.replace(two, clips=right, labels=("right",))  # other data, which number their classes differently
    how = LEARNING | {"base_lr": 0.05, "batch_size": 6, "init_scale": 1, "clip_grad": 1.0}
    run(two, tmp_path / "run", val=val, epochs=100, validate_epochs=100, **how)
    found = evaluate(tmp_path / "run", two, LOOKS, tmp_path / "evaluation")
    assert found.top1 >= 5 / 6 and found.chance == 0.5
    assert Run(tmp_path / "run").result.warning is None
    assert losses(tmp_path / "run")[-1][1] < 0.75 * losses(tmp_path / "run")[0][1]
    [look] = [line["val_top1"] for line in read_log(tmp_path / "run") if "val_top1" in line]
    assert look >= 2 / 3


def test_the_paper_s_plan(train):
    many = dataclasses.replace(train, clips=train.clips * 750)
    plan = dry_finetune(many, FinetuneOptions(), None)
    assert (plan.steps, plan.videos_per_step, plan.clips_per_step) == (112_500, 8, 16)
    assert (plan.lr, plan.warmup_steps) == (pytest.approx(3.125e-5), 5_625)
    assert plan.first_layer_lr == pytest.approx(3.125e-5 * 0.9**13)


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_stopping_and_going_on_changes_nothing(train, tmp_path, stop):
    options = {"ema": 0.9, "head_dropout": 0.3, "mixup": 0.8, "cutmix": 1.0}
    run(train, tmp_path / "whole", **options)
    run(train, tmp_path / "parts", stop_after_steps=stop, **options)
    run(train, tmp_path / "parts", **options)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    for name in ("model.safetensors", "average.safetensors"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


KILLED = """
import os, signal, sys
from tests.model.test_finetune import *
def report(progress):
    if progress.step == 3: os.kill(os.getpid(), signal.SIGKILL)
run(make_clips(Path(sys.argv[1]), 3), Path(sys.argv[2]), report=report, save_steps=2, ema=0.5)
"""


def test_kill_9_loses_nothing(train, tmp_path, repository):
    command = [sys.executable, "-c", KILLED, train.source, str(tmp_path / "killed")]
    done = subprocess.run(command, cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)}, check=False)
    assert done.returncode == -signal.SIGKILL
    run(train, tmp_path / "killed", ema=0.5)
    run(train, tmp_path / "whole", ema=0.5)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    for name in ("model.safetensors", "average.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_two_processes_learn_what_one_does(train, tmp_path, repository):
    """Drop path and head dropout included; mixup and CutMix pair clips within a process and are off.

    A model that is split over two processes learns the same, and one process goes on with it.
    """
    options = PLAIN | {"head_dropout": 0.2, "init_scale": 1.0, "clip_grad": 1.0, "ema": 0.5, "accumulate": 2}
    looks = {"save_steps": 2, "choose": "best"}
    (tmp_path / "main.py").write_text(
        "import sys; from tests.model.test_finetune import *\n"
        "train = make_clips(Path(sys.argv[1]), 3)\n"
        f"run(train, Path(sys.argv[2]), batch_size=1, **{options})\n"
        "val = dataclasses.replace(train, clips=train.clips[:3])\n"
        f"split = dict(shard=True, stop_after_steps=5, **{options | looks})\n"
        "run(train, Path(sys.argv[2] + '-split'), val=val, batch_size=1, **split)\n"
    )
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "main.py")]
    done = subprocess.run(
        [sys.executable, *command, train.source, str(tmp_path / "two")],
        env=os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    options |= {"batch_size": 2}
    run(train, tmp_path / "one", **options)
    val = dataclasses.replace(train, clips=train.clips[:3])
    run(train, tmp_path / "two-split", val=val, shard=True, **options | looks)
    for name in ("two", "two-split"):
        for (_, a), (_, b) in zip(losses(tmp_path / "one"), losses(tmp_path / name), strict=True):
            assert a == pytest.approx(b, rel=1e-5)
    for name in ("model", "average"):
        one, split = (load_file(tmp_path / run / f"{name}.safetensors") for run in ("one", "two-split"))
        for key, tensor in one.items():
            torch.testing.assert_close(split[key], tensor, atol=1e-5, rtol=1e-4, msg=key)
    looked = [line["val_top1"] for line in read_log(tmp_path / "two-split") if "val_top1" in line]
    assert len(looked) == 2 and (tmp_path / "two-split" / "best.safetensors").exists()


# --- rare classes, and the best of all epochs ---------------------------------------------------------------------


def test_rare_classes_are_drawn_and_weighed(train, tmp_path):
    few = dataclasses.replace(train, clips=(train.clips[0], *(clip for clip in train.clips if clip.label != "right")))
    numbers = targets_of(few, few.labels, "few")
    counts = class_counts(numbers, 4)
    assert counts.tolist() == [3, 3, 1, 3]
    weights = class_weights(numbers, 4, 1.0)
    assert weights[2] == pytest.approx(3 * weights[0]) and (counts * weights).sum() == pytest.approx(10)
    assert class_weights(numbers, 4, 0.5)[2] == pytest.approx(3**0.5 * class_weights(numbers, 4, 0.5)[0])
    logits, target = torch.randn(5, 4), torch.rand(5, 4)
    expected = torch.nn.functional.cross_entropy(logits, target, weights)
    assert soft_target_loss(logits, target, weights) == pytest.approx(expected)
    kinds: dict[str, dict[str, Any]] = {"plain": {}, "balanced": {"balance": 1.0}, "weighed": {"class_weights": 1.0}}
    for name, options in kinds.items():
        run(few, tmp_path / name, batch_size=2, epochs=1, **options)
    assert len({losses(tmp_path / name)[0][1] for name in kinds}) == 3


@pytest.mark.parametrize(("ema", "choose"), [(None, "loss"), (0.5, "best")])
def test_the_best_epoch_is_tested(train, test, tmp_path, monkeypatch, ema, choose):
    """Of equals the first, and of an average that is kept the average; also if the run was stopped in between."""
    seen, score = [], [0.5, 0.75, 0.75] if choose == "best" else [0.75, 0.5, 0.5]
    name = "val_top1" if choose == "best" else "val_loss"

    def look(model, batches, options, machine, tested=None):
        seen.append({name: tensor.detach().clone() for name, tensor in (tested or model.state_dict()).items()})
        return {"val_loss": 0.0, "val_top1": 0.0, name: score[len(seen) - 1]}

    monkeypatch.setattr("tiktokactions.model.finetune.validate", look)
    options = {"val": test, "choose": choose, "epochs": 3, "ema": ema}
    run(train, tmp_path / "run", **options, stop_after_steps=7)
    assert run(train, tmp_path / "run", **options).weights == tmp_path / "run" / "best.safetensors"
    assert len(seen) == 3
    best = load_file(tmp_path / "run" / "best.safetensors")
    assert all(torch.equal(best[name], tensor) for name, tensor in seen[1].items())
    model, _ = load_run(tmp_path / "run")
    assert torch.equal(model.head.weight, seen[1]["head.weight"])
    assert not torch.equal(seen[1]["head.weight"], seen[2]["head.weight"])
    with pytest.raises(ValueError, match="`choose` best: expected a val side"):
        run(train, tmp_path / "none", choose="best")


def test_several_labels_of_a_clip_are_learned_and_measured(train, test, tmp_path):
    """A square that moves also moves along an axis; one clip shows none of it."""
    axis = {"right": "sideways", "left": "sideways", "up": "upright", "down": "upright"}

    def both(data):
        clips = [dataclasses.replace(clip, labels=(clip.label, axis[str(clip.label)])) for clip in data.clips]
        seen = tuple((str(label), "yes") for label in clips[-1].labels or ())  # and nobody was asked about the others
        clips[-1] = dataclasses.replace(clips[-1], answers=seen)
        return dataclasses.replace(data, clips=(*clips[1:], dataclasses.replace(clips[0], label=None, labels=())))

    several, tested = with_all_labels([both(train), both(test)])
    run(
        several, tmp_path / "run", val=tested, multi_label=True, balance=0.5, class_weights=1.0, epochs=1, choose="best"
    )
    assert read_run(tmp_path / "run").model.classes == 6
    [look] = [line for line in read_log(tmp_path / "run") if "val_map" in line]
    found = evaluate(tmp_path / "run", tested, LOOKS, tmp_path / "tested")
    assert found.videos == 4 and found.mean_average_precision is not None and 0 < look["val_map"] <= 1
    rows = pq.read_table(tmp_path / "tested" / "predictions.parquet").to_pylist()
    assert [row["labels"] for row in rows] == [list(clip.labels or ()) for clip in tested.clips]
    asked, [unasked], [nothing] = rows[:-2], rows[-2:-1], rows[-1:]
    assert all(row["correct"] == (row["predicted"] in row["labels"]) for row in asked) and not nothing["correct"]
    assert unasked["correct"], "all that anybody was asked about this clip is a yes"
    assert sum(row["correct"] for row in rows) / 4 == found.top1
    precision = [
        row["average_precision"]
        for row in csv.DictReader((tmp_path / "tested" / "per_class.csv").read_text().splitlines())
    ]
    told = [float(p) for p in precision if p]
    assert np.mean(told) == pytest.approx(found.mean_average_precision, abs=1e-4) and len(told) == 5
    sums = [sum(row["probabilities"]) for row in rows]
    assert not np.allclose(sums, 1), "sigmoids, not a softmax"
    probe = run(several, tmp_path / "probe", init=tmp_path / "run", linear_probe=True, multi_label=True).result
    assert 0 <= probe.cross_validated_top1 <= 1


# --- first weights ----------------------------------------------------------------------------------------------------


def test_beginning_with_a_pretrained_run(train, tmp_path):
    asked = PretrainOptions(**(SMALL | {"batch_size": 4, "epochs": 1, "mask_ratio": 0.5, "pictures_epochs": 0}))
    pretrain(train.clips, asked, tmp_path / "pretrained", sources=["made"])
    free = dict.fromkeys(("model", "image_size", "frames"))  # taken from the run
    told: list[Any] = []
    run(train, tmp_path / "run", init=tmp_path / "pretrained", epochs=1, report=told.append, **free)
    info: Any = read_run(tmp_path / "run")
    assert (info.model.name, info.model.frames, info.model.height) == ("tiny", 4, 32)
    assert info.init.path == str(tmp_path / "pretrained")
    assert sorted(info.init.fresh) == ["fc_norm.bias", "fc_norm.weight", "head.bias", "head.weight"]
    assert any("start fresh" in progress.message for progress in told)
    with pytest.raises(ValueError, match="`model` vit-b: the first weights are of tiny"):
        run(train, tmp_path / "other", init=tmp_path / "pretrained", **(free | {"model": "vit-b"}))


def test_a_head_for_other_classes_is_not_taken_over(finished, train, tmp_path):
    renamed = dataclasses.replace(
        train,
        labels=tuple(f"{label}wards" for label in train.labels),
        clips=tuple(dataclasses.replace(clip, label=f"{clip.label}wards") for clip in train.clips),
    )
    run(renamed, tmp_path / "renamed", init=finished, epochs=1)
    run(train, tmp_path / "same", init=finished, epochs=1)
    renamed_run: Any = read_run(tmp_path / "renamed")
    same_run: Any = read_run(tmp_path / "same")
    assert "head.weight" in renamed_run.init.fresh
    assert same_run.init.fresh == ()


@pytest.mark.parametrize("blocks", [1, 4])
def test_frozen_blocks_stay_as_they_are(finished, train, tmp_path, blocks):
    run(train, tmp_path / "run", init=finished, freeze=blocks, epochs=1)
    before, after = (load_file(folder / "model.safetensors") for folder in (finished, tmp_path / "run"))
    for name, tensor in before.items():
        frozen = name.startswith("patch_embed") or (name.startswith("blocks.") and int(name.split(".")[1]) < blocks)
        assert torch.equal(tensor, after[name]) is frozen, name


def test_a_linear_probe_changes_the_last_layer_only(finished, train, test, tmp_path):
    result = run(train, tmp_path / "probe", init=finished, linear_probe=True, segments=2, crops=1).result
    before, after = (load_file(folder / "model.safetensors") for folder in (finished, tmp_path / "probe"))
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"head.weight", "head.bias"}
    assert 0 <= result.cross_validated_top1 <= 1 and result.penalty > 0
    assert evaluate(tmp_path / "probe", train, LOOKS, tmp_path / "e").top1 > 0.5
    assert run(train, tmp_path / "probe", init=finished, linear_probe=True, segments=2, crops=1).result == result
    assert not (tmp_path / "probe" / "features.f32").exists()


def test_an_attentive_probe_trains_an_attention_over_all_blocks(finished, train, test, tmp_path):
    options: dict[str, Any] = {"init": finished, "attentive_probe": True, "ema": 0.5}
    run(train, tmp_path / "probe", **options, stop_after_steps=2)
    assert len(run(train, tmp_path / "probe", **options).result.layer_weights) == 4
    result = run(train, tmp_path / "whole", **options).result
    before, after = (load_file(folder / "model.safetensors") for folder in (finished, tmp_path / "probe"))
    changed = {name.split(".")[0] for name in after if name not in before or not torch.equal(before[name], after[name])}
    assert changed == {"pool", "fc_norm", "head"}
    assert sum(result.layer_weights) == pytest.approx(1, abs=1e-3) and len(set(result.layer_weights)) > 1
    whole = load_file(tmp_path / "whole" / "model.safetensors")
    assert all(torch.equal(tensor, whole[name]) for name, tensor in after.items()), "stopped and gone on"
    assert evaluate(tmp_path / "probe", test, LOOKS, tmp_path / "e").videos == 4
    run(train, tmp_path / "tuned", init=tmp_path / "probe", epochs=1)  # the attention stays behind
    assert not any(name.startswith("pool.") for name in load_file(tmp_path / "tuned" / "model.safetensors"))
    with pytest.raises(WeightsError, match="other programs do not have the attentive probe"):
        export(tmp_path / "probe", tmp_path / "out", to="huggingface")


@pytest.mark.slow  # the quick tests compute the loss
@pytest.mark.parametrize("distill", ["logits", "features"])
def test_a_teacher_is_learned_from(finished, train, tmp_path, distill):
    """A run that was stopped goes on bit for bit; what is left is a model like any other, of a size of its own."""
    still = LEARNING | {"num_samples": 1, "batch_size": 12, "base_lr": 0.05}
    options = still | {
        "teacher": str(finished),
        "distill": distill,
        "distill_weight": 1.0,
        "epochs": 6,
        "image_size": 48,
    }
    run(train, tmp_path / "run", **options, stop_after_steps=3)
    run(train, tmp_path / "run", **options)
    run(train, tmp_path / "whole", **options)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert losses(tmp_path / "run")[-1][1] < losses(tmp_path / "run")[0][1] or distill == "logits"  # nearly uniform
    state = load_file(tmp_path / "run" / "model.safetensors")
    assert set(state) == set(load_file(finished / "model.safetensors"))
    assert load_run(tmp_path / "run")[0].config.height == 48
    read_weights(tmp_path / "run" / "checkpoints" / "step-00000003" / "model.safetensors")


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_teacher_s_loss_is_least_for_the_teacher_s_answer(micro5, multi_label):
    torch.manual_seed(0)
    options = FinetuneOptions(teacher="x", distill_weight=0.25, multi_label=multi_label)
    model, machine = (
        classifier(micro5, init_scale=30.0).eval(),
        Hardware(torch.device("cpu"), torch.float32, Processes()),
    )
    columns = torch.tensor([2, 0, 1])
    video = torch.randn(2, 3, 16, 64, 64)
    own = model(video)[:, columns].detach().requires_grad_()
    label = torch.tensor(4.0)
    loss = Teacher(model, columns, options).loss(label, own, 3, video, machine)
    loss.backward()
    assert own.grad is not None and own.grad.abs().max() < 1e-6
    told = torch.distributions.Bernoulli(logits=own) if multi_label else torch.distributions.Categorical(logits=own)
    assert loss.item() == pytest.approx(0.75 * 4 + 0.25 * told.entropy().mean().item(), rel=1e-5)


def test_teachers_that_cannot_teach(finished, train, tmp_path):
    few = dataclasses.replace(train, clips=train.clips[:2], labels=("right", "left"))
    run(few, tmp_path / "few", batch_size=2, epochs=1)
    with pytest.raises(
        ValueError, match=r"`teacher` .*few: it does not know down, up; expected a teacher of all classes"
    ):
        run(train, tmp_path / "run", teacher=str(tmp_path / "few"))
    with pytest.raises(ValueError, match="`attentive_probe`: got True, expected one kind of probe"):
        run(train, tmp_path / "run", attentive_probe=True, linear_probe=True)
    [reordered] = with_all_labels([dataclasses.replace(train, labels=train.labels[::-1])])
    config = read_run(finished).model
    teacher = load_teacher(FinetuneOptions(teacher=str(finished)), config, reordered.labels)
    assert teacher is not None and teacher.columns is not None and teacher.columns.tolist() == [3, 2, 1, 0]


def test_a_probe_goes_on_with_the_features_that_are_there(finished, train, tmp_path, monkeypatch):
    options: dict[str, Any] = {"init": finished, "linear_probe": True, "segments": 1}
    fit = "tiktokactions.model.probe.choose_penalty"
    with monkeypatch.context() as patched:
        patched.setattr(fit, lambda *given: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            run(train, tmp_path / "probe", **options)
    file = tmp_path / "probe" / "features.f32"
    whole, row = file.read_bytes(), 4 * 192
    assert len(whole) == len(train.clips) * row
    file.write_bytes(whole[: 5 * row + 7])  # killed in the middle of the sixth
    read: list[int] = []

    def seen(model, clips, *rest, **more):
        read.append(len(clips))
        return run_views(model, clips, *rest, **more)

    monkeypatch.setattr("tiktokactions.model.probe.run_views", seen)
    monkeypatch.setattr(fit, lambda features, *rest: (1.0, float(features.numpy().tobytes() == whole)))
    assert run(train, tmp_path / "probe", **options).result.cross_validated_top1 == 1
    assert read == [len(train.clips) - 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": 5}, "`freeze`: got 5, expected at most 4"),
        ({"batch_size": 3}, "`batch_size`: got 3, expected an even number"),
        ({"augment": "rand-m99-n2-inc1"}, "`augment`: got 'rand-m99-n2-inc1'"),
        ({"layer_decay": 0}, "`layer_decay`: got 0"),
        ({"drop_path": 1.0}, "`drop_path`: got 1.0"),
        ({"ema": 1.0}, "`ema`: got 1.0"),
    ],
)
def test_impossible_options(train, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(train, tmp_path / "run", **options)


def test_unlabelled_clips_and_single_classes_are_refused(train, tmp_path):
    nameless = dataclasses.replace(train, clips=(dataclasses.replace(train.clips[0], label=None), *train.clips[1:]))
    with pytest.raises(ValueError, match=r"1 clips without a label, for example .*0\.mp4"):
        run(nameless, tmp_path / "run")
    with pytest.raises(ValueError, match="expected two or more"):
        run(dataclasses.replace(train, labels=("right",)), tmp_path / "run")


# --- evaluation -------------------------------------------------------------------------------------------------------


def test_an_evaluation_leaves_everything_behind(finished, test, tmp_path):
    found = evaluate(finished, test, LOOKS, tmp_path)
    assert (found.videos, found.classes, found.views) == (4, 4, 4)
    assert found.top5 == 1.0 and found.top1_low <= found.top1 <= found.top1_high
    assert "4 videos are too few to tell" not in str(found.warning) and "has not learned" in str(found.warning)
    assert json.loads((tmp_path / "result.json").read_text()) == filled(found)
    for name in ("confusion.svg", "confusion.png", "per_class.csv"):
        assert (tmp_path / name).stat().st_size > 0
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert [row["path"] for row in rows] == [clip.path for clip in test.clips]
    assert [row["label"] for row in rows] == [clip.label for clip in test.clips]
    for row in rows:
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == pytest.approx(max(row["probabilities"]))
        assert row["correct"] == (row["predicted"] == row["label"])
    assert sum(row["correct"] for row in rows) / 4 == found.top1
    table = (tmp_path / "per_class.csv").read_text().splitlines()
    assert table[0].startswith("label,videos,correct") and len(table) == 5


def test_files_of_one_name_are_not_mixed_up(finished, test, tmp_path):
    """Every class folder has its 0.mp4: views belong to paths, not to names."""
    assert len({Path(clip.path).name for clip in test.clips}) == 1
    together = evaluate(finished, test, LOOKS, tmp_path / "all")
    alone = [
        evaluate(finished, dataclasses.replace(test, clips=(clip,)), LOOKS, tmp_path / str(i)).top1
        for i, clip in enumerate(test.clips)
    ]
    assert together.top1 == pytest.approx(sum(alone) / 4)


def test_views_can_be_computed_in_parts(finished, test, tmp_path):
    whole = evaluate(finished, test, LOOKS, tmp_path / "whole")
    parts = evaluate(finished, test, dataclasses.replace(LOOKS, views_per_pass=1), tmp_path / "parts")
    assert whole.top1 == parts.top1
    tables = [pq.read_table(tmp_path / name / "predictions.parquet").to_pylist() for name in ("whole", "parts")]
    for a, b in zip(*tables, strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-5)


def test_merged_views_are_the_reference(vectors):
    case = vectors["view_merge"]
    merged = merge_views(case["logits"])
    assert torch.allclose(merged, case["mean_prob"], atol=1e-12)
    for row, (predicted, top1, top5, label) in zip(merged, case["pred_top1_top5_label"].tolist(), strict=True):
        assert int(row.argmax()) == predicted
        assert top_accuracy(row[None], torch.tensor([int(label)]), 1) == top1
        assert top_accuracy(row[None], torch.tensor([int(label)]), 5) == top5


def test_unknown_labels_are_told(finished, train, test, tmp_path):
    strange = dataclasses.replace(test, clips=(dataclasses.replace(test.clips[0], label="diagonal"),))
    with pytest.raises(ValueError, match=r"1 label unknown to .*: diagonal; it knows down, left"):
        run(train, tmp_path / "not begun", val=strange)
    assert not (tmp_path / "not begun").exists()
    with pytest.raises(ValueError, match=r"1 label unknown to .*: diagonal; it knows down, left"):
        evaluate(finished, strange, LOOKS, tmp_path)
    with pytest.raises(ValueError, match="no clips on this side"):
        evaluate(finished, ClipSet("empty", "list", (), ()), LOOKS, tmp_path)


def test_only_finished_runs_are_tested(train, test, tmp_path):
    with pytest.raises(RunError, match=r"no run\.json there"):
        evaluate(tmp_path, test, LOOKS, tmp_path / "e")
    run(train, tmp_path / "run", stop_after_steps=1)
    with pytest.raises(RunError, match="not finished"):
        evaluate(tmp_path / "run", test, LOOKS, tmp_path / "e")


# --- prediction -------------------------------------------------------------------------------------------------------


def test_predictions(finished, test):
    found = predict(finished, test.clips, PredictOptions(workers=0, segments=1, crops=1, top=3, device="cpu"))
    assert [prediction.path for prediction in found] == [clip.path for clip in test.clips]
    for prediction in found:
        probabilities = [guess.probability for guess in prediction.top]
        assert len(probabilities) == 3 and probabilities == sorted(probabilities, reverse=True)
        assert {guess.label for guess in prediction.top} <= {"down", "left", "right", "up"}


def test_features(finished, test, tmp_path):
    asked = PredictOptions(workers=0, segments=2, crops=1, device="cpu")
    assert write_features(finished, test.clips, asked, tmp_path / "features.parquet").length == 192
    rows = pq.read_table(tmp_path / "features.parquet").to_pylist()
    assert [row["path"] for row in rows] == [clip.path for clip in test.clips]
    assert all(len(row["feature"]) == 192 for row in rows)
    assert rows[0]["feature"] != rows[1]["feature"]


@pytest.fixture
def odd(test, tmp_path):
    """The test clips with one in their middle that cannot be read."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"junk")
    clips = (*test.clips[:2], dataclasses.replace(test.clips[0], path=str(broken)), *test.clips[2:])
    return dataclasses.replace(test, clips=clips)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_prediction_is_given_as_soon_as_it_is_made(finished, odd, workers):
    given: list[Prediction] = []
    quick = PredictOptions(workers=workers, segments=1, crops=1, device="cpu")
    found = predict(finished, odd.clips, quick, each=given.append)
    assert given == found and [p.path for p in found] == [clip.path for clip in odd.clips]
    assert [bool(p.top) for p in found] == [True, True, False, True, True]
    assert found[2].reason is not None and found[2].reason.startswith("not_a_video")


def test_features_have_a_row_for_what_cannot_be_read(finished, odd, tmp_path):
    told = write_features(finished, odd.clips, PredictOptions(workers=0, segments=1, crops=1), tmp_path / "f.parquet")
    rows = pq.read_table(tmp_path / "f.parquet").to_pylist()
    assert [row["feature"] is None for row in rows] == [False, False, True, False, False]
    assert told.unreadable == {rows[2]["path"]: rows[2]["reason"]}


def test_what_was_done_stays_after_an_interruption(finished, test, tmp_path):
    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    quick = PredictOptions(workers=0, segments=1, crops=1, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        write_features(finished, test.clips, quick, tmp_path / "f.parquet", report=stop)
    assert len((tmp_path / "f.partial.jsonl").read_text().splitlines()) == 3 and not (tmp_path / "f.parquet").exists()
    with pytest.raises(KeyboardInterrupt):
        evaluate(finished, test, quick, tmp_path / "tested", report=stop)
    assert len((tmp_path / "tested" / "predictions.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("window_s", "step_s", "expected"),
    [
        (5.0, None, [(0, 2)]),
        (1.0, None, [(0, 1), (1, 2)]),
        (1.0, 0.5, [(0, 1), (0.5, 1.5), (1, 2)]),
        (0.75, 0.5, [(0, 0.75), (0.5, 1.25), (1, 1.75), (1.5, 2)]),
        (0.5, 1.0, [(0, 0.5), (1, 1.5)]),
    ],
    ids=["longer than the video", "side by side", "overlapping", "a short one at the end", "with gaps"],
)
def test_windows_of_a_video(test, window_s, step_s, expected):
    """24 frames at 12 a second."""
    found = windows_of(test.clips[0], PredictOptions(window_s=window_s, step_s=step_s))
    assert [(w.start_s, w.end_s) for w in found] == [pytest.approx(times) for times in expected]
    assert {w.path for w in found} == {test.clips[0].path}


def test_labels_and_features_over_time(finished, odd, tmp_path):
    asked = PredictOptions(workers=0, segments=1, crops=1, device="cpu", window_s=1.0, step_s=0.5)
    labels = predict(finished, odd.clips[1:3], asked)
    assert [(p.start_s, p.end_s) for p in labels[:3]] == [pytest.approx(t) for t in ((0, 1), (0.5, 1.5), (1, 2))]
    assert labels[3].reason is not None and all(p.top for p in labels[:3])
    told = write_window_features(finished, odd.clips, asked, tmp_path / "timeline")
    assert list(told.unreadable) == [odd.clips[2].path]
    said = json.loads((tmp_path / "timeline" / "database.json").read_text())["database"]
    names = ["0", "0-2", "broken", "0-3", "0-4"]  # files of one name in class folders
    assert list(said) == names and said["broken"]["reason"].startswith("not_a_video")
    assert sorted(p.stem for p in (tmp_path / "timeline").glob("*.npy")) == ["0", "0-2", "0-3", "0-4"]
    rows = np.load(tmp_path / "timeline" / "0-2.npy")
    assert rows.shape == (3, 192) and rows.dtype == np.float32 and not np.array_equal(rows[0], rows[2])
    expected = {"duration": 2, "fps": 12, "feat_stride": 6, "num_frames": 12, "frame": 24, "windows": 3}
    assert {name: said["0-2"][name] for name in expected} == pytest.approx(expected)
    # ActionFormer and OpenTAD open the file of every video of a subset.
    assert said.pop("broken")["subset"] == "unreadable"
    assert all(about["subset"] == "test" and about["annotations"] == [] for about in said.values())


def test_an_evaluation_goes_on_past_what_cannot_be_read(finished, odd, test, tmp_path):
    result = evaluate(finished, odd, LOOKS, tmp_path / "odd")
    whole = evaluate(finished, test, LOOKS, tmp_path / "whole")
    assert (result.unreadable, result.videos, result.top1) == (1, 4, whole.top1)
    rows = pq.read_table(tmp_path / "odd" / "predictions.parquet").to_pylist()
    assert [row["reason"] is None for row in rows] == [True, True, False, True, True]
    assert rows[2]["predicted"] is None and rows[2]["label"] == odd.clips[2].label
    only = dataclasses.replace(odd, clips=odd.clips[2:3])
    with pytest.raises(UnreadableError, match=r"broken\.mp4: not_a_video"):
        evaluate(finished, only, LOOKS, tmp_path / "none")
