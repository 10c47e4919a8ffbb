"""The results of a study as tables."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, TypeVar

import numpy as np

from tiktokactions.files import Place, write_csv
from tiktokactions.study.trials import TrialResult

FEW_CLASSES = 20
"""With fewer, a guess is among the first five too often for top-5 to tell anything."""
Fact = TypeVar("Fact", int, str)
METRICS: tuple[Literal["top1", "top5"], ...] = ("top1", "top5")


class Summary(TypedDict):
    """Several runs: accuracies are means over them, ``top1_sd`` is the standard deviation (None of a single run)."""

    runs: int
    top1: float
    top1_sd: float | None
    top5: float


class Row(Summary):
    """A line of a study's table: the runs of one size or of one source."""

    size: int
    source: NotRequired[str]
    pretrain_steps: NotRequired[int]
    pretrain_epochs: NotRequired[int]


def grouped(results: Iterable[TrialResult], fact: Callable[[TrialResult], Fact]) -> dict[Fact, list[TrialResult]]:
    """The results with each value of this fact, in order of appearance."""
    found: dict[Fact, list[TrialResult]] = defaultdict(list)
    for result in results:
        found[fact(result)].append(result)
    return found


def summary(found: Sequence[TrialResult]) -> Summary:
    top1 = [result.top1 for result in found]
    return {
        "runs": len(found),
        "top1": float(np.mean(top1)),
        "top1_sd": float(np.std(top1, ddof=1)) if len(top1) > 1 else None,
        "top5": float(np.mean([result.top5 for result in found])),
    }


def classes_of(study: Place) -> int:
    """Of the test that all trials share; 0 where no trial tells."""
    tests = sorted((study / "trials").glob("*/finetuned/evaluations/test/result.json"))
    return int(json.loads(tests[0].read_bytes())["classes"]) if tests else 0


def spread_told(results: Sequence[TrialResult], groups: int) -> str:
    """What the bars of a figure are; nothing where there is one run of each."""
    return "; bars: standard deviation" if len(results) > groups else ""


def write_results(study: Path, results: Iterable[TrialResult], named: Sequence[str] = ("size",)) -> Path:
    """``results.csv``: two rows of every trial, its top-1 and its top-5; the ``named`` facts come first."""
    rows = [
        [*(getattr(r, name) for name in named), f"{getattr(r, metric):.6f}", r.repeat, r.seed, metric, r.videos]
        for r in results
        for metric in METRICS
    ]
    write_csv(study / "results.csv", [(*named, "accuracy", "run", "seed", "metric", "test_clips"), *rows])
    return study / "results.csv"
