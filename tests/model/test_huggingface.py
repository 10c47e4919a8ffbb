"""Folders of Hugging Face transformers: opened by it without a word, and giving what our models give."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict

import pytest
import safetensors.torch
import torch

from tests.model.small_models import FIVE, SMALL, equal, finetuned, make_run, pretrained
from tiktokactions.model.autoencoder import pretraining_model, reconstruction_loss, reconstruction_target
from tiktokactions.model.classification import classifier
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.export import export
from tiktokactions.model.huggingface import from_huggingface, to_huggingface
from tiktokactions.model.vit import sine_positions
from tiktokactions.model.weights import WeightsError, load_into, read_weights

LABELS = ("clap", "jump", "run", "wave", "été")
GEOMETRIES = {
    "rectangle": SMALL,
    "square": ModelConfig(**(asdict(SMALL) | {"width": 32})),
    "patch 14, mlp 48/11": ModelConfig(
        **(asdict(SMALL) | {"patch": 14, "height": 28, "width": 28, "embed_dim": 66, "mlp_ratio": 48 / 11})
    ),
    "tubelet 1, deeper decoder": ModelConfig(
        **(asdict(SMALL) | {"tubelet": 1, "decoder_depth": 3, "decoder_dim": 32, "decoder_heads": 4})
    ),
}


@pytest.fixture(scope="module")
def transformers():
    try:
        return importlib.import_module("transformers")
    except ImportError:
        pytest.skip("needs transformers, to compare with (pip install transformers)")


def perturbed(model, seed=5):
    """Every weight moved, so that biases and norms matter."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def clips(config, seed=6):
    return torch.randn(2, 3, config.frames, config.height, config.width, generator=torch.Generator().manual_seed(seed))


