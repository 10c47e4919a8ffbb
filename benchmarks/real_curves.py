"""The prior of ``extrapolate``, learned from real learning curves, and how well its answers hold on them.

    python -m benchmarks.real_curves CURVES [--shipped] [--every N]    judge, every data set by a prior learned without it
    python -m benchmarks.real_curves CURVES --budget                   judge which trials 'study scaling --budget' runs
    python -m benchmarks.real_curves CURVES --learn                    write tiktokactions/study/prior.json, too

``CURVES`` is a folder with ``tasks.csv`` (task, size, run, accuracy), ``truth.csv`` (task, multiple, size, accuracy) and
``info.csv`` (task, source, data, model, scenario). The shipped prior was learned from half of the data sets of LCDB 1.0 (Mohr
et al. 2022, MIT), LCDB 1.1 (Yan et al. 2025, CC BY 4.0) and the few-shot vision curves of Alabdulmohsin et al. 2022
(Apache-2.0). Peers are fitted in the same run: M1 to M4, the broken law of Caballero et al. 2023, the last value and, where
asked, the CDF of the paper's Table 5 with the least squared error.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import json
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.study import posterior as product
from tiktokactions.study.budget import next_trial
from tiktokactions.study.error_laws import consulted, error_law, error_laws, fit_error_law
from tiktokactions.study.extrapolation import plateau_of
from tiktokactions.study.families import PAPER, Family, cdf_family
from tiktokactions.study.fitting import Fit, fit_family
from tiktokactions.study.least_squares import Array
from tiktokactions.study.measurements import Measurements, checked
from tiktokactions.study.posterior import LEVEL, Prior, logits, peaked, posterior, prior_from

SHIPPED = Path(product.__file__).with_name("prior.json")
SOURCE = (
    "learned by benchmarks/real_curves.py from learning curves of LCDB 1.0 (Mohr et al. 2022, MIT), LCDB 1.1 (Yan et al."
    " 2025, CC BY 4.0) and few-shot vision (Alabdulmohsin et al. 2022, Apache-2.0), half of their data sets"
)
ANCHORS = np.arange(-6, 4.0)
KINDS, STARTS = 3, 2
"""Kinds of curves, and how many times they are looked for from other starts: all are kept."""
PSEUDO_CURVES = 6
"""How many curves the smooth covariance counts as, with which a kind's own is mixed."""
WIDE = 0.03
"""Weight of one more kind that allows for nearly every smooth curve."""
FOLDS = 8
CALIBRATED = 3
"""Every so-manieth task is enough for the few numbers of the calibration."""
MULTIPLES = (1.0, 1.41, 2.0, 4.0, 8.0)
PEAKS = np.arange(0, 0.5, 0.05)
CHANCES = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
AIM = 0.91
"""Coverage that the widening is fitted for: between the 86 and the 95 % that are asked of every multiple."""


@dataclass(frozen=True)
class Task:
    """One question: what was measured, and what came out later."""

    name: str
    source: str
    data: str
    """Data set without the number of shots: curves of one are never in the prior by which another of it is judged."""
    model: str
    measured: Measurements
    multiples: Array
    truth: Array

    @property
    def shares(self) -> Array:
        return np.array([1.4142 if m == 1.41 else m for m in self.multiples])

    @property
    def counts_in(self) -> tuple[str, ...]:
        """The groups whose errors it is part of; a task is rising if a line over the logarithm of the size goes up."""
        seen = self.measured
        rises = np.polyfit(np.log(seen.sizes), seen.means, 1, w=np.sqrt(seen.counts))[0] > 1e-9
        return (self.source, "all", *(["rising"] if rises else []))


def read_tasks(folder: Path) -> list[Task]:
    runs: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(folder / "tasks.csv"):
        runs[row["task"]][float(row["size"])].append(float(row["accuracy"]))
    later: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in _rows(folder / "truth.csv"):
        later[row["task"]].append((float(row["multiple"]), float(row["accuracy"])))
    found = []
    for row in _rows(folder / "info.csv"):
        by_size = runs[row["task"]]
        sizes = sorted(by_size)
        measured = Measurements(np.array(sizes), tuple(tuple(by_size[s]) for s in sizes))
        multiples, truth = np.array(later[row["task"]]).T
        data = row["data"].rpartition("_")[0] or row["data"]
        found.append(Task(row["task"], row["source"], data, row["model"], measured, multiples, truth))
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- learning ---------------------------------------------------------------------------------------------------------


