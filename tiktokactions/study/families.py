"""Families of curves, and every continuous distribution of scipy as one: its CDF (paper, section 7).

Inside, sizes are divided by the largest measured one and positive parameters are logarithms, so that one set of starts and
bounds serves every study. A CDF ends at 100 % by construction. The laws of the error are in :mod:`error_laws`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tiktokactions.study.least_squares import Array
from tiktokactions.study.quadratures import OWN_QUADRATURES, Quadrature

if TYPE_CHECKING:
    from scipy import stats

PAPER = ("t", "burr12", "invgamma", "betaprime", "f", "genpareto", "lomax", "loglaplace", "pareto", "invweibull")
"""The families of the paper's Table 5, in its order."""
SLOW = {"gausshyper", "levy_stable", "genhyperbolic", "geninvgauss", "irwinhall"}
"""Families whose CDF scipy integrates or sums for every single value: few starts and steps, or minutes would go by."""
SLOWEST = {"gausshyper"}
"""The slowest of these, at milliseconds per value: a single start, stopped when its time is up."""
LARGEST_CORNERS = {"studentized_range": 6}
"""The number of starts for families whose CDF takes a millisecond per curve."""
FIXED_INTEGERS = {"irwinhall": (1, 2, 3, 5), "kstwo": (1, 5, 20), "ksone": (1, 5, 20)}
"""Families with a whole number as shape: one fit for each of these."""


@dataclass(frozen=True)
class Family:
    """One kind of curve. ``P`` parameters, inside as the fit moves them."""

    name: str
    """scipy's name of the distribution, or the law's."""
    kind: Literal["cdf", "law"]
    parameters: tuple[str, ...]
    logarithmic: tuple[bool, ...]
    """Which of them are logarithms inside."""
    lower: Array
    """(P,) bounds, inside."""
    upper: Array
    free_bounds: tuple[bool, ...]
    """Parameters that may end at a bound without being suspicious, such as an asymptote of 100 %."""
    value: Callable[[Array, Array], Array]
    """(sizes (N,) as shares of the largest, parameters (S, P)) to accuracies (S, N)."""
    starts: Callable[[Array, Array], Array]
    """(sizes (N,), accuracies (N,)) to starts (S, P)."""
    inverse: Callable[[Array, Array], Array]
    """(accuracies (T,), parameters (S, P)) to sizes (S, T); infinite where the curve never gets there."""
    slow: bool = False

    def outside(self, inside: Array, largest: float) -> dict[str, float]:
        """The parameters in the user's units: sizes in videos."""
        with np.errstate(over="ignore"):
            plain = np.where(self.logarithmic, np.exp(inside), inside)
        units = [largest if name in ("loc", "scale", "size_scale") else 1.0 for name in self.parameters]
        return dict(zip(self.parameters, (plain * units).tolist(), strict=True))


