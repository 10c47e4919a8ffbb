from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from tiktokactions.model import ModelConfig, model_config, pretraining_model
from tiktokactions.model.autoencoder import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    kept_tokens,
    reconstruction_loss,
    reconstruction_target,
    supervised_tokens,
)
from tiktokactions.model.masking import decoder_mask, tube_mask
from tiktokactions.model.optim import adamw, gradient_norm, parameter_groups, set_lr
from tiktokactions.model.vit import patchify

GEOMETRIES = {
    "rectangle": ModelConfig("x", 24, 2, 2, 12, 2, 1, frames=8, height=32, width=64, tubelet=2, patch=16),
    "tubelet 4, patch 8": ModelConfig("x", 24, 1, 3, 18, 3, 2, frames=8, height=16, width=32, tubelet=4, patch=8),
    "one frame a token": ModelConfig("x", 16, 2, 4, 8, 1, 1, frames=4, height=28, width=28, tubelet=1, patch=14),
}


def masks(config, clips, ratio=0.75, decoder_ratio=0.5):
    rng = np.random.default_rng(1)
    hidden = np.stack([tube_mask(config.grid, ratio, rng) for _ in range(clips)])
    skipped = np.stack([decoder_mask(h, config.grid, decoder_ratio, rng) for h in hidden])
    return torch.from_numpy(hidden), torch.from_numpy(skipped)


@pytest.fixture
def case(vectors):
    return vectors["pretrain_tiny"]


@pytest.fixture
def model(case, micro):
    loaded = pretraining_model(micro)
    loaded.load_state_dict(case["state_dict"])
    return loaded


# --- the reference's numbers ----------------------------------------------------------------------------------------


def test_keys_and_their_order(case, micro):
    assert list(pretraining_model(micro).state_dict()) == list(case["state_dict"])


def test_activations(case, model, micro):
    wanted = case["activations"]
    visible = kept_tokens(case["encoder_mask"], micro)
    patches = patchify(case["input"], micro)
    embedded = model.encoder.patch_embed(patches)
    assert embedded == approx(wanted["patch_embed_out"])
    x = (embedded + model.encoder.positions).gather(1, visible[:, :, None].expand(-1, -1, micro.embed_dim))
    for i in range(micro.depth):
        x = model.encoder.blocks[i](x)
        assert x == approx(wanted[f"encoder_block{i}_out"])
    assert model.encoder(patches, visible) == approx(wanted["encoder_norm_out"])
    assert model.encoder_to_decoder(model.encoder.norm(x)) == approx(wanted["encoder_to_decoder_out"])


def test_decoder_input(case, model):
    seen: dict[str, torch.Tensor] = {}
    model.decoder.blocks[0].register_forward_hook(lambda m, args, out: seen.update(given=args[0], out=out))
    model(case["input"], case["encoder_mask"], case["decoder_mask"])
    assert seen["given"] == approx(case["activations"]["decoder_input"])
    assert seen["out"] == approx(case["activations"]["decoder_block0_out"])


def test_output_target_and_loss(case, model, micro):
    hidden, skipped = case["encoder_mask"], case["decoder_mask"]
    output = model(case["input"], hidden, skipped)
    target = reconstruction_target(case["input"], skipped, micro)
    supervised = supervised_tokens(hidden, skipped, micro)
    assert output == approx(case["output"])
    assert target == approx(case["target"])
    assert (supervised == case["loss_mask"]).all()
    assert reconstruction_loss(output, target, supervised).item() == pytest.approx(case["loss"].item(), abs=1e-6)
    per_token = (output - target).square().mean(-1)
    assert per_token == approx(case["per_token_loss"])


def test_target_of_all_tokens_and_raw(case, micro):
    nothing_skipped = torch.zeros_like(case["decoder_mask"])
    assert reconstruction_target(case["input"], nothing_skipped, micro) == approx(case["target_all"])
    raw = reconstruction_target(case["input"], case["decoder_mask"], micro, normalise=False)
    assert raw == approx(case["target_unnormalised"])


def test_loss_of_the_raw_target(case, model, micro):
    hidden, skipped = case["encoder_mask"], case["decoder_mask"]
    target = reconstruction_target(case["input"], skipped, micro, normalise=False)
    loss = reconstruction_loss(model(case["input"], hidden, skipped), target, supervised_tokens(hidden, skipped, micro))
    assert loss.item() == pytest.approx(case["loss_unnormalised_target"].item(), abs=1e-6)