def smooth_covariance(one: Array, other: Array, level: float, slope: float, bend: float) -> Array:
    """Of curves with a free level and slope and smooth deviations, in logits over doublings of the size."""
    a, b = one[:, None], other[None]
    return np.asarray(level**2 + slope**2 * a * b + bend**2 * np.exp(-np.abs(a - b) / 3))


def whole_curves(tasks: Sequence[Task]) -> tuple[Array, list[Task]]:
    """(curves, anchors) logits, one for each data set and model: what was measured and what came later, smoothed."""
    chosen: dict[tuple[str, str, str], Task] = {}
    for task in tasks:
        key = (task.source, task.name.rpartition("-")[0] if task.source.startswith("LCDB") else task.name, task.model)
        old = chosen.get(key)
        rank = (-task.measured.shares[0], task.measured.total)
        if old is None or rank > (-old.measured.shares[0], old.measured.total):
            chosen[key] = task
    curves = []
    for task in chosen.values():
        x = np.log2(np.concatenate([task.measured.shares, task.shares]))
        accuracies = np.concatenate([task.measured.means, task.truth])
        clips = np.concatenate([np.full(len(task.measured.sizes), 300 if task.source == "LCDB1.0" else 5000),
                                np.full(len(task.truth), 20_000)])  # fmt: skip
        inner = np.clip(accuracies, 0.02, 0.98)
        seen = smooth_covariance(x, x, 3, 1, 0.35) + np.diag(1 / (inner * (1 - inner) * clips))
        values, middle = logits(accuracies), logits(accuracies).mean()
        curves.append(middle + smooth_covariance(ANCHORS, x, 3, 1, 0.35) @ np.linalg.solve(seen, values - middle))
    return np.array(curves), list(chosen.values())


def learn(curves: Array, sources: Sequence[str]) -> dict[str, Any]:
    """The table of a prior: kinds of curves by expectation and maximisation; a source counts as the root of its curves."""
    counts = np.array([1 / np.sqrt(sources.count(source)) for source in sources])
    counts *= len(counts) / counts.sum()
    weights, means, covariances = [WIDE], [np.average(curves, axis=0, weights=counts)], []
    covariances.append(smooth_covariance(ANCHORS, ANCHORS, 1.5, 0.25, 0.5))
    for seed in range(STARTS):
        for weight, mean, covariance in _kinds_of(curves, counts, np.random.default_rng(seed)):
            weights.append((1 - WIDE) * weight / STARTS)
            means.append(mean)
            covariances.append(covariance)
    rows, columns = np.tril_indices(len(ANCHORS))
    roots = np.linalg.cholesky(np.array(covariances) + 1e-5 * np.eye(len(ANCHORS)))[:, rows, columns]
    return {
        "anchors": ANCHORS.tolist(),
        "weights": np.round(weights, 4).tolist(),
        "means": np.round(means, 2).tolist(),
        "roots": np.round(roots, 3).tolist(),
        "multiples": list(MULTIPLES),
        "widening": [1.0] * len(MULTIPLES),
        "peak": 0.0,
    }