def _plain(inside: Array, logs: Sequence[bool]) -> list[Array]:
    """The first parameters (S, 1) as the curve takes them; ``logs``: which of them are logarithms inside."""
    return [np.exp(inside[:, i, None]) if is_log else inside[:, i, None] for i, is_log in enumerate(logs)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence scipy's warnings: trying parameters that make no sense is part of the search."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- distributions --------------------------------------------------------------------------------------------------


@functools.cache
def distributions() -> Mapping[str, stats.rv_continuous]:
    """Every continuous distribution of the installed scipy, by name."""
    from scipy import stats

    known = sorted(vars(stats).items())
    return {name: d for name, d in known if isinstance(d, stats.rv_continuous) and not name.startswith("_")}


def cdf_families() -> list[Family]:
    """All of them; a family with a whole number as shape comes once for each of its tried values."""
    fixed = {name: [(float(n),) for n in numbers] for name, numbers in FIXED_INTEGERS.items()}
    return [cdf_family(name, shapes) for name in distributions() for shapes in fixed.get(name, [()])]


@functools.cache
def cdf_family(name: str, fixed: tuple[float, ...] = ()) -> Family:
    """The CDF of scipy's distribution ``name`` with loc and scale, all parameters free but ``fixed`` leading shapes."""
    distribution = distributions()[name]
    shapes = [] if fixed else list(distribution._shape_info())
    logs, lower, upper, grids = [], [], [], []
    for shape in shapes:
        low, high = (float(end) for end in shape.domain)
        positive = 0 <= low < 1e-300 and np.isinf(high)
        above_one = 1 <= low < 1.001 and np.isinf(high) and not shape.integrality
        logs.append(positive or above_one or shape.integrality)
        if logs[-1]:
            lower.append(np.log(1.0001) if above_one else -9.2)
            upper.append(9.2)
            grids.append(np.log([1.2, 2, 5, 20] if above_one else [0.1, 0.4, 1, 2.5, 8, 40]))
        elif np.isfinite(low) and np.isfinite(high):
            edge = 1e-6 * (high - low)
            lower.append(low + edge)
            upper.append(high - edge)
            grids.append(low + (high - low) * np.array([0.1, 0.35, 0.6, 0.9]))
        else:
            lower.append(max(low, -1e4))
            upper.append(min(high, 1e4))
            grids.append(np.array([-6, -2, -0.5, 0.5, 2, 6]))
    slow = name in SLOW
    # Our quadratures take the same arguments as scipy's distributions.
    standard = OWN_QUADRATURES.get(name, distribution)
    combinations = list(itertools.product(*grids))
    corners = np.array(combinations, float).reshape(len(combinations), len(shapes))

    def spread_over(values: Array, shapes: list[Array]) -> list[Array]:
        # Some of scipy's CDFs index one argument with a mask of another, so all must have the same shape.
        size = (len(shapes[0]) if shapes else 1, values.shape[-1])
        return [np.broadcast_to(shape, size).copy() for shape in shapes]

    def shapes_of(parameters: Array) -> list[Array]:
        given = [np.full((len(parameters), 1), value) for value in fixed]
        return given + _plain(parameters, logs)

    corners = _allowed(distribution, corners, shapes_of)
    if slow:
        middle = len(corners) // 2
        corners = corners[middle : middle + 1] if name in SLOWEST else corners[:: max(1, len(corners) // 3)][:3]
    most = LARGEST_CORNERS.get(name, 40)
    if not slow and len(corners) > most:
        corners = corners[:: len(corners) // most + 1]

    def value(sizes: Array, parameters: Array) -> Array:
        loc, scale = parameters[:, -2, None], np.exp(parameters[:, -1, None])
        with _quiet():
            standardised = (sizes[None, :] - loc) / scale
            return np.asarray(standard.cdf(standardised, *spread_over(sizes, shapes_of(parameters))))

    def inverse(accuracies: Array, parameters: Array) -> Array:
        loc, scale = parameters[:, -2, None], np.exp(parameters[:, -1, None])
        found = np.full((len(parameters), len(accuracies)), np.inf)
        with _quiet(), contextlib.suppress(ValueError):  # of brentq, where the CDF of a fit that ran away is no number
            found = loc + scale * standard.ppf(accuracies[None, :], *spread_over(accuracies, shapes_of(parameters)))
        return np.where(np.isnan(found), np.inf, found)

    def starts(sizes: Array, accuracies: Array) -> Array:
        return _through_two_points(standard, corners, shapes_of(corners), sizes, accuracies, slow)

    return Family(
        name=name,
        kind="cdf",
        parameters=(*(s.name for s in shapes), "loc", "scale"),
        logarithmic=(*logs, False, True),
        lower=np.array([*lower, -1e3, -12.0]),
        upper=np.array([*upper, 1e3, 12.0]),
        free_bounds=(False,) * (len(shapes) + 2),
        value=value,
        starts=starts,
        inverse=inverse,
        slow=slow,
    )


def _allowed(distribution: stats.rv_continuous, corners: Array, shapes_of: Callable[[Array], list[Array]]) -> Array:
    """Those choices of shapes that the distribution accepts together."""
    shapes = shapes_of(corners)
    with _quiet():
        low = [distribution.support(*(float(shape[i, 0]) for shape in shapes))[0] for i in range(len(corners))]
    return corners[~np.isnan(np.array(low, float))]


def _through_two_points(
    standard: stats.rv_continuous | Quadrature,
    corners: Array,
    shapes: list[Array],
    sizes: Array,
    accuracies: Array,
    slow: bool,
) -> Array:
    """For every choice of shapes the loc and scale with which the CDF passes through two of the points."""
    last = len(sizes) - 1
    pairs = [(0, last)] if slow else list(dict.fromkeys([(0, last), (0, max(1, last // 2)), (min(1, last - 1), last)]))
    plain = np.array([[0.0, np.log(0.3)], [-0.5, 0.0]])
    found = [np.hstack([np.repeat(corners, len(plain), 0), np.tile(plain, (len(corners), 1))])]
    heights = np.clip(accuracies, 1e-3, 1 - 1e-3)
    with _quiet():
        if slow or isinstance(standard, Quadrature):  # their inverse is slower still: read it off a few values
            ladder = np.linspace(-4, 8, 9)
            rungs = np.asarray(standard.cdf(ladder[None, :], *shapes))
            quantile = np.array([np.interp(heights, np.nan_to_num(row), ladder) for row in rungs])
        else:
            quantile = np.asarray(standard.ppf(heights[None, :], *shapes))
            quantile = np.broadcast_to(quantile, (len(corners), len(sizes)))
        for first, second in pairs:
            scale = (sizes[second] - sizes[first]) / (quantile[:, second] - quantile[:, first])
            loc = sizes[first] - scale * quantile[:, first]
            through = np.column_stack([corners, loc, np.log(scale)])
            found.append(through[np.isfinite(through).all(1)])
    if slow:
        return found[-1] if len(found[-1]) else found[0][:1]
    return np.vstack(found)
