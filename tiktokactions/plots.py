"""What all figures share: one style, and saving as SVG (text stays text) and PNG with the same bytes every time.

Draw inside ``with style():`` (or a function under ``@style()``), because matplotlib reads most settings when a bar or a
word is created, not when the figure is saved. No pyplot: nothing here opens a window or keeps a figure alive.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tiktokactions.files import AnyPlace, write_atomic
from tiktokactions.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
"""Text."""
MUTED = "#5f6b7a"
"""Secondary text; 5.4:1 against white, so still readable for weak eyes."""
RULE = "#dde2e8"
"""Grid lines and empty tracks."""
ACCEPTED = "#2c6fb0"
REVIEW = "#e0a11b"
REJECTED = "#a7b0ba"
SEQUENCE = ("#cfe0f1", "#9fc3e4", "#6aa2d3", "#3d7fbe", "#1f5a98", "#123a66")
"""Light to dark, for ordered classes. Blue against amber is told apart under every common colour blindness."""

PNG_DPI = 150
BAR = 0.72
"""Thickness of a horizontal bar as a share of its row."""

# First a font that matplotlib brings along; then, where installed, fonts with the scripts it lacks.
_FALLBACK_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai")

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 10,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,  # '$' in a label is a dollar
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.unicode_minus": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "tiktokactions",  # element ids are random without it
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The project's figure style, whatever the user's own matplotlibrc says; restored on leaving.

    Also silences the warnings about glyphs that no installed font has: labels come in every script, an SVG shows them
    with the reader's fonts, and a PNG shows a box.
    """
    import matplotlib
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    families = ["sans-serif", *(name for name in _FALLBACK_FONTS if name in installed)]
    with matplotlib.rc_context(), warnings.catch_warnings():
        no_glyph = r"Glyph \d+ .* missing from|Matplotlib currently does not support"
        warnings.filterwarnings("ignore", no_glyph, UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        matplotlib.rcParams["font.family"] = families
        yield


def new_figure(width_in: float = 8.0, height_in: float = 4.0) -> Figure:
    """An empty white figure, in inches; 8 inches fill the width of a README. ``figure.add_subplot()`` gives axes."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure(figsize=(width_in, height_in), facecolor="white", layout=layout)


def save_figure(figure: Figure, stem: AnyPlace, suffixes: Sequence[str] = (".svg", ".png")) -> list[AnyPlace]:
    """Write ``<stem>.svg`` and ``<stem>.png`` (each whole or not at all) and return the paths.

    The bytes depend on the drawing and the matplotlib version only: no dates, no random ids.
    """
    paths = [stem.with_name(f"{stem.name}{suffix}") for suffix in suffixes]
    with style():
        for path in paths:
            metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
            buffer = io.BytesIO()
            figure.savefig(buffer, format=path.suffix[1:], dpi=PNG_DPI, metadata=metadata)
            write_atomic(path, buffer.getvalue())
            figure.set_layout_engine("none")  # found once, it holds for both, and takes as long as drawing
    return paths


def message_figure(message: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = new_figure(8, 2)
    figure.text(0.5, 0.5, message, ha="center", va="center", color=MUTED, fontsize=12)
    return figure


def title(axes: Axes, text: str, below: str) -> None:
    """A bold title, and a line in smaller print between it and the axes."""
    axes.set_title(printable(text) or " ", pad=24)
    axes.annotate(printable(below), (0, 1), (0, 8), "axes fraction", "offset points", fontsize=9, color=MUTED)


def count_axis(axes: Axes) -> None:
    """A vertical axis of counts: whole numbers, thousands apart, grid lines behind the bars."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y")


def horizontal_bars(
    axes: Axes,
    names: list[str],
    values: Sequence[float],
    notes: list[str],
    color: str | list[str],
    width_in: float = 5.5,
    longest: float | None = None,
) -> None:
    """Bars from the top down with their names on the left and a note right of each.

    ``width_in``: about how wide the axes will be; the bars are scaled so that the notes fit into it. ``longest``: the
    value that would fill the width (default: the largest), so that two axes can have one scale.
    """
    rows = range(len(names))
    axes.barh(rows, values, height=BAR, color=color)
    axes.set_yticks(rows, [printable(name, 32) for name in names])
    for row, value, note in zip(rows, values, notes, strict=True):
        axes.annotate(note, (value, row), xytext=(5, 0), textcoords="offset points", va="center", color=MUTED)
    axes.set_ylim(len(names) - 0.4, -0.6)
    # 5.8 points per character at size 10 is DejaVu Sans's average; the widest note must fit beside the longest bar.
    note_in = max(map(len, notes), default=0) * 5.8 / 72 + 0.15
    axes.set_xlim(0, (longest or max([*values, 1e-9])) / max(0.3, 1 - note_in / width_in))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
