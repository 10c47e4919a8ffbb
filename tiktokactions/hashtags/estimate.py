"""View counts of hashtags, estimated from a sample of videos, since nobody publishes them.

The estimate covers videos with the hashtag that were created in the sample's period and still exist. Each sampled video
stands for ``weight`` videos that the server showed (see :func:`estimate`). This is a lower bound of a hashtag's views: older,
newer and deleted videos have views too, and so have those that the sample did not reach.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES, RESAMPLES_OF_MANY, MANY = 2000, 200, 10_000
FEWEST = 10
"""Fewer videos give no interval: resampling a handful says nothing about rare videos with many views."""


@dataclass(frozen=True, slots=True)
class ViewEstimate:
    """``views`` and the interval (95 %) around it; no interval from fewer than ten videos."""

    views: float
    low: float | None
    high: float | None
    videos: int
    """Sampled videos with a view count that carry the hashtag."""
    is_lower_bound: bool
    """The sample did not reach all videos of its period, so it misses more than chance explains."""


def estimate(
    hashtag: str, views: Sequence[float], weights: Sequence[float], is_complete: bool, seed: int = 0
) -> ViewEstimate | None:
    """The sum of ``weights * views``, and how it would vary with other samples; None without any video.

    Args:
        hashtag: seeds the resampling together with ``seed``, so the order of hashtags does not matter.
        views: view counts of the sampled videos, (N,).
        weights: how many videos each of them stands for, at least 1, (N,).
        is_complete: whether every video of the period was sampled or is represented.

    The interval is that of the percentile bootstrap over videos, widened to that of the lognormal model (Cox's method)
    where that is wider: views are heavy-tailed, and the bootstrap alone misses the videos with many views that are in no
    sample (docs/hashtags.md has the measured coverage of both).
    """
    if not len(views):
        return None
    worth = np.asarray(views, float) * np.asarray(weights, float)
    low = high = None
    if len(worth) >= FEWEST:
        digest = hashlib.sha256(f"{seed}/{hashtag}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        count = RESAMPLES if len(worth) < MANY else RESAMPLES_OF_MANY
        sums = [float(worth[rng.integers(0, len(worth), len(worth))].sum()) for _ in range(count)]
        bounds = np.stack([np.quantile(sums, (0.025, 0.975)), _lognormal_bounds(worth)])
        low, high = float(bounds[:, 0].min()), float(bounds[:, 1].max())
    return ViewEstimate(float(worth.sum()), low, high, len(worth), not is_complete)


def _lognormal_bounds(worth: np.ndarray) -> np.ndarray:
    """Cox's interval of the sum of lognormal values, (2,)."""
    logs = np.log1p(worth)
    variance = float(logs.var(ddof=1))
    spread = 1.96 * np.sqrt(variance / len(logs) + variance**2 / (2 * (len(logs) - 1)))
    middle = float(logs.mean()) + variance / 2
    # exp(x) overflows beyond 700, and so uncertain an estimate has no upper end anyway.
    return len(logs) * np.expm1(np.minimum([middle - spread, middle + spread], 700.0))
