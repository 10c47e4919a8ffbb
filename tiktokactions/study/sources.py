"""The comparison of pre-training sources (paper, section 6 and Figure 4): same network, same fine-tuning, same test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tiktokactions.clips.clip import SYNTHETIC, Clip
from tiktokactions.files import write_csv
from tiktokactions.plots import ACCEPTED, INK, MUTED, new_figure, save_figure, style
from tiktokactions.study.contents import StudyError
from tiktokactions.study.options import Equal
from tiktokactions.study.settings import Design, check_evaluation, pool_of
from tiktokactions.study.tables import Row, classes_of, grouped, spread_told, summary
from tiktokactions.study.trials import Trial, TrialResult

SCRATCH, MADE = "scratch", "synthetic"
RESAMPLES = 5000
PRIOR_RUNS = 3
"""How many runs beyond the first the prior of the spread of seeds counts as."""
SEED_SPREAD = 0.28
"""Standard deviation between seeds that the prior expects, in logits of the mean accuracy: with it intervals hold also where
seeds differ by 0.7 (``docs/log.md``)."""


def parse_sources(texts: Sequence[str]) -> dict[str, str | None]:
    """``NAME=DATA``, ``scratch`` or ``synthetic``, in the order given.

    Raises:
        StudyError: no such form, a name twice, or fewer than two sources.
    """
    found: dict[str, str | None] = {}
    for text in texts:
        name, equals, data = text.partition("=")
        if not name or (not data and text not in (SCRATCH, MADE)):
            raise StudyError(f"got {text!r}, expected NAME=DATA, 'scratch' or 'synthetic'")
        if not all(c.isalnum() or c in "-_." for c in name):
            raise StudyError(f"source name {name!r}: expected letters, digits, '-', '_' and '.'")
        if name in found:
            raise StudyError(f"source {name!r} is given twice, expected each name once")
        found[name] = data if equals else SYNTHETIC if text == MADE else None
    if len(found) < 2:
        raise StudyError(f"{len(found)} source given, expected two or more to compare, e.g. ours=data/ scratch")
    return found


def source_trials(sources: Mapping[str, str | None], size: int | None, study: Design) -> list[Trial]:
    """Write the study's settings and lists, and return its trials: every source with every seed.

    Raises:
        StudyError: as :func:`tiktokactions.study.scaling.scaling_trials`.
    """
    check_evaluation(study.evaluate_on)
    pools = {name: pool_of(data) for name, data in sources.items() if data and data != SYNTHETIC}
    made = size or max(map(len, pools.values()), default=0)
    if SYNTHETIC in sources.values():
        if not made:
            raise StudyError("`size`: expected how many synthetic videos, because no other source tells")
        drawn = pool_of(f"{SYNTHETIC}{made * study.options.repeats}")  # every repeat draws others
        pools |= {name: drawn for name, data in sources.items() if data == SYNTHETIC}
    for name, pool in pools.items():
        if size is not None and size > len(pool):
            raise StudyError(f"`size` {size}: {name} has {len(pool)} clips, expected at most that many")
    study.keep("sources", may_grow=("repeats",), sources=dict(sources), size=size)
    listed: dict[tuple[int, str], list[Clip]] = {}
    numbers = dict.fromkeys(pools, size or 0)
    for repeat, name in itertools.product(range(study.options.repeats), sources):
        if (data := sources[name]) is not None:
            clips, before = study.order(pools[name], data, f"{name}-repeat-{repeat}.csv", repeat)
            # Without a size it is that of the first list, also when the source has grown since.
            numbers[name] = numbers[name] or before or (made if data == SYNTHETIC else len(clips))
            listed[repeat, name] = clips[: numbers[name]]
    study.keep_contents(listed.values())
    largest = max(numbers.values(), default=0)
    return [
        study.trial(f"{name}-repeat-{repeat}", listed.get((repeat, name)), largest, repeat, source=name)
        for repeat, name in itertools.product(range(study.options.repeats), sources)
    ]


@dataclass(frozen=True)
class Difference:
    """Top-1 of ``first`` minus top-1 of ``second``, with its 95 % interval; fractions."""

    first: str
    second: str
    difference: float
    low: float
    high: float


def correct_by_source(
    study: Path, results: Sequence[TrialResult], name: Callable[[TrialResult], str] = lambda result: result.source
) -> dict[str, np.ndarray]:
    """For each source, or what else is named, whether each test video was classified correctly: (runs, videos), in the same
    order for all."""
    found: dict[str, list[np.ndarray]] = {}
    keys: list[tuple[str, float | None, float | None]] | None = None
    for result in results:
        path = study / "trials" / result.trial / "finetuned" / "evaluations" / "test" / "predictions.parquet"
        table = pq.read_table(path, columns=["path", "start_s", "end_s", "correct"]).to_pydict()
        here = list(zip(table["path"], table["start_s"], table["end_s"], strict=True))
        keys = keys or here
        if here != keys:
            raise StudyError(f"{path}: other test videos than the first trial's; a study needs one test set")
        found.setdefault(name(result), []).append(np.array(table["correct"], float))
    return {named: np.array(runs) for named, runs in found.items()}


def differences(correct: Mapping[str, np.ndarray], seed: int = 0) -> list[Difference]:
    """Posterior of each difference: test videos reweighted alike for both sources of a pair (Bayesian bootstrap), and seeds
    that vary by a standard deviation of which the runs tell something and a prior the rest: one to three runs are enough.

    Args:
        correct: for each source (runs, videos), 1 where right.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    found = []
    for first, second in itertools.combinations(correct, 2):
        a, b = correct[first], correct[second]
        level = float(np.clip((a.mean() + b.mean()) / 2, 0.05, 0.95))
        expected = SEED_SPREAD * level * (1 - level)
        within = sum(float(np.sum((runs.mean(1) - runs.mean()) ** 2)) for runs in (a, b))
        freedom = PRIOR_RUNS + len(a) + len(b) - 2
        variance = (PRIOR_RUNS * expected**2 + within) / rng.chisquare(freedom, RESAMPLES)
        of_seeds = rng.normal(size=RESAMPLES) * np.sqrt(variance * (1 / len(a) + 1 / len(b)))
        low, high = np.quantile(of_other_videos(a.mean(0) - b.mean(0), rng) + of_seeds, [0.025, 0.975])
        found.append(Difference(first, second, float(a.mean() - b.mean()), float(low), float(high)))
    return found


