from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.model.made_clips import make_clips
from tiktokactions.clips.clip import Clip
from tiktokactions.files import DatasetBusyError, dataset_lock
from tiktokactions.model.autoencoder import pretraining_model
from tiktokactions.model.checkpoint import checkpoints
from tiktokactions.model.classification import classifier
from tiktokactions.model.config import model_config
from tiktokactions.model.derived import TooFewClipsError, flop_per_clip
from tiktokactions.model.evaluate import load_run
from tiktokactions.model.export import export
from tiktokactions.model.options import PretrainOptions
from tiktokactions.model.pretrain import dry_pretrain, pretrain, pretraining_config, pretraining_numbers
from tiktokactions.model.progress import NonFiniteLossError, TrainingProgress
from tiktokactions.model.run import Run, RunError, filled, read_log, read_run
from tiktokactions.model.weights import WeightsError, read_weights
from tiktokactions.video import UnreadableError

SMALL: dict[str, Any] = {
    "model": "tiny",
    "image_size": 32,
    "frames": 4,
    "stride": 2,
    "mask_ratio": 0.75,
    "workers": 0,
    "threads": 1,
}
QUICK: dict[str, Any] = SMALL | {
    "batch_size": 4,
    "epochs": 3,
    "base_lr": 0.02,
    "log_steps": 1,
    "pictures_epochs": 0,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("squares"), 3).clips


def run(clips, folder, report=lambda progress: None, init=None, resume_from=None, **options):
    settings, begin = PretrainOptions(**(QUICK | options)), {"init": init, "resume_from": resume_from}
    return pretrain(clips, settings, folder, sources=["made"], **begin, report=report)


def losses(folder):
    return [(line["step"], line["loss"]) for line in read_log(folder) if "loss" in line]


# --- what a run leaves behind -----------------------------------------------------------------------------------------


def test_a_run_leaves_everything_behind(clips, tmp_path):
    told: list[TrainingProgress] = []
    trained = run(clips, tmp_path / "run", told.append, pictures_epochs=3)
    folder, result = tmp_path / "run", trained.result
    assert trained.finished and result.steps == 9 and result.finished and result.loss == losses(folder)[-1][1]
    assert json.loads((folder / "result.json").read_text()) == trained.as_json() == Run(folder).as_json()
    assert len((folder / "clips.csv").read_text().splitlines()) == 1 + len(clips)
    info = read_run(folder)
    assert info.kind == "pretrain" and info.labels is None and info.model.name == "tiny"
    assert info.derived.lr == pytest.approx(0.02 * 4 / 256)
    assert info.options["mask_ratio"] == 0.75 and info.versions["torch"] == torch.__version__
    for name in ("curves.svg", "curves.png", "reconstructions/epoch-00003.png", "model.safetensors"):
        assert (folder / name).stat().st_size > 0, name
    model = pretraining_model(info.model)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    assert any("tokens" in progress.message for progress in told)
    last = [progress for progress in told if progress.loss is not None][-1]
    assert (last.step, last.steps, last.epoch) == (9, 9, 3) and last.seconds_left == 0
    line = read_log(folder)[0]
    assert set(line) >= {"step", "epoch", "loss", "lr", "grad_norm", "clips_per_s", "loading_share", "seconds"}


def test_it_learns(clips, tmp_path):
    run(clips, tmp_path / "run", epochs=30, base_lr=0.1, log_steps=10, normalize_target=False)
    found = [loss for _, loss in losses(tmp_path / "run")]
    assert found[-1] < 0.85 * found[0]


def test_the_paper_s_plan():
    plan = dry_pretrain(10_000, PretrainOptions())
    assert filled(plan) == {
        "processes": 1,
        "videos_per_step": 32,
        "clips_per_step": 64,
        "steps_per_epoch": 312,
        "steps": 62_400,
        "warmup_steps": 6_240,
        "lr": pytest.approx(1.25e-4),
        "min_lr": pytest.approx(1.25e-6),
        "tokens": 1568,
        "visible_tokens": 160,
        "decoded_tokens": 784,
        "supervised_tokens": 704,
        "parameters": 94_210_944,
        "flop_per_clip": 142_961_541_120,
    }


