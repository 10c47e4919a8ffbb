"""Levenberg-Marquardt on many starts, or many bootstrap samples, at once.

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


def least_squares(
    curve: Curve,
    starts: Array,
    values: Array,
    weights: Array,
    lower: Array,
    upper: Array,
    *,
    steps: int = 100,
    until: float = float("inf"),
) -> Minimum:
    """Minimise ``sum(weights * (curve(p) - values)**2)`` within bounds, from every start independently.

    Args:
        curve: parameters (S, P) to values (S, N).
        starts: (S, P).
        values: (N,), or (S, N) for one set of values per start.
        weights: (N,), how many measurements a value is the mean of.
        lower, upper: (P,), bounds of the parameters.
        steps: most steps of each start.
        until: moment of ``time.monotonic()`` at which to stop with what there is.
    """
    root = np.sqrt(weights)
    target = np.broadcast_to(values, (len(starts), values.shape[-1])) * root

    def errors(parameters: Array, rows: NDArray[np.intp]) -> Array:
        with np.errstate(all="ignore"):
            return np.nan_to_num(curve(parameters) * root - target[rows], nan=np.inf, posinf=np.inf, neginf=np.inf)

    best = np.clip(starts, lower, upper)
    everyone = np.arange(len(best))
    error = errors(best, everyone)
    sse = _sum_of_squares(error)
    damping = np.full(len(best), 1e-2)
    still = np.zeros(len(best), int)
    open_rows = np.flatnonzero(np.isfinite(sse))
    for _ in range(steps):
        if not len(open_rows) or time.monotonic() > until:
            break
        rows = open_rows
        jacobian = _jacobian(errors, best[rows], error[rows], rows, upper)
        normal = np.einsum("sni,snj->sij", jacobian, jacobian)
        downhill = np.einsum("sni,sn->si", jacobian, error[rows])
        scale = np.einsum("sii->si", normal)
        ridge = damping[rows, None] * scale + 1e-14 * scale.max(1, keepdims=True) + 1e-300
        step = -np.linalg.solve(normal + ridge[:, :, None] * np.eye(best.shape[1]), downhill[..., None])[..., 0]
        trial = np.clip(best[rows] + np.nan_to_num(step), lower, upper)
        trial_error = errors(trial, rows)
        trial_sse = _sum_of_squares(trial_error)
        better = trial_sse < sse[rows]
        # Ten times in a row less than a part in 10^11 gained, or nothing gained at all: it has arrived.
        gained = np.zeros(len(rows))
        np.divide(sse[rows] - trial_sse, np.maximum(sse[rows], 1e-30), out=gained, where=better)
        still[rows] = np.where(gained < 1e-11, still[rows] + 1, 0)
        won = rows[better]
        best[won], error[won], sse[won] = trial[better], trial_error[better], trial_sse[better]
        damping[rows] = np.where(better, np.maximum(damping[rows] / 4, 1e-12), np.minimum(damping[rows] * 5, 1e12))
        open_rows = rows[(still[rows] < 10) & (sse[rows] > 1e-26)]
    return Minimum(best, sse, time.monotonic() <= until)


def _jacobian(
    errors: Callable[[Array, NDArray[np.intp]], Array],
    parameters: Array,
    error: Array,
    rows: NDArray[np.intp],
    upper: Array,
) -> Array:
    """(S, N, P) by differences, in one call of the curve; steps turn back where they would leave the bounds."""
    starts, count = parameters.shape
    step = 1e-7 * np.maximum(np.abs(parameters), 1e-1)
    step = np.where(parameters + step > upper, -step, step)
    moved = parameters[:, None, :] + step[:, :, None] * np.eye(count)
    changed = errors(moved.reshape(-1, count), np.repeat(rows, count)).reshape(starts, count, -1)
    slope = (changed - error[:, None, :]) / step[:, :, None]
    return np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0).transpose(0, 2, 1)


def _sum_of_squares(error: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.einsum("sn,sn->s", error, error)
