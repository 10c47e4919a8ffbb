"""Weights are read from every layout, and nothing that a file says is executed."""

from __future__ import annotations

import argparse
import builtins
import collections
import json
import os
import pathlib
import pickle
import re
import subprocess
from dataclasses import asdict

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.model.small_models import FIVE, SMALL, TWO, equal, finetuned, make_run, official_checkpoint, pretrained
from tiktokactions.model.official import official_names
from tiktokactions.model.vit import sine_positions
from tiktokactions.model.weights import WeightsError, read_weights

# --- what is read --------------------------------------------------------------------------------------------------


ODD_OBJECTS = {
    "numpy scalar": np.float64(0.5),
    "numpy array": np.arange(3),
    "path": pathlib.Path("/data/list.csv"),
    "device": torch.device("cpu"),
    "dtype": torch.bfloat16,
    "a namespace in a namespace": argparse.Namespace(inner=argparse.Namespace(x={1, 2})),
    "a function": json.dumps,
    "a class": collections.Counter,
    "bytes": b"\x00\xff",
    "a large number": 2**80,
}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("odd", ODD_OBJECTS)
def test_official_files_are_read_whatever_lies_beside_the_tensors(tmp_path, odd, is_zip):
    state = pretrained().state_dict()
    checkpoint = official_checkpoint(state, args=argparse.Namespace(odd=ODD_OBJECTS[odd]))
    torch.save(checkpoint, tmp_path / "checkpoint-7.pth", _use_new_zipfile_serialization=is_zip)

    read = read_weights(tmp_path / "checkpoint-7.pth")

    assert (read.format, read.kind, read.config, read.labels) == ("torch", "pretrain", None, None)
    assert equal(read.tensors, state)


@pytest.mark.parametrize("key", ["model", "module", "state_dict", None])
@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "backbone.", "model.", "net.student."],
)
def test_wrappers_are_taken_off(tmp_path, key, prefix):
    state = pretrained().state_dict()
    wrapped = {prefix + name: tensor for name, tensor in state.items()}
    torch.save(wrapped if key is None else {key: wrapped, "epoch": 1}, tmp_path / "weights.pth")
    assert equal(read_weights(tmp_path / "weights.pth").tensors, state)


def test_what_lies_beside_a_lightning_model_is_left_out(tmp_path):
    """A loss's weights and a metric's numbers, but not the head of an encoder; of two models one must be chosen."""
    state = finetuned().state_dict()
    theirs = {name if name.startswith("head.") else f"net.encoder.{name}": tensor for name, tensor in state.items()}
    beside = {"criterion.weight": torch.ones(5), "val_acc.total": torch.tensor(7)}
    torch.save({"state_dict": theirs | beside, "epoch": 3}, tmp_path / "lightning.ckpt")
    assert equal(read_weights(tmp_path / "lightning.ckpt").tensors, state)
    two = {f"{holder}.{name}": tensor for holder in ("model", "ema") for name, tensor in state.items()}
    torch.save({"state_dict": two}, tmp_path / "two.ckpt")
    with pytest.raises(WeightsError, match=r"holds several models \('ema.', 'model.'\)"):
        read_weights(tmp_path / "two.ckpt")


def test_names_of_mmaction2(tmp_path):
    """As its VisionTransformer (vit_mae.py) and TimeSformerHead save them; the table of sines is a buffer there."""
    state = finetuned().state_dict()
    table = {"patch_embed.proj.": "patch_embed.projection.", "fc1.": "layers.0.0.", "fc2.": "layers.1."}
    theirs = {"backbone.pos_embed": sine_positions(SMALL.tokens, SMALL.embed_dim)[None]}
    for name, tensor in state.items():
        for ours, other in table.items():
            name = name.replace(ours, other)
        theirs[name.replace("head.", "cls_head.fc_cls.") if name.startswith("head.") else f"backbone.{name}"] = tensor
    torch.save({"meta": {"epoch": 3}, "state_dict": theirs}, tmp_path / "mmaction.pth")
    read = read_weights(tmp_path / "mmaction.pth")
    assert read.kind == "finetune" and read.tensors.keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.tensors.items())


def test_the_hub_s_folders_of_videomae_v2(tmp_path):
    """They have a model of their own (modeling_videomaev2.py), which holds the official one."""
    state = {name: tensor for name, tensor in finetuned().state_dict().items() if not name.startswith("head.")}
    (tmp_path / "config.json").write_text('{"model_type": "VideoMAEv2_Base", "model_config": {"num_classes": 0}}')
    safetensors.torch.save_file(
        {f"model.{name}": tensor for name, tensor in state.items()}, tmp_path / "model.safetensors"
    )
    read = read_weights(tmp_path)
    assert read.kind == "encoder" and read.tensors.keys() == state.keys()


