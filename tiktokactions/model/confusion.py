"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tiktokactions.plots import INK, SEQUENCE, new_figure, printable, save_figure, style, title

MOST_NAMED = 60
"""Classes up to which every row and column is named."""
MOST_NUMBERED = 15


@style()
def draw_confusion(stem: Path, counts: np.ndarray, names: Sequence[str], top1: float) -> list[Path]:
    """``stem.svg`` and ``.png`` of a matrix (labels × predictions), every row as shares of its videos."""
    from matplotlib.colors import LinearSegmentedColormap

    classes = len(names)
    videos = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(videos, 1)
    side_in = min(12.0, max(5.0, 2.2 + 0.2 * classes if classes <= MOST_NAMED else 9.0))
    figure = new_figure(side_in + 1, side_in)
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("share", ["#ffffff", *SEQUENCE])
    picture = axes.imshow(shares, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(picture, ax=axes, label="share of the label's videos", shrink=0.7)
    if classes <= MOST_NAMED:
        short = [printable(name, 24) for name in names]
        size = 9 if classes <= 25 else 6
        axes.set_xticks(range(classes), short, rotation=90, fontsize=size)
        axes.set_yticks(range(classes), short, fontsize=size)
    if classes <= MOST_NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            ink = "white" if shares[row, column] > 0.5 else INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
    axes.set(xlabel="predicted", ylabel="label")
    total = int(videos.sum())
    title(axes, f"Top-1 {top1:.1%}", f"{total:,} videos, {classes} classes")
    return save_figure(figure, stem)
