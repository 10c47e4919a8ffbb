"""CDFs that scipy integrates value by value, here by one quadrature for all values at once: a fit needs thousands of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiktokactions.study.least_squares import Array

LOG_LOWEST, LOG_HIGHEST = -12.0, 28.0
"""Logarithms between which a quantile of a positive variable is looked for."""


class Quadrature(NamedTuple):
    """Both take standardised values (..., N) and the shapes (..., 1), and broadcast."""

    cdf: Callable[..., Array]
    ppf: Callable[..., Array]
    """Infinite where it lies beyond every value that is looked at."""


@functools.cache
def _studentized_nodes() -> tuple[Array, Array, Array, Array]:
    """Nodes and weights over the normal variable (64, weighted by its density) and over the quantiles of chi (32)."""
    normal, normal_weights = np.polynomial.legendre.leggauss(64)
    normal, normal_weights = 8.5 * normal, 8.5 * normal_weights
    share, share_weights = np.polynomial.legendre.leggauss(32)
    share, share_weights = (share + 1) / 2, share_weights / 2
    # Quantiles bend at both ends, so the nodes are closer there: u = v^2 (3 - 2v).
    bent_weights = share_weights * 6 * share * (1 - share)
    density = np.exp(-(normal**2) / 2) / np.sqrt(2 * np.pi)
    return normal, normal_weights * density, share**2 * (3 - 2 * share), bent_weights


def studentized_range_cdf(q: Array, k: Array, df: Array) -> Array:
    """P(range of ``k`` normal values / an estimate of their spread <= q) by two quadratures, to 1e-5.

    scipy integrates every value by itself, a hundred times as long, and no fit would come to its end.
    """
    from scipy import special

    normal, normal_weights, share, share_weights = _studentized_nodes()
    q, k, df = np.broadcast_arrays(q, k, df)
    spread = np.sqrt(2 * special.gammaincinv(df[..., None] / 2, share) / df[..., None])
    width = np.maximum(q, 0)[..., None] * spread
    inside = np.maximum(special.ndtr(normal) - special.ndtr(normal - width[..., None]), 0)
    ranges = k[..., None] * (inside ** (k[..., None, None] - 1) @ normal_weights)
    return np.asarray(np.clip(ranges @ share_weights, 0, 1))


def _studentized_range_ppf(share: Array, k: Array, df: Array) -> Array:
    low = np.full(np.broadcast_shapes(share.shape, k.shape, df.shape), LOG_LOWEST)
    found = _bisect(lambda log_q: studentized_range_cdf(np.exp(log_q), k, df) < share, low, LOG_HIGHEST)
    return np.where(found < LOG_HIGHEST - 0.1, np.exp(found), np.inf)


def norminvgauss_cdf(x: Array, a: Array, b: Array) -> Array:
    """P(X <= x), X being normal with mean ``b V`` and variance ``V``, V inverse Gaussian with mean 1 / gamma.

    gamma = sqrt(a^2 - b^2). With V = exp(u) / gamma the density of V is exp(-u / 2 - gamma (cosh u - 1)), which falls so
    fast at both ends that equal steps in u converge as fast as any quadrature: to 1e-7, and to 1e-3 at the edge of the
    domain (|b| > 0.999 a), where V spans many orders of magnitude and the steps are wide. NaN where |b| >= a.
    """
    from scipy import special

    x, a, b = np.broadcast_arrays(x, a, b)
    gamma = np.sqrt(np.where(np.abs(b) < a, (a - b) * (a + b), np.nan))[..., None]
    u = np.linspace(-1, 1, 129) * np.arccosh(1 + 45 / gamma)
    step = u[..., 1:2] - u[..., :1]
    weights = step * np.sqrt(gamma / (2 * np.pi)) * np.exp(-u / 2 - 2 * gamma * np.sinh(u / 2) ** 2)
    variance = np.exp(u) / gamma
    below = special.ndtr((x[..., None] - b[..., None] * variance) / np.sqrt(variance))
    return np.asarray(np.clip(np.sum(weights * below, axis=-1), 0, 1))


def _norminvgauss_ppf(share: Array, a: Array, b: Array) -> Array:
    low = np.full(np.broadcast_shapes(share.shape, a.shape, b.shape), -LOG_HIGHEST)
    # sinh spaces both signs like logarithms.
    found = _bisect(lambda s: norminvgauss_cdf(np.sinh(s), a, b) < share, low, LOG_HIGHEST)
    return np.where(found < LOG_HIGHEST - 0.1, np.sinh(found), np.inf)


def _bisect(is_below: Callable[[Array], NDArray[np.bool_]], low: Array, highest: float) -> Array:
    high = np.full_like(low, highest)
    for _ in range(48):
        middle = (low + high) / 2
        below = is_below(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


OWN_QUADRATURES = {
    "norminvgauss": Quadrature(norminvgauss_cdf, _norminvgauss_ppf),
    "studentized_range": Quadrature(studentized_range_cdf, _studentized_range_ppf),
}
