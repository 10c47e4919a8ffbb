from __future__ import annotations

import math

import pytest
import torch

from tiktokactions.model import classifier, model_config, pretraining_model
from tiktokactions.model.optim import AverageWeights, adamw, layer_number, parameter_groups, scaled_lr, schedule, set_lr


@pytest.mark.parametrize("name", ["pretrain", "finetune", "no_warmup"])
def test_schedules_are_the_reference(vectors, name):
    asked = vectors["schedules"][name]
    got = schedule(
        asked["base"],
        asked["final"],
        epochs=asked["epochs"],
        steps_per_epoch=asked["niter_per_ep"],
        warmup_epochs=asked["warmup_epochs"],
        warmup_lr=asked["start"],
    )
    assert got == pytest.approx([float(value) for value in asked["values"]], abs=1e-15)


def test_the_shape_of_a_schedule():
    rates = schedule(2.0, 1.0, epochs=10, steps_per_epoch=10, warmup_epochs=2)
    assert len(rates) == 100
    assert rates[0] == 0
    assert rates[19] == rates[20] == 2.0  # both ends belong to the warm-up, the cosine begins at its top
    assert rates[60] == pytest.approx(1.5)
    assert 1.0 < rates[-1] < 1.001
    assert rates[20:] == sorted(rates[20:], reverse=True)


@pytest.mark.parametrize(("epochs", "warmup", "rates"), [(1, 1, [0.0]), (1, 0, [1.0]), (2, 1, [0.0, 1.0])])
def test_short_schedules(epochs, warmup, rates):
    assert schedule(1.0, 0.0, epochs=epochs, steps_per_epoch=1, warmup_epochs=warmup) == rates


def test_warmup_longer_than_training_is_refused():
    with pytest.raises(ValueError, match="`warmup_epochs`: got 3"):
        schedule(1.0, 0.0, epochs=2, steps_per_epoch=4, warmup_epochs=3)


@pytest.mark.parametrize(("base", "batch", "lr"), [(1e-3, 32, 1.25e-4), (1e-3, 8, 3.125e-5), (1e-3, 256, 1e-3)])
def test_the_learning_rate_rule(base, batch, lr):
    assert scaled_lr(base, batch) == pytest.approx(lr)


def test_layer_decay_is_the_reference(vectors):
    with torch.device("meta"):
        model = classifier(model_config("vit-b", classes=101))
    groups = parameter_groups(model, 0.05, layer_decay=0.9, depth=12)
    got = {name: (group["lr_scale"], group["weight_decay"]) for group in groups for name in group["names"]}
    wanted = vectors["layer_decay_vit_b_0p9"]
    assert got.keys() == wanted.keys()
    for name, (scale, decay) in wanted.items():
        assert got[name] == (pytest.approx(scale, rel=1e-12), decay), name


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        *(("patch_embed.proj.weight", 0), ("blocks.0.norm1.bias", 1), ("blocks.11.mlp.fc2.weight", 12)),
        *(("fc_norm.weight", 13), ("head.bias", 13), ("mask_token", 0)),
    ],
)
def test_layer_numbers(name, layer):
    assert layer_number(name, 12) == layer


def test_what_decays(micro):
    decay = {name: g["weight_decay"] for g in parameter_groups(pretraining_model(micro), 0.05) for name in g["names"]}
    assert decay["mask_token"] == 0
    assert decay["encoder.blocks.0.attn.q_bias"] == decay["encoder.norm.weight"] == decay["decoder.head.bias"] == 0
    assert decay["encoder.patch_embed.proj.weight"] == decay["encoder_to_decoder.weight"] == 0.05


def test_frozen_weights_are_in_no_group(micro5):
    model = classifier(micro5)
    model.blocks[0].requires_grad_(False)
    names = [name for group in parameter_groups(model, 0.05, layer_decay=0.5, depth=2) for name in group["names"]]
    assert names and not [name for name in names if name.startswith("blocks.0.")]


def test_each_group_learns_at_its_own_rate():
    weights = [torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(2, 2))]
    optimizer = adamw(
        [
            {"params": [w], "names": ["w"], "weight_decay": 0.0, "lr_scale": s}
            for w, s in zip(weights, (1, 0.5), strict=True)
        ],
        (0.9, 0.999),
    )
    set_lr(optimizer, 0.1)
    for weight in weights:
        weight.grad = torch.ones(2, 2)
    optimizer.step()
    assert [w[0, 0].item() for w in weights] == pytest.approx([-0.1, -0.05], rel=1e-5)


def test_average_weights():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = AverageWeights(layer, 0.9)
    torch.nn.init.ones_(layer.weight)
    for _ in range(10):
        average.update(layer)
    assert average.tensors["weight"].item() == pytest.approx(1 - 0.9**10)
    assert math.isfinite(average.tensors["weight"].item())