@pytest.mark.parametrize("prefix", ["encoder.", "backbone.", "module.encoder."])
def test_an_encoder_alone(tmp_path, prefix):
    state = {name: t for name, t in finetuned().state_dict().items() if not name.startswith(("head.", "fc_norm."))}
    torch.save({"model": {prefix + name: tensor for name, tensor in state.items()}}, tmp_path / "encoder.pth")
    read = read_weights(tmp_path / "encoder.pth")
    assert read.kind == "encoder" and equal(read.tensors, state)


def test_parts_that_were_compiled_by_themselves():
    state = {"encoder._orig_mod.blocks.0.norm1.weight": torch.ones(2), "mask_token": torch.zeros(1, 1, 2)}
    assert list(official_names(state, "here")) == ["encoder.blocks.0.norm1.weight", "mask_token"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path, dtype):
    state = finetuned().state_dict()
    torch.save({"module": {name: tensor.to(dtype) for name, tensor in state.items()}}, tmp_path / "half.pth")
    tensors = read_weights(tmp_path / "half.pth").tensors
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert equal(tensors, {name: tensor.to(dtype).float() for name, tensor in state.items()})


def test_deepspeed_folder(tmp_path):
    state = finetuned().state_dict()
    saved = {"module": {name: tensor.half() for name, tensor in state.items()}, "args": argparse.Namespace(a=1)}
    torch.save(saved, tmp_path / "mp_rank_00_model_states.pt")
    read = read_weights(tmp_path)
    assert (read.format, read.kind) == ("deepspeed", "finetune") and list(read.tensors) == list(state)

    (tmp_path / "mp_rank_01_model_states.pt").touch()
    with pytest.raises(WeightsError, match="split over several files"):
        read_weights(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_stored_sines_are_left_out(tmp_path, dtype):
    state, sines = finetuned().state_dict(), sine_positions(16, 48)[None].to(dtype)
    safetensors.torch.save_file(state | {"pos_embed": sines}, tmp_path / "w.safetensors")
    read = read_weights(tmp_path / "w.safetensors")
    assert read.format == "safetensors" and equal(read.tensors, dict(sorted(state.items())))


@pytest.mark.parametrize("name", ["pos_embed", "encoder.pos_embed", "module.pos_embed"])
def test_learned_positions_are_refused(tmp_path, name):
    learned = sine_positions(16, 48)[None] + 0.05
    safetensors.torch.save_file(finetuned().state_dict() | {name: learned}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="pos_embed: these positions were learned"):
        read_weights(tmp_path / "w.safetensors")


def test_run_folder(tmp_path):
    state, labels = finetuned().state_dict(), ["a", "b", "c", "d", "e"]
    run = make_run(tmp_path / "run", FIVE, "finetune", state, labels)
    for path in (run, run / "model.safetensors", str(run)):
        read = read_weights(path)
        assert (read.format, read.kind, read.config, read.labels) == ("run", "finetune", FIVE, tuple(labels))
        assert equal(dict(sorted(read.tensors.items())), dict(sorted(state.items())))


def test_run_with_averaged_weights_and_checkpoints(tmp_path):
    run = make_run(tmp_path / "run", FIVE, "finetune", finetuned(seed=1).state_dict())
    step = run / "checkpoints" / "step-00000010"
    step.mkdir(parents=True)
    safetensors.torch.save_file(finetuned(seed=2).state_dict(), step / "model.safetensors")
    read = read_weights(step)
    assert read.config == FIVE and torch.equal(read.tensors["head.weight"], finetuned(seed=2).head.weight)

    safetensors.torch.save_file(finetuned(seed=3).state_dict(), run / "average.safetensors")
    assert torch.equal(read_weights(run).tensors["head.weight"], finetuned(seed=3).head.weight)
    assert torch.equal(read_weights(run / "model.safetensors").tensors["head.weight"], finetuned(seed=1).head.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "train"}, r"not a valid run.json: .*'train' - at '\$.kind'"),
        ({"model": None}, r"Expected 'object', got 'null' - at '\$.model'"),
        ({"model": {"name": "x"}}, "run.json: .*missing required field 'embed_dim'"),
        ({"labels": "abc"}, r"Expected 'array.*got 'str' - at '\$.labels'"),
        ({"labels": ["a", "b"]}, "got 2 labels, expected 5"),
        ({"model": asdict(TWO), "labels": None}, r"head.weight: got \(5, 48\), expected \(2, 48\)"),
        ({"kind": "pretrain"}, "expected, but not there: encoder.norm.weight"),
    ],
)
def test_a_run_that_contradicts_itself(tmp_path, change, message):
    run = make_run(tmp_path, FIVE, "finetune", finetuned().state_dict(), list("abcde"), change)
    with pytest.raises(WeightsError, match=message):
        read_weights(run)


