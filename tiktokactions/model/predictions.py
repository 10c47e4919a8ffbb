"""What prediction gives. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelProbability:
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The most probable labels of a video or of one of its windows, the first the most probable."""

    path: str
    top: tuple[LabelProbability, ...]
    start_s: float | None = None
    """Of the window or clip; None: the whole file."""
    end_s: float | None = None
    reason: str | None = None
    """Why there are no labels: the video cannot be read."""


@dataclass(frozen=True)
class FeaturesWritten:
    """A file of features: one row per video."""

    features: str
    videos: int
    length: int
    """Numbers in a feature."""
    unreadable: dict[str, str]
    """Videos without features, and why."""