def _kinds_of(curves: Array, counts: Array, rng: np.random.Generator) -> list[tuple[float, Array, Array]]:
    smooth = smooth_covariance(ANCHORS, ANCHORS, 1.0, 0.05, 0.15)
    # Kinds first differ in how much curves rise before and after the middle.
    middle = len(ANCHORS) // 2
    rises = np.stack([curves[:, -1] - curves[:, middle], curves[:, middle] - curves[:, 0]], axis=1)
    rises /= rises.std(0)
    centres = rises[rng.choice(len(rises), KINDS, replace=False)]
    for _ in range(20):
        nearest = ((rises[:, None] - centres) ** 2).sum(2).argmin(1)
        centres = np.array([rises[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(KINDS)])
    belongs = 0.9 * np.eye(KINDS)[nearest] + 0.1 / KINDS
    for _ in range(60):
        shares = belongs * counts[:, None]
        number = shares.sum(0)
        weights = (number + 1) / (number + 1).sum()
        means = (shares.T @ curves + 2 * curves.mean(0)) / (number + 2)[:, None]
        scores, covariances = np.empty_like(belongs), []
        for k in range(KINDS):
            off = curves - means[k]
            own = (shares[:, k, None] * off).T @ off
            covariances.append((own + PSEUDO_CURVES * smooth) / (number[k] + PSEUDO_CURVES))
            root = np.linalg.cholesky(covariances[k] + 1e-6 * np.eye(len(ANCHORS)))
            white = np.linalg.solve(root, off.T)
            scores[:, k] = np.log(weights[k]) - (white**2).sum(0) / 2 - np.log(np.diag(root)).sum()
        belongs = np.exp(scores - scores.max(1, keepdims=True))
        belongs /= belongs.sum(1, keepdims=True)
    return list(zip(weights, means, covariances, strict=True))


def folds_of(tasks: Sequence[Task]) -> dict[str, int]:
    """For each data set its fold."""
    return {data: place % FOLDS for place, data in enumerate(sorted({task.data for task in tasks}))}


def folded_priors(tasks: Sequence[Task]) -> list[Prior]:
    """For each fold the prior of the others, not calibrated."""
    curves, owners = whole_curves(tasks)
    folds = folds_of(tasks)
    priors = []
    for fold in range(FOLDS):
        kept = [i for i, owner in enumerate(owners) if folds[owner.data] != fold]
        priors.append(prior_from(learn(curves[kept], [owners[i].source for i in kept])))
    return priors


def places_of_truth(tasks: Sequence[Task], priors: Sequence[Prior]) -> list[tuple[Task, Array]]:
    """For each task and multiple, how far the truth lies from the centre towards the end of the 90 % interval, as a share
    of the way: each by a prior without the task's data set."""
    folds, found = folds_of(tasks), []
    for task in tasks[::CALIBRATED]:
        ends = logits(ours(task, priors[folds[task.data]]).quantiles(task.shares, CHANCES))
        off = logits(task.truth) - ends[:, 1]
        reach = np.where(off > 0, ends[:, 2] - ends[:, 1], ends[:, 1] - ends[:, 0])
        found.append((task, off / np.maximum(reach, 1e-3)))
    return found


def calibrated(places: Sequence[tuple[Task, Array]]) -> dict[str, Any]:
    """Widenings that make 90 % intervals hold their share, and the peak under which the truth is most likely between their
    ends. A source counts as the root of its tasks."""
    from scipy.special import ndtri

    sources = [task.source for task, _ in places]
    weights = np.concatenate([np.full(len(p), sources.count(t.source) ** -0.5) for t, p in places])
    multiples, off = (np.concatenate(parts) for parts in zip(*((t.multiples, p) for t, p in places), strict=True))
    widening = [1.0]
    for multiple in MULTIPLES[1:]:
        here = multiples == multiple
        order = np.argsort(np.abs(off[here]))
        reached = np.cumsum(weights[here][order]) / weights[here].sum()
        widening.append(round(float(np.abs(off[here])[order][np.searchsorted(reached, AIM)]), 2))
    normal = off / np.interp(multiples, MULTIPLES, widening) * ndtri(CHANCES[2])
    inner, step = np.abs(off) < np.interp(multiples, MULTIPLES, widening), 1e-4
    scores = []
    for peak in PEAKS:
        density = (peaked(normal + step, peak) - peaked(normal - step, peak)) / (2 * step)
        told = np.log(np.maximum(density, 1e-9)) - peaked(normal, peak) ** 2 / 2
        scores.append(np.average(told[inner], weights=weights[inner]))
    return {"widening": widening, "peak": round(float(PEAKS[int(np.argmax(scores))]), 2)}


# --- judging ----------------------------------------------------------------------------------------------------------


def _broken(x: Array, p: Array) -> Array:
    """log(least + beta x^-c0 (1 + (x / place)^(1 / width))^(-c1 width))."""
    width = np.exp(p[:, 5:6])
    power = p[:, :1] - np.exp(p[:, 1:2]) * x - p[:, 3:4] * width * np.logaddexp(0, (x - p[:, 4:5]) / width)
    return np.asarray(np.logaddexp(power, p[:, 2:3]))


BROKEN = error_law(
    "BNSL",
    ("beta", "exponent", "least", "change", "place", "width"),
    _broken,
    (-9, -7, -12, -4, -8, -4),
    (3, 2, -0.01, 4, 4, 2),
    ((0.0,), (-2.3, -0.7), (-8.0, -2.0), (0.0, 1.0), (-2.0, -0.7), (-1.0,)),
)


def peers(task: Task, with_cdfs: bool) -> dict[str, Array]:
    found = {"last value": np.full(len(task.truth), task.measured.means[-1])}
    for law in (*error_laws(), BROKEN):
        found[law.name] = law.value(task.shares, fitted(task, law).inside[None])[0]
    if with_cdfs:
        fits = [fit for name in PAPER if (fit := fit_family(cdf_family(name), task.measured))]
        best = min(fits, key=lambda fit: fit.sse)
        found["paper's CDF"] = best.family.value(task.shares, best.inside[None])[0]
    return found


FITTED: dict[tuple[str, str], Fit] = {}
"""By task and law: a law is fitted once."""


def fitted(task: Task, law: Family) -> Fit:
    key = task.name, law.name
    if key not in FITTED:
        FITTED[key] = fit_error_law(law, task.measured)
    return FITTED[key]


def ours(task: Task, prior: Prior) -> product.Posterior:
    fits = [fitted(task, law) for law in error_laws()]
    plateau = plateau_of(task.measured, fits)
    return posterior(task.measured, functools.partial(consulted, fits), prior=prior, plateau=plateau)


def reliability(tasks: Sequence[Task], priors: dict[str, Prior]) -> list[tuple[str, int, float, float]]:
    """Targets five points apart above what was measured, at the multiples of the truth: told and true, in ten bins."""
    told, true = [], []
    for task in tasks:
        after = ours(task, priors[task.data])
        for target in np.arange(0.05, 1, 0.05):
            if task.measured.means[-1] < target < task.measured.means[-1] + 0.2:
                told += (1 - after.below(task.shares, np.full(len(task.shares), target))).tolist()
                true += (task.truth >= target).tolist()
    bins = np.minimum((10 * np.array(told)).astype(int), 9)
    return [
        (
            f"{b / 10:.1f}",
            int((bins == b).sum()),
            float(np.mean(np.array(told)[bins == b])),
            float(np.mean(np.array(true)[bins == b])),
        )
        for b in range(10)
        if (bins == b).any()
    ]


def priors_to_judge(
    tasks: list[Task], priors: Sequence[Prior], places: Sequence[tuple[Task, Array]]
) -> dict[str, Prior]:
    """By data set one that was learned and calibrated without its fold of the data sets."""
    folds, found = folds_of(tasks), []
    for fold, prior in enumerate(priors):
        chosen = calibrated([one for one in places if folds[one[0].data] != fold])
        print(f"without fold {fold}: {chosen}")
        found.append(dataclasses.replace(prior, **{name: np.array(value) for name, value in chosen.items()}))
    return {data: found[fold] for data, fold in folds.items()}


def judge(tasks: list[Task], priors: dict[str, Prior], with_cdfs: bool) -> dict[str, Any]:
    """Errors and coverage by source and multiple, reliability, time."""
    off: dict[str, dict[tuple[str, float], list[float]]] = defaultdict(lambda: defaultdict(list))
    inside: dict[tuple[str, float], list[bool]] = defaultdict(list)
    seconds = []
    for task in tasks:
        for name in (law.name for law in error_laws()):
            FITTED.pop((task.name, name), None)  # so that the time is that of a whole answer
        began = time.process_time()
        ends = ours(task, priors[task.data]).quantiles(task.shares, CHANCES)
        seconds.append(time.process_time() - began)
        for name, found in (("ours", ends[:, 1]), *peers(task, with_cdfs).items()):
            for multiple, value, truth in zip(
                task.multiples.tolist(), found.tolist(), task.truth.tolist(), strict=True
            ):
                for source in task.counts_in:
                    off[name][source, multiple].append(100 * (value - truth))
        for multiple, (low, _, high), truth in zip(
            task.multiples.tolist(), ends.tolist(), task.truth.tolist(), strict=True
        ):
            for source in task.counts_in:
                inside[source, multiple].append(low <= truth <= high)
    sources = [*sorted({task.source for task in tasks}), "all", "rising"]
    multiples = sorted({multiple for _, multiple in inside})
    rmse = [
        (source, name, *(float(np.sqrt(np.mean(np.square(off[name][source, m])))) for m in multiples))
        for source in sources
        for name in off
    ]
    coverage = [(source, *(float(np.mean(inside[source, m])) for m in multiples)) for source in sources]
    bins = reliability(tasks, priors)
    heads = [f"{m:g} times" for m in multiples]
    print_table("root mean squared error, points", ("source", "answer", *heads), rmse)
    print_table("coverage of the 90 % interval", ("source", *heads), coverage)
    print_table("probability of a target, told and true", ("from", "number", "told", "true"), bins)
    print(f"CPU seconds an answer: {np.mean(seconds):.3f}, at most {max(seconds):.3f}")
    cpu_s = float(np.mean(seconds))
    return {"tasks": len(tasks), "rmse": rmse, "coverage": coverage, "reliability": bins, "cpu_s": cpu_s}


def judge_budget(tasks: Sequence[Task]) -> dict[str, Any]:
    """``study scaling --budget`` with half of the compute of the full grid of six sizes and three runs: how wide its
    intervals are beside those of the grid. A trial costs as much as it has videos."""
    rows = []
    for task in tasks:
        measured = task.measured
        if (len(measured.sizes), measured.total) != (6, 18):
            continue
        grid = {
            (int(s), run): a
            for s, runs in zip(measured.sizes, measured.runs, strict=True)
            for run, a in enumerate(runs)
        }
        whole, done = sum(size for size, _ in grid), dict[tuple[int, int], float]()
        cost = {size: size / whole for size, _ in grid}
        while True:
            left = 0.5 - sum(cost[size] for size, _ in done)
            choice = next_trial(done, [key for key in grid if key not in done], cost.__getitem__, left)
            if choice.key is None:
                break
            done[choice.key] = grid[choice.key]
        chosen = checked({float(s): [a for (size, _), a in done.items() if size == s] for s, _ in done})
        at = np.array([2, 4, 8]) * measured.sizes[-1]
        widths = [
            np.diff(posterior(m).quantiles(at / m.sizes[-1], (CHANCES[0], CHANCES[2])))[:, 0]
            for m in (chosen, measured)
        ]
        rows.append(
            [sum(size for size, _ in done) / whole, len(done), *(widths[0] / widths[1]), *(widths[0] - widths[1])]
        )
    found = np.array(rows)
    share, runs = found[:, :2].mean(0).tolist()
    medians = np.median(found[:, 2:5], axis=0).tolist()
    heads = ("compute", "runs", "twice", "four times", "eight times")
    print_table(
        "half the compute: width of the interval beside that of the full grid", heads, [(share, runs, *medians)]
    )
    more = (100 * found[:, 5:].mean(0)).tolist()
    return {"tasks": len(rows), "compute": share, "runs": runs, "median_width": medians, "more_points": more}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path)
    parser.add_argument("--learn", action="store_true", help="write the prior of the package, too")
    parser.add_argument("--budget", action="store_true", help="judge study scaling's choice of trials instead")
    parser.add_argument("--shipped", action="store_true", help="judge the shipped prior: for curves that it never saw")
    parser.add_argument("--cdfs", action="store_true", help="compare with the paper's CDFs too: a second a task")
    parser.add_argument("--quick", action="store_true", help="every twentieth task; nothing is written")
    parser.add_argument("--every", type=int, default=1, help="judge every so-manieth task only")
    given = parser.parse_args(arguments)
    facts = environment()
    print_environment(facts)
    warnings.simplefilter("ignore")
    tasks = read_tasks(given.curves)
    if given.budget:
        print(write_result("study_budget", judge_budget(tasks[:: 20 if given.quick else 1]), facts))
        return 0
    if given.shipped:
        priors = dict.fromkeys(folds_of(tasks), product.shipped_prior())
    else:
        folded = folded_priors(tasks)
        places = places_of_truth(tasks, folded)
        priors = priors_to_judge(tasks, folded, places)
        if given.learn:
            curves, owners = whole_curves(tasks)
            table = learn(curves, [owner.source for owner in owners]) | calibrated(places)
            SHIPPED.write_text(json.dumps({"source": SOURCE} | table, separators=(",", ":")) + "\n", encoding="utf-8")
            print(f"{SHIPPED}: {SHIPPED.stat().st_size:,} bytes from {len(curves)} curves;",
                  {name: table[name] for name in ("widening", "peak")}, flush=True)  # fmt: skip
    result = judge(tasks[:: 20 if given.quick else given.every], priors, given.cdfs)
    if not given.quick:
        print(write_result("real_curves", result, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
