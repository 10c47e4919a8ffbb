"""The reference's numbers, and small models to compute with."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.conftest import SHARED

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from tiktokactions.model.config import ModelConfig  # noqa: E402

MICRO = ModelConfig("micro", 48, 2, 3, 24, 3, decoder_depth=1, height=64, width=64)
"""The geometry of the reference vectors: 8 × 4 × 4 tokens."""


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    path = SHARED / "reference" / "videomae_v2_vectors.pt"
    if not path.exists():
        pytest.skip(f"{path}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'reference'")
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


@pytest.fixture
def micro() -> ModelConfig:
    return MICRO


@pytest.fixture
def micro5() -> ModelConfig:
    """With five classes."""
    return dataclasses.replace(MICRO, classes=5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
