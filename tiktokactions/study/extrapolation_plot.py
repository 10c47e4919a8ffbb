"""The picture of an extrapolation: runs, fitted curves, the band of what is credible, targets; linear and log axes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiktokactions.plots import ACCEPTED, INK, MUTED, REVIEW, new_figure, save_figure, style
from tiktokactions.study.extrapolation import Extrapolation, videos
from tiktokactions.study.uncertainty import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_SHOWN = 0.01
"""Curves with less of the answer than this are not drawn."""


@style()
def draw_extrapolation(stem: Path, found: Extrapolation) -> list[Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``; left linear sizes to three times the largest, right logarithmic to 30."""
    figure = new_figure(10, 4.6)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, reach in ((left, 3.0), (right, 30.0)):
        _draw(axes, found, reach)
    left.set_xlabel("videos")
    right.set_xlabel("videos, logarithmic")
    right.set_xscale("log")
    for axes in (left, right):
        axes.xaxis.set_major_formatter(lambda size, _: f"{size:,.0f}" if size >= 1 else f"{size:g}")
    right.xaxis.set_minor_formatter(lambda size, _: "")
    left.locator_params(axis="x", nbins=6)
    left.set_ylabel(f"{found.measured.metric}, %")
    title = "the paper's method: best-fitting CDFs" if found.method == "paper" else "measured, and what may follow"
    left.set_title(title)
    handles, names = left.get_legend_handles_labels()
    right.legend(handles, names, loc="lower right", frameon=False, fontsize=8)
    return save_figure(figure, stem)


def _draw(axes: Axes, found: Extrapolation, reach: float) -> None:
    measured = found.measured
    largest = float(measured.sizes[-1])
    first = max(float(measured.sizes[0]) * 0.7, 1e-9)
    sizes = np.geomspace(first, largest * reach, 160)
    shown = [fit for fit in found.shown()[: 10 if found.method == "paper" else None] if not fit.family.slow]
    weights = found.weights()
    if weights:  # a curve that misses the points shares nothing and would only look like a possibility
        shown = [fit for fit in shown if weights.get(fit.name, 0.0) >= LEAST_SHOWN]
    for number, fit in enumerate(shown):
        values = 100 * fit.family.value(sizes / largest, fit.inside[None])[0]
        axes.plot(sizes, values, color=MUTED, lw=0.7, alpha=0.7, label=None if number else "fitted curves")
    if found.curves is not None:
        band = 100 * found.curves.accuracy_intervals(sizes)
        axes.fill_between(
            sizes, band[:, 0], band[:, 2], color=ACCEPTED, alpha=0.18, lw=0, label=f"{LEVEL:.0%} interval"
        )
        axes.plot(sizes, band[:, 1], color=ACCEPTED, lw=2, label="average of the curves")
    runs = [(size, 100 * run) for size, many in zip(measured.sizes, measured.runs, strict=True) for run in many]
    axes.plot(*zip(*runs, strict=True), ".", color=INK, ms=5, alpha=0.5, label="runs")
    if measured.total > len(measured.sizes):
        axes.plot(measured.sizes, 100 * measured.means, "o", color=INK, ms=5, label="mean of a size")
    for answer_target in found.targets:
        axes.axhline(100 * answer_target, color=REVIEW, lw=0.8, ls=(0, (4, 3)))
    for answer in found.answers:
        if answer.size is not None and answer.size <= largest * reach:
            axes.plot(answer.size, 100 * answer.target, "D", color=REVIEW, ms=5)
    if found.next_size is not None and found.next_size <= largest * reach:
        axes.axvline(found.next_size, color=MUTED, lw=0.8, ls=":", label=f"measure next: {videos(found.next_size)}")
    low = 100 * min(min(r) for r in measured.runs)
    high = max(100 * max(found.targets), 100 * max(max(r) for r in measured.runs))
    axes.set_ylim(low - 0.12 * (high - low), min(100.5, high + 0.12 * (high - low)))
    axes.grid(True)