def test_gradients_and_one_step(case, model, micro):
    hidden, skipped = case["encoder_mask"], case["decoder_mask"]
    output = model(case["input"], hidden, skipped)
    target = reconstruction_target(case["input"], skipped, micro)
    reconstruction_loss(output, target, supervised_tokens(hidden, skipped, micro)).backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, case["grads"][name], rtol=1e-4, atol=1e-6), name
    assert float(gradient_norm(model.parameters())) == pytest.approx(case["grad_norm"], rel=1e-5)
    asked = case["optimizer"]
    groups = parameter_groups(model, asked["weight_decay"])
    assert {(g["weight_decay"], frozenset(g["names"])) for g in groups} == {
        (g["weight_decay"], frozenset(g["params"])) for g in asked["groups"]
    }
    optimizer = adamw(groups, asked["betas"])
    set_lr(optimizer, asked["lr"])
    optimizer.step()
    for name, tensor in model.state_dict().items():
        unsure = case["grads"][name].abs() < 1e-7  # the first step is lr times a sign
        difference = (tensor - case["state_dict_after_1_step"][name]).abs()
        assert (difference * ~unsure).max() < 2e-6, name


@pytest.mark.parametrize("size", ["vit-b", "vit-s"])
def test_official_shapes(vectors, size):
    with torch.device("meta"):
        model = pretraining_model(model_config(size))
    got = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert got == {name: tuple(s) for name, s in vectors["shapes"][f"pretrain_{size.replace('-', '_')}"].items()}


@pytest.mark.parametrize(
    ("size", "parameters"),
    [("vit-s", 24_029_376), ("vit-b", 94_210_944), ("tiny", None), ("vit-l", None), ("vit-g", None)],
)
def test_sizes(size, parameters):
    with torch.device("meta"):
        model = pretraining_model(model_config(size))
    counted = sum(p.numel() for p in model.parameters())
    assert counted == parameters if parameters else counted > 0
    assert model.decoder.head.out_features == {"vit-g": 1176}.get(size, 1536)


def test_initial_weights(case, micro):
    torch.manual_seed(0)
    got = pretraining_model(dataclasses.replace(micro, embed_dim=192, decoder_dim=96)).state_dict()
    for name, wanted in case["state_dict_init"].items():
        if wanted.ndim == 1 and "patch_embed" not in name:
            assert (got[name] == wanted[0]).all(), name
    assert got["mask_token"].abs().max() <= 0.02
    qkv = got["encoder.blocks.0.attn.qkv.weight"]  # Xavier: the fused weight as one matrix
    assert qkv.abs().max().item() == pytest.approx((6 / (192 + 3 * 192)) ** 0.5, rel=0.02)
    bridge = got["encoder_to_decoder.weight"]  # PyTorch's own
    assert bridge.abs().max().item() == pytest.approx(192**-0.5, rel=0.02)


# --- any geometry, against the plain way ----------------------------------------------------------------------------


def plain_forward(model, video, hidden, skipped):
    """The forward pass as the specification tells it: a convolution, boolean masks, explicit softmax."""

    def attend(attention, x):
        b, n, d = x.shape
        bias = torch.cat([attention.q_bias, torch.zeros(d), attention.v_bias])
        q, k, v = F.linear(x, attention.qkv.weight, bias).reshape(b, n, 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
        weights = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1)
        return attention.proj((weights @ v).transpose(1, 2).reshape(b, n, d))

    def run(blocks, x):
        for block in blocks:
            x = x + attend(block.attn, F.layer_norm(x, x.shape[-1:], block.norm1.weight, block.norm1.bias, 1e-6))
            y = F.layer_norm(x, x.shape[-1:], block.norm2.weight, block.norm2.bias, 1e-6)
            x = x + block.mlp.fc2(F.gelu(block.mlp.fc1(y)))
        return x

    b = len(video)
    tokens = model.encoder.patch_embed.proj(video).flatten(2).transpose(1, 2) + model.encoder.positions
    seen = model.encoder_to_decoder(
        model.encoder.norm(run(model.encoder.blocks, tokens[~hidden].reshape(b, -1, tokens.shape[2])))
    )
    at = model.decoder_positions.expand(b, -1, -1)
    x = torch.cat(
        [seen + at[~hidden].reshape(b, -1, at.shape[2]), model.mask_token + at[~skipped].reshape(b, -1, at.shape[2])], 1
    )
    return model.decoder.head(model.decoder.norm(run(model.decoder.blocks, x)[:, -int((~skipped[0]).sum()) :]))


