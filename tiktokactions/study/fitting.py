"""Fitting every family to the measurements, and saying which of the fits can be believed."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiktokactions.study.families import FIXED_INTEGERS, PAPER, Family
from tiktokactions.study.least_squares import Array, least_squares, trust_region
from tiktokactions.study.measurements import Measurements

SECONDS_PER_FAMILY = 1.5
POLISHED_STARTS = 16
FINAL_STARTS = 4
"""The best of the polished starts, which are finished by scipy's trust region: slower, but it does not get stuck."""
STEPS_TO_FINISH = 200
"""At most, for each of them."""
WORST_CONDITION = 1e4
"""Of the Jacobian with columns of equal length: beyond it the parameters are traded against each other freely."""
TIE = 1e-3
"""Relative difference of squared errors below which two families are the same fit."""


@dataclass(frozen=True)
class Fit:
    """One family at its best."""

    family: Family
    inside: Array
    """(P,) parameters as the family moves them."""
    sse: float
    """Over all runs."""
    aicc: float | None
    """None: more parameters than the measurements can pay for (the correction is infinite)."""
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.family.name


def ranked(fits: Iterable[Fit]) -> list[Fit]:
    """By squared error; those within :data:`TIE` of the first of a group by the paper's order, then by parameters."""
    paper = {name: place for place, name in enumerate(PAPER)}
    left = sorted(fits, key=lambda fit: fit.sse)
    found: list[Fit] = []
    while left:
        tied = [fit for fit in left if fit.sse <= left[0].sse * (1 + TIE) + 1e-15]
        found += sorted(tied, key=lambda fit: (paper.get(fit.name, len(paper)), len(fit.family.parameters), fit.sse))
        left = left[len(tied) :]
    return found


def fit_family(family: Family, measured: Measurements) -> Fit | None:
    """The least squares over all starts; None where the family is defined nowhere near the data."""
    means, counts, bounds = measured.means, measured.counts, (family.lower, family.upper)
    curve = functools.partial(family.value, measured.shares)
    until = time.thread_time() + SECONDS_PER_FAMILY
    starts = family.starts(measured.shares, means)
    rough = least_squares(curve, starts, means, counts, *bounds, steps=2 if family.slow else 15, until=until)
    order = np.argsort(rough.sse, kind="stable")[: 1 if family.slow else POLISHED_STARTS]
    fine = least_squares(curve, rough.parameters[order], means, counts, *bounds, steps=80, until=until)
    ends, errors = fine.parameters.copy(), fine.sse.copy()
    for i in np.argsort(errors, kind="stable")[: 0 if family.slow else FINAL_STARTS]:
        if np.isfinite(errors[i]) and not fine.arrived[i]:
            end, error = trust_region(curve, ends[i], means, counts, *bounds, steps=STEPS_TO_FINISH)
            if error < errors[i]:
                ends[i], errors[i] = end, error
    best = int(np.argmin(errors))
    if not np.isfinite(errors[best]):
        return None
    sse = float(errors[best]) + measured.within
    flags = _flags(family, measured, ends, errors, best)
    if not (rough.in_time and fine.in_time) or family.slow:
        flags.append("few_steps")
    return Fit(family, ends[best], sse, aicc(sse, measured.total, len(family.parameters)), tuple(flags))


def aicc(sse: float, measurements: int, parameters: int) -> float | None:
    """Akaike's criterion with the small-sample correction; the noise's spread counts as a parameter."""
    k = parameters + 1
    if measurements - k - 1 <= 0:
        return None
    return measurements * math.log(max(sse, 1e-30) / measurements) + 2 * k + 2 * k * (k + 1) / (measurements - k - 1)


def _flags(family: Family, measured: Measurements, ends: Array, sse: Array, best: int) -> list[str]:
    """Why a fit is not to be believed, in words that ``docs/study.md`` explains."""
    inside, count, is_cdf = ends[best], len(family.parameters), family.kind == "cdf"
    room = 1e-6 * (family.upper - family.lower)
    at_bound = (inside <= family.lower + room) | (inside >= family.upper - room)
    equal = ends[sse <= sse[best] * (1 + TIE) + 1e-12]
    beyond = family.value(np.array([1.0, 1.5, 3.0]), equal)
    told = {
        "not_in_paper": is_cdf and family.name not in PAPER,
        "rigid_tail": is_cdf and (count == 2 or family.name in FIXED_INTEGERS),
        "too_many_parameters": len(measured.sizes) <= count or measured.total < count + 2,
        "at_bound": np.any(at_bound & ~np.array(family.free_bounds)),
        # A parameter at a bound that is allowed (asymptote 100 %) is settled; the others must be.
        "ill_conditioned": _condition(family, measured.shares, inside, np.flatnonzero(~at_bound)) > WORST_CONDITION,
        "starts_disagree": np.nanmax(np.ptp(beyond, axis=0)) > 0.005,
    }
    return [flag for flag, holds in told.items() if holds]


def _condition(family: Family, shares: Array, inside: Array, free: NDArray[np.intp]) -> float:
    if not len(free):  # every parameter is at a bound
        return 1.0
    step = 1e-5 * np.maximum(np.abs(inside), 0.1)
    ways = np.vstack([inside + np.diag(step), inside - np.diag(step)])
    values = family.value(shares, ways)
    jacobian = ((values[: len(inside)] - values[len(inside) :]) / (2 * step[:, None])).T[:, free]
    length = np.linalg.norm(jacobian, axis=0)
    if not np.all(np.isfinite(jacobian)) or np.any(length < 1e-9) or jacobian.shape[0] < jacobian.shape[1]:
        return math.inf
    return float(np.linalg.cond(jacobian / length))
