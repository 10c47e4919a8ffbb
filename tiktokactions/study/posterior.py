"""What may follow, given what was measured: a posterior over curves whose prior was learned from real ones.

The prior (``prior.json``, made by ``benchmarks/real_curves.py``) is a mixture of Gaussians over the logit of the accuracy at
sizes that double: some kinds of curves, each with a mean and a covariance. Conditioned on the measurements it is a mixture
again, in closed form, over kinds and over levels of noise. Its centre is then moved to the middle one of three, itself and
the laws M3 and M4, so that one that goes astray is outvoted. Its width is multiplied by what made 90 % intervals hold 90 %
of later points of real curves (split-conformal, by multiple). Real curves seldom end in a plateau; where the measurements do
not rule one out, the lower half is stretched until the interval reaches it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tiktokactions.records import JsonObject
from tiktokactions.study.least_squares import Array
from tiktokactions.study.measurements import Measurements

LEVEL = 0.90
"""Of every interval of accuracy."""
LEAST, MOST = 0.003, 0.997
"""Accuracies are taken to lie between these where a logit is needed."""
CLIPS = np.array([30, 100, 300, 1000, 3000, 10000, 100000.0])
"""Levels of noise: a run varies like the share of right answers among so many clips."""
KEPT_SLOPE = 0.5
"""Of the last doubling that the prior knows, for each further one."""
WANDER = 0.35
"""Standard deviation, in logits, of what a curve does in a doubling that the prior does not know."""
CALMER = 0.5
"""Runs vary less the more data they have: the variance falls like this power of the size (0.5 to 0.7 on 135 real curves)."""
LOCAL = 0.03
"""Standard deviation, in logits, of what a curve does beside its kind."""
FLOOR = 0.01
"""Standard deviation, in logits, of a mean that no number of runs makes smaller."""
RULED_OUT = 0.1
"""A plateau that is less probable is reached by a share of the way only."""
LARGEST_MULTIPLE = 64.0
"""Beyond so many times the largest size measured nothing is said."""


@dataclass(frozen=True)
class Prior:
    """K kinds of curves at A sizes."""

    anchors: Array
    """(A,) base-2 logarithms of shares of the largest measured size, one apart."""
    weights: Array
    """(K,), sum 1."""
    means: Array
    """(K, A) logits."""
    covariances: Array
    """(K, A, A)."""
    multiples: Array
    """(M,) multiples of the largest size at which the widening was fitted."""
    widening: Array
    """(M,) by how much the spread around the centre is multiplied."""
    peak: Array
    """() by how much curves lie nearer to the centre than the mixture says, while the ends of 90 % intervals stay."""


@functools.cache
def shipped_prior() -> Prior:
    """Raises nothing: the file is part of the package."""
    return prior_from(json.loads(Path(__file__).with_name("prior.json").read_text(encoding="utf-8")))


def prior_from(table: JsonObject) -> Prior:
    """From its JSON form, in which a covariance is the lower triangle of its root, row by row."""
    own = {field.name: np.array(table[field.name], float) for field in fields(Prior) if field.name in table}
    number = len(own["anchors"])
    roots = np.zeros((len(table["roots"]), number, number))
    roots[:, *np.tril_indices(number)] = table["roots"]
    return Prior(covariances=roots @ roots.transpose(0, 2, 1), **own)


class Plateau(NamedTuple):
    """A curve that ends soon, and how probable it is."""

    accuracies: Callable[[Array], Array]
    """(N,) at N shares of the largest size."""
    chance: float


@dataclass(frozen=True)
class Posterior:
    """A mixture of C Gaussians over the logit of the accuracy at any size: every kind of curve with every level of noise."""

    prior: Prior
    measured: Measurements
    weights: Array
    """(C,) sum 1."""
    laws: Callable[[Array], Array] | None
    """(laws, N) accuracies at N shares, with which the centre takes the middle."""
    test_clips: int | None
    """Intervals allow for the choice of so many test clips; None: they speak of these clips only."""
    plateau: Plateau | None = None

    @property
    def noise(self) -> float:
        """Standard deviation of one run at the largest size, a fraction."""
        by_level = self.weights.reshape(-1, len(CLIPS)).sum(0)
        return float(np.sqrt(by_level @ (1 / CLIPS) * _spread_of_one(self.measured.means[-1:])[0] ** -2))

    def components(self, shares: Array, *, together: bool = False) -> tuple[Array, Array]:
        """Means (C, N) and variances (C, N), or covariances (C, N, N), of logits at shares of the largest size."""
        asked, seen = _basis(self.prior, shares), _basis(self.prior, self.measured.shares)
        local, crossing = _beside(self.prior, shares, shares), _beside(self.prior, shares, self.measured.shares)
        means, spreads = [], []
        for mean, covariance, within, off in _kinds(self.prior, self.measured):
            own, cross = asked @ covariance @ asked.T + local, asked @ covariance @ seen.T + crossing
            for noise in _noises(self.measured):
                gain = np.linalg.solve(within + np.diag(noise), cross.T).T
                left = own - gain @ cross.T
                means.append(asked @ mean + gain @ off)
                spreads.append(left if together else np.maximum(np.diag(left), 1e-6))
        return np.array(means), np.array(spreads)

    def below(self, shares: Array, accuracies: Array) -> Array:
        """(N,) probabilities that the accuracy at each share lies below the accuracy beside it."""
        return self._marginals(shares)(logits(accuracies))

    def quantiles(self, shares: Array, chances: Sequence[float]) -> Array:
        """(N, Q) accuracies below which the curve lies at each share with these probabilities."""
        below, found = self._marginals(shares), np.empty((len(shares), len(chances)))
        for column, chance in enumerate(chances):
            low, high = np.full(len(shares), -9.0), np.full(len(shares), 9.0)
            for _ in range(30):
                middle = (low + high) / 2
                short = below(middle) < chance
                low, high = np.where(short, middle, low), np.where(short, high, middle)
            found[:, column] = 1 / (1 + np.exp(-(low + high) / 2))
        return found

    def draw(self, shares: Array, number: int, rng: np.random.Generator) -> Array:
        """(number, N) accuracies of whole curves that may follow."""
        means, covariances = self.components(shares, together=True)
        centre = self.weights @ means
        widening, move = self._moved(shares, centre)
        chosen = rng.choice(len(self.weights), number, p=self.weights)
        drawn = np.array([rng.multivariate_normal(means[c], covariances[c], method="eigh") for c in chosen])
        return np.asarray(1 / (1 + np.exp(-(centre + move + widening * (drawn.reshape(-1, len(shares)) - centre)))))

    def _moved(self, shares: Array, centre: Array) -> tuple[Array, Array]:
        """(N,) by how much the spread is multiplied, and how far the centre moves to the middle one."""
        doublings, known = np.log2(np.maximum(shares, 1.0)), np.log2(self.prior.multiples)
        widening = np.interp(doublings, known, self.prior.widening)
        if self.laws is None:
            return widening, np.zeros(len(shares))
        # Among the sizes measured the posterior knows best; half a doubling beyond them all three have their say.
        middle = np.median([centre, *logits(self.laws(shares))], axis=0)
        return widening, np.minimum(2 * doublings, 1.0) * (middle - centre)

    def _marginals(self, shares: Array) -> Callable[[Array], Array]:
        """The distribution function of the logit at each share: moved and widened, as the prior says."""
        from scipy.special import ndtr, ndtri

        means, variances = self.components(shares)
        if self.test_clips is not None:
            variances = variances + _spread_of_one(self.measured.means[-1:]) ** 2 / self.test_clips
        centre = self.weights @ means
        widening, move = self._moved(shares, centre)
        spread = widening * np.sqrt(self.weights @ (variances + (means - centre) ** 2))
        stretch = self._stretch(shares, centre + move, spread)

        def below(values: Array) -> Array:
            off = values - centre - move
            places = np.where(off < 0, off / stretch, off) / widening + centre
            place = ndtri(np.clip(self.weights @ ndtr((places - means) / np.sqrt(variances)), 1e-9, 1 - 1e-9))
            return np.asarray(ndtr(peaked(place, float(self.prior.peak))))

        return below

    def _stretch(self, shares: Array, centre: Array, spread: Array) -> Array:
        """(N,) 1 or more: by how much the lower half is stretched, so that the interval ends as far below a plateau that is
        not ruled out as it would below its centre."""
        if self.plateau is None:
            return np.ones(len(shares))
        reaches = (centre - logits(self.plateau.accuracies(shares))) / (1.64 * spread)
        return 1 + min(1.0, self.plateau.chance / RULED_OUT) * np.maximum(reaches, 0)


def posterior(
    measured: Measurements,
    laws: Callable[[Array], Array] | None = None,
    *,
    test_clips: int | None = None,
    prior: Prior | None = None,
    plateau: Plateau | None = None,
) -> Posterior:
    """Condition the prior on what was measured.

    Args:
        measured: two sizes or more.
        laws: (laws, N) accuracies at N shares of the largest size, by laws that were fitted; None: the prior alone.
        test_clips: how many clips the accuracies were measured on, if intervals shall speak of all such clips.
        prior: instead of the one that comes with the package.
        plateau: a curve that ends soon, which the intervals reach as far as it is not ruled out.
    """
    prior = prior or shipped_prior()
    freedom = measured.total - len(measured.sizes)
    # Of one run at the largest size; those of others are brought to it.
    calm = measured.shares**CALMER
    run_variance = np.average(_spread_of_one(measured.means) ** -2.0, weights=measured.counts) / CLIPS
    within = sum(c * len(r) * np.var(r) for c, r in zip(calm, measured.runs, strict=True))
    scores = []
    for weight, (_, _, around, off) in zip(prior.weights, _kinds(prior, measured), strict=True):
        for level, noise in enumerate(_noises(measured)):
            root = np.linalg.cholesky(around + np.diag(noise))
            white = np.linalg.solve(root, off)
            score = np.log(weight) - white @ white / 2 - np.log(np.diag(root)).sum()
            # Runs of one size say by themselves how much runs vary.
            of_runs = freedom * np.log(run_variance[level]) + within / run_variance[level]
            scores.append(score - of_runs / 2)
    weights = np.exp(np.array(scores) - max(scores))
    return Posterior(prior, measured, weights / weights.sum(), laws, test_clips, plateau)


def peaked(places: Array, peak: float) -> Array:
    """Standard normal places, those within the 90 % interval moved outwards: curves lie nearer to the centre than told."""
    from scipy.special import ndtri

    return np.asarray(places * (1 + peak * np.clip(1 - (places / ndtri((1 + LEVEL) / 2)) ** 2, 0, None)))


def logits(accuracies: Array) -> Array:
    """Of accuracies as fractions, kept off 0 and 1."""
    inner = np.clip(accuracies, LEAST, MOST)
    return np.asarray(np.log(inner / (1 - inner)))


def _kinds(prior: Prior, measured: Measurements) -> Iterator[tuple[Array, Array, Array, Array]]:
    """For each kind its mean and covariance, the covariance of what was measured (without noise), and its residuals."""
    seen, beside = _basis(prior, measured.shares), _beside(prior, measured.shares, measured.shares)
    beside += FLOOR**2 * np.eye(len(measured.sizes))
    for mean, covariance in zip(prior.means, prior.covariances, strict=True):
        yield mean, covariance, seen @ covariance @ seen.T + beside, logits(measured.means) - seen @ mean


def _noises(measured: Measurements) -> Array:
    """(levels, sizes measured) variances of the logits of means."""
    one = _spread_of_one(measured.means) ** 2 * measured.shares**-CALMER
    return np.asarray(one / measured.counts / CLIPS[:, None])


def _spread_of_one(accuracies: Array) -> Array:
    """Standard deviation of the logit, were it measured on a single clip."""
    inner = np.clip(accuracies, 0.02, 0.98)
    return np.asarray(1 / np.sqrt(inner * (1 - inner)))


def _basis(prior: Prior, shares: Array) -> Array:
    """(N, A) linear interpolation between anchors; beyond the last, a part of the last slope goes on."""
    u, top = np.log2(shares), prior.anchors[-1]
    inner = np.clip(u, prior.anchors[0], top)
    found = np.maximum(0, 1 - np.abs(inner[:, None] - prior.anchors))
    beyond = KEPT_SLOPE * np.maximum(u - top, 0)
    found[:, -1] += beyond
    found[:, -2] -= beyond
    return found


def _beside(prior: Prior, one: Array, other: Array) -> Array:
    """(N, M) covariance of what curves do beside their kind, and of their wandering where the prior knows nothing."""
    a, b = np.log2(one)[:, None], np.log2(other)[None]
    found = LOCAL**2 * np.exp(-np.abs(a - b) / 3)
    for way, end in ((1, prior.anchors[-1]), (-1, prior.anchors[0])):
        found = found + WANDER**2 * np.maximum(np.minimum(way * (a - end), way * (b - end)), 0)
    return np.asarray(found)
