"""Two models on the same videos: who is better, as far as these tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tiktokactions.intervals import Paired
from tiktokactions.study.sources import of_other_videos

Answers = dict[tuple[str, str, float | None, float | None], bool]
"""By label, name of the file without its ending, and part: whether the label was found. A copy elsewhere has the same key."""


def answers_of(evaluation: Path) -> Answers:
    """What ``evaluate`` found, in its folder; videos that could not be read are left out."""
    table = pq.read_table(evaluation / "predictions.parquet", columns=["path", "start_s", "end_s", "label", "correct"])
    return answers_in(table.to_pylist())


def answers_in(rows: Iterable[Mapping[str, Any]]) -> Answers:
    """The same, of the rows of that table."""
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
