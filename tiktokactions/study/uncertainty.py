"""How far an extrapolation can be trusted: bootstrap over runs and residuals, averaged over the curves that fit.

A curve that passes through six points says little about the seventh. So every believable family is fitted again and again
to measurements as they might have come out, and each family counts by how well it explains what was measured. The interval
is the range of all curves that are nearly as good as the best (``credible``).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiktokactions.study.credible import allowance, credible_curves
from tiktokactions.study.families import AVERAGED
from tiktokactions.study.fitting import Fit, fit_family
from tiktokactions.study.least_squares import Array, least_squares
from tiktokactions.study.measurements import Measurements

LEVEL = 0.90
SPOILED = {"rigid_tail", "too_many_parameters", "at_bound", "ill_conditioned", "starts_disagree", "few_steps"}
"""Flags that keep a fit out of the answer."""
REFIT_STEPS = 40


@dataclass(frozen=True)
class Ensemble:
    """Possible curves: D draws over the believable families."""

    fits: tuple[Fit, ...]
    weights: Array
    """One for each fit, sum 1."""
    draws: tuple[Array, ...]
    """For each fit (D, P) parameters, inside."""
    credible: tuple[tuple[Fit, Array], ...]
    """Families whose curves make the interval, each with (K, P) parameters."""
    largest: float
    """The largest measured size, in videos."""
    noise: float
    """Standard deviation of one run, as the best fit sees it."""

    def accuracies(self, sizes: Array) -> tuple[Array, Array]:
        """Values (D in all, N) at sizes in videos, and the weight of each draw."""
        shares = np.asarray(sizes, float) / self.largest
        values = [fit.family.value(shares, draws) for fit, draws in zip(self.fits, self.draws, strict=True)]
        return np.vstack(values), self._weights()

    def sizes(self, targets: Array) -> tuple[Array, Array]:
        """Sizes in videos (D in all, T) at which targets are met, infinite where never, and the weight of each draw."""
        found = [self._sizes(fit, curves, targets) for fit, curves in zip(self.fits, self.draws, strict=True)]
        return np.vstack(found), self._weights()

    def accuracy_intervals(self, sizes: Array) -> Array:
        """(N, 3): lower end, median and upper end of the accuracy at sizes in videos."""
        shares = np.asarray(sizes, float) / self.largest
        ends = np.vstack([fit.family.value(shares, curves) for fit, curves in self.credible])
        return _around(*self.accuracies(sizes), ends)

    def size_intervals(self, targets: Array) -> Array:
        """(T, 3): lower end, median and upper end of the size in videos that targets need, infinite where never met."""
        ends = np.vstack([self._sizes(fit, curves, targets) for fit, curves in self.credible])
        return _around(*self.sizes(targets), ends)

    def _sizes(self, fit: Fit, curves: Array, targets: Array) -> Array:
        """At least one video: a flat curve may meet its target at a negative size."""
        return np.maximum(fit.family.inverse(np.asarray(targets, float), curves) * self.largest, 1.0)

    def _weights(self) -> Array:
        return np.concatenate([np.full(len(d), w / len(d)) for w, d in zip(self.weights, self.draws, strict=True)])


def believable(fits: Sequence[Fit]) -> list[Fit]:
    """The laws and the averaged CDFs whose fits have no flag against them."""
    found = [f for f in fits if (f.family.kind == "law" or f.name in AVERAGED) and SPOILED.isdisjoint(f.flags)]
    paid = [fit for fit in found if fit.aicc is not None]
    if paid:
        return paid
    fewest = min((len(fit.family.parameters) for fit in found), default=0)
    return [fit for fit in found if len(fit.family.parameters) == fewest]


def weights_of(fits: Sequence[Fit], measurements: int) -> Array:
    """Akaike weights; of the squared error alone where the correction is infinite for all.

    Before the data speak, each law counts one and all CDFs together one: that accuracy ends at 100 % is an assumption, and
    eight curves that share it are not eight witnesses.
    """
    scores = np.array([fit.aicc if fit.aicc is not None else measurements * np.log(fit.sse) for fit in fits])
    is_cdf = np.array([fit.family.kind == "cdf" for fit in fits])
    weights = np.where(is_cdf, 1 / max(1, is_cdf.sum()), 1.0) * np.exp(-(scores - scores.min()) / 4)
    return np.asarray(weights / weights.sum())


def ensemble(fits: Sequence[Fit], measured: Measurements, *, draws: int = 500, seed: int = 0) -> Ensemble | None:
    """Fit every believable family to ``draws`` sets of measurements as they might have come out.

    Each set is the family's own curve plus its residuals (every run's, resampled with replacement, enlarged for the
    parameters spent), times a factor for not knowing their spread: sqrt(v / chi2(v)) with v degrees of freedom.

    Returns:
        None where no family is believable: too few sizes or runs.
    """
    chosen = believable(fits)
    if not chosen:
        return None
    rng = np.random.default_rng(seed)
    drawn = {fit.name: _refits(fit, measured, draws, rng) for fit in chosen}
    # CDFs end at 100 % by assumption, so they share the average but do not make the interval where laws can.
    free = [fit for fit in chosen if fit.family.kind == "law"] or chosen
    allowed = allowance(free, measured, LEVEL)
    credible = [(f, credible_curves(f, measured, e, drawn[f.name])) for f, e in zip(free, allowed.errors, strict=True)]
    weights, largest = weights_of(chosen, measured.total), float(measured.sizes[-1])
    return Ensemble(tuple(chosen), weights, tuple(drawn.values()), tuple(credible), largest, allowed.noise)


def _refits(fit: Fit, measured: Measurements, draws: int, rng: np.random.Generator) -> Array:
    counts = measured.counts.astype(int)
    curve = functools.partial(fit.family.value, measured.shares)
    fitted = curve(fit.inside[None])[0]
    residuals = np.concatenate([np.array(r) - at for r, at in zip(measured.runs, fitted, strict=True)])
    freedom = measured.total - len(fit.inside)
    residuals = (residuals - residuals.mean()) * np.sqrt(measured.total / freedom)
    drawn = rng.choice(residuals, (draws, measured.total)) * np.sqrt(freedom / rng.chisquare(freedom, (draws, 1)))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    values = fitted + np.add.reduceat(drawn, first, axis=1) / counts
    starts = np.repeat(fit.inside[None], draws, 0)
    bounds = (fit.family.lower, fit.family.upper)
    return least_squares(curve, starts, values, measured.counts, *bounds, steps=REFIT_STEPS).parameters


def weighted_quantile(values: Array, weights: Array, share: float) -> float:
    """The value below which ``share`` of the weight lies; infinite values count as larger than all."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(values) - 1)])


