from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from tests.model.test_autoencoder import approx
from tiktokactions.model import classifier, model_config
from tiktokactions.model.classification import draw_drops, soft_target_loss
from tiktokactions.model.optim import parameter_groups


@pytest.fixture
def case(vectors):
    return vectors["finetune_tiny"]


@pytest.fixture
def model(case, micro5):
    loaded = classifier(micro5)
    loaded.load_state_dict(case["state_dict"])
    return loaded


def test_keys_and_their_order(case, micro5):
    assert list(classifier(micro5).state_dict()) == list(case["state_dict"])


def test_features_logits_and_losses(case, model):
    assert model.features(case["input"]) == approx(case["pooled_feature"])
    logits = model(case["input"])
    assert logits == approx(case["logits"])
    assert soft_target_loss(logits, case["soft_target"]).item() == pytest.approx(case["soft_loss"].item(), abs=1e-6)
    smooth = torch.full((2, 5), 0.1 / 5)
    smooth[torch.arange(2), case["hard_label"]] += 0.9
    wanted = case["label_smoothing_loss_0p1"].item()
    assert soft_target_loss(logits, smooth).item() == pytest.approx(wanted, abs=1e-6)


def test_gradients_and_groups(case, model):
    soft_target_loss(model(case["input"]), case["soft_target"]).backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, case["grads"][name], rtol=1e-4, atol=1e-6), name
    asked = case["optimizer"]
    got = parameter_groups(model, asked["weight_decay"], layer_decay=asked["layer_decay"], depth=2)
    assert sorted((g["weight_decay"], round(g["lr_scale"], 9), sorted(g["names"])) for g in got) == sorted(
        (g["weight_decay"], round(g["lr_scale"], 9), sorted(g["params"])) for g in asked["groups"]
    )


def test_official_shapes(vectors):
    with torch.device("meta"):
        model = classifier(model_config("vit-b", classes=101))
    got = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert got == {name: tuple(s) for name, s in vectors["shapes"]["finetune_vit_b_101"].items()}
    assert sum(p.numel() for p in model.parameters()) == 86_304_869


def test_drop_path_rates(vectors, micro5):
    with torch.device("meta"):
        model = classifier(model_config("vit-b", classes=2), drop_path=0.35)
    assert [block.drop_path for block in model.blocks] == pytest.approx(vectors["drop_path_vit_b_0p35"], abs=1e-9)
    assert [block.drop_path for block in classifier(micro5, drop_path=0.2).blocks] == pytest.approx([0, 0.2])


def test_initial_weights(micro5):
    torch.manual_seed(0)
    wide = dataclasses.replace(micro5, embed_dim=192, classes=50)
    got = classifier(wide, init_scale=0.001).state_dict()
    assert got["blocks.0.attn.qkv.weight"].std().item() == pytest.approx(0.02, rel=0.02)
    assert got["head.weight"].std().item() == pytest.approx(0.02 * 0.001, rel=0.05)
    assert not got["head.bias"].any()
    assert (got["fc_norm.weight"] == 1).all()


# --- stochastic depth: leaving clips out must be the reference's multiplication by zero ------------------------------


@pytest.mark.parametrize("kept", [[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]], ids=str)
def test_skipping_dropped_clips_is_multiplying_by_zero(micro5, kept):
    torch.manual_seed(0)
    model = classifier(micro5, drop_path=0.5, init_scale=1).train()
    drops: Any = draw_drops(model, 3, torch.Generator().manual_seed(0))
    keep = drops.keep_branches.clone()
    keep[1, :] = torch.tensor(kept, dtype=torch.bool)
    drops = dataclasses.replace(drops, keep_branches=keep)
    video, target = torch.randn(3, 3, 16, 64, 64), torch.full((3, 5), 0.2)
    target[:, 0] += 0.5
    found: list[Any] = []
    for skip in (True, False):
        for block in model.blocks:
            block.skip_dropped = skip  # type: ignore[assignment]
        model.zero_grad(set_to_none=True)
        logits = model(video, drops)
        soft_target_loss(logits, target).backward()
        found.append((logits.detach(), {name: p.grad for name, p in model.named_parameters()}))
    (logits, gradients), (plain_logits, plain_gradients) = found
    assert logits == approx(plain_logits)
    for name, gradient in plain_gradients.items():
        assert gradients[name] is not None, f"{name}: no gradient: AdamW would leave out its weight decay"
        assert torch.allclose(gradients[name], gradient, atol=1e-6), name


def test_survivors_are_scaled_up(micro5):
    """With the branch kept, its output counts 1 / (1 - rate): dropping changes the variance, not the mean."""
    torch.manual_seed(0)
    block: Any = classifier(micro5, drop_path=0.25).blocks[1]
    x = torch.randn(2, 5, 48)
    kept = block(x, torch.tensor([[True, True], [False, False]]))
    assert kept == approx(x + block.attn(block.norm1(x)) / 0.75)


def test_drops_are_drawn_at_their_rates(micro5):
    model = classifier(dataclasses.replace(micro5, depth=3), drop_path=0.4, head_dropout=0.5)
    drops: Any = draw_drops(model, 4000, torch.Generator().manual_seed(0))
    assert drops.keep_branches.float().mean(2).numpy() == pytest.approx(
        np.array([[1, 1], [0.8, 0.8], [0.6, 0.6]]), abs=0.03
    )
    assert drops.keep_features.float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert draw_drops(classifier(micro5), 4, None) is None


def test_evaluation_drops_nothing(micro5):
    model = classifier(micro5, drop_path=0.9, head_dropout=0.5, init_scale=1).eval()
    video = torch.randn(1, 3, 16, 64, 64)
    assert torch.equal(model(video), model(video))


@pytest.mark.parametrize(
    ("classes", "rates", "message"),
    [
        (0, {}, "got 0 classes"),
        (5, {"drop_path": 1.0}, "drop_path: got 1.0"),
        (5, {"head_dropout": -0.1}, "head_dropout: got -0.1"),
    ],
)
def test_impossible_classifiers_are_refused(micro5, classes, rates, message):
    with pytest.raises(ValueError, match=message):
        classifier(dataclasses.replace(micro5, classes=classes), **rates)
