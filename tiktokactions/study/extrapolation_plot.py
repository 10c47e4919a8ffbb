"""The picture of an extrapolation: runs, fitted curves, the band of what is credible, targets; linear and log axes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiktokactions.plots import ACCEPTED, INK, MUTED, REVIEW, new_figure, save_figure, style
from tiktokactions.study.extrapolation import SHOWN, Extrapolation, band
from tiktokactions.study.posterior import LEVEL, posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    fitted = "fitted curves" if found.method == "paper" else "laws, each by itself"
    for number, fit in enumerate(shown):
        values = 100 * fit.family.value(sizes / largest, fit.inside[None])[0]
        axes.plot(sizes, values, color=MUTED, lw=0.7, alpha=0.7, label=None if number else fitted)
    if found.curves is not None:
        last = dataclasses.replace(measured, sizes=measured.sizes[-1:], runs=measured.runs[-1:])
        of_prior = 100 * band(posterior(last), sizes / largest)
        axes.plot(sizes, of_prior[:, 0], color=INK, lw=0.7, ls=":", label="prior that knows the largest size only")
        axes.plot(sizes, of_prior[:, 2], color=INK, lw=0.7, ls=":")
        ends = 100 * band(found.curves, sizes / largest)
        axes.fill_between(
            sizes, ends[:, 0], ends[:, 2], color=ACCEPTED, alpha=0.18, lw=0, label=f"{LEVEL:.0%} interval"
        )
        known = np.geomspace(first, largest * min(reach, SHOWN[-1]), 14)
        possible = 100 * found.curves.draw(known / largest, found.draws, np.random.default_rng(found.seed))
        axes.plot(known, possible.T, color=ACCEPTED, lw=0.5, alpha=0.35)
        axes.plot(sizes, ends[:, 1], color=ACCEPTED, lw=2, label="as likely above as below")
    if found.chance is not None:
        axes.axhline(100 * found.chance, color=MUTED, lw=1, label="guessing")
    if found.measured.test_clips:
        means = found.measured.means
        errors = 164 * np.sqrt(means * (1 - means) / found.measured.test_clips)
        axes.errorbar(
            found.measured.sizes, 100 * means, errors, fmt="none", ecolor=INK, lw=0.8, capsize=2, label="test clips"
        )
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
        axes.axvline(found.next_size, color=MUTED, lw=0.8, ls=":", label=f"measure next: {found.next_size:,.12g}")
    low = 100 * min(*(min(r) for r in measured.runs), 1.0 if found.chance is None else found.chance)
    high = max(100 * max(t for t in found.targets[:3]), 100 * max(max(r) for r in measured.runs))
    axes.set_ylim(low - 0.12 * (high - low), min(100.5, high + 0.12 * (high - low)))
    axes.grid(True)
