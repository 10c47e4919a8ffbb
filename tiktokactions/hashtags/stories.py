"""The files of a selection: the hashtags, the story of every candidate, and the picture of the flow (Figure 1)."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

from tiktokactions.hashtags.principles import SPECIFICATION, HashtagError
from tiktokactions.hashtags.select import Decision, Selection, csv_rows, plain, tag_of


def write_selection(selection: Selection, folder: Path) -> list[Path]:
    """``hashtags.csv`` (kept), ``decisions.csv`` (every candidate's story), ``flow.svg`` and ``flow.png`` (Figure 1)."""
    from tiktokactions.files import write_csv

    kept = ((d.hashtag, d.category, *_view_cells(d)) for d in selection.kept)
    write_csv(folder / "hashtags.csv", [("hashtag", "category", *_VIEW_COLUMNS), *kept])
    head = ("hashtag", "decision", "into", "principle", "why", "category", *_VIEW_COLUMNS, "phrases", "story")
    log = (
        (d.hashtag, d.decision, d.into, d.principle, d.why, d.category, *_view_cells(d), d.phrases, " | ".join(d.story))
        for d in selection.decisions
    )
    write_csv(folder / "decisions.csv", [head, *log])
    return [folder / "hashtags.csv", folder / "decisions.csv", *draw_flow(selection, folder / "flow")]


def explain(hashtag: str, decisions: Path) -> list[str]:
    """The story of one hashtag in ``decisions.csv``, with the hashtags that it stands for."""
    tag = tag_of(hashtag)
    rows = csv_rows(decisions, "hashtag", "decision", "into", "principle", "why")
    mine = [row for row in rows if row["hashtag"] == tag]
    if not mine:
        raise HashtagError(f"{decisions}: #{tag} was not among the {len(rows)} candidates")
    lines = []
    while mine:
        row = mine[0]
        into = "".join(f" #{name}" for name in row["into"].split())
        lines.append(f"#{row['hashtag']}: {row['decision']}{into} ({row['principle']}): {row['why']}")
        if row.get("phrases"):
            lines.append(f"  proposed for: {row['phrases']}")
        lines += [f"  {step}" for step in (row.get("story") or "").split(" | ") if step]
        others = [r["hashtag"] for r in rows if row["hashtag"] in r["into"].split()]
        if others:
            lines.append("  stands for: " + " ".join(f"#{name}" for name in others))
        mine = [r for r in rows if r["hashtag"] == row["into"]]
    return lines


def draw_flow(selection: Selection, stem: Path) -> list[Path]:
    """How many candidates were left after each step, and where the others went (paper, Figure 1)."""
    from tiktokactions.plots import new_figure, save_figure, style

    gone = [
        f"{before - count} {_GONE[place]}{_by_principle(selection) if place == 1 else ''}"
        if before > count
        else "none left out"
        for place, ((_, before), (_, count)) in enumerate(itertools.pairwise(selection.steps))
    ]
    gaps = [max(1.0, 0.5 + 0.2 * (text.count("\n") + 1)) for text in gone]
    depths = [0.0, *itertools.accumulate(gaps)]
    with style():
        figure = new_figure(8.0, 1.1 * (depths[-1] + 1) + 0.6)
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_xlim(0, 10)
        axes.set_ylim(-depths[-1] - 0.6, 0.6)
        for (name, count), depth in zip(selection.steps, depths, strict=True):
            box = {"boxstyle": "round,pad=0.5", "facecolor": "#eef3f8", "edgecolor": "#4a6f94"}
            axes.text(3.4, -depth, f"{name}: {count}", ha="center", va="center", bbox=box)
        for text, above, below in zip(gone, depths, depths[1:], strict=False):
            arrow = {"arrowstyle": "->", "color": "#4a6f94"}
            axes.annotate("", (3.4, -below + 0.2), (3.4, -above - 0.2), arrowprops=arrow)
            axes.text(3.75, -(above + below) / 2, text, va="center")
        if selection.estimated:
            told = f"views that were not given are estimates {selection.estimated}"
            axes.text(0, -depths[-1] - 0.5, told, fontsize=8, va="bottom")
        return save_figure(figure, stem)


def _by_principle(selection: Selection) -> str:
    counts = Counter(d.principle for d in selection.decisions if d.into and d.principle != SPECIFICATION)
    return "".join(f"\n   {count} by {principle}" for principle, count in counts.most_common())


_GONE = (
    "replaced by more specific ones",
    "merged or replaced",
    "dropped: too few views",
    "dropped: beyond the target",
)


_VIEW_COLUMNS = ("views", "views_low", "views_high", "views_are")


def _view_cells(decision: Decision) -> tuple[str, str, str, str]:
    found = decision.estimate
    low, high = (None, None) if found is None else (found.low, found.high)
    return plain(decision.views), plain(low), plain(high), decision.views_are
