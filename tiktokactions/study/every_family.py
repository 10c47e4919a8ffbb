"""Every family fitted to the measurements, each core with its share of them.

Each share has its own process, ``python -m tiktokactions.study.every_family``: its task comes by standard input, and its fits
go to standard output. Both are pickled by processes of the same user. :mod:`multiprocessing` will not do: its workers import
the caller's script again, which breaks scripts without a main guard.
"""

from __future__ import annotations

import contextlib
import operator
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence

from tiktokactions.machine import usable_cores
from tiktokactions.study.child import die_with_parent
from tiktokactions.study.families import Family, cdf_families
from tiktokactions.study.fitting import Fit, fit_family, ranked
from tiktokactions.study.least_squares import Array
from tiktokactions.study.measurements import Measurements

MOST_PROCESSES = 8
"""A process takes more than a second to start, so a ninth would cost more than it saves."""

Plain = tuple[int, Array, float, float | None, tuple[str, ...]]
"""A fit without its family, whose functions cannot be pickled: its place in :func:`every_family` instead."""


def every_family() -> list[Family]:
    """Every distribution of scipy, always in the same order."""
    return cdf_families()


def fit_all(
    measured: Measurements, report: Callable[[str], None] = lambda name: None, *, processes: int | None = None
) -> list[Fit]:
    """Every distribution of scipy, by squared error; ties in the order of the paper's table.

    Args:
        measured: three sizes or more.
        report: receives the names of this process's share while they are fitted.
        processes: that share the work, this one included (default: one for each core, eight at most).

    Raises:
        RuntimeError: one of the processes ended without an answer.
    """
    families = every_family()
    shares = min(processes or usable_cores(), MOST_PROCESSES)
    numbers = range(len(families))
    with contextlib.ExitStack() as ends:
        others = [start_share(measured, list(numbers[first::shares])) for first in range(1, shares)]
        for process in others:
            ends.enter_context(process)
            ends.callback(process.kill)
        found = fit_share(measured, numbers[::shares], report)
        for process in others:
            found += answer_of(process)
    best: dict[str, Fit] = {}
    for number, inside, sse, aicc, flags in sorted(found, key=operator.itemgetter(0)):
        fit = Fit(families[number], inside, sse, aicc, flags)
        if fit.name not in best or fit.sse < best[fit.name].sse:
            best[fit.name] = fit
    return ranked(best.values())


def fit_share(
    measured: Measurements, numbers: Sequence[int], report: Callable[[str], None] = lambda name: None
) -> list[Plain]:
    """The families with these places in :func:`every_family`, fitted by this process."""
    families = every_family()
    found: list[Plain] = []
    for number in numbers:
        report(families[number].name)
        fit = fit_family(families[number], measured)
        if fit is not None:
            found.append((number, fit.inside, fit.sse, fit.aicc, fit.flags))
    return found


def start_share(measured: Measurements, numbers: list[int]) -> subprocess.Popen[bytes]:
    """Begin to fit the families with these places in :func:`every_family`, in another process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tiktokactions.study.every_family"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((measured, numbers)))
    process.stdin.close()
    return process


def answer_of(process: subprocess.Popen[bytes]) -> list[Plain]:
    """The fits of a share, once its process has ended. Raises ``RuntimeError`` if it ended without them."""
    assert process.stdout is not None
    with process.stdout:
        answer = process.stdout.read()
    if process.wait() != 0:
        raise RuntimeError(f"a process that fitted families ended with exit code {process.returncode}")
    found: list[Plain] = pickle.loads(answer)
    return found


def main() -> None:
    die_with_parent()
    warnings.simplefilter("ignore")  # the process that started this one shows them
    sys.stdout.buffer.write(pickle.dumps(fit_share(*pickle.load(sys.stdin.buffer))))


if __name__ == "__main__":
    main()
