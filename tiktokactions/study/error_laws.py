"""Laws of the error against the size, fitted in the logarithm of the error: M1 to M4 of Alabdulmohsin et al. 2022,
"Revisiting neural scaling laws in language and vision". Sizes are shares of the largest measured one, as in :mod:`families`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from tiktokactions.study.families import Family
from tiktokactions.study.fitting import Fit, aicc
from tiktokactions.study.least_squares import Array, least_squares
from tiktokactions.study.measurements import Measurements

LEAST_ERROR = 1e-4
"""An error of nothing has no logarithm."""
CONSULTED = ("M3", "M4")
"""The laws between which and its own centre the posterior takes the middle: the choice that erred least on real curves
(``docs/log.md``)."""
PLATEAUS = 0.25
"""The chance of a plateau before anything was measured."""
FARTHEST = 1e6
"""Times the largest size: beyond it no size is looked for."""

LogError = Callable[[Array, Array], Array]
"""(logarithms of shares (N,), parameters (S, P)) to logarithms of errors (S, N)."""


def _m1(x: Array, p: Array) -> Array:
    return p[:, :1] - np.exp(p[:, 1:2]) * x


def _m2(x: Array, p: Array) -> Array:
    return np.asarray(np.logaddexp(_m1(x, p), p[:, 2:3]))


def _m3(x: Array, p: Array) -> Array:
    return p[:, :1] + np.exp(p[:, 1:2]) * np.logaddexp(-x, p[:, 2:3])


def _m4(x: Array, p: Array) -> Array:
    """(error - least) / (most - error)^alpha = beta x^-c, solved by Newton's steps in the logit between both ends."""
    least, alpha = np.exp(p[:, 2:3]), np.exp(p[:, 3:4])
    width = np.maximum(1 / (1 + np.exp(-p[:, 4:5])) - least, 1e-6)
    wanted = _m1(x, p) - (1 - alpha) * np.log(width)
    t = wanted / np.maximum(1.0, alpha)
    for _ in range(12):
        below, above = -np.logaddexp(0, -t), -np.logaddexp(0, t)
        t = np.clip(t - (below - alpha * above - wanted) / (np.exp(above) + alpha * np.exp(below)), -60, 60)
    return np.asarray(np.log(least + width * np.exp(-np.logaddexp(0, -t))))


def _plateau(x: Array, p: Array) -> Array:
    return np.asarray(np.logaddexp(p[:, :1] - np.exp(p[:, 1:2] + x), p[:, 2:3]))


def error_law(
    name: str,
    parameters: tuple[str, ...],
    log_error: LogError,
    lower: Sequence[float],
    upper: Sequence[float],
    tried: Sequence[Sequence[float]],
) -> Family:
    """A law as a family. ``tried``: starts of each parameter; those of the first are added to the last error's logarithm."""

    def value(shares: Array, inside: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(1 - np.exp(np.minimum(log_error(np.log(shares), inside), 0.0)))

    def inverse(accuracies: Array, inside: Array) -> Array:
        low = np.full((len(inside), len(accuracies)), -np.log(FARTHEST))
        high, wanted = -low, np.log(1 - accuracies)
        for _ in range(40):
            middle = (low + high) / 2
            columns = [log_error(middle[:, [i]].ravel(), inside).diagonal() for i in range(len(accuracies))]
            short = wanted < np.array(columns).T
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return np.where(high < np.log(FARTHEST) - 1e-6, np.exp(high), np.inf)

    def starts(_: Array, accuracies: Array) -> Array:
        found = np.array(list(itertools.product(*tried)), float)
        found[:, 0] += np.log(max(1 - accuracies[-1], LEAST_ERROR))
        return found

    return Family(
        name=name,
        kind="law",
        parameters=parameters,
        logarithmic=tuple(p != "most" for p in parameters),
        lower=np.array(lower, float),
        upper=np.array(upper, float),
        free_bounds=(True,) * len(parameters),
        value=value,
        starts=starts,
        inverse=inverse,
    )


_BETA, _EXPONENT, _LEAST = (0.0,), (-2.3, -1.2, -0.3), (-8.0, -3.0, -1.2)
_FORMS: tuple[
    tuple[str, LogError, tuple[str, ...], tuple[float, ...], tuple[float, ...], tuple[Sequence[float], ...]], ...
] = (
    ("M1", _m1, ("beta", "exponent"), (-9, -7), (3, 2), (_BETA, _EXPONENT)),
    ("M2", _m2, ("beta", "exponent", "least"), (-9, -7, -12), (3, 2, -0.01), (_BETA, _EXPONENT, _LEAST)),
    ("M3", _m3, ("beta", "exponent", "bend"), (-9, -7, -12), (6, 2, 8), (_BETA, _EXPONENT, (-8.0, -1.0, 1.5))),
    (
        "M4",
        _m4,
        ("beta", "exponent", "least", "alpha", "most"),
        (-9, -7, -12, -3, -3),
        (9, 2.5, -0.01, 3, 9),
        (_BETA, (-1.2, 0.0), (-8.0, -2.0), (0.0,), (0.0, 2.0, 6.0)),
    ),
)


@functools.cache
def error_laws() -> tuple[Family, ...]:
    """M1 to M4."""
    return tuple(error_law(name, names, form, low, high, tried) for name, form, names, low, high, tried in _FORMS)


@functools.cache
def plateau_law() -> Family:
    """The error falls exponentially, and soon nothing but a rest is left: what curves seldom do, and few sizes cannot rule
    out."""
    tried = (0.0, 2.0, 4.0), (0.0, 1.0, 1.8), (-8.0, -3.0, -1.2)
    return error_law("plateau", ("beta", "rate", "least"), _plateau, (-9, -3, -12), (9, 4, -0.01), tried)


def plateau_chance(plateau: Fit, others: Sequence[Fit]) -> float:
    """How probable the plateau is beside M2 and M3, which have as many parameters, by their AICc; 0.25 before anything was
    measured."""
    best = min((fit.aicc for fit in others if fit.name in ("M2", "M3") and fit.aicc is not None), default=None)
    odds = PLATEAUS / (1 - PLATEAUS)
    if best is not None and plateau.aicc is not None:
        odds *= float(np.exp(np.clip((best - plateau.aicc) / 2, -30, 30)))
    return odds / (1 + odds)


def fit_error_law(law: Family, measured: Measurements) -> Fit:
    """Least squares of the logarithm of the error, each size counted as often as it was measured."""
    logs = np.log(np.clip(1 - measured.means, LEAST_ERROR, 1.0))

    def curve(parameters: Array) -> Array:
        return np.log(np.maximum(1 - law.value(measured.shares, parameters), LEAST_ERROR))

    starts = law.starts(measured.shares, measured.means)
    bounds = law.lower, law.upper
    found = least_squares(curve, starts, logs, measured.counts, *bounds, steps=60, gain=1e-6, patience=4)
    inside = found.parameters[int(np.argmin(found.sse))]
    off = law.value(measured.shares, inside[None])[0] - measured.means
    sse = float(np.sum(measured.counts * off**2)) + measured.within
    flags = ("too_many_parameters",) if len(measured.sizes) <= len(law.parameters) else ()
    return Fit(law, inside, sse, aicc(sse, measured.total, len(law.parameters)), flags)


def consulted(fits: Sequence[Fit], shares: Array) -> Array:
    """(laws, N) accuracies by the laws that the posterior consults."""
    return np.array([fit.family.value(shares, fit.inside[None])[0] for fit in fits if fit.name in CONSULTED])
