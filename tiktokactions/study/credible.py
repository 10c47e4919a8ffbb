"""Which curves explain the measurements nearly as well as the best one: the range of these is the interval.

This is a profile-likelihood region over all laws at once. A curve belongs to it if its squared error, in units of the runs'
variance, exceeds the best curve's by no more than chance explains in 90 % of studies. Whatever is asked, the interval
reaches from the smallest to the largest answer of these curves. Averaging percentiles of separately
bootstrapped laws was tried first: too wide where several laws fit, too narrow where one fits a little better by luck.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiktokactions.study.fitting import Fit
from tiktokactions.study.least_squares import Array, least_squares
from tiktokactions.study.measurements import Measurements

LUCK = 1.1
"""The best of several laws looks better than it is: as much more error is allowed than beside a single given law. Chosen
once, on simulated curves like the first twelve of ``benchmarks/coverage.py``: the coverage there is no independent evidence;
that of those called unseen is."""
PROBES = np.array([0.15, 0.3, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.8, 4, 6, 10, 20, 50, 200, 1000])
"""Sizes at which the ends of the region are searched, as shares of the largest size."""
HALVINGS = 11
PULL = (-8.0, 1.0)
"""Logarithm of the weight with which a curve is pulled up or down, beside that of one run: from not at all to through it."""


@dataclass(frozen=True)
class Allowance:
    """How much squared error the curves of each fit may have."""

    noise: float
    """Standard deviation of one run, as the best fit sees it."""
    errors: tuple[float, ...]
    """For each fit, over all runs; below its least error if no curve of it is credible."""


def allowance(fits: Sequence[Fit], measured: Measurements, level: float) -> Allowance:
    """Student's t squared, with a degree of freedom less for having chosen among the fits.

    A parameter costs one unit, so that four of them are not better than three for following the noise.
    """
    from scipy import stats

    fewest = min(len(fit.inside) for fit in fits)
    best = min(fits, key=lambda fit: fit.sse)
    freedom = max(1, measured.total - fewest - 1)
    variance = max(best.sse / freedom, 1e-12)
    cost = np.array([len(fit.inside) - fewest for fit in fits], float)
    lowest = min(fit.sse / variance + c for fit, c in zip(fits, cost, strict=True))
    beyond = LUCK * stats.t.ppf((1 + level) / 2, freedom) ** 2
    return Allowance(float(np.sqrt(variance)), tuple(float(variance * (lowest + beyond - c)) for c in cost))


def credible_curves(fit: Fit, measured: Measurements, allowed: float, candidates: Array) -> Array:
    """Curves of one family with a squared error of at most ``allowed``, those at the ends of the region among them.

    Args:
        fit: the family at its best.
        measured: what the curves must explain.
        allowed: squared error over all runs.
        candidates: (S, P) parameters to begin with, such as bootstrap samples.

    Returns:
        (K, P) parameters; none where even the best fit is not good enough.
    """
    room, tried = allowed - measured.within, np.vstack([fit.inside, candidates])
    inside = tried[_errors(fit, measured, tried) <= room]
    if not len(inside):
        return inside
    values = fit.family.value(PROBES, inside)
    ways = {way: inside[np.nanargmax(way * values, axis=0)] for way in (1.0, -1.0)}
    return np.vstack([inside, *(_pulled(fit, measured, room, starts, way) for way, starts in ways.items())])


def _pulled(fit: Fit, measured: Measurements, room: float, starts: Array, way: float) -> Array:
    """For every probe the curve that is highest (``way`` 1) or lowest (-1) there: pulled as hard as its error allows."""
    family, count = fit.family, len(PROBES)
    curve = functools.partial(family.value, np.concatenate([measured.shares, PROBES]))
    values = np.concatenate([measured.means, family.value(PROBES, fit.inside[None])[0] + way])
    weights = np.hstack([np.tile(measured.counts, (count, 1)), np.zeros((count, count))])
    own, bounds = np.arange(count), (family.lower, family.upper)
    best, height = starts.copy(), way * family.value(PROBES, starts)[own, own]
    low, high = np.full(count, PULL[0]), np.full(count, PULL[1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        weights[own, own - count] = 10**middle
        ends = least_squares(curve, best, values, weights, *bounds, steps=20, gain=1e-6, patience=2).parameters
        allowed = _errors(fit, measured, ends) <= room
        low, high = np.where(allowed, middle, low), np.where(allowed, high, middle)
        reached = way * family.value(PROBES, ends)[own, own]
        further = allowed & (reached > height)
        best[further], height[further] = ends[further], reached[further]
    return best


def _errors(fit: Fit, measured: Measurements, parameters: Array) -> Array:
    """(S,) squared errors of the means, each as often as it was measured."""
    off = fit.family.value(measured.shares, parameters) - measured.means
    return np.nan_to_num(np.sum(measured.counts * off**2, axis=1), nan=np.inf)
