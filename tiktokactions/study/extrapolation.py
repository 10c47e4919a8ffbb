"""Which size reaches a target accuracy: the paper's answer (section 7, Table 5), and an honest one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tiktokactions.errors import UsageError
from tiktokactions.records import JsonObject
from tiktokactions.study.every_family import fit_all
from tiktokactions.study.families import PAPER
from tiktokactions.study.fitting import Fit
from tiktokactions.study.measurements import Measurements
from tiktokactions.study.options import TARGETS, Method
from tiktokactions.study.uncertainty import LEVEL, Backtest, Ensemble, backtest, believable, ensemble, weighted_quantile

WIDEST = 10.0
"""An interval of sizes whose ends differ by more than this factor is too wide to plan with."""
SHOWN = (1, 1.5, 2, 3, 5, 10)
"""Multiples of the largest size at which the accuracy is predicted."""
NEXT_SIZE_LIMIT = 2.0
"""The next size to measure is looked for up to this many times the largest."""


@dataclass(frozen=True)
class Answer:
    """The size that a target needs. None for a size: more than the curves can reach, or than can be told."""

    target: float
    size: float | None
    low: float | None
    high: float | None
    share_reaching: float
    """Weight of the curves that reach the target at any size."""


@dataclass(frozen=True)
class Expected:
    """The accuracy to expect of a number of videos, with its 90 % interval."""

    size: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Extrapolation:
    """The result of an extrapolation."""

    method: Method
    measured: Measurements
    targets: tuple[float, ...]
    fits: tuple[Fit, ...]
    """All families, by squared error."""
    answers: tuple[Answer, ...] = ()
    curves: Ensemble | None = None
    backtests: tuple[Backtest, ...] = ()
    next_size: float | None = None
    """The size whose measurement would tell the most."""
    tells_until: float | None = None
    """The size up to which the 90 % interval of accuracy is narrower than five points."""
    sentence: str = ""
    notes: tuple[str, ...] = ()

    def at(self, size: float) -> Expected:
        """The accuracy to expect with ``size`` videos.

        Raises:
            UsageError: no size, or the measurements cannot tell.
        """
        if not 0 < size < math.inf:
            raise UsageError(f"`size`: got {size:g}, expected a number of videos above 0")
        if self.curves is None:
            raise UsageError(f"the accuracy at {videos(size)} videos cannot be told: {self.sentence or self.notes[0]}")
        low, middle, high = self.curves.accuracy_intervals(np.array([size]))[0].tolist()
        return Expected(float(size), middle, low, high)

    def weights(self) -> dict[str, float]:
        """Each family's share of the answer, by name; empty where there is none."""
        if self.curves is None:
            return {}
        return dict(zip((fit.name for fit in self.curves.fits), self.curves.weights.tolist(), strict=True))

    def shown(self) -> list[Fit]:
        """Fits for people. ``paper``: the ten families of Table 5 and every other CDF that fits no worse than the tenth of
        them; ``honest``: the families that share the answer, and the ten best others; by squared error."""
        if self.method == "paper":
            cdfs = [fit for fit in self.fits if fit.family.kind == "cdf"]
            last = max((i for i, fit in enumerate(cdfs) if fit.name in PAPER), default=9)
            return [fit for i, fit in enumerate(cdfs) if i < 10 or fit.name in PAPER or i <= last < 40]
        sharing = believable(self.fits)
        others = [fit for fit in self.fits if fit not in sharing][:10]
        return [fit for fit in self.fits if fit in sharing or fit in others]

    def as_json(self) -> JsonObject:
        """All of it; ``families`` by squared error, ``answer`` by target. Sizes are videos, accuracies fractions."""
        largest, weights = float(self.measured.sizes[-1]), self.weights()
        return {
            "method": self.method,
            "metric": self.measured.metric,
            "measured": [
                {"size": float(s), "mean": float(np.mean(r)), "runs": list(r)}
                for s, r in zip(self.measured.sizes, self.measured.runs, strict=True)
            ],
            "families": [
                {
                    "name": fit.name,
                    "kind": fit.family.kind,
                    "sse": fit.sse,
                    "aicc": fit.aicc,
                    "weight": weights.get(fit.name, 0.0),
                    "parameters": fit.family.outside(fit.inside, largest),
                    "sizes": {f"{t:g}": None if fit.family.slow else size_at(fit, t, largest) for t in self.targets},
                    "flags": list(fit.flags),
                }
                for fit in self.fits
            ],
            "answer": {
                f"{a.target:g}": {k: getattr(a, k) for k in ("size", "low", "high", "share_reaching")}
                for a in self.answers
            },
            "level": LEVEL,
            "backtest": [dataclasses.asdict(b) for b in self.backtests],
            "prediction": [dataclasses.asdict(self.at(largest * n)) for n in SHOWN if self.curves is not None],
            "tells_until": self.tells_until,
            "next_size": self.next_size,
            "sentence": self.sentence,
            "notes": list(self.notes),
        }


