"""Extrapolation: speed against the plain loop of curve_fit over the same families and starts.

    python -m benchmarks.extrapolate [--quick]

How good the answers are: ``python -m benchmarks.real_curves``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from typing import Any

import numpy as np
from scipy.optimize import curve_fit

from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.study.every_family import every_family, fit_all
from tiktokactions.study.extrapolation import extrapolate_measurements
from tiktokactions.study.families import Family
from tiktokactions.study.measurements import Measurements, checked

FIGURE_3 = {1000: 0.74143, 2000: 0.83644, 3000: 0.89385, 4000: 0.91581, 5000: 0.90934, 6000: 0.93185}


def plain_loop(family: Family, measured: Measurements, seconds: float) -> float:
    """Least squared error of curve_fit over the family's starts; stops after so many seconds."""
    shares, means = measured.sizes / measured.sizes[-1], measured.means
    best, until = np.inf, time.monotonic() + seconds
    for start in np.clip(family.starts(shares, means), family.lower, family.upper):
        if time.monotonic() > until:
            break
        try:
            found, _ = curve_fit(
                lambda x, *p: family.value(x, np.array([p]))[0],
                shares,
                means,
                p0=start,
                bounds=(family.lower, family.upper),
                maxfev=400,
            )
        except (RuntimeError, ValueError):
            continue
        best = min(best, float(np.sum((family.value(shares, found[None])[0] - means) ** 2)))
    return best


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="no plain loop; nothing is written")
    parser.add_argument("--plain-seconds", type=float, default=20.0, help="most for a family in the plain loop")
    given = parser.parse_args(arguments)
    facts = environment()
    print_environment(facts)
    warnings.simplefilter("ignore")
    measured = checked({size: [accuracy] for size, accuracy in FIGURE_3.items()})
    result: dict[str, Any] = {}

    times = []
    for _ in range(1 if given.quick else 3):
        began = time.perf_counter()
        fits = fit_all(measured)
        times.append(time.perf_counter() - began)
    ours_s = statistics.median(times)
    began = time.process_time()
    extrapolate_measurements(measured)
    answer_cpu_s = time.process_time() - began
    rows: list[tuple[Any, ...]] = [("all families on six points", ours_s), ("an answer, CPU seconds", answer_cpu_s)]
    result |= {"families": len(fits), "ours_s": ours_s, "answer_cpu_s": answer_cpu_s}
    if not given.quick:
        errors = {fit.name: fit.sse for fit in fits}
        plain: dict[str, float] = {}
        began = time.perf_counter()
        for family in every_family():
            plain[family.name] = min(plain.get(family.name, np.inf), plain_loop(family, measured, given.plain_seconds))
        plain_s = time.perf_counter() - began
        worse = {n: (errors[n], e) for n, e in plain.items() if n in errors and errors[n] > e * 1.001 + 1e-12}
        rows += [
            ("plain loop of curve_fit", plain_s),
            ("times as long", plain_s / ours_s),
            ("families with a larger error than the plain loop", len(worse)),
        ]
        result |= {"plain_s": plain_s, "plain_seconds_per_family_at_most": given.plain_seconds, "worse": worse}
        print("larger error than the plain loop:", worse)
    print_table("speed", ("what", "value"), rows)

    if not given.quick:
        print(write_result("extrapolate", result, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