def _around(values: Array, weights: Array, ends: Array) -> Array:
    """(N, 3): the range of ``ends`` (K, N) and within it the weighted median of ``values`` (D, N)."""
    low, high = np.nanmin(ends, axis=0), np.nanmax(ends, axis=0)
    middle = np.array([weighted_quantile(column, weights, 0.5) for column in values.T])
    return np.column_stack([low, np.clip(middle, low, high), high])


@dataclass(frozen=True)
class Backtest:
    """A family fitted without the largest sizes, asked about them."""

    name: str
    sizes_used: int
    errors: tuple[float, ...]
    """Predicted minus measured mean accuracy, for each size left out."""


def backtest(fits: Sequence[Fit], measured: Measurements) -> list[Backtest]:
    """Fit each family to the smaller sizes (all but one, all but two, while four remain) and predict the others."""
    found = []
    for used in range(len(measured.sizes) - 1, max(3, len(measured.sizes) - 3), -1):
        part = measured.first(used)
        if np.ptp(part.means) == 0:
            continue
        for fit in fits:
            again = fit_family(fit.family, part)
            if again is not None:
                predicted = fit.family.value(measured.sizes[used:] / part.sizes[-1], again.inside[None])[0]
                found.append(Backtest(fit.name, used, tuple((predicted - measured.means[used:]).tolist())))
    return found
