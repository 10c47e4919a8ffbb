"""VideoMAE V2: masked pre-training, fine-tuning, evaluation and prediction. Needs the extra ``train`` (torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiktokactions.model.config import SIZES, ModelConfig, model_config

if TYPE_CHECKING:
    from tiktokactions.model.autoencoder import pretraining_model
    from tiktokactions.model.classification import classifier

__all__ = ["SIZES", "ModelConfig", "classifier", "model_config", "pretraining_model"]


def __getattr__(name: str) -> Any:
    """Load what needs torch when it is asked for."""
    if name == "pretraining_model":
        from tiktokactions.model.autoencoder import pretraining_model

        return pretraining_model
    if name == "classifier":
        from tiktokactions.model.classification import classifier

        return classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
