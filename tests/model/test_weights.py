"""Weights go into the model that they are of, or it is said what does not fit."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import asdict

import pytest
import torch

from tests.conftest import SHARED
from tests.model.small_models import (
    FIVE,
    SMALL,
    TWO,
    equal,
    finetuned,
    make_run,
    official_checkpoint,
    pretrained,
)
from tiktokactions.model.autoencoder import pretraining_model
from tiktokactions.model.classification import classifier
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.export import export
from tiktokactions.model.official import config_of, mlp_ratio, official_shapes
from tiktokactions.model.vit import patchify, positions_of, sine_positions
from tiktokactions.model.weights import WeightsError, load_into, read_weights, with_positions


@pytest.fixture(scope="session")
def vectors():
    path = SHARED / "reference" / "videomae_v2_vectors.pt"
    if not path.is_file():
        pytest.skip(f"{path}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'reference'")
    return torch.load(path, weights_only=True)


# --- which model ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny", "vit-s", "vit-b", "vit-l", "vit-h", "vit-g"])
@pytest.mark.parametrize("classes", [0, 7])
def test_published_files_tell_their_model(name, classes):
    config = model_config(name, classes=classes)
    shapes = official_shapes(config, "finetune" if classes else "pretrain")
    tensors = {key: torch.empty(1).expand(shape) for key, shape in shapes.items()}
    assert config_of(tensors) == config


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_official_shapes_are_those_of_the_models(kind):
    model = pretrained() if kind == "pretrain" else finetuned()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert official_shapes(SMALL if kind == "pretrain" else FIVE, kind) == shapes


@pytest.mark.parametrize(
    ("entry", "name", "classes"),
    [("pretrain_vit_b", "vit-b", 0), ("pretrain_vit_s", "vit-s", 0), ("finetune_vit_b_101", "vit-b", 101)],
)
def test_names_and_shapes_are_the_reference_s(vectors, entry, name, classes):
    reference = {key: tuple(shape) for key, shape in vectors["shapes"][entry].items()}
    assert official_shapes(model_config(name, classes=classes), "finetune" if classes else "pretrain") == reference


def test_the_giant_decoder_is_the_reference_s():
    """pretrain_videomae_giant_patch14_224 takes one mlp_ratio, 48/11, for its encoder and its decoder of width 512."""
    config = model_config("vit-g")
    with torch.device("meta"):
        state = pretraining_model(config).state_dict()
    shapes = official_shapes(config, "pretrain")
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    assert shapes["encoder.blocks.39.mlp.fc1.weight"] == (6144, 1408)
    assert shapes["decoder.blocks.3.mlp.fc1.weight"] == (2234, 512)
    assert shapes["decoder.blocks.0.mlp.fc2.weight"] == (512, 2234)
    assert shapes["decoder.head.weight"] == (3 * 2 * 14 * 14, 512)
    given = {name: torch.empty(1).expand(shape) for name, shape in shapes.items()}
    assert config_of(given) == config
    narrow = dataclasses.replace(config, decoder_mlp_ratio=4.0)
    given = {name: torch.empty(1).expand(shape) for name, shape in official_shapes(narrow, "pretrain").items()}
    assert config_of(given) == narrow


def test_what_shapes_do_not_tell_can_be_given():
    state = pretrained().state_dict()
    with pytest.raises(WeightsError, match="width 48 is none of the published sizes; give its number of heads"):
        config_of(state)
    with pytest.raises(WeightsError, match="a decoder of width 24 is none of the published"):
        config_of(state, heads=3)
    assert config_of(state, heads=3, decoder_heads=3, frames=4, image_size=(32, 64)) == SMALL
    guessed = config_of(finetuned().state_dict(), heads=3)
    assert (guessed.embed_dim, guessed.depth, guessed.classes, guessed.tokens) == (48, 2, 5, 1568)
    with pytest.raises(WeightsError, match="model height: got 30, expected a multiple of the patch"):
        config_of(state, heads=3, decoder_heads=3, image_size=30)
    with pytest.raises(WeightsError, match=r"expected patch_embed\.proj\.weight"):
        config_of({"fc.weight": torch.ones(2, 2)})


def test_the_huge_model_of_the_first_version():
    config = ModelConfig(**(asdict(model_config("vit-h")) | {"decoder_dim": 640}))
    tensors = {key: torch.empty(1).expand(shape) for key, shape in official_shapes(config, "pretrain").items()}
    assert config_of(tensors) == config


@pytest.mark.parametrize(("embed_dim", "mlp_dim"), [(1408, 6144), (768, 3072), (112, 3904), (176, 960)])
def test_mlp_ratio_gives_the_width_back(embed_dim, mlp_dim):
    assert int(embed_dim * mlp_ratio(embed_dim, mlp_dim)) == mlp_dim


# --- another geometry --------------------------------------------------------------------------------------------


def test_positions_of_another_size_are_interpolated():
    small = SMALL
    own = positions_of(small, 48)
    assert torch.equal(own, sine_positions(small.tokens, 48))
    larger = dataclasses.replace(small, height=64, width=128, position_grid=small.grid)
    table = positions_of(larger, 48).view(2, 4, 8, 48)
    # Where both grids have their middle in one place, the pairs of the larger one surround the number of the smaller.
    assert torch.allclose(table.mean((1, 2)), own.view(2, 2, 4, 48).mean((1, 2)), atol=0.1)
    assert not torch.allclose(positions_of(dataclasses.replace(larger, position_grid=None), 48).view_as(table), table)
    longer = dataclasses.replace(small, frames=8, position_grid=small.grid)
    slots = positions_of(longer, 48).view(4, 8, 48)
    assert torch.allclose(slots[0], own.view(2, 8, 48)[0]) and torch.allclose(slots[3], own.view(2, 8, 48)[1])
    assert torch.allclose(slots[1], 0.75 * slots[0] + 0.25 * slots[3], atol=1e-6)


@pytest.mark.parametrize(("positions", "grid"), [("interpolate", (2, 2, 4)), ("sines", None)])
def test_a_model_of_another_size_keeps_the_grid_that_its_weights_learned(tmp_path, positions, grid):
    read = read_weights(make_run(tmp_path / "run", FIVE, "finetune", finetuned().state_dict(), list("abcde")))
    assert with_positions(dataclasses.replace(FIVE, height=64), read, positions).position_grid == grid
    assert with_positions(FIVE, read, positions) == FIVE
    assert with_positions(FIVE, None, positions) == FIVE


def test_interpolated_positions_are_not_exported(tmp_path):
    config = dataclasses.replace(FIVE, height=64, position_grid=(2, 2, 4))
    run = make_run(tmp_path / "run", config, "finetune", finetuned(config).state_dict(), list("abcde"))
    told = r"interpolated from a grid of .* train with `positions` 'sines'"
    with pytest.raises(WeightsError, match=told):
        export(run, tmp_path / "folder", to="huggingface")
    with pytest.raises(WeightsError, match=told):
        export(run, tmp_path / "w.pth", to="official")


@pytest.mark.parametrize("tubelet", [4, 1])
def test_tubelets_of_another_length_see_and_say_the_same(tubelet):
    """A clip whose frames are equal gives the same tokens, and each token says the same of all its frames."""
    torch.manual_seed(0)
    source = pretrained()
    model = pretrained(seed=5, config=dataclasses.replace(SMALL, frames=2 * tubelet, tubelet=tubelet))
    report = load_into(model, source.state_dict(), what="source")
    assert f"tubelets of 2 frames become tubelets of {tubelet}" in str(report)
    picture = torch.rand(1, 3, 1, 32, 64)
    embedded = [
        m.encoder.patch_embed(patchify(picture.expand(-1, -1, m.config.frames, -1, -1), m.config))
        for m in (source, model)
    ]
    torch.testing.assert_close(embedded[0], embedded[1], atol=1e-5, rtol=1e-5)
    x = torch.rand(1, 3, 24)
    said = [m.decoder.head(x).view(1, 3, m.config.tubelet, -1).mean(2) for m in (source, model)]
    torch.testing.assert_close(said[0], said[1], atol=1e-5, rtol=1e-5)


def test_a_patch_embedding_of_pictures_is_inflated():
    state = finetuned().state_dict()
    image = {**state, "patch_embed.proj.weight": state["patch_embed.proj.weight"].sum(2)}
    model = finetuned(seed=7)
    load_into(model, image, what="pictures")
    expected = image["patch_embed.proj.weight"][:, :, None] / 2
    assert torch.allclose(model.patch_embed.proj.weight, expected.expand(-1, -1, 2, -1, -1))


# --- into a model --------------------------------------------------------------------------------------------------


def test_pretraining_into_pretraining_is_everything():
    source, model = pretrained(0), pretrained(1)
    report = load_into(model, source.state_dict(), what="source")
    assert equal(model.state_dict(), source.state_dict())
    assert not report.fresh and len(report.loaded) == len(source.state_dict()) and not report.left_out
    assert str(report) == f"source: {len(report.loaded)} tensors loaded"


def test_pretraining_into_a_classifier():
    source, model, untouched = pretrained(0), finetuned(), finetuned()
    report = load_into(model, source.state_dict(), what="source")
    for name, tensor in model.state_dict().items():
        if name.startswith(("head.", "fc_norm.")):
            assert torch.equal(tensor, untouched.state_dict()[name])
        else:
            assert torch.equal(tensor, source.state_dict()[f"encoder.{name}"])
    assert set(report.fresh) == {"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"}
    assert report.fresh
    expected = {"encoder.norm.weight", "encoder.norm.bias", "encoder_to_decoder.weight", "mask_token"}
    assert set(report.left_out) == expected | {name for name in source.state_dict() if name.startswith("decoder.")}
    assert "fc_norm and head start fresh" in str(report)


@pytest.mark.parametrize(("config", "fresh"), [(FIVE, set()), (TWO, {"head.weight", "head.bias"})])
def test_a_head_is_dropped_only_where_the_classes_differ(config, fresh):
    source, model, untouched = finetuned(FIVE, 0), finetuned(config, 1), finetuned(config, 1)
    report = load_into(model, source.state_dict(), what="source")
    assert set(report.fresh) == set(report.left_out) == fresh
    assert ("head: the weights have 5 classes, the model has 2" in str(report)) is bool(fresh)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, (untouched if name in fresh else source).state_dict()[name])


def test_an_encoder_alone_into_a_classifier():
    state = {name: t for name, t in pretrained().state_dict().items() if name.startswith("encoder.")}
    report = load_into(finetuned(), state, what="source")
    assert set(report.fresh) == {"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"}
    assert report.left_out == ("norm.weight", "norm.bias")


def changed(state, *, without=(), **more):
    return {name: tensor for name, tensor in state.items() if name not in without} | {
        name.replace("__", "."): tensor for name, tensor in more.items()
    }


@pytest.mark.parametrize(
    ("state", "model", "messages"),
    [
        pytest.param(
            lambda: changed(pretrained().state_dict(), without=["mask_token", "encoder.blocks.1.attn.q_bias"]),
            pretrained,
            [r"expected, but not there: mask_token \(1, 1, 24\)", r"not there: encoder.blocks.1.attn.q_bias \(48,\)"],
            id="missing",
        ),
        pytest.param(
            lambda: changed(finetuned().state_dict(), extra=torch.ones(3), blocks__0__x=torch.ones(2)),
            finetuned,
            [r"there, but not expected: extra \(3,\)", r"there, but not expected: blocks.0.x \(2,\)"],
            id="not known",
        ),
        pytest.param(
            lambda: changed(finetuned().state_dict(), fc_norm__bias=torch.ones(47), head__bias=torch.ones(6)),
            finetuned,
            [r"fc_norm.bias: got \(47,\), expected \(48,\)", r"head.bias: got \(6,\), expected \(5,\)"],
            id="other shape",
        ),
        pytest.param(
            lambda: pretrained(config=ModelConfig(**(asdict(SMALL) | {"patch": 8}))).state_dict(),
            finetuned,
            ["patch: got 8, expected 16", r"patch_embed.proj.weight: got \(48, 3, 2, 8, 8\), expected"],
            id="other patch",
        ),
        pytest.param(
            lambda: finetuned(ModelConfig(**(asdict(FIVE) | {"frames": 6, "tubelet": 3, "depth": 3}))).state_dict(),
            finetuned,
            ["depth: got 3, expected 2, tubelet: got 3, expected 2", "not expected: blocks.2.norm1.weight"],
            id="other tubelet and depth",
        ),
        pytest.param(
            lambda: finetuned().state_dict(),
            pretrained,
            ["got an encoder without its decoder"],
            id="classifier into pre-training",
        ),
        pytest.param(
            lambda: changed(
                finetuned().state_dict(), without=["fc_norm.weight", "fc_norm.bias"], norm__weight=torch.ones(48)
            ),
            finetuned,
            ["a classifier of the first token"],
            id="first token",
        ),
    ],
)
def test_what_does_not_fit_raises_and_changes_nothing(state, model, messages):
    model, untouched = model(), model()
    with pytest.raises(WeightsError) as caught:
        load_into(model, state(), what="the file")
    assert str(caught.value).startswith("the file: ")
    for message in messages:
        assert re.search(message, str(caught.value)), str(caught.value)
    assert equal(model.state_dict(), untouched.state_dict())


@torch.no_grad()
@pytest.mark.parametrize("entry", ["pretrain_tiny", "finetune_tiny"])
def test_an_official_file_gives_the_reference_s_output(tmp_path, vectors, entry):
    """From a checkpoint as the official scripts save it to the output that the official model gave."""
    numbers = vectors[entry]
    torch.save(official_checkpoint(numbers["state_dict"]), tmp_path / "checkpoint-799.pth")
    read = read_weights(tmp_path / "checkpoint-799.pth")
    config = config_of(read.tensors, heads=3, decoder_heads=3, image_size=64)
    model = pretraining_model(config) if entry == "pretrain_tiny" else classifier(config).eval()
    assert not load_into(model, read.tensors, what=read.source).fresh
    masks = [numbers[name].bool() for name in ("encoder_mask", "decoder_mask") if name in numbers]
    expected = numbers["output" if entry == "pretrain_tiny" else "logits"]
    torch.testing.assert_close(model(numbers["input"], *masks), expected, atol=1e-5, rtol=0)


def test_other_clip_sizes_share_their_weights():
    """Positions are computed, so frames and pixels may differ; the grid is the model's own."""
    wide = ModelConfig(**(asdict(SMALL) | {"frames": 8, "width": 96}))
    assert not load_into(pretrained(config=wide), pretrained().state_dict(), what="source").fresh


def test_a_wrapped_model_is_not_ours():
    with pytest.raises(TypeError, match="expected MaskedAutoencoder or VideoClassifier, unwrapped"):
        load_into(torch.nn.DataParallel(finetuned()), finetuned().state_dict(), what="source")


# --- official files from a run -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "kind"), [(SMALL, "pretrain"), (FIVE, "finetune")])
def test_export_for_the_official_code(tmp_path, config, kind):
    state = (pretrained() if kind == "pretrain" else finetuned()).state_dict()
    run = make_run(tmp_path / "run", config, kind, state)
    path = export(run, tmp_path / "out" / "weights.pth", to="official")
    plain = torch.load(path, weights_only=True)
    assert list(plain) == ["model"] and equal(dict(sorted(plain["model"].items())), dict(sorted(state.items())))
    assert equal(read_weights(path).tensors, plain["model"])
    with pytest.raises(WeightsError, match=r"expected the name of a \.pth file"):
        export(run, tmp_path / "out", to="official")