def extrapolate_measurements(
    measured: Measurements,
    targets: Sequence[float] = TARGETS,
    *,
    method: Method = "honest",
    draws: int = 500,
    seed: int = 0,
    report: Callable[[str], None] = lambda name: None,
) -> Extrapolation:
    """Fit, rank and, unless only the paper's table is wanted, bootstrap, average and test the extrapolation.

    Args:
        measured: three sizes or more.
        targets: accuracies, fractions between 0 and 1 (the options check them).
        method: ``paper``: best-fitting CDFs and their inverses, no more; ``honest``: with all uncertainty.
        draws: bootstrap samples of each family.
        seed: of the bootstrap.
        report: receives names of families while they are fitted.
    """
    wanted = tuple(sorted(set(targets)))
    fits = tuple(fit_all(measured, report))
    if method == "paper":
        note = "the paper's method: every CDF ends at 100 %, and nothing is said about how sure a size is"
        return Extrapolation(method, measured, wanted, fits, notes=(note,))
    curves = ensemble(fits, measured, draws=draws, seed=seed)
    tests = tuple(backtest(believable(fits), measured)) if len(measured.sizes) > 4 else ()
    notes = _notes(measured, curves)
    if curves is None:
        answers = tuple(Answer(target, None, None, None, 0.0) for target in wanted)
        following = float(measured.sizes[-1] * NEXT_SIZE_LIMIT)
        sentence = (
            f"{len(measured.sizes)} sizes and {measured.total} runs cannot tell how accuracy goes on: no curve with an"
            " asymptote of its own can be tested on them. Measure five sizes or more, three runs each;"
            f" the most informative next size to measure is {videos(following)}."
        )
        return Extrapolation(method, measured, wanted, fits, answers, None, tests, following, None, sentence, notes)
    answers = tuple(_answer(curves, target) for target in wanted)
    until, following = _tells_until(curves), _next_size(curves, wanted)
    sentence = _sentence(answers, measured, until, following)
    return Extrapolation(method, measured, wanted, fits, answers, curves, tests, following, until, sentence, notes)


def size_at(fit: Fit, target: float, largest: float) -> float | None:
    """Size in videos at which a fitted curve meets a target; None: never."""
    found = float(fit.family.inverse(np.array([target]), fit.inside[None])[0, 0]) * largest
    return found if math.isfinite(found) and found > 0 else None


def _answer(curves: Ensemble, target: float) -> Answer:
    sizes, weights = curves.sizes(np.array([target]))
    ends = curves.size_intervals(np.array([target]))[0].tolist()
    low, middle, high = (end if math.isfinite(end) else None for end in ends)
    reaching = float(weights[np.isfinite(sizes[:, 0])].sum())
    return Answer(target, middle, low, high, reaching)


def _tells_until(curves: Ensemble) -> float | None:
    sizes = curves.largest * np.geomspace(1, 100, 60)
    for i, (low, _, high) in enumerate(curves.accuracy_intervals(sizes)):
        if high - low > 0.05:
            return float(sizes[i - 1]) if i else None
    return float(sizes[-1])


