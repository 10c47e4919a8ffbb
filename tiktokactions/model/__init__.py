"""VideoMAE V2: masked pre-training, fine-tuning, evaluation and prediction. Needs the extra ``train`` (torch)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tiktokactions.model.config import SIZES, ModelConfig, model_config

if TYPE_CHECKING:
    from tiktokactions.model.autoencoder import pretraining_model
    from tiktokactions.model.classification import classifier

__all__ = ["SIZES", "ModelConfig", "classifier", "model_config", "pretraining_model"]

_NEED_TORCH = {"pretraining_model": "autoencoder", "classifier": "classification"}


def __getattr__(name: str) -> object:
    """Load what needs torch when it is asked for."""
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
