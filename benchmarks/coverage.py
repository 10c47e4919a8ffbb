"""The 90 % interval of extrapolate on simulated curves: how often it holds the truth, and how wide it is.

    python -m benchmarks.coverage [--quick] [--simulations 100]

Curves of known laws, six sizes, three runs each with normal noise; covered means that the true accuracy at 1.5 times the
largest size lies in the 90 % interval. Families, refits and weights are those of the product.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import statistics
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm

from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.study.families import AVERAGED, cdf_family, laws
from tiktokactions.study.fitting import fit_family
from tiktokactions.study.measurements import checked
from tiktokactions.study.uncertainty import ensemble

BEYOND = 1.5
"""Times the largest size: where the interval is asked for."""
EVEN, DOUBLED = np.arange(1, 7) * 1000.0, 500 * 2.0 ** np.arange(6)
TRUTHS: dict[str, tuple[np.ndarray, Callable[[Any], Any]]] = {
    "power law to 97 %": (EVEN, lambda n: 0.97 - 0.25 * (n / 1000) ** -0.8),
    "slow power law to 90 %": (EVEN, lambda n: 0.9 - 0.5 * (n / 1000) ** -0.3),
    "exponential to 93 %": (EVEN, lambda n: 0.93 - 0.3 * np.exp(-n / 1500)),
    "Weibull to 95 %": (EVEN, lambda n: 0.95 * (1 - np.exp(-((n / 700) ** 0.6)))),
    "Hill to 98 %": (EVEN, lambda n: 0.98 / (1 + (n / 350) ** -1.0)),
    "Hill to 75 %": (EVEN, lambda n: 0.75 / (1 + (n / 2500) ** -1.3)),
    "logistic, 30 to 95 %": (EVEN, lambda n: 0.3 + 0.65 / (1 + (n / 1500) ** -1.5)),
    "Lomax to 100 %": (EVEN, lambda n: 1 - (1 + n / 500) ** -1.0),
    "power law, doubled": (DOUBLED, lambda n: 0.96 - 0.5 * (n / 500) ** -0.5),
    "exponential, doubled": (DOUBLED, lambda n: 0.9 - 0.5 * np.exp(-n / 4000)),
    "Weibull, doubled": (DOUBLED, lambda n: 0.92 * (1 - np.exp(-((n / 2000) ** 0.7)))),
    "logistic, doubled": (DOUBLED, lambda n: 0.2 + 0.7 / (1 + (n / 2500) ** -1.2)),
    # Added when the interval was finished; the laws of these two were not among those fitted, and the interval missed them.
    "log-normal to 94 %": (EVEN, lambda n: 0.94 * norm.cdf(np.log(n / 700) / 1.1)),
    "Frechet to 95 %": (DOUBLED, lambda n: 0.95 * np.exp(-0.8 * (n / 500) ** -0.7)),
    # Nothing in the interval was chosen on these, and none is among the laws that it fits.
    "unseen: two power laws": (EVEN, lambda n: 0.96 - 0.15 * (n / 1000) ** -0.4 - 0.1 * (n / 1000) ** -1.5),
    "unseen: arc tangent": (EVEN, lambda n: 0.9 * 2 / np.pi * np.arctan(n / 800)),
    "unseen: two exponentials": (DOUBLED, lambda n: 0.93 - 0.3 * np.exp(-n / 900) - 0.2 * np.exp(-n / 5000)),
}
"""Sizes measured, and the true accuracy at a size: six sizes up to 6,000 or, doubled each time, 16,000 videos."""
NOISES = (0.003, 0.007, 0.015)
"""Standard deviation of a run."""


def covered(job: tuple[str, float, int]) -> tuple[str, float, bool, float]:
    name, noise, number = job
    sizes, truth = TRUTHS[name]
    rng = np.random.default_rng([number, int(noise * 1000)])
    measured = checked({s: list(np.clip(truth(s) + rng.normal(0, noise, 3), 0, 1)) for s in sizes})
    families = [*laws(), *(cdf_family(n) for n in AVERAGED)]
    curves = ensemble([f for f in (fit_family(g, measured) for g in families) if f], measured, draws=200, seed=number)
    assert curves is not None
    asked = BEYOND * sizes[-1]
    low, _, high = curves.accuracy_intervals(np.array([asked]))[0]
    return name, noise, bool(low <= truth(asked) <= high), high - low


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="three simulations for each law and noise; nothing is written"
    )
    parser.add_argument("--simulations", type=int, default=100, help="for each law and noise (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    facts = environment()
    print_environment(facts)
    count = 3 if given.quick else given.simulations
    jobs = [(name, noise, i) for name in TRUTHS for noise in NOISES for i in range(count)]
    with mp.get_context("spawn").Pool(given.jobs, initializer=warnings.simplefilter, initargs=("ignore",)) as pool:
        found = pool.map(covered, jobs, chunksize=10)
    coverage = []
    for name in TRUTHS:
        for noise in NOISES:
            mine = [(inside, width) for n, s, inside, width in found if (n, s) == (name, noise)]
            share = statistics.mean(inside for inside, _ in mine)
            coverage.append((name, noise, len(mine), share, 100 * statistics.median(width for _, width in mine)))
    overall = statistics.mean(row[3] for row in coverage)
    print_table(
        "coverage of the 90 % interval at 1.5 times the largest size",
        ("law", "noise of a run", "simulations", "covered", "width, points"),
        [*coverage, ("all", "", len(jobs), overall, "")],
    )
    if not given.quick:
        print(write_result("coverage", {"coverage": coverage, "coverage_overall": overall}, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
