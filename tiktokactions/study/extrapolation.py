"""Which size reaches a target accuracy: the paper's answer (section 7, Table 5), and one with its probability."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tiktokactions.errors import UsageError
from tiktokactions.records import JsonObject
from tiktokactions.study.error_laws import consulted, error_laws, fit_error_law, plateau_chance, plateau_law
from tiktokactions.study.every_family import fit_all
from tiktokactions.study.families import PAPER
from tiktokactions.study.findings import findings
from tiktokactions.study.fitting import Fit, ranked
from tiktokactions.study.least_squares import Array
from tiktokactions.study.measurements import Measurements
from tiktokactions.study.options import PAPER_TARGETS, Method
from tiktokactions.study.posterior import LARGEST_MULTIPLE, LEVEL, Plateau, Posterior, posterior

SHOWN = (1, 1.5, 2, 4, 8)
"""Multiples of the largest size at which the accuracy is predicted; the intervals were judged up to the last of them."""
TOLD = (2, 4, 8)
"""Multiples at which the probability of a target is told."""
ASSURANCES = (0.5, 0.8, 0.95)
LADDER = (0.005, 0.01, 0.02, *(n / 20 for n in range(1, 20)), 0.96, 0.97, 0.98, 0.99, 0.995)
"""Accuracies that people ask for: the next five above the level measured are the default targets."""
NEXT_SIZE_LIMIT = 2.0
"""The next size to measure is looked for up to this many times the largest."""


@dataclass(frozen=True)
class Answer:
    """The size that a target needs. None for a size: more than 64 times the largest, or not to be told."""

    target: float
    size: float | None
    """Where the target is reached as likely as not; ``low`` and ``high``: with a probability of 5 and of 95 %."""
    low: float | None
    high: float | None
    probability: float
    """Of reaching it with eight times the largest size: as far as the probabilities were judged on real curves."""
    by_multiple: dict[str, float]
    """The probability with two, four and eight times the largest size."""
    assured: dict[str, float | None]
    """The smallest size with an assurance of 50, 80 and 95 %."""


@dataclass(frozen=True)
class Expected:
    """The accuracy to expect of a number of videos, with its 90 % interval."""

    size: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Backtest:
    """The largest size left out, and what the other sizes said of it."""

    size: float
    accuracy: float
    low: float
    high: float
    measured: float


@dataclass(frozen=True)
class Extrapolation:
    """The result of an extrapolation."""

    method: Method
    measured: Measurements
    targets: tuple[float, ...]
    fits: tuple[Fit, ...]
    """Laws, and where asked for all families, by squared error."""
    answers: tuple[Answer, ...] = ()
    curves: Posterior | None = None
    backtest: Backtest | None = None
    next_size: float | None = None
    """The size whose measurement would tell the most."""
    tells_until: float | None = None
    """The size up to which the 90 % interval of accuracy is narrower than five points."""
    sentence: str = ""
    notes: tuple[str, ...] = ()
    asked: tuple[float, ...] = ()
    """Sizes in videos for which the accuracy was asked."""
    chance: float | None = None
    """The accuracy of guessing, where known."""
    draws: int = 0
    seed: int = 0
    """Of the curves that the figure draws."""

    def at(self, size: float) -> Expected:
        """The accuracy to expect with ``size`` videos.

        Raises:
            UsageError: no size, one far from everything measured, or the paper's method, which gives no interval.
        """
        largest = float(self.measured.sizes[-1])
        if not 0 < size < math.inf:
            raise UsageError(f"`at`: got {size:g}, expected a number of videos above 0")
        if self.curves is None:
            raise UsageError(f"the accuracy at {videos(size)} videos cannot be told: {self.notes[0]}")
        if size > LARGEST_MULTIPLE * largest:
            raise UsageError(
                f"`at`: got {size:,.12g}, expected at most {LARGEST_MULTIPLE:g} times the largest size measured"
                f" ({LARGEST_MULTIPLE * largest:,.12g}): no measurement tells of more"
            )
        low, middle, high = self.curves.quantiles(np.array([size / largest]), _ENDS)[0].tolist()
        return Expected(float(size), middle, low, high)

    def shown(self) -> list[Fit]:
        """Fits for people. ``paper``: the ten families of Table 5 and every other CDF that fits no worse than the tenth of
        them; ``honest``: the laws and, where all families were fitted, the ten best others; by squared error."""
        if self.method == "paper":
            cdfs = [fit for fit in self.fits if fit.family.kind == "cdf"]
            last = max((i for i, fit in enumerate(cdfs) if fit.name in PAPER), default=9)
            return [fit for i, fit in enumerate(cdfs) if i < 10 or fit.name in PAPER or i <= last < 40]
        others = [fit for fit in self.fits if fit.family.kind == "cdf"][:10]
        return [fit for fit in self.fits if fit.family.kind == "law" or fit in others]

    def as_json(self) -> JsonObject:
        """All of it; ``families`` by squared error, ``answer`` by target, ``at`` by size. Accuracies are fractions."""
        largest, told = float(self.measured.sizes[-1]), self.curves is not None
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
                    "parameters": fit.family.outside(fit.inside, largest),
                    "sizes": {f"{t:g}": None if fit.family.slow else size_at(fit, t, largest) for t in self.targets},
                    "flags": list(fit.flags),
                }
                for fit in self.fits
            ],
            "answer": {
                f"{a.target:g}": {k: v for k, v in dataclasses.asdict(a).items() if k != "target"} for a in self.answers
            },
            "at": {f"{n:.12g}": {k: v for k, v in vars(self.at(n)).items() if k != "size"} for n in self.asked if told},
            "level": LEVEL,
            "chance": self.chance,
            "test_clips": self.measured.test_clips,
            "backtest": None if self.backtest is None else dataclasses.asdict(self.backtest),
            "prediction": [dataclasses.asdict(self.at(largest * n)) for n in SHOWN if told],
            "tells_until": self.tells_until,
            "next_size": self.next_size,
            "sentence": self.sentence,
            "notes": list(self.notes),
        }


_ENDS = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)


def extrapolate_measurements(
    measured: Measurements,
    targets: Sequence[float] | None = None,
    *,
    method: Method = "honest",
    at: Sequence[float] = (),
    classes: int | None = None,
    all_families: bool = False,
    draws: int = 20,
    seed: int = 0,
    report: Callable[[str], None] = lambda name: None,
) -> Extrapolation:
    """What the measurements say of larger sizes.

    Args:
        measured: three sizes or more.
        targets: accuracies, fractions between 0 and 1 (the options check them); None: those that follow the level measured.
        method: ``paper``: best-fitting CDFs and their inverses, no more; ``honest``: a posterior over curves.
        at: sizes in videos for which the accuracy is asked.
        classes: how many there are, which tells what guessing reaches.
        all_families: fit every distribution of scipy too, for the table; the answer is the same.
        draws, seed: curves of the posterior that the figure draws.
        report: receives names of families while they are fitted.
    """
    if method == "paper":
        if at:
            raise UsageError("`at`: the paper's method gives no interval; expected the default method")
        note = "the paper's method: every CDF ends at 100 %, and nothing is said about how sure a size is"
        wanted = tuple(sorted(set(targets or PAPER_TARGETS)))
        return Extrapolation(method, measured, wanted, tuple(fit_all(measured, report)), notes=(note,))
    laws, curves = _answered(measured)
    wanted = tuple(sorted(set(targets))) if targets else _targets(measured)
    chance = None if classes is None else 1 / classes
    answers = tuple(_answer(curves, target) for target in wanted)
    until, following = _tells_until(curves), _next_size(curves)
    first, notes = findings(measured, curves, laws, chance)
    last = f"The most informative next size to measure is {following:,.12g}."
    fits = tuple(ranked([*laws, *fit_all(measured, report)])) if all_families else tuple(ranked(laws))
    return Extrapolation(
        method,
        measured,
        wanted,
        fits,
        answers,
        curves,
        _backtest(measured) if len(measured.sizes) > 3 else None,
        following,
        until,
        " ".join([*first, *_sentences(answers, curves), last]),
        (*measured.notes, *notes),
        tuple(at),
        chance,
        draws,
        seed,
    )


def _answered(measured: Measurements) -> tuple[list[Fit], Posterior]:
    laws = [fit_error_law(law, measured) for law in error_laws()]
    consult, plateau = functools.partial(consulted, laws), plateau_of(measured, laws)
    return laws, posterior(measured, consult, test_clips=measured.test_clips, plateau=plateau)


def plateau_of(measured: Measurements, laws: Sequence[Fit]) -> Plateau:
    """The curve that ends soon, beside fitted laws."""
    fit = fit_error_law(plateau_law(), measured)
    return Plateau(lambda shares: fit.family.value(shares, fit.inside[None])[0], plateau_chance(fit, laws))


def _targets(measured: Measurements) -> tuple[float, ...]:
    above = [target for target in LADDER if target > measured.means[-1]]
    return tuple(above[:5]) or LADDER[-1:]


def size_at(fit: Fit, target: float, largest: float) -> float | None:
    """Size in videos at which a fitted curve meets a target; None: never, or before the first video."""
    found = float(fit.family.inverse(np.array([target]), fit.inside[None])[0, 0]) * largest
    return found if math.isfinite(found) and found >= 1 else None


def _answer(curves: Posterior, target: float) -> Answer:
    largest = float(curves.measured.sizes[-1])
    is_reached = curves.measured.means[-1] >= target
    shares = np.geomspace(float(curves.measured.shares[0]) if is_reached else 1.0, LARGEST_MULTIPLE, 400)
    # A larger size may be less sure than a smaller one only because less is known of it; no data are lost by having more.
    reached = np.maximum.accumulate(1 - curves.below(shares, np.full(len(shares), target)))

    def assured(chance: float) -> float | None:
        return float(shares[np.argmax(reached >= chance)]) * largest if reached[-1] >= chance else None

    by_multiple = {f"{n:g}": float(np.interp(np.log(n), np.log(shares), reached)) for n in TOLD}
    size, low, high = (assured(chance) for chance in (0.5, 1 - _ENDS[2], _ENDS[2]))
    sizes = {f"{chance:g}": assured(chance) for chance in ASSURANCES}
    return Answer(target, size, low, high, by_multiple[f"{TOLD[-1]:g}"], by_multiple, sizes)


def _tells_until(curves: Posterior) -> float | None:
    shares = np.geomspace(1, LARGEST_MULTIPLE, 60)
    ends = curves.quantiles(shares, (_ENDS[0], _ENDS[2]))
    wide = np.flatnonzero(ends[:, 1] - ends[:, 0] > 0.05)
    told = shares[-1] if not len(wide) else shares[wide[0] - 1] if wide[0] else None
    return None if told is None else float(told * curves.measured.sizes[-1])


def narrowing(curves: Posterior, shares: Array) -> Array:
    """(N,) by which share one more run at each size makes the variance of the accuracy at eight times the largest smaller, by
    a linear prediction."""
    means, covariances = curves.components(np.append(shares, TOLD[-1]), together=True)
    off = means - curves.weights @ means
    together = np.einsum("c,cij->ij", curves.weights, covariances + off[:, :, None] * off[:, None, :])
    level = float(curves.measured.means[-1])
    noise = (curves.noise / max(level * (1 - level), 0.02)) ** 2
    return np.asarray(together[:-1, -1] ** 2 / (np.diag(together)[:-1] + noise) / together[-1, -1])


def _next_size(curves: Posterior) -> float:
    """The size, up to twice the largest, whose measurement by one more run would narrow the answer the most; the smallest
    candidate within 5 % of the best counts."""
    candidates = np.round(np.linspace(0.25, NEXT_SIZE_LIMIT, 36), 2)
    gain = narrowing(curves, candidates)
    best = float(candidates[np.flatnonzero(gain >= 0.95 * gain.max())[0]])
    return float(f"{best * curves.measured.sizes[-1]:.2g}")


def _backtest(measured: Measurements) -> Backtest:
    """All sizes but the largest answer for it; the interval allows for the noise of its runs."""
    before = measured.first(len(measured.sizes) - 1)
    _, curves = _answered(before)
    share = np.array([measured.sizes[-1] / before.sizes[-1]])
    low, middle, high = curves.quantiles(share, _ENDS)[0].tolist()
    noise = 1.64 * curves.noise / math.sqrt(measured.counts[-1])
    low, high = middle - math.hypot(middle - low, noise), middle + math.hypot(high - middle, noise)
    return Backtest(float(measured.sizes[-1]), middle, max(low, 0.0), min(high, 1.0), float(measured.means[-1]))


def _sentences(answers: Sequence[Answer], curves: Posterior) -> list[str]:
    level = float(curves.measured.means[-1])
    reached = [a for a in answers if a.target <= level]
    above = [a for a in answers if a.target > level]
    said = [f"{100 * reached[-1].target:g} % is reached within the sizes measured."] if reached else []
    if above:
        first = above[0]
        twice, four = (probability(first.by_multiple[n]) for n in ("2", "4"))
        said.append(
            f"With twice the data {100 * first.target:g} % is reached with probability {twice}; with four times, {four}."
        )
        size = first.assured["0.8"]
        said.append(
            f"An 80 % assurance of it takes about {videos(size)} videos."
            if size is not None
            else f"No size up to {LARGEST_MULTIPLE:g} times the largest gives an 80 % assurance of it."
        )
    return said


def probability(chance: float) -> str:
    """For people, in steps of 0.05: finer ones say more of the seeds than of the world."""
    steps = round(20 * chance)
    return "below 0.05" if steps == 0 else "above 0.95" if steps == 20 else f"{steps / 20:g}"


def videos(size: float | None) -> str:
    """A size for people: two digits are all that would come out again with other seeds."""
    if size is None:
        return "not told"
    if size >= 1e12:
        return f"{size:.1e}"
    digits = 2 - math.ceil(math.log10(max(size, 1)) + 1e-12)
    return f"{round(size, min(digits, 0)):,.0f}"


def table_rows(found: Extrapolation) -> list[tuple[str, ...]]:
    """Rows for people: rank, family, squared error, AICc, sizes, remarks."""
    largest, shown = float(found.measured.sizes[-1]), videos if found.method == "honest" else videos_exact
    return [
        (
            fit.name,
            f"{fit.sse:.3e}",
            "-" if fit.aicc is None else f"{fit.aicc:.1f}",
            *("-" if (s := size_at(fit, t, largest)) is None else shown(s) for t in found.targets),
            ", ".join(f for f in fit.flags if found.method == "paper" or f != "not_in_paper"),
        )
        for fit in found.shown()
    ]


def videos_exact(size: float) -> str:
    return f"{size:,.0f}" if size < 1e10 else f"{size:.1e}"


def band(curves: Posterior, shares: Array) -> Array:
    """(N, 3): lower end, middle and upper end of the accuracy at shares of the largest size."""
    return curves.quantiles(shares, _ENDS)