def test_a_run_that_has_not_ended(tmp_path):
    run = make_run(tmp_path, FIVE, "finetune", finetuned().state_dict())
    (run / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="no such file; has the run ended"):
        read_weights(run)


# --- what is refused -----------------------------------------------------------------------------------------------


class Malicious:
    """Unpickled in the ordinary way, it makes a file."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(proof):
    return {
        "os.system": Malicious(os.system, f"touch {proof}"),
        "eval": Malicious(eval, f"open({str(proof)!r}, 'w')"),
        "exec": Malicious(exec, f"open({str(proof)!r}, 'w')"),
        "open": Malicious(builtins.open, str(proof), "w"),
        "getattr": Malicious(getattr, Malicious(__import__, "os"), "system"),
        "subprocess": Malicious(subprocess.Popen, ["touch", str(proof)]),
        "mkdir": Malicious(os.mkdir, str(proof)),
        "path": Malicious(pathlib.Path.touch, proof),
    }


REFUSED = {"os.system", "mkdir", "path"}
"""What torch's restricted unpickler stops at: the module os, and calling what a call returned. Others become inert."""


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["args", "model", "tensor"])
@pytest.mark.parametrize("attack", sorted(attacks(None)))
def test_nothing_in_a_file_is_executed(tmp_path, attack, place, is_zip):
    proof, file = tmp_path / "proof", tmp_path / "evil.pth"
    evil, state = attacks(proof)[attack], finetuned().state_dict()
    checkpoint = {
        "args": {"model": state, "args": argparse.Namespace(x=evil)},
        "model": {"model": evil},
        "tensor": {"model": state | {"head.bias": evil}},
    }[place]
    torch.save(checkpoint, file, _use_new_zipfile_serialization=is_zip)
    if place == "args" and attack not in REFUSED:
        assert equal(read_weights(file).tensors, state)
    else:
        with pytest.raises(WeightsError, match=r"evil\.pth"):
            read_weights(file)
    assert not proof.exists()
    if attack == "mkdir":  # the file does harm where it is opened without care
        torch.load(file, weights_only=False)
        assert proof.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_is_refused_and_not_executed(tmp_path, protocol):
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps({"model": attacks(tmp_path / "proof")["eval"]}, protocol=protocol))
    with pytest.raises(WeightsError, match=r"weights\.pth: .* none was run"):
        read_weights(file)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_objects_that_torch_cannot_rebuild_without_their_code(tmp_path, is_zip):
    counts = collections.defaultdict(int, {"a": 1})
    torch.save({"model": {}, "counts": counts}, tmp_path / "w.pth", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match="asks for code to be run, and none was run"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("keep", [0, 3, 100, 5_000, -100])
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_damaged_files_are_named(tmp_path, keep, is_zip):
    file = tmp_path / "cut.pth"
    torch.save({"model": finetuned().state_dict()}, file, _use_new_zipfile_serialization=is_zip)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"cut\.pth"):
        read_weights(file)


def test_damaged_safetensors_are_named(tmp_path):
    file = tmp_path / "cut.safetensors"
    safetensors.torch.save_file(finetuned().state_dict(), file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"cut\.safetensors: not a readable safetensors file"):
        read_weights(file)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ([torch.ones(2)], "got a list, expected a dict of tensors"),
        ({"epoch": 3, "lr": 0.1}, r"expected nothing but tensors .*got also epoch \(int\), lr \(float\)"),
        ({"model": argparse.Namespace(a=1)}, "'model': got a pickled object, expected a dict of tensors"),
        ({"model": {}}, "expected a dict of tensors"),
        ({"model": {"a": torch.ones(2, dtype=torch.int64)}}, "a: got torch.int64, expected floating-point"),
        ({"a.w": torch.ones(1), "module.a.w": torch.ones(1)}, "module.a.w stands for a.w, which the file has already"),
        ({"model": {"blocks.0.gamma_1": torch.ones(2)}}, "LayerScale .*not supported"),
        ({"model": {"encoder.cls_token": torch.ones(2)}}, "a class token .*not supported"),
        ({"videomae.layernorm.weight": torch.ones(2)}, "give the folder that has both"),
    ],
)
def test_what_is_not_weights_of_ours(tmp_path, saved, message):
    torch.save(saved, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=message):
        read_weights(tmp_path / "w.pth")


def test_paths_that_hold_no_weights(tmp_path):
    with pytest.raises(WeightsError, match="it has no weights"):
        read_weights(tmp_path)
    (tmp_path / "checkpoint-99.pth").touch()
    with pytest.raises(WeightsError, match=re.escape("it has checkpoint-99.pth: name one of them")):
        read_weights(tmp_path)
    with pytest.raises(WeightsError, match="no such file or folder"):
        read_weights(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="hf download MCG-NJU/videomae-base, and give the folder"):
        read_weights("MCG-NJU/videomae-base")
