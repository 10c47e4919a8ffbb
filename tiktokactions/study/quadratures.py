"""CDFs that scipy integrates value by value, here by one quadrature for all values at once: a fit needs thousands of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tiktokactions.study.least_squares import Array

LOG_LOWEST, LOG_HIGHEST = -12.0, 28.0
"""Logarithms between which a quantile of a positive variable is looked for."""


class Quadrature(NamedTuple):
    """``cdf`` and ``ppf`` take standardised values, or shares, (..., N) and the shapes (..., 1), and broadcast."""

    cdf: Callable[..., Array]
    spaced: Callable[[Array], Array]
    """From the scale on which a quantile is looked for to the quantile."""
    lowest: float
    """Where on that scale the search begins."""

    def ppf(self, share: Array, *shapes: Array) -> Array:
        """Infinite where it lies beyond every value that is looked at."""
        low = np.full(np.broadcast_shapes(share.shape, *(shape.shape for shape in shapes)), self.lowest)
        high = np.full_like(low, LOG_HIGHEST)
        for _ in range(48):
            middle = (low + high) / 2
            below = self.cdf(self.spaced(middle), *shapes) < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.where(high < LOG_HIGHEST - 0.1, self.spaced(high), np.inf)


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


OWN_QUADRATURES = {
    # sinh spaces both signs like logarithms.
    "norminvgauss": Quadrature(norminvgauss_cdf, np.sinh, -LOG_HIGHEST),
    "studentized_range": Quadrature(studentized_range_cdf, np.exp, LOG_LOWEST),
}
