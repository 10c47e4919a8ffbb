"""A test on a released list of which some clips have vanished: how many are left, and what the others can have changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
LIKE_THE_OTHERS = 2.0
"""Clips of the prior of a label: how far one with few clips left is taken to be like the whole."""


@dataclass(frozen=True)
class Survivors:
    """What is left of a released list on one side; accuracies are fractions of all clips that were listed there."""

    ids: str
    listed: int
    there: int
    """Those that were tested."""
    taken_down: int
    """By the publisher or here; they are not tested, even if a copy is left."""
    unreadable: int
    gone: int
    not_listed: int
    """Clips of the data that are not on the list: they are not tested."""
    all_wrong: float
    """Top-1 on the whole list if all that vanished had been wrong, and if all had been right."""
    all_right: float
    at_random: float
    """Top-1 on the whole list if what vanished is as hard as what is left of its label, with its 95 % interval."""
    at_random_low: float
    at_random_high: float
    difference_low: float | None = None
    """The difference from the other model on the whole list if all that vanished had spoken for that one; for this one."""
    difference_high: float | None = None

    @property
    def told(self) -> list[str]:
        """In sentences."""
        lost = {"taken down": self.taken_down, "gone": self.gone, "unreadable": self.unreadable}
        why = ", ".join(f"{number:,} {name}" for name, number in lost.items() if number)
        share = self.there / self.listed
        lines = [
            f"{self.there:,} of {self.listed:,} released clips are still there ({share:.1%}{'; ' * bool(why)}{why})"
        ]
        if self.there < self.listed:
            ends = f"{self.all_wrong:.1%} if the model had all that vanished wrong, {self.all_right:.1%} if all right"
            low, high = self.at_random_low, self.at_random_high
            alike = f"{low:.1%} to {high:.1%} (95 %) if they are as hard as what is left of their label"
            lines += [f"top-1 on all {self.listed:,}: {ends};", alike]
        if (
            self.difference_low is not None
            and self.difference_high is not None
            and self.difference_low < self.difference_high
        ):
            ends = f"{100 * self.difference_low:+.1f} to {100 * self.difference_high:+.1f} points"
            lines.append(f"difference on all {self.listed:,}: {ends}, whatever the others would have said")
        if self.not_listed:
            lines.append(f"{self.not_listed:,} clips of the data are not on the list and were not tested")
        return lines


def if_vanished_at_random(right: Sequence[tuple[str, bool]], vanished: Mapping[str, int]) -> tuple[float, float, float]:
    """Top-1 on a whole list, and its 95 % interval, if what vanished is as hard as what is left of its label.

    A label's accuracy has a beta posterior; its prior is the accuracy over all labels, drawn too, worth ``LIKE_THE_OTHERS``
    clips. So a label of which nothing is left counts like the others, as uncertain as they make it.

    Args:
        right: label of each clip that was tested, and whether it was right.
        vanished: number of clips of each label that were not.
    """
    rng = np.random.default_rng(0)
    tested, hits = Counter(label for label, _ in right), Counter(label for label, is_right in right if is_right)
    overall = rng.beta(hits.total() + 0.5, tested.total() - hits.total() + 0.5, DRAWS)
    found = np.full(DRAWS, hits.total())
    for label, number in sorted(vanished.items()):
        prior = LIKE_THE_OTHERS * overall, LIKE_THE_OTHERS * (1 - overall)
        accuracy = rng.beta(prior[0] + hits[label], prior[1] + tested[label] - hits[label])
        found = found + rng.binomial(number, accuracy)
    share = found / (tested.total() + sum(vanished.values()))
    low, high = np.quantile(share, [0.025, 0.975])
    return float(share.mean()), float(low), float(high)