def of_other_videos(apart: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws of a mean difference (videos,) as other videos of the kind would give it: the Bayesian bootstrap."""
    # Half a video that only one gets right, on either side: of few videos that agree, others may not.
    apart = np.concatenate([apart, [1.0, -1.0]])
    share = np.array([*np.ones(len(apart) - 2), 0.5, 0.5])
    return np.array([draw @ apart / draw.sum() for draw in (rng.gamma(share) for _ in range(RESAMPLES))])


def write_differences(study: Path, found: Sequence[Difference]) -> None:
    """``differences.csv``."""
    rows = [[d.first, d.second, *(f"{v:.6f}" for v in (d.difference, d.low, d.high))] for d in found]
    write_csv(study / "differences.csv", [("first", "second", "difference", "low_95", "high_95"), *rows])


def table(results: Sequence[TrialResult]) -> list[Row]:
    """For each source its summary and its number of videos."""
    by_source = grouped(results, lambda r: r.source)
    return [{"source": source, "size": found[0].size, **summary(found)} for source, found in by_source.items()]


@style()
def draw_sources(study: Path, results: Sequence[TrialResult], equal: Equal) -> list[Path]:
    """Figure 4: top-1 by source, the mean a bar with its standard deviation over seeds, every run a dot."""
    rows = table(results)
    figure = new_figure(8, 1.6 + 0.5 * len(rows))
    axes = figure.add_subplot()
    names = [f"{r['source']} ({r['size']:,})" if r["size"] else r["source"] for r in rows]
    means, spread = [100 * r["top1"] for r in rows], [100 * (r["top1_sd"] or 0) for r in rows]
    places = np.arange(len(rows))[::-1]
    axes.barh(places, means, 0.6, xerr=spread, color=ACCEPTED, alpha=0.55, capsize=3, ecolor=INK)
    for place, found in zip(places, grouped(results, lambda r: r.source).values(), strict=True):
        axes.plot([100 * r.top1 for r in found], np.full(len(found), place), ".", color=INK)
    classes = classes_of(study)
    if classes:
        axes.axvline(100 / classes, color=MUTED, lw=1, ls="--")
    axes.set_yticks(places, names)
    axes.set_xlim(0, 100)
    axes.set_xlabel("top-1, %")
    told = spread_told(results, len(rows)) + ("; dashed: chance" if classes else "")
    axes.set_title(f"top-1 by pre-training source (equal {equal}{told})")
    axes.grid(True, axis="x")
    return save_figure(figure, study / "figures" / "accuracy_by_source")
