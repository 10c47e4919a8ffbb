"""A step on a GPU, as far as a CPU can show it: nothing is waited for, one graph, one reduction, checkpoints beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests.model.made_clips import make_clips
from tiktokactions.model import classifier, pretraining_model
from tiktokactions.model import pretrain as pretrain_module
from tiktokactions.model.autoencoder import kept_tokens, reconstruction_loss, reconstruction_target
from tiktokactions.model.checkpoint import TrainingState, take_snapshot
from tiktokactions.model.classification import draw_drops, soft_target_loss
from tiktokactions.model.hardware import Hardware, Processes, local_gradients, share_gradients
from tiktokactions.model.masking import decoder_mask, tube_mask
from tiktokactions.model.optim import AverageWeights, adamw, parameter_groups
from tiktokactions.model.options import PretrainOptions
from tiktokactions.model.pretrain import batch_loss, on_device, pretrain
from tiktokactions.model.progress import NonFiniteLossError
from tiktokactions.model.run import read_log
from tiktokactions.model.steps import Steps, clipped_gradient

OPTIONS = PretrainOptions(model="tiny", log_steps=3)
CPU = Hardware(torch.device("cpu"), torch.float32, Processes())


def batch_of(config, clips=2):
    """What the loader hands over."""
    rng = np.random.default_rng(0)
    hidden = [tube_mask(config.grid, 0.9, rng) for _ in range(clips)]
    skipped = [decoder_mask(h, config.grid, 0.5, rng) for h in hidden]
    video = torch.from_numpy(rng.integers(0, 256, (clips, 3, config.frames, config.height, config.width), np.uint8))
    masks = {"encoder_mask": torch.from_numpy(np.stack(hidden)), "decoder_mask": torch.from_numpy(np.stack(skipped))}
    return {"video": video, "index": torch.arange(clips)} | masks


def steps_of(model, tmp_path, look_every=1, **options):
    state = TrainingState(model, adamw(parameter_groups(model, 0.0), (0.9, 0.95)), CPU.scaler())
    recorder: Any = SimpleNamespace(steps=100, step_done=lambda lr, norm: None)
    clips: Any = [SimpleNamespace(path=f"{number}.mp4") for number in range(9)]
    return Steps(tmp_path, state, dataclasses.replace(OPTIONS, **options), CPU, clips, recorder, look_every)


def test_no_number_of_a_step_is_waited_for(micro, micro5, tmp_path, monkeypatch):
    """Tensors on the meta device have no values: whoever asks for one, as `.item()` and `nonzero()` do, is told so."""
    monkeypatch.setattr(Hardware, "autocast", lambda machine: contextlib.nullcontext())
    nowhere = Hardware(torch.device("meta"), torch.float32, Processes())
    pretrained, tuned = pretraining_model(micro).to("meta"), classifier(micro5, drop_path=0.5).to("meta")
    steps = steps_of(pretrained, tmp_path, look_every=10)
    batch = on_device(batch_of(micro), micro, nowhere)
    loss = batch_loss(pretrained, batch, micro, OPTIONS, nowhere)
    loss.backward()
    norm = clipped_gradient(steps.state, 1.0)
    steps.note(1, loss.detach(), norm, [batch])
    drops = draw_drops(tuned, 2, torch.Generator().manual_seed(0))
    assert drops is not None and not drops.keep_branches.all()
    logits = tuned(batch["video"], drops.sent(nowhere.send, branches=False))
    soft_target_loss(logits, nowhere.send(torch.ones(2, 5))).backward()
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        steps.look()


@pytest.mark.parametrize("compiled", [False, True])
def test_accumulated_gradients_are_reduced_once_per_step(compiled, tmp_path, monkeypatch):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        two = Hardware(torch.device("cpu"), torch.float32, Processes(0, 2))
        model: Any = torch.nn.Linear(4, 1)
        maybe_compiled: Any = torch.compile(model, backend="eager") if compiled else model
        shared: Any = share_gradients(maybe_compiled, two)
        reduced: list[int] = []
        told: list[torch.Tensor] = []

        def hook(state, bucket):
            reduced.append(bucket.index())
            done: Any = torch.futures.Future()
            done.set_result(bucket.buffer())
            return done

        shared.register_comm_hook(None, hook)
        monkeypatch.setattr(dist, "all_reduce", told.append)
        steps = steps_of(model, tmp_path, look_every=10)
        steps.hardware = two
        for _ in range(2):
            for last in (False, False, True):
                with local_gradients(shared, wait=not last):
                    shared(torch.ones(2, 4)).mean().backward()
            steps.end(torch.tensor(1.0), [{"index": torch.tensor([0])}], 1e-3)
        assert len(reduced) == 2, "the gradients' one bucket, once per step"
        assert [tensor.numel() for tensor in told] == [3, 3], "the loss, who was interrupted and who is to save, in one"
    finally:
        dist.destroy_process_group()


def test_pretraining_and_finetuning_compile_to_one_graph(micro, micro5):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    batch = on_device(batch_of(micro), micro, CPU)
    model = pretraining_model(micro)
    arguments = (batch["video"], batch["visible"], batch["decoded"])
    made = torch.compile(model, backend=backend, fullgraph=True)(*arguments)  # fullgraph: a break is an error
    torch.testing.assert_close(made, model(*arguments))
    tuned = classifier(micro5, drop_path=0.5, head_dropout=0.1)
    for block in tuned.blocks:
        block.skip_dropped = False  # type: ignore[assignment]
    drops = draw_drops(tuned, 2, torch.Generator().manual_seed(0))
    assert drops is not None
    torch.compile(tuned, backend=backend, fullgraph=True)(batch["video"], drops.sent(CPU.send, branches=True))
    torch.compile(classifier(micro5), backend=backend, fullgraph=True)(batch["video"])  # nothing is dropped
    assert len(graphs) == 3
    torch._dynamo.reset()


def test_token_numbers_are_masks_in_short(micro):
    batch, model = batch_of(micro), pretraining_model(micro)
    sent = on_device(batch, micro, CPU)
    hidden, skipped = batch["encoder_mask"], batch["decoder_mask"]
    assert torch.equal(kept_tokens(sent["visible"], micro), kept_tokens(hidden, micro))
    output = model(sent["video"], sent["visible"], sent["decoded"])
    assert torch.equal(output, model(sent["video"], hidden, skipped))
    target = reconstruction_target(sent["video"], skipped, micro)
    assert torch.equal(target, reconstruction_target(sent["video"], sent["decoded"], micro))
    assert torch.equal(
        batch_loss(model, sent, micro, OPTIONS, CPU), reconstruction_loss(output, target, sent["supervised"])
    )
    # Per clip: pixels as bytes before, token numbers instead of two masks of all tokens after.
    assert sent["visible"].nbytes + sent["decoded"].nbytes + sent["supervised"].nbytes < batch["video"].nbytes / 20


def test_after_a_ruined_step_no_weight_changes_until_somebody_looks(tmp_path):
    model = torch.nn.Linear(2, 1)
    steps = steps_of(model, tmp_path, look_every=4)
    after = []

    def step(number, factor):
        loss = model(torch.ones(1, 2)).sum() * factor
        loss.backward()
        steps.end(loss.detach(), [{"index": torch.tensor([number + 1])}], 0.1)
        after.append(model.weight.detach().clone())

    for number, factor in ((1, 1.0), (2, math.nan), (3, 1.0)):
        step(number, factor)
    with pytest.raises(NonFiniteLossError, match=r"loss of step 2 is nan.*\n  3.mp4\n"):
        step(4, 1.0)
    assert torch.equal(after[0], after[1]) and torch.equal(after[1], after[2])
    assert steps.state.optimizer.state[model.weight]["step"] == 1


def test_looking_seldom_changes_nothing(tmp_path, monkeypatch):
    clips = make_clips(tmp_path / "clips", 2).clips
    options = dataclasses.replace(
        OPTIONS, frames=4, image_size=32, batch_size=2, epochs=2, warmup_epochs=0, workers=0, threads=1, save_steps=2
    )
    options = dataclasses.replace(options, mask_ratio=0.75, pictures_epochs=0, device="cpu")
    always = pretrain(clips, options, tmp_path / "always", sources=["made"])
    monkeypatch.setattr(pretrain_module, "Steps", partial(Steps, look_every=3))
    seldom = pretrain(clips, options, tmp_path / "seldom", sources=["made"])
    for file in ("model.safetensors", "checkpoints/step-00000006/optimizer.safetensors"):
        assert (always.path / file).read_bytes() == (seldom.path / file).read_bytes()
    logs = [
        [{k: line[k] for k in ("step", "loss", "grad_norm")} for line in read_log(r.path)] for r in (always, seldom)
    ]
    assert logs[0] == logs[1] and [line["step"] for line in logs[0]] == [3, 6, 8]


def test_a_snapshot_keeps_its_weights_while_the_training_goes_on(tmp_path):
    model = torch.nn.Linear(2, 1)
    state = steps_of(model, tmp_path).state
    state.average = AverageWeights(model, 0.5)
    model(torch.ones(1, 2)).sum().backward()
    state.optimizer.step()
    taken = take_snapshot(state)
    before = {file: {name: t.clone() for name, t in tensors.items()} for file, tensors in taken.files.items()}
    assert list(before) == ["model", "optimizer", "average"]
    with torch.no_grad():
        for tensor in (*state.model.state_dict().values(), *state.average.tensors.values()):
            tensor.add_(1)
        for moments in state.optimizer.state.values():
            moments["exp_avg"].add_(1)
    assert all(
        torch.equal(taken.files[file][name], t) for file, tensors in before.items() for name, t in tensors.items()
    )


def test_the_next_batch_comes_on_a_stream_of_its_own(monkeypatch):
    said: list[str] = []
    streams = {
        name: SimpleNamespace(wait_stream=lambda other: said.append(f"waits for {other.name}"), name=name)
        for name in ("main", "aside")
    }

    @contextlib.contextmanager
    def on(stream):
        said.append(f"on {stream.name}")
        yield
        said.append("back")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: streams["aside"])
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: streams["main"])
    monkeypatch.setattr(torch.cuda, "stream", on)
    gpu = Hardware(torch.device("cuda", 0), torch.float32, Processes())

    def ready(batch):
        said.append("copies")
        return batch

    for made in gpu.ahead([{"number": 1}, {"number": 2}], ready):
        said.append(f"step {made['number']}")
    once = ["on aside", "copies", "back", "waits for aside"]
    assert said == [*once, "step 1", *once, "step 2"]
