"""Intervals for shares, as several rooms state them."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054


def wilson_interval(hits: float, of: float, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of the share ``hits`` / ``of`` (E. B. Wilson, 1927), 95 % unless ``z`` says otherwise; 0 to 1
    where there is nothing to count."""
    if of == 0:
        return 0.0, 1.0
    share = hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    # At the ends rounding may leave the share itself outside.
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == of else min(1.0, centre + half))


@dataclass(frozen=True)
class Paired:
    """Two models on the videos that both have answered; accuracies and differences are fractions."""

    videos: int
    top1: float
    other_top1: float
    difference: float
    low: float
    """Ends of the 95 % interval that other videos of the kind would give."""
    high: float
    p: float
    """McNemar's exact test: how probable so uneven a share of the videos that only one gets right is by chance."""

    @property
    def told(self) -> str:
        spread = f"95 %: {100 * self.low:+.1f} to {100 * self.high:+.1f}"
        models = f"top-1 {self.top1:.1%} against {self.other_top1:.1%} on {self.videos} videos"
        return f"{models}: {100 * self.difference:+.1f} points ({spread}; McNemar's p = {self.p:.2g})"