def _next_size(curves: Ensemble, targets: Sequence[float]) -> float:
    """The size, up to twice the largest, whose measurement would narrow what is asked for the most.

    A linear prediction of the curve at the size asked for (ten times the largest, or the median size of the first target
    that is not reached yet) from one more run at the candidate; the smallest candidate within 5 % of the best counts.
    """
    asked = curves.largest * 10
    sizes, weights = curves.sizes(np.array(targets))
    for column in sizes.T:
        middle = weighted_quantile(column, weights, 0.5)
        if math.isfinite(middle) and middle > curves.largest:
            asked = min(asked, middle)
            break
    candidates = curves.largest * np.round(np.linspace(0.25, NEXT_SIZE_LIMIT, 36), 2)
    values, weights = curves.accuracies(np.append(candidates, asked))
    centred = values - np.average(values, axis=0, weights=weights)
    spread = np.average(centred**2, axis=0, weights=weights)
    together = np.average(centred * centred[:, -1:], axis=0, weights=weights)
    gain = together[:-1] ** 2 / (spread[:-1] + curves.noise**2) / max(spread[-1], 1e-12)
    return float(candidates[np.flatnonzero(gain >= 0.95 * gain.max())[0]])


def _sentence(answers: Sequence[Answer], measured: Measurements, until: float | None, best_next: float) -> str:
    reached = [a for a in answers if a.target <= measured.means[-1]]
    open_answers = [a for a in answers if a.target > measured.means[-1]]
    parts = []
    if reached:
        parts.append(f"{reached[-1].target:.0%} is reached within the sizes measured")
    if open_answers:
        first = open_answers[0]
        if first.size is not None and first.high is not None:
            parts.append(
                f"to reach {100 * first.target:g} % you need about {videos(first.size)} videos"
                f" ({LEVEL:.0%} interval {videos(first.low)} to {videos(first.high)})"
            )
        elif first.low is not None:
            # A credible curve that is there already says more about the noise than about a size.
            is_beyond = first.low > measured.sizes[-1]
            least = f"with {videos(first.low)} videos or more" if is_beyond else "some with no more than was measured"
            parts.append(
                f"whether {100 * first.target:g} % can be reached cannot be told: {first.share_reaching:.0%} of the credible"
                f" curves ever do, {least}"
            )
        else:
            parts.append(f"{100 * first.target:g} % is out of reach: no credible curve gets there")
        usable = [a for a in open_answers if a.low and a.high and a.high <= WIDEST * a.low]
        last = f"{100 * usable[-1].target:g} %" if usable else f"the {100 * measured.means[-1]:.1f} % already measured"
        parts.append(
            f"the data cannot tell beyond {last}"
            + (f" or {videos(until)} videos (interval wider than 5 points)" if until else "")
        )
    parts.append(f"the most informative next size to measure is {videos(best_next)}")
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def videos(size: float | None) -> str:
    """A size for people: three digits are all that can be meant."""
    if size is None:
        return "no number of"
    if size >= 1e12:
        return f"{size:.1e}"
    digits = 3 - math.ceil(math.log10(max(size, 1)) + 1e-12)
    return f"{round(size, min(digits, 0)):,.0f}"


def _notes(measured: Measurements, curves: Ensemble | None) -> tuple[str, ...]:
    notes = []
    if max(measured.counts) == 1:
        notes.append("one run per size: the spread between runs is guessed from the scatter around the curves")
    falls = int(np.sum(np.diff(measured.means) < 0))
    if falls:
        notes.append(f"accuracy falls between neighbouring sizes {falls} time(s); treated as noise, every curve rises")
    if curves is None:
        notes.append("no answer: every curve has too many parameters for these measurements or is not settled by them")
    return tuple(notes)


def table_rows(found: Extrapolation) -> list[tuple[str, ...]]:
    """Rows for people: rank, family, squared error, AICc, sizes, remarks."""
    largest = float(found.measured.sizes[-1])
    return [
        (
            fit.name,
            f"{fit.sse:.3e}",
            "-" if fit.aicc is None else f"{fit.aicc:.1f}",
            *("-" if (s := size_at(fit, t, largest)) is None else videos_exact(s) for t in found.targets),
            ", ".join(f for f in fit.flags if found.method == "paper" or f != "not_in_paper"),
        )
        for fit in found.shown()
    ]


def videos_exact(size: float) -> str:
    return f"{size:,.0f}" if size < 1e10 else f"{size:.1e}"
