"""Models of a few thousand weights, and the files that hold them."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

import safetensors.torch
import torch

from tiktokactions.model.autoencoder import pretraining_model
from tiktokactions.model.classification import classifier
from tiktokactions.model.config import ModelConfig

SMALL = ModelConfig(
    name="custom",
    embed_dim=48,
    depth=2,
    heads=3,
    decoder_dim=24,
    decoder_heads=3,
    decoder_depth=1,
    frames=4,
    height=32,
    width=64,
)
FIVE = ModelConfig(**(asdict(SMALL) | {"classes": 5}))
TWO = ModelConfig(**(asdict(SMALL) | {"classes": 2}))


def pretrained(seed=0, config=SMALL):
    torch.manual_seed(seed)
    return pretraining_model(config)


def finetuned(config=FIVE, seed=1):
    torch.manual_seed(seed)
    return classifier(config, init_scale=1.0)


def equal(got, expected):
    return list(got) == list(expected) and all(torch.equal(got[name], expected[name]) for name in expected)


def official_checkpoint(state, **more):
    """What the official training scripts save."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    namespace = argparse.Namespace(model="pretrain_videomae_base_patch16_224", lr=1.5e-4, betas=[0.9, 0.95])
    return {"model": state, "optimizer": optimizer.state_dict(), "epoch": 7, "args": namespace} | more


def make_run(folder, config, kind, state, labels=None, change=None):
    folder.mkdir(parents=True, exist_ok=True)
    about = {"kind": kind, "model": asdict(config), "labels": labels} | (change or {})
    (folder / "run.json").write_text(json.dumps(about))
    safetensors.torch.save_file(state, folder / "model.safetensors")
    return folder