def plain_target(video, skipped, config):
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    video, (t, p) = video * std + mean, (config.tubelet, config.patch)
    rows = []
    for clip, skip in zip(video, skipped, strict=True):
        for n in (~skip).nonzero()[:, 0].tolist():
            slot, rest = divmod(n, config.grid[1] * config.grid[2])
            row, column = divmod(rest, config.grid[2])
            cube = clip[:, slot * t : slot * t + t, row * p : row * p + p, column * p : column * p + p].reshape(3, -1)
            cube = (cube - cube.mean(1, keepdim=True)) / (cube.var(1, keepdim=True).sqrt() + 1e-6)
            rows.append(cube.T.reshape(-1))
    return torch.stack(rows).view(len(video), -1, config.token_values)


@pytest.mark.parametrize("config", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("decoder_ratio", [0.5, 0])
def test_other_geometries_compute_the_same(config, decoder_ratio):
    torch.manual_seed(0)
    model = pretraining_model(config)
    video = torch.randn(2, 3, config.frames, config.height, config.width)
    hidden, skipped = masks(config, 2, decoder_ratio=decoder_ratio)
    assert model(video, hidden, skipped) == approx(plain_forward(model, video, hidden, skipped))
    assert reconstruction_target(video, skipped, config) == approx(plain_target(video, skipped, config))


def test_without_a_decoder_mask_the_hidden_tokens_are_decoded(micro):
    model = pretraining_model(micro)
    video, (hidden, _) = torch.randn(2, 3, 16, 64, 64), masks(micro, 2)
    assert (model(video, hidden) == model(video, hidden, ~hidden)).all()


def test_recomputed_activations_change_nothing(micro):
    model = pretraining_model(micro)
    video, (hidden, skipped) = torch.randn(2, 3, 16, 64, 64), masks(micro, 2)
    gradients = []
    for recompute in (False, True):
        model.zero_grad()
        model.checkpoint_activations = recompute
        model(video, hidden, skipped).square().mean().backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    for name in gradients[0]:
        assert torch.equal(gradients[0][name], gradients[1][name]), name


@pytest.mark.parametrize(
    ("video", "hidden", "message"),
    [
        (torch.zeros(1, 3, 8, 64, 64), torch.ones(1, 128, dtype=torch.bool), r"got .* \(3, 8, 64, 64\), expected"),
        (torch.zeros(1, 3, 16, 64, 64), torch.ones(1, 100, dtype=torch.bool), r"expected bool \(clips, 128\)"),
        (torch.zeros(2, 3, 16, 64, 64), torch.eye(2, 128) > 0, None),
        (torch.zeros(2, 3, 16, 64, 64), torch.arange(2)[:, None] >= torch.ones(2, 128), "tokens kept"),
    ],
)
def test_wrong_shapes_are_told(micro, video, hidden, message):
    model = pretraining_model(micro)
    if message is None:
        assert model(video, hidden).shape == (2, 1, 1536)
    else:
        with pytest.raises(ValueError, match=message):
            model(video, hidden)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "vit-x"}, "expected one of tiny"),
        ({"image_size": 100}, "height: got 100, expected a multiple of the patch"),
        ({"frames": 15}, "frames: got 15, expected n × 2"),
    ],
)
def test_impossible_models_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        model_config(**given)


def test_overfits_one_batch():
    """The mechanical gate: one batch with fixed masks is learned by heart."""
    torch.manual_seed(0)
    config = model_config("tiny", image_size=32, frames=8)
    model = pretraining_model(config)
    ramp = torch.linspace(0, 6.28, 32)
    still = torch.sin(ramp[:, None] + 2 * ramp[None]) + torch.arange(3)[:, None, None] / 3
    video = torch.stack([torch.stack([still.roll(i * (1 + c), -1) for i in range(8)], 1) for c in range(4)])
    hidden, skipped = masks(config, 4)
    target = reconstruction_target(video, skipped, config)
    supervised = supervised_tokens(hidden, skipped, config)
    optimizer = adamw(parameter_groups(model, 0.05), (0.9, 0.95))
    losses = []
    for step in range(200):
        set_lr(optimizer, 2e-3 * min(1, (step + 1) / 20))
        loss = reconstruction_loss(model(video, hidden, skipped), target, supervised)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.8
    assert losses[-1] < 0.2


def approx(tensor):
    return Near(tensor)


class Near:
    """Equal within 1e-5, by ``==``; a failure shows the largest difference."""

    def __init__(self, wanted, tolerance=1e-5):
        self.wanted, self.tolerance = wanted, tolerance

    def __eq__(self, got):
        return got.shape == self.wanted.shape and bool((got - self.wanted).abs().max() <= self.tolerance)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        return f"Near({tuple(self.wanted.shape)}, {self.wanted.flatten()[:4].tolist()} ...)"