def test_operations_of_a_clip():
    """Half of the forward pass are the multiply-adds that are published: 180 G for ViT-B on 16 x 224 x 224 (VideoMAE)."""
    with torch.device("meta"):
        model = classifier(model_config("vit-b", classes=400))
    assert flop_per_clip(model) / 3 / 2 == pytest.approx(180.3e9, rel=1e-3)
    hidden, decoded = (dry_pretrain(64, PretrainOptions(decoder_mask_ratio=r)).flop_per_clip for r in (0.5, 0))
    assert hidden is not None and decoded is not None and 0 < hidden < decoded < flop_per_clip(model) / 3


@pytest.mark.parametrize(
    ("options", "processes", "steps", "videos", "warmup"),
    [
        ({}, 1, 9, 4, 0),
        ({"epochs": 10}, 1, 30, 4, 3),
        ({"accumulate": 3}, 1, 3, 12, 0),
        ({"batch_size": 2}, 2, 9, 4, 0),
        ({"warmup_epochs": 1.5}, 1, 9, 4, 4),
    ],
)
def test_plans(options, processes, steps, videos, warmup):
    asked = PretrainOptions(**(QUICK | options))
    plan = pretraining_numbers(pretraining_model(pretraining_config(asked)), asked, 12, processes)
    assert (plan.steps, plan.videos_per_step, plan.warmup_steps) == (steps, videos, warmup)
    assert plan.lr == pytest.approx(0.02 * videos / 256)


# --- interruptions ----------------------------------------------------------------------------------------------------


def test_a_finished_run_is_left_as_it_is(clips, tmp_path):
    first = run(clips, tmp_path / "run").result
    before = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    assert run(clips, tmp_path / "run").result == first
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("stop", [1, 2, 4, 9])
def test_stopping_and_going_on_changes_nothing(clips, tmp_path, stop):
    """In the middle of an epoch, at its end, and after the last step."""
    run(clips, tmp_path / "whole", log_steps=2)
    told = run(clips, tmp_path / "parts", stop_after_steps=stop, log_steps=2)
    assert told.finished is False and told.result.steps == stop and told.as_json()["finished"] is False
    with pytest.raises(RunError, match="parts: this run is not finished"):
        _ = Run(tmp_path / "parts").result
    assert run(clips, tmp_path / "parts", log_steps=2).finished and losses(tmp_path / "parts") == losses(
        tmp_path / "whole"
    )
    assert_same_weights(tmp_path / "parts", tmp_path / "whole")


KILLED = """
import os, signal, sys, time
from tests.model.test_pretrain import QUICK, make_clips, pretrain, PretrainOptions
from pathlib import Path
from multiprocessing import active_children
def report(progress):
    if progress.step == int(sys.argv[3]):
        pids = [child.pid for child in active_children()]
        Path(sys.argv[2]).with_suffix(".pids").write_text(" ".join(map(str, pids)))
        if pids:  # the server that they were forked from
            server = Path(f"/proc/{pids[0]}/status").read_text().split("PPid:")[1].split()[0]
            Path(sys.argv[2]).with_suffix(".server").write_text(Path(f"/proc/{server}/status").read_text())
        saved = Path(sys.argv[2], "checkpoints", f"step-{(progress.step - 1) // 2 * 2:08}")
        while not saved.exists():  # it is written beside the next step
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
clips = make_clips(Path(sys.argv[1]), 3).clips
options = QUICK | {"save_steps": 2, "accumulate": 1, "workers": int(sys.argv[4])}
pretrain(clips, PretrainOptions(**options), Path(sys.argv[2]), sources=["made"], report=report)
"""


