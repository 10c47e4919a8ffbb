"""What the measurements show before anything is extrapolated: a plateau, a dip, chance level, laws that do not fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tiktokactions.study.fitting import Fit
from tiktokactions.study.measurements import Measurements
from tiktokactions.study.posterior import Posterior, logits

BEYOND_NOISE = 1.65
"""Standard errors that a difference must have to be called one."""
DEEP = 3.0
"""Standard errors of a fall that is called a dip: of the fifteen pairs of six sizes, one falls by two of them by chance."""
PLATEAU, PLATEAU_LOGITS = 0.01, 0.25
"""Where four times the data are expected to add less than this, as a fraction and in logits (near 0 and 1 every change is
small), and what was measured does not rise, growth has ended."""
MISFIT = 0.01
"""A law whose residuals are so improbable beside the spread of runs is said not to fit."""


def findings(
    measured: Measurements, curves: Posterior, laws: Sequence[Fit], chance: float | None
) -> tuple[list[str], list[str]]:
    """Everything that is to be said of the measurements themselves: sentences that come first, and notes that come after."""
    at_chance = chance is not None and measured.means[-1] <= chance + BEYOND_NOISE * _standard_error(measured, curves)
    first, notes = list[str](), list[str]()
    if at_chance and chance is not None:
        first.append(
            f"Still at chance ({100 * chance:.3g} %): these sizes do not show yet whether the model learns anything."
        )
    elif (more := _plateau(measured, curves)) is not None:
        first.append(
            f"No growth beyond noise: with 90 % less than {100 * more:.2g} points more at four times the data."
        )
        if chance is None and measured.means[-1] <= 0.55:  # two classes, or more
            notes.append("a model that only guesses looks like this, too: the number of classes (option classes) tells")
    first += _dips(measured, curves) or _misfit(measured, laws)  # no law falls, so a dip is also a misfit
    if max(measured.counts) == 1:
        notes.append("one run per size: the spread between runs is guessed from the scatter around the curves")
    notes.append(
        "intervals speak of these test clips; their number (option test_clips) makes them speak of all such clips"
        if measured.test_clips is None
        else f"intervals speak of all such clips, not only of the {measured.test_clips:,} that were tested"
    )
    return first, notes


def _standard_error(measured: Measurements, curves: Posterior) -> float:
    """Of the mean at the largest size, the choice of test clips included."""
    level = float(measured.means[-1])
    chosen = level * (1 - level) / measured.test_clips if measured.test_clips else 0.0
    return float(np.sqrt(curves.noise**2 / measured.counts[-1] + chosen))


def _plateau(measured: Measurements, curves: Posterior) -> float | None:
    """What four times the data add at most, with 90 %; None where accuracy grows, or is expected to."""
    (level, _), (middle, most) = curves.quantiles(np.array([1.0, 4.0]), (0.5, 0.9)).tolist()
    ends = middle - level < PLATEAU and np.diff(logits(np.array([level, middle])))[0] < PLATEAU_LOGITS
    return max(most - level, 0.001) if ends and not _grows(measured, curves) else None


def _grows(measured: Measurements, curves: Posterior) -> bool:
    """Whether the upper half of the sizes rises by more than its noise: by a line over the logarithm of the size."""
    upper = slice(min(len(measured.sizes) // 2, len(measured.sizes) - 3), None)
    x, counts = np.log(measured.sizes[upper]), measured.counts[upper]
    x = x - np.average(x, weights=counts)
    spread = float(counts @ x**2)
    return float(counts * x @ measured.means[upper]) / spread > BEYOND_NOISE * curves.noise / np.sqrt(spread)


def _dips(measured: Measurements, curves: Posterior) -> list[str]:
    """The deepest fall from one size to any larger one, beside its standard error."""
    counts, means, freedom = measured.counts, measured.means, measured.total - len(measured.sizes)
    x = np.log(measured.sizes)
    off = means - np.polyval(np.polyfit(x, means, 1), x)  # single runs say no more than how they scatter
    among_runs = measured.within / freedom if freedom else float(off @ off) / (len(off) - 2)
    noise = max(curves.noise, float(np.sqrt(among_runs)))
    falls = np.triu(means[:, None] - means)
    errors = noise * np.sqrt(1 / counts[:, None] + 1 / counts)
    if not (falls > DEEP * errors).any():
        return []
    first, last = np.unravel_index(np.argmax(falls / errors), falls.shape)
    return [
        f"Accuracy falls by {100 * falls[first, last]:.1f} points from {measured.sizes[first]:,.12g} to"
        f" {measured.sizes[last]:,.12g} videos, more than runs vary: a dip that larger sizes may leave, or runs"
        " that were not trained alike."
    ]


def _misfit(measured: Measurements, laws: Sequence[Fit]) -> list[str]:
    """The test of lack of fit, which needs repeated runs: residuals of means beside the spread within sizes."""
    from scipy import stats

    freedom = measured.total - len(measured.sizes)
    best = (0.0, "", 0.0)
    for fit in laws:
        left = len(measured.sizes) - len(fit.inside)
        if left < 1 or freedom < 3 or measured.within == 0:
            continue
        off = fit.family.value(measured.shares, fit.inside[None])[0] - measured.means
        ratio = float(measured.counts @ off**2) / left / (measured.within / freedom)
        best = max(best, (float(stats.f.sf(ratio, left, freedom)), fit.name, float(np.abs(off).max())))
    chance, name, miss = best
    if not name or chance >= MISFIT:
        return []
    return [
        f"No law follows these measurements: the nearest, {name}, misses a size by {100 * miss:.1f} points, which the spread"
        " of the runs does not explain. The interval may be too narrow; measure larger sizes before trusting it."
    ]
