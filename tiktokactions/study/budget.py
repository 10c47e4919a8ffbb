"""Which trial of a data-size study to run next: the one that narrows the answer most for each GPU hour.

An answer is the 90 % interval of the accuracy at eight times the largest size, by the posterior of what was measured. A trial
that would narrow it by less than ``WORTH`` cannot change the answer and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tiktokactions.study.extrapolation import narrowing
from tiktokactions.study.measurements import checked
from tiktokactions.study.posterior import Prior, posterior

WORTH = 0.002
"""Share of the width of the interval."""
CHEAP = 0.25
"""A size that was not measured yet is run if it takes at most this share of the hours left: scatter around the curve tells
how much runs vary, which one run of a size does not."""
Key = tuple[int, int]
"""Size and repeat of a trial."""


@dataclass(frozen=True)
class Choice:
    """The trial to run next; ``key`` None: none, because of ``reason``."""

    key: Key | None
    reason: str


def hours_by_size(seconds: Mapping[Key, float]) -> Callable[[int], float]:
    """GPU hours of a trial by its size: a fixed part and one for each video, fitted to what finished trials took."""
    sizes = np.array([size for size, _ in seconds], float)
    took = np.array(list(seconds.values())) / 3600
    each = took @ sizes / (sizes @ sizes)  # of a single size nothing tells what part is fixed
    fixed = 0.0
    if len(set(sizes.tolist())) > 1:
        slope = np.cov(sizes, took, bias=True)[0, 1] / sizes.var()
        if slope >= 0 and (rest := float(took.mean() - slope * sizes.mean())) >= 0:
            each, fixed = slope, rest
    return lambda size: float(fixed + each * size)


def next_trial(
    accuracies: Mapping[Key, float],
    left: Iterable[Key],
    hours: Callable[[int], float],
    budget: float,
    prior: Prior | None = None,
) -> Choice:
    """The trial that is worth most for its GPU hours.

    Args:
        accuracies: of the finished trials.
        left: trials that could be run.
        hours: that a trial of a size takes.
        budget: GPU hours that are left.
        prior: instead of the one that comes with the package.
    """
    keys = sorted(left)
    if not keys:
        return Choice(None, "every trial is finished")
    within = [key for key in keys if hours(key[0]) <= budget]
    if not within:
        return Choice(None, f"none of the {len(keys)} trials left fits into the {max(budget, 0):.3g} GPU hours left")
    by_size: dict[float, list[float]] = {}
    for (size, _), accuracy in accuracies.items():
        by_size.setdefault(float(size), []).append(accuracy)
    if len(by_size) < 3:
        return Choice(_first(sorted(by_size), within), "three sizes make a curve")
    new = [key for key in within if key[0] not in by_size and hours(key[0]) <= CHEAP * budget]
    if new:
        return Choice(new[0], "a size that was not measured yet, for little")
    measured = checked(by_size)
    shares = np.array([size for size, _ in within]) / measured.sizes[-1]
    # A width shrinks like the root of the variance.
    narrower = 1 - np.sqrt(1 - narrowing(posterior(measured, prior=prior), shares))
    worth = np.where(narrower < WORTH, 0.0, narrower / np.array([hours(size) for size, _ in within]))
    best = int(np.argmax(worth))
    if worth[best] == 0:
        return Choice(None, f"none of the {len(keys)} trials left would narrow the interval by {100 * WORTH:g} %")
    return Choice(within[best], f"narrows the interval by {narrower[best]:.0%}")


def _first(measured: Sequence[float], keys: Sequence[Key]) -> Key:
    """The smallest size, the largest, and the one in the middle of them on a logarithmic scale."""
    new = [key for key in keys if key[0] not in measured] or keys
    if not measured:
        return new[0]
    if len(measured) == 1:
        return max(new, key=lambda key: (key[0], -key[1]))
    middle = math.log(measured[0] * measured[-1]) / 2
    return min(new, key=lambda key: (round(abs(math.log(key[0]) - middle), 6), key))