def hidden_tokens(config, share=0.75, seed=7):
    order = torch.rand(2, config.tokens, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return order < int(share * config.tokens)


def open_silently(kind, folder, capfd):
    """``from_pretrained``, with nothing missing, nothing unexpected and nothing said."""
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    said = "".join(capfd.readouterr())
    assert "LOAD REPORT" not in said and "warn" not in said.lower(), said
    return model.eval()


def with_classes(config, classes):
    return ModelConfig(**(asdict(config) | {"classes": classes}))


# --- ours to theirs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", GEOMETRIES)
@torch.no_grad()
def test_pretraining_gives_the_same_there(transformers, tmp_path, capfd, geometry):
    config = GEOMETRIES[geometry]
    ours = perturbed(pretraining_model(config))
    to_huggingface(config, ours.state_dict(), tmp_path / "hf")
    theirs = open_silently(transformers.VideoMAEForPreTraining, tmp_path / "hf", capfd)

    video, mask = clips(config), hidden_tokens(config)
    expected = ours(video, mask)
    got = theirs(video.transpose(1, 2), bool_masked_pos=mask)
    assert got.logits.shape == expected.shape == (2, int(mask[0].sum()), config.token_values)
    torch.testing.assert_close(got.logits, expected, atol=1e-4, rtol=0)
    loss = reconstruction_loss(expected, reconstruction_target(video, ~mask, config), torch.ones(expected.shape[:2]))
    torch.testing.assert_close(got.loss, loss, atol=0, rtol=1e-5)


@torch.no_grad()
def test_pretraining_without_normalised_targets(transformers, tmp_path, capfd):
    ours = perturbed(pretraining_model(SMALL))
    to_huggingface(SMALL, ours.state_dict(), tmp_path, normalised_target=False)
    theirs = open_silently(transformers.VideoMAEForPreTraining, tmp_path, capfd)
    video, mask = clips(SMALL), hidden_tokens(SMALL)
    target = reconstruction_target(video, ~mask, SMALL, normalise=False)
    loss = reconstruction_loss(ours(video, mask), target, torch.ones(target.shape[:2]))
    torch.testing.assert_close(theirs(video.transpose(1, 2), bool_masked_pos=mask).loss, loss, atol=0, rtol=1e-5)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@torch.no_grad()
def test_classification_gives_the_same_there(transformers, tmp_path, capfd, geometry):
    config = with_classes(GEOMETRIES[geometry], 5)
    ours = perturbed(classifier(config, init_scale=1.0))
    to_huggingface(config, ours.state_dict(), tmp_path / "hf", labels=LABELS)
    theirs = open_silently(transformers.VideoMAEForVideoClassification, tmp_path / "hf", capfd)

    video = clips(config)
    torch.testing.assert_close(theirs(video.transpose(1, 2)).logits, ours(video), atol=1e-4, rtol=0)
    assert theirs.config.id2label == dict(enumerate(LABELS)) and theirs.config.label2id["été"] == 4


def test_an_export_of_a_classifier_starts_a_fine_tuning_there(transformers, tmp_path):
    to_huggingface(FIVE, finetuned().state_dict(), tmp_path)
    _, info = transformers.VideoMAEForVideoClassification.from_pretrained(
        tmp_path, num_labels=2, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert {name for name, *_ in info["mismatched_keys"]} == {"classifier.weight", "classifier.bias"}
    assert not info["missing_keys"] and not info["unexpected_keys"]


# --- theirs to ours ------------------------------------------------------------------------------------------------


def their_config(transformers, config, **more):
    return transformers.VideoMAEConfig(
        image_size=[config.height, config.width],
        patch_size=config.patch,
        num_frames=config.frames,
        tubelet_size=config.tubelet,
        hidden_size=config.embed_dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        intermediate_size=config.mlp_dim,
        decoder_hidden_size=config.decoder_dim,
        decoder_num_attention_heads=config.decoder_heads,
        decoder_num_hidden_layers=config.decoder_depth,
        decoder_intermediate_size=4 * config.decoder_dim,
        **more,
    )


@pytest.mark.parametrize("original_format", [True, False], ids=["q_bias", "query.bias"])
@torch.no_grad()
def test_their_pretraining_gives_the_same_here(transformers, tmp_path, original_format):
    config = their_config(transformers, SMALL, use_mean_pooling=False)
    theirs = perturbed(transformers.VideoMAEForPreTraining(config))
    theirs.save_pretrained(tmp_path, save_original_format=original_format)
    assert any(name.endswith("q_bias") for name in saved_names(tmp_path)) is original_format

    read = read_weights(tmp_path)
    assert (read.format, read.kind, read.config, read.labels) == ("huggingface", "pretrain", SMALL, None)
    ours = pretraining_model(SMALL)
    assert not load_into(ours, read.tensors, what="theirs").fresh
    video, mask = clips(SMALL), hidden_tokens(SMALL)
    expected = theirs(video.transpose(1, 2), bool_masked_pos=mask).logits
    torch.testing.assert_close(ours(video, mask), expected, atol=1e-4, rtol=0)


def saved_names(folder):
    return list(safetensors.torch.load_file(folder / "model.safetensors"))


@pytest.mark.parametrize("qv_bias", [True, False])
@torch.no_grad()
def test_their_classifier_gives_the_same_here(transformers, tmp_path, qv_bias):
    config = their_config(transformers, SMALL, qv_bias=qv_bias, id2label=dict(enumerate(LABELS)))
    theirs = perturbed(transformers.VideoMAEForVideoClassification(config))
    theirs.save_pretrained(tmp_path)

    config, tensors, labels = from_huggingface(tmp_path)
    assert (config, labels) == (FIVE, LABELS)
    ours = classifier(config).eval()
    assert not load_into(ours, tensors, what="theirs").fresh
    video = clips(config)
    torch.testing.assert_close(ours(video), theirs(video.transpose(1, 2)).logits, atol=1e-4, rtol=0)


def test_their_bare_model_is_an_encoder(transformers, tmp_path):
    theirs = transformers.VideoMAEModel(their_config(transformers, SMALL, use_mean_pooling=False))
    theirs.save_pretrained(tmp_path)
    read = read_weights(tmp_path)
    ours = finetuned()
    report = load_into(ours, read.tensors, what="theirs")
    assert read.kind == "encoder" and report.fresh
    assert torch.equal(ours.patch_embed.proj.weight, theirs.embeddings.patch_embeddings.projection.weight)


# --- round trips, without transformers -----------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("classes", [0, 5])
def test_there_and_back_is_the_same(tmp_path, geometry, classes):
    config = with_classes(GEOMETRIES[geometry], classes)
    state = (perturbed(classifier(config)) if classes else perturbed(pretraining_model(config))).state_dict()
    to_huggingface(config, state, tmp_path, labels=LABELS if classes else None)
    got_config, tensors, labels = from_huggingface(tmp_path)
    assert got_config == config and labels == (LABELS if classes else None)
    assert equal(dict(sorted(tensors.items())), dict(sorted(state.items())))
    assert read_weights(tmp_path / "model.safetensors").format == "huggingface"


def test_sizes_keep_their_names(tmp_path):
    config = model_config("tiny", classes=3)
    to_huggingface(config, classifier(config).state_dict(), tmp_path)
    assert from_huggingface(tmp_path)[0] == config
    assert from_huggingface(tmp_path)[2] is None  # LABEL_0 … are no names


def test_older_files_are_read(tmp_path):
    """Pickled weights, in parts, with position tables and with a bias of keys, which changes nothing."""
    to_huggingface(SMALL, pretrained().state_dict(), tmp_path)
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    stored["videomae.embeddings.position_embeddings"] = sine_positions(16, 48)[None]
    stored["videomae.encoder.layer.0.attention.attention.key.bias"] = torch.ones(48)
    names = sorted(stored)
    shards = {"a.bin": names[:10], "b.bin": names[10:]}
    for shard, inside in shards.items():
        torch.save({name: stored[name] for name in inside}, tmp_path / shard)
    weight_map = {name: f"../elsewhere/{shard}" for shard, inside in shards.items() for name in inside}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    tensors = from_huggingface(tmp_path)[1]
    assert equal(dict(sorted(tensors.items())), dict(sorted(pretrained().state_dict().items())))


def test_preprocessing_is_ours(tmp_path):
    to_huggingface(SMALL, pretrained().state_dict(), tmp_path)
    told = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert told["crop_size"] == {"height": 32, "width": 64} and told["size"] == {"shortest_edge": 64}
    assert told["image_mean"] == [0.485, 0.456, 0.406] and told["image_std"] == [0.229, 0.224, 0.225]


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "vivit"}, "model_type: got 'vivit', expected videomae"),
        ({"num_channels": 1}, "num_channels: got 1, expected 3"),
        ({"hidden_act": "relu"}, "hidden_act: got 'relu', expected gelu"),
        ({"layer_norm_eps": 1e-3}, "layer_norm_eps: got 0.001"),
        ({"use_mean_pooling": False}, r"use_mean_pooling: got False, expected true \(a classifier of the mean"),
        ({"patch_size": [16, 8]}, r"patch_size: got \[16, 8\], expected a square"),
        ({"image_size": "large"}, "image_size: got 'large', expected something like 224"),
        ({"image_size": 40}, "height: got 40, expected a multiple of the patch"),
        ({"num_frames": 5}, "frames: got 5"),
        ({"num_hidden_layers": 3}, "expected, but not there: blocks.2.norm1.weight"),
        ({"num_hidden_layers": 1}, "there, but not expected: videomae.encoder.layer.1.layernorm_before.weight"),
        ({"intermediate_size": 96}, r"mlp.fc1.weight: got \(192, 48\), expected \(96, 48\)"),
        ({"id2label": {"0": "a", "1": "b"}}, "got 2 labels, expected 5"),
        ({"id2label": {"a": "0"}}, "id2label: expected names for the classes 0 to 0"),
    ],
)
def test_folders_that_are_not_ours(tmp_path, change, message):
    to_huggingface(FIVE, finetuned().state_dict(), tmp_path, labels=LABELS)
    told = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(told | change))
    with pytest.raises(WeightsError, match=message):
        from_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"use_mean_pooling": True}, "false .an encoder with its last norm"),
        ({"decoder_intermediate_size": 48}, r"decoder.blocks.0.mlp.fc1.weight: got \(96, 24\), expected \(48, 24\)"),
    ],
)
def test_pretraining_folders_that_are_not_ours(tmp_path, change, message):
    to_huggingface(SMALL, pretrained().state_dict(), tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(told | change))
    with pytest.raises(WeightsError, match=message):
        from_huggingface(tmp_path)


