"""Distributions of what curation measured, accepted videos beside all others: read from the manifest in batches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from tiktokactions import plots
from tiktokactions.dataset.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = 40
MEASURES: dict[str, tuple[str, np.ndarray]] = {
    "motion": ("motion, mean change of luma per frame", np.geomspace(0.01, 64, _STEPS + 1)),
    "sharpness": ("sharpness, variance of the Laplacian", np.geomspace(1, 20_000, _STEPS + 1)),
    "brightness": ("brightness, 0 to 255", np.linspace(0, 256, _STEPS + 1)),
    "static_share": ("share of still frames", np.linspace(0, 1, _STEPS + 1)),
    "border_share": ("share of flat border", np.linspace(0, 1, _STEPS + 1)),
    "person_frames": ("sampled frames with a person", np.arange(-0.5, 11)),
}
"""By column of the manifest: its name for people, and the edges of its bins (the outermost also count what lies beyond)."""


def quality_counts(data: Dataset) -> dict[str, np.ndarray]:
    """For each measure int64 (2, bins): accepted videos, then all others that have a value."""
    counts = {name: np.zeros((2, len(edges) - 1), np.int64) for name, (_, edges) in MEASURES.items()}
    for batch in data.batches(["status", *MEASURES]):
        accepted = pc.equal(batch["status"], "accepted").to_numpy(zero_copy_only=False)
        for name, (_, edges) in MEASURES.items():
            values = batch[name].cast("float64").to_numpy(zero_copy_only=False)
            inside = np.clip(values, edges[0], np.nextafter(edges[-1], -np.inf))
            for row, chosen in enumerate((accepted, ~accepted)):
                counts[name][row] += np.histogram(inside[chosen & np.isfinite(values)], edges)[0]
    return counts


@plots.style()
def draw_quality(data: Dataset, stem: Path) -> bool:
    """Draw ``stem.svg`` and ``stem.png``; False where no video has any value."""
    counts = quality_counts(data)
    if not any(rows.any() for rows in counts.values()):
        return False
    figure = plots.new_figure(4.8, 6.4)  # as wide as a phone can show it
    for axes, (name, (told, edges)) in zip(figure.subplots(3, 2).flat, MEASURES.items(), strict=True):
        _histogram(axes, counts[name], edges, told)
    figure.suptitle("Quality: accepted (blue) and all other videos (grey)", x=0.01, ha="left", fontsize=11)
    plots.save_figure(figure, stem)
    return True


def _histogram(axes: Axes, rows: np.ndarray, edges: np.ndarray, told: str) -> None:
    accepted, others = rows
    axes.stairs(others + accepted, edges, fill=True, color=plots.REJECTED)
    axes.stairs(accepted, edges, fill=True, color=plots.ACCEPTED)
    if edges[0] > 0:
        axes.set_xscale("log")
        decades = 10.0 ** np.arange(np.ceil(np.log10(edges[0])), np.log10(edges[-1]) + 1e-9)
        axes.set_xticks(decades, [f"{decade:,g}" for decade in decades])
        axes.minorticks_off()
    axes.set_title(told.replace(", ", "\n"), fontsize=8.5, fontweight="normal", pad=4)
    axes.set_ylim(0, max(1, int(rows.sum(0).max())) * 1.08)
    plots.count_axis(axes)
    axes.tick_params(labelsize=8)
