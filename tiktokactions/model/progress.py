"""The progress that a training reports, and the error of one that diverges. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tiktokactions.errors import ATTENTION, TiktokactionsError


class NonFiniteLossError(TiktokactionsError, RuntimeError):
    """The loss became infinite or not a number; the message names the step and the clips of the batch."""

    exit_code = ATTENTION


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training, an evaluation or a prediction stands; given to the ``progress`` callback."""

    message: str = ""
    step: int = 0
    """Optimizer steps taken, or videos done."""
    steps: int = 0
    epoch: int = 0
    loss: float | None = None
    lr: float | None = None
    clips_per_s: float | None = None
    loading_share: float | None = None
    """Share of the time spent waiting for clips."""
    seconds_left: float | None = None


Report = Callable[[TrainingProgress], None]