@pytest.mark.slow  # the quick tests kill finetune
@pytest.mark.parametrize("workers", [0, 2])
def test_kill_9_loses_nothing(clips, tmp_path, repository, workers):
    folder = Path(clips[0].path).parents[1]

    def start(step):
        command = [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "killed"), str(step), str(workers)]
        return subprocess.run(command, cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)}, check=False)

    assert start(3).returncode == -signal.SIGKILL  # after a checkpoint at 2
    left = [int(pid) for pid in (tmp_path / "killed.pids").read_text().split()]
    assert len(left) == workers
    if workers:  # torchrun signals the server too: without it the workers end before the step that needs them
        blocked = int((tmp_path / "killed.server").read_text().split("SigBlk:")[1].split()[0], 16)
        assert blocked & 1 << signal.SIGTERM - 1
    waits_until = time.monotonic() + 30
    while left := [pid for pid in left if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < waits_until, f"loader workers {left} outlive their training"
        time.sleep(0.2)
    assert [p.name for p in checkpoints(tmp_path / "killed")] == ["step-00000002"]
    assert start(5).returncode == -signal.SIGKILL
    assert start(99).returncode == 0
    run(clips, tmp_path / "whole")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert_same_weights(tmp_path / "killed", tmp_path / "whole")


def test_the_last_checkpoints_are_kept(clips, tmp_path):
    run(clips, tmp_path / "run", save_steps=2, keep=3)
    assert [p.name for p in checkpoints(tmp_path / "run")] == ["step-00000004", "step-00000006", "step-00000008"]


def test_an_interruption_saves_first(clips, tmp_path):
    def interrupt(progress):
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run(clips, tmp_path / "run", interrupt)
    assert [p.name for p in checkpoints(tmp_path / "run")] == ["step-00000004"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_half_written_checkpoint_does_not_count(clips, tmp_path):
    run(clips, tmp_path / "run", stop_after_steps=4)
    (tmp_path / "run" / "checkpoints" / ".writing-6").mkdir()
    assert run(clips, tmp_path / "run").finished


def test_a_damaged_checkpoint_is_named(clips, tmp_path):
    run(clips, tmp_path / "run", stop_after_steps=4)
    [folder] = checkpoints(tmp_path / "run")
    (folder / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match="step-00000004: this checkpoint cannot be read"):
        run(clips, tmp_path / "run")


def test_another_recipe_needs_another_folder(clips, tmp_path):
    run(clips, tmp_path / "run", stop_after_steps=1)
    with pytest.raises(RunError, match=r"(?s)begun with other settings.*mask_ratio: was 0.75, is 0.5"):
        run(clips, tmp_path / "run", mask_ratio=0.5)
    with pytest.raises(RunError, match="clips: were 12, are 8"):
        run(clips[:8], tmp_path / "run")
    run(clips, tmp_path / "run", threads=2, log_steps=3)  # how it is carried out may change


def test_a_run_of_an_earlier_version_goes_on(clips, tmp_path):
    """Options that it did not know had their default."""
    run(clips, tmp_path / "run", stop_after_steps=1)
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    del told["options"]["clip_grad"], told["options"]["normalize_target"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(told))
    with pytest.raises(RunError, match="normalize_target: was True, is False"):
        run(clips, tmp_path / "run", normalize_target=False)
    assert run(clips, tmp_path / "run", stop_after_steps=2).result.steps == 2


def test_a_run_belongs_to_the_videos_of_its_steps(clips, tmp_path):
    run(clips, tmp_path / "whole")
    run(clips, tmp_path / "run", stop_after_steps=4)
    with pytest.raises(RunError, match="videos in a step: was 4, is 6"):
        run(clips, tmp_path / "run", batch_size=3, accumulate=2)
    run(clips, tmp_path / "run", batch_size=2, accumulate=2)
    for (_, a), (_, b) in zip(losses(tmp_path / "run"), losses(tmp_path / "whole"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_two_runs_in_one_folder_are_refused(clips, tmp_path):
    with dataset_lock(tmp_path / "run"), pytest.raises(DatasetBusyError, match="is writing to this folder"):
        run(clips, tmp_path / "run")


def test_a_folder_with_other_things_is_refused(clips, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="neither empty nor a run"):
        run(clips, tmp_path)


# --- continued pre-training, accumulation, precision ------------------------------------------------------------------


def test_continued_pretraining_begins_with_the_weights(clips, tmp_path):
    run(clips, tmp_path / "first")
    run(clips, tmp_path / "second", init=tmp_path / "first", epochs=1, base_lr=1e-9, min_lr=0)
    first, second = (read_weights(tmp_path / name).tensors for name in ("first", "second"))
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], atol=1e-6), name
    info: Any = read_run(tmp_path / "second")
    assert info.init.path == str(tmp_path / "first")


def test_accumulated_batches_make_the_step_of_a_large_one(clips, tmp_path):
    run(clips, tmp_path / "one", batch_size=4, epochs=2)
    run(clips, tmp_path / "parts", batch_size=2, accumulate=2, epochs=2)
    for (_, a), (_, b) in zip(losses(tmp_path / "one"), losses(tmp_path / "parts"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_bf16_learns_the_same(clips, tmp_path):
    run(clips, tmp_path / "fp32")
    run(clips, tmp_path / "bf16", precision="bf16")
    for (_, a), (_, b) in zip(losses(tmp_path / "fp32"), losses(tmp_path / "bf16"), strict=True):
        assert a == pytest.approx(b, rel=0.02)
    assert load_file(tmp_path / "bf16" / "model.safetensors")["mask_token"].dtype == torch.float32


@pytest.mark.slow  # the quick tests do this with finetune
@pytest.mark.parametrize("shard", [False, True], ids=["whole", "split"])
def test_two_processes_learn_what_one_does(shard, clips, tmp_path, repository):
    """Half the batch in each of two gloo processes: the losses of one process with the whole batch. What one process has
    begun, two go on with split."""
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.model.test_pretrain import *\n"
        "clips = make_clips(Path(sys.argv[1]), 3).clips\n"
        f"run(clips, Path(sys.argv[2]), batch_size=2, decoder_mask_ratio=0.5, pictures_epochs=1, shard={shard})\n"
    )
    if shard:
        run(clips, tmp_path / "two", batch_size=4, stop_after_steps=4)
    (tmp_path / "main.py").write_text(script)
    folder = Path(clips[0].path).parents[1]
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "main.py")]
    done = subprocess.run(
        [sys.executable, *command, str(folder), str(tmp_path / "two")],
        env=os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run(clips, tmp_path / "one", batch_size=4)
    for (_, a), (_, b) in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        assert torch.allclose(tensor, two[name], atol=1e-5), name
    assert len(list((tmp_path / "two" / "reconstructions").iterdir())) >= 2, "drawn while the others wait for nobody"


def test_going_on_from_a_step_in_another_folder(clips, tmp_path):
    """With another rate; without one it is the same run, but for its name."""
    run(clips, tmp_path / "whole", save_steps=4, keep=9)
    step = tmp_path / "whole" / "checkpoints" / "step-00000004"
    run(clips, tmp_path / "same", resume_from=step)
    assert_same_weights(tmp_path / "same", tmp_path / "whole")
    assert losses(tmp_path / "same") == losses(tmp_path / "whole")[4:]
    run(clips, tmp_path / "slower", resume_from=step, base_lr=0.002, stop_after_steps=6)
    run(clips, tmp_path / "slower", resume_from=step, base_lr=0.002)
    assert [number for number, _ in losses(tmp_path / "slower")] == [5, 6, 7, 8, 9]
    assert losses(tmp_path / "slower")[-1] != losses(tmp_path / "whole")[-1]
    info: Any = read_run(tmp_path / "slower")
    assert info.init.path == str(step)


@pytest.mark.parametrize(
    ("step", "options", "message"),
    [
        ("checkpoints/step-00000003", {}, "no checkpoint there; expected one of step-00000004, step-00000008"),
        ("checkpoints/step-00000004", {"frames": 8}, "of another model"),
        ("checkpoints/step-00000008", {"epochs": 2}, "expected one before step 6, the last of this run"),
    ],
)
def test_steps_that_no_run_can_go_on_from(clips, tmp_path, step, options, message):
    run(clips, tmp_path / "run", save_steps=4)
    with pytest.raises(RunError, match=message):
        run(clips, tmp_path / "new", resume_from=tmp_path / "run" / step, **options)


def test_features_of_a_frozen_encoder_are_predicted(clips, tmp_path):
    """The loss falls; a run that was stopped goes on bit for bit; its encoder can be used, its decoder not exported."""
    run(clips, tmp_path / "pixels", epochs=1)
    latent = {"target": str(tmp_path / "pixels"), "masking": "motion", "epochs": 4}
    run(clips, tmp_path / "run", **latent, stop_after_steps=5)
    run(clips, tmp_path / "run", **latent)
    run(clips, tmp_path / "whole", **latent)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert losses(tmp_path / "run")[-1][1] < losses(tmp_path / "run")[0][1]
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
    assert load_file(tmp_path / "run" / "model.safetensors")["decoder.head.weight"].shape == (192, 96)
    assert load_run(tmp_path / "run")[0].config.embed_dim == 192
    run(clips, tmp_path / "continued", init=tmp_path / "pixels", target=str(tmp_path / "run"), epochs=1)
    with pytest.raises(WeightsError, match="this decoder predicts features"):
        export(tmp_path / "run", tmp_path / "out", to="huggingface")
    with pytest.raises(
        ValueError, match=r"`target` .*pixels: its tokens make a grid of \(2, 2, 2\), expected \(1, 2, 2\)"
    ):
        run(clips, tmp_path / "other", target=str(tmp_path / "pixels"), tubelet=4)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_diverging_run_stops_and_names_the_clips(clips, tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"(?s)the loss of step \d+ is (nan|inf).*\.mp4") as caught:
        run(clips, tmp_path / "run", epochs=300, base_lr=1e12, warmup_epochs=0, normalize_target=False)
    assert len([line for line in str(caught.value).splitlines() if ".mp4" in line]) == 4
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_no_checkpoint_holds_weights_that_a_run_cannot_go_on_from(clips, tmp_path):
    """The step that ruins them is found out by the next one, before they are saved; the advice leads on."""
    run(clips, tmp_path / "run", save_steps=1, stop_after_steps=2)
    ruin = {"base_lr": 1e12, "warmup_epochs": 0, "normalize_target": False}
    with pytest.raises(NonFiniteLossError, match="with `resume_from`") as caught:
        run(clips, tmp_path / "ruined", resume_from=tmp_path / "run", epochs=300, save_steps=1, **ruin)
    found = re.search(r"`resume_from` (\S+)", str(caught.value))
    assert found is not None
    assert all(tensor.isfinite().all() for tensor in load_file(Path(found[1]) / "model.safetensors").values())
    assert run(clips, tmp_path / "again", resume_from=Path(found[1]), epochs=30, clip_grad=1.0).finished


def test_a_checkpoint_of_a_stop_is_taken_back_if_its_weights_are_ruined(clips, tmp_path):
    """Nobody has tried them yet; the last weights that were tried are kept beside them, whatever `keep` says."""
    ruin = {"base_lr": 1e12, "warmup_epochs": 0, "epochs": 300, "save_steps": 1, "keep": 1}
    run(clips, tmp_path / "good", stop_after_steps=1)
    run(clips, tmp_path / "run", resume_from=tmp_path / "good", stop_after_steps=2, **ruin)
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["step-00000001", "step-00000002"]
    with pytest.raises(NonFiniteLossError, match=r"with `resume_from` \S+step-00000001 and"):
        run(clips, tmp_path / "run", resume_from=tmp_path / "good", **ruin)
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["step-00000001"]


def test_too_few_clips(clips, tmp_path):
    with pytest.raises(
        TooFewClipsError, match=r"3 clips, fewer than one step takes \(`batch_size` 4\); choose `batch_size` 3"
    ):
        run(clips[:3], tmp_path / "run")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_clip_stops_the_run(clips, tmp_path, workers):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(Path(clips[0].path).read_bytes()[:200])
    with pytest.raises(UnreadableError, match=r"broken\.mp4"):
        run([*clips[:7], Clip(str(broken), None)], tmp_path / "run", workers=workers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_ratio": 1.5}, "`mask_ratio`: got 1.5"),
        ({"decoder_mask_ratio": 0.3}, "`decoder_mask_ratio`: got 0.3"),
        ({"epochs": 0}, "`epochs`: got 0"),
        ({"epochs": 5, "warmup_epochs": 6}, r"`warmup_epochs`: got 6, expected 0 to `epochs` \(5\)"),
        ({"min_lr": 1.0}, "`min_lr`: got 1.0"),
        ({"workers": -1}, "`workers`: got -1"),
        ({"save_minutes": 0}, "`save_minutes`: got 0"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        PretrainOptions(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:99"}, "`device`"),
        ({"device": "toaster"}, "`device`: got 'toaster'"),
        ({"precision": "fp16"}, "`precision` fp16"),
    ],
)
def test_impossible_hardware(clips, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(clips, tmp_path / "run", **options)


def assert_same_weights(a, b):
    """Bit for bit."""
    assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()


def test_a_full_disk_is_told_and_loses_nothing(clips, tmp_path, repository):
    """A file-size limit stands in for the full disk: larger than run.json, smaller than the weights."""
    folder = Path(clips[0].path).parents[1]
    script = (
        "import resource, signal, sys; from tiktokactions import cli\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    small = ["--model", "tiny", "--image-size", "32", "--frames", "4", "--batch-size", "4", "--epochs", "1"]
    command = ["pretrain", str(folder), "-o", str(tmp_path / "run"), *small, "--workers", "0", "--pictures-epochs", "0"]
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Everything finished so far is kept" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()
