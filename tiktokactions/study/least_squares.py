"""Levenberg-Marquardt on many starts at once.

Six points and four parameters make a tiny problem; what costs is calling the curve. Here one call evaluates it for every
start and every step of the numerical Jacobian together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FAR = 1e3
"""Error where a curve is not defined: beyond every accuracy."""
Curve = Callable[[Array], Array]
"""Parameters (S, P) to values (S, N); NaN where the parameters make no sense."""


@dataclass(frozen=True)
class Minimum:
    """Where the starts ended. S starts, P parameters."""

    parameters: Array
    """(S, P)."""
    sse: Array
    """(S,) weighted sums of squared errors; infinite where the curve was never defined."""
    in_time: bool
    arrived: NDArray[np.bool_]
    """(S,) whether the start came to rest off the bounds; the others may have been stopped short of a minimum."""


def least_squares(
    curve: Curve,
    starts: Array,
    values: Array,
    weights: Array,
    lower: Array,
    upper: Array,
    *,
    steps: int = 100,
    gain: float = 1e-11,
    patience: int = 10,
    until: float = float("inf"),
) -> Minimum:
    """Minimise ``sum(weights * (curve(p) - values)**2)`` within bounds, from every start independently.

    Args:
        curve: parameters (S, P) to values (S, N).
        starts: (S, P).
        values: (N,).
        weights: (N,), how many measurements a value is the mean of.
        lower, upper: (P,), bounds of the parameters.
        steps: most steps of each start.
        gain, patience: a start has arrived after ``patience`` steps in a row that each reduced its error by less than the
            share ``gain``.
        until: moment of ``time.thread_time()`` (other programs on the machine do not count) at which to stop.
    """
    root = np.sqrt(weights)

    def errors(parameters: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.nan_to_num((curve(parameters) - values) * root, nan=np.inf, posinf=np.inf, neginf=np.inf)

    best = np.clip(starts, lower, upper)
    error = errors(best)
    sse = _sum_of_squares(error)
    damping = np.full(len(best), 1e-2)
    still = np.zeros(len(best), int)
    open_rows = np.flatnonzero(np.isfinite(sse))
    for _ in range(steps):
        if not len(open_rows) or time.thread_time() > until:
            break
        rows = open_rows
        jacobian = _jacobian(errors, best[rows], error[rows], upper)
        normal = np.einsum("sni,snj->sij", jacobian, jacobian)
        downhill = np.einsum("sni,sn->si", jacobian, error[rows])
        scale = np.einsum("sii->si", normal)
        ridge = damping[rows, None] * scale + 1e-14 * scale.max(1, keepdims=True) + 1e-300
        step = -np.linalg.solve(normal + ridge[:, :, None] * np.eye(best.shape[1]), downhill[..., None])[..., 0]
        trial = np.clip(best[rows] + np.nan_to_num(step), lower, upper)
        trial_error = errors(trial)
        trial_sse = _sum_of_squares(trial_error)
        better = trial_sse < sse[rows]
        gained = np.zeros(len(rows))
        np.divide(sse[rows] - trial_sse, np.maximum(sse[rows], 1e-30), out=gained, where=better)
        still[rows] = np.where(gained < gain, still[rows] + 1, 0)
        won = rows[better]
        best[won], error[won], sse[won] = trial[better], trial_error[better], trial_sse[better]
        damping[rows] = np.where(better, np.maximum(damping[rows] / 4, 1e-12), np.minimum(damping[rows] * 5, 1e12))
        open_rows = rows[(still[rows] < patience) & (sse[rows] > 1e-26)]
    arrived = np.all((best > lower) & (best < upper), axis=1)
    arrived[open_rows] = False
    return Minimum(best, sse, time.thread_time() <= until, arrived)


def _jacobian(errors: Curve, parameters: Array, error: Array, upper: Array) -> Array:
    """(S, N, P) by differences, in one call of the curve; steps turn back where they would leave the bounds."""
    starts, count = parameters.shape
    step = 1e-7 * np.maximum(np.abs(parameters), 1e-1)
    step = np.where(parameters + step > upper, -step, step)
    moved = parameters[:, None, :] + step[:, :, None] * np.eye(count)
    changed = errors(moved.reshape(-1, count)).reshape(starts, count, -1)
    slope = (changed - error[:, None, :]) / step[:, :, None]
    return np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0).transpose(0, 2, 1)


def _sum_of_squares(error: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.einsum("sn,sn->s", error, error)


def trust_region(
    curve: Curve, start: Array, values: Array, weights: Array, lower: Array, upper: Array, *, steps: int
) -> tuple[Array, float]:
    """Parameters (P,) and error where scipy's bounded trust region ends: slower than :func:`least_squares`, but it finds its
    way along bounds and flat valleys, where the steps of that one are cut short."""
    from scipy import optimize

    root = np.sqrt(weights)

    def errors(parameters: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.nan_to_num((curve(parameters) - values) * root, nan=FAR, posinf=FAR, neginf=-FAR)

    def error(parameters: Array) -> Array:
        return errors(parameters[None])[0]

    def slope(parameters: Array) -> Array:
        return _jacobian(errors, parameters[None], error(parameters)[None], upper)[0]

    inner = 1e-9 * (upper - lower)
    inside = np.clip(start, lower + inner, upper - inner)
    found = optimize.least_squares(error, inside, slope, (lower, upper), max_nfev=steps)
    return found.x, 2 * float(found.cost)
