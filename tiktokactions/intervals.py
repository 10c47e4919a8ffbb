"""Intervals for shares, as several rooms state them."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054


def wilson_interval(hits: float, of: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of the share ``hits`` / ``of`` (E. B. Wilson, 1927), 95 % unless ``z`` says otherwise; 0 to 1
    where there is nothing to count."""
    if of == 0:
        return 0.0, 1.0
    share = hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    # At the ends rounding may leave the share itself outside.
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == of else min(1.0, centre + half))