def test_folders_without_files(tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json: not a readable JSON file"):
        from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "videomae"}')
    with pytest.raises(WeightsError, match=r"expected model\.safetensors or pytorch_model\.bin"):
        from_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("config", "state", "labels", "message"),
    [
        (FIVE, finetuned().state_dict(), ("a", "b"), "got 2 different labels, expected 5"),
        (FIVE, finetuned().state_dict(), ("a", "a", "b", "c", "d"), "got 4 different labels, expected 5"),
        (with_classes(SMALL, 3), finetuned().state_dict(), None, r"head.bias: got \(5,\), expected \(3,\)"),
        (SMALL, {n: t for n, t in pretrained().state_dict().items() if n != "mask_token"}, None, "mask_token"),
        (SMALL, {"patch_embed.proj.bias": torch.ones(48)}, None, "an encoder alone has no outputs"),
    ],
    ids=["labels", "doubled labels", "classes", "incomplete", "encoder"],
)
def test_nothing_half_is_written(tmp_path, config, state, labels, message):
    with pytest.raises(WeightsError, match=message):
        to_huggingface(config, state, tmp_path, labels=labels)
    assert not list(tmp_path.iterdir())


# --- from a run ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_export_of_a_run(transformers, tmp_path, capfd):
    model = perturbed(finetuned())
    run = make_run(tmp_path / "run", FIVE, "finetune", model.state_dict(), list(LABELS))
    folder = export(run, tmp_path / "hf", to="huggingface")
    theirs = open_silently(transformers.VideoMAEForVideoClassification, folder, capfd)
    video = clips(FIVE)
    torch.testing.assert_close(theirs(video.transpose(1, 2)).logits, model(video), atol=1e-4, rtol=0)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors", "preprocessor_config.json"]


def test_export_needs_a_folder_of_its_own(tmp_path):
    run = make_run(tmp_path / "run", SMALL, "pretrain", pretrained().state_dict())
    with pytest.raises(WeightsError, match=r"expected a new or empty folder, got run\.json"):
        export(run, run, to="huggingface")
    first = export(run, tmp_path / "hf", to="huggingface")
    assert export(run, tmp_path / "hf", to="huggingface") == first  # again is fine
    with pytest.raises(WeightsError, match="expected a new or empty folder, got the source"):
        export(first, first, to="huggingface")


def test_export_of_an_official_file(tmp_path):
    config = model_config("tiny", frames=16, decoder_depth=1)
    state = pretraining_model(config).state_dict()
    torch.save({"model": state}, tmp_path / "official.pth")
    export(tmp_path / "official.pth", tmp_path / "hf", to="huggingface")
    got, tensors, _ = from_huggingface(tmp_path / "hf")
    assert got == config and equal(dict(sorted(tensors.items())), dict(sorted(state.items())))
