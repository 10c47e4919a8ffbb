"""Two models on the same videos: who is better, as far as these tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tiktokactions.study.sources import of_other_videos

Answers = dict[tuple[str, str, float | None, float | None], bool]
"""By label, name of the file without its ending, and part: whether the label was found. A copy elsewhere has the same key."""


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


def answers_of(evaluation: Path) -> Answers:
    """What ``evaluate`` found, in its folder; videos that could not be read are left out."""
    table = pq.read_table(evaluation / "predictions.parquet", columns=["path", "start_s", "end_s", "label", "correct"])
    rows = table.to_pylist()
    return {
        (row["label"], Path(row["path"]).stem, row["start_s"], row["end_s"]): row["correct"]
        for row in rows
        if row["correct"] is not None
    }


def paired(answers: Answers, other: Answers) -> Paired | None:
    """Compare two models on what both have answered; None where that is nothing."""
    both = [key for key in answers if key in other]
    if not both:
        return None
    from scipy.stats import binomtest

    first, second = (np.array([found[key] for key in both], float) for found in (answers, other))
    only_first, only_second = int(np.sum(first > second)), int(np.sum(first < second))
    apart = only_first + only_second
    p = binomtest(only_first, apart).pvalue if apart else 1.0
    low, high = np.quantile(of_other_videos(first - second, np.random.default_rng(0)), [0.025, 0.975])
    difference = float(np.mean(first - second))
    return Paired(len(both), float(first.mean()), float(second.mean()), difference, float(low), float(high), float(p))
