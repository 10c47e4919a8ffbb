"""View counts of hashtags, estimated from a sample of videos, since nobody publishes them.

The estimate covers videos with the hashtag that were created in the sample's period and still exist. Each sampled video
stands for ``weight`` videos: one divided by its inclusion probability. Older, newer and deleted videos have views too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

RESAMPLES, RESAMPLES_OF_MANY, MANY = 2000, 200, 10_000
FEWEST = 10
"""Fewer videos give no interval: resampling a handful says nothing about rare videos with many views."""
_LIGHTEST_TAIL = 1.05
"""Exponents below 1 would mean that a hashtag has no mean number of views at all."""


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
    hashtag: str,
    views: Sequence[float],
    weights: Sequence[float],
    is_complete: bool,
    seed: int = 0,
    size_error: tuple[float, int] = (0.0, 1),
) -> ViewEstimate | None:
    """The sum of ``weights * views``, and how it would vary with other samples; None without any video.

    Args:
        hashtag: seeds the resampling together with ``seed``, so the order of hashtags does not matter.
        views: view counts of the sampled videos, (N,).
        weights: how many videos each of them stands for, at least 1, (N,).
        is_complete: whether every video of the period was sampled or is represented.
        size_error: relative standard error of the number of videos, and its degrees of freedom.

    Views are heavy-tailed, and the bootstrap alone misses the videos with many views that are in no sample. The interval is
    therefore the widest of three: the percentile bootstrap over videos, the lognormal model (Cox's method), and a Pareto tail
    for the videos that were not sampled (docs/hashtags.md has the measured coverage). The uncertain number of videos is added
    on the scale of logarithms.
    """
    if not len(views):
        return None
    seen, weight = np.asarray(views, float), np.asarray(weights, float)
    worth = seen * weight
    total = float(worth.sum())
    low = high = None
    if is_complete and float(weight.max()) == 1.0:
        low = high = total  # nothing was left to chance
    elif len(worth) >= FEWEST:
        digest = hashlib.sha256(f"{seed}/{hashtag}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        count = RESAMPLES if len(worth) < MANY else RESAMPLES_OF_MANY
        sums = [float(worth[rng.integers(0, len(worth), len(worth))].sum()) for _ in range(count)]
        bounds = np.stack([np.quantile(sums, (0.025, 0.975)), _lognormal_bounds(worth)])
        low = float(bounds[:, 0].min())
        high = max(float(bounds[:, 1].max()), _tail_bound(seen, weight, rng))
        error, freedom = size_error
        size = float(student.ppf(0.975, freedom)) * math.log1p(error)
        if size and total and low > 0:
            low = total * math.exp(-math.hypot(math.log(total / min(low, total)), size))
            high = total * math.exp(min(700.0, math.hypot(math.log(max(high, total) / total), size)))
    return ViewEstimate(total, low, high, len(worth), not is_complete)


def _lognormal_bounds(worth: np.ndarray) -> np.ndarray:
    """Cox's interval of the sum of lognormal values, (2,)."""
    logs = np.log1p(worth)
    variance = float(logs.var(ddof=1))
    spread = 1.96 * np.sqrt(variance / len(logs) + variance**2 / (2 * (len(logs) - 1)))
    middle = float(logs.mean()) + variance / 2
    # exp(x) overflows beyond 700, and so uncertain an estimate has no upper end anyway.
    return len(logs) * np.expm1(np.minimum([middle - spread, middle + spread], 700.0))


def _tail_bound(views: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> float:
    """The 97.5 % quantile of the sum, if the largest of the unsampled videos follow a Pareto law (Hill's exponent, lowered by
    most of its standard error)."""
    order = np.argsort(-views)
    seen, weight = views[order], weights[order]
    largest = max(3, min(len(seen) // 2, round(1.5 * math.sqrt(len(seen)))))
    threshold = max(1.0, float(seen[largest]))
    logs = float(np.log(np.maximum(seen[:largest], threshold) / threshold).sum())
    unseen = float(weight[:largest].sum()) - largest
    if logs <= 0 or unseen < 1:
        return 0.0
    exponent = (largest - 1) / logs
    exponent = max(_LIGHTEST_TAIL, exponent - 0.8 * exponent / math.sqrt(largest))
    # The order statistics of a Pareto sample are powers of sums of exponential steps; the small ones are summed by integral.
    drawn = int(min(unseen, 300))
    steps = np.cumsum(rng.exponential(size=(200, drawn)), axis=1)
    tops = threshold * (unseen / steps) ** (1 / exponent)
    power = 1 - 1 / exponent
    rest = threshold * unseen ** (1 / exponent) * max(0.0, unseen**power - drawn**power) / power
    body = float(weight[largest:] @ seen[largest:]) + float(seen[:largest].sum())
    return body + rest + float(np.quantile(tops.sum(axis=1), 0.975))
