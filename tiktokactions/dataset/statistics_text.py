"""The statistics as plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tiktokactions.dataset.statistics import Bin, Statistics
from tiktokactions.dataset.tally import STAGES
from tiktokactions.records import REASONS, STATUSES
from tiktokactions.text import aligned, fitted, printable

TABLE_WIDTH = 100
TABLE_LABELS = 40
"""Labels listed in the text table; more: the first three quarters and the last quarter of as many."""


def statistics_table(stats: Statistics) -> str:
    """What ``tiktokactions dataset stats`` prints: plain text, at most 100 columns wide."""
    sections = [_overview(stats), _reasons_table(stats), _funnel_table(stats)]
    for title, bins, unit in [
        ("Clips per label, the paper's ranges", stats.paper_ranges, "labels"),
        ("Clips per label, ranges of this dataset", stats.fitted_ranges, "labels"),
        ("Duration of clips", stats.durations, "clips"),
    ]:
        sections.append(_table(title, ["", unit, "share"], bin_rows(bins)))
    for title, shares in [
        ("Short side of the sources, pixels", stats.short_sides),
        ("Frame size of the sources", stats.frame_sizes),
        ("Orientation of the sources", stats.orientations),
        ("Frame rate of the sources, rounded", stats.frame_rates),
    ]:
        rows = [[s.name, f"{s.readable:,}", f"{s.accepted:,}"] for s in shares]
        sections.append(_table(title, ["", "readable", "accepted"], rows))
    rows = [[s.name, f"{s.total_s:,.1f}", f"{s.mean_s:.3f}", f"{s.videos:,}"] for s in stats.stages]
    sections.insert(3, _platform_table(stats))
    sections.append(_table("Seconds per stage", ["", "total", "mean per video", "videos"], rows))
    return "\n\n".join(section for section in sections if section) + "\n"


def share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"


def bin_rows(bins: Sequence[Bin]) -> list[list[str]]:
    """Name, count and share of each."""
    total = sum(b.count for b in bins)
    return [[b.name, f"{b.count:,}", share(b.count, total)] for b in bins]


def label_summary(stats: Statistics) -> str:
    """One line on clips per label, as in the paper's Appendix C."""
    per_label = stats.clips_per_label
    if per_label is None:
        return "no labelled clip yet"
    return (
        f"mean {per_label.mean:,.1f}, median {per_label.median:,g},"
        f" largest {per_label.largest:,} ({fitted(per_label.largest_label, 18)}),"
        f" smallest {per_label.smallest:,} ({fitted(per_label.smallest_label, 18)})"
    )


def _overview(stats: Statistics) -> str:
    status = ", ".join(
        f"{stats.status[s]:,} {s.replace('_', ' ')} ({share(stats.status[s], stats.videos)})" for s in STATUSES
    )
    size = f"{stats.source_bytes / 1e9:,.2f} GB"
    lines = [
        ("videos", f"{stats.videos:,}"),
        ("status", status),
        ("still to judge", f"{stats.to_judge:,} by a person ({stats.review_hours:,.2f} hours of proposed clips)"),
        ("clips", f"{stats.funnel.accepted:,}, {stats.clip_hours:,.2f} hours"),
        ("sources", f"{stats.source_hours:,.2f} hours, {size}, {stats.copies:,} identical copies"),
        ("creators", f"{stats.creators:,}, of accepted clips {stats.creators_accepted:,}"),
        ("labelled as AI", f"{stats.ai_labelled:,}, of accepted clips {stats.ai_labelled_accepted:,}"),
        ("pictures", _counts({name: n for name, n in stats.pictures.items() if n})),
        ("detectors", _counts(stats.detectors)),
        ("splits", _counts(stats.splits)),
        ("clips per label", label_summary(stats)),
    ]
    if (per_label := stats.clips_per_label) is not None:
        without = f"{per_label.labels_without_clips:,} without; {per_label.unlabelled_clips:,} clips without a label"
        lines.append(("labels", f"{per_label.labels:,} with clips, {without}"))
    return "\n".join(f"{name:<16}{value}" for name, value in lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{printable(name, 40)} {n:,}" for name, n in counts.items()) or "none"


def _reasons_table(stats: Statistics) -> str:
    rows = [[code, f"{n:,}", share(n, stats.videos)] for code, n in stats.reasons.items()]
    room = TABLE_WIDTH - sum(2 + max((len(row[i]) for row in rows), default=0) for i in range(3))
    rows = [[*row, fitted(REASONS.get(row[0], ""), room)] for row in rows]
    return _table("Reasons", ["", "videos", "share", ""], rows, text_columns=(0, 3))


def _funnel_table(stats: Statistics) -> str:
    rows = [
        [funnel.label, *(f"{getattr(funnel, stage):,}" for stage in STAGES), share(funnel.accepted, funnel.seen)]
        for funnel in (stats.funnel, *stats.labels)
    ]
    if (more := len(stats.labels) - TABLE_LABELS) > 0:
        rows[1 + TABLE_LABELS * 3 // 4 : -TABLE_LABELS // 4] = [[f"… {more:,} more (stats.json)", *[""] * 7]]
    header = ["", "seen", "readable", "long enough", "people", "accepted", "review", "accepted %"]
    return _table("Funnel", header, rows)


def _platform_table(stats: Statistics) -> str:
    """The labels as they would be without the design: every clip weighted by one divided by its inclusion probability."""
    found = sorted((f for f in stats.labels if f.represented), key=lambda f: (-f.represented, f.label))[:TABLE_LABELS]
    rows = [
        [
            *(f.label, f"{f.accepted:,}", share(f.accepted, stats.accepted)),
            *(f"{f.represented:,.0f}", f"{100 * f.represented / stats.represented:.1f} %"),
        ]
        for f in found
    ]
    title = f"Weighted by probability, {stats.sampled:,} clips"
    return _table(title, ["", "clips", "share", "on the platform", "share"], rows)


def _table(title: str, header: list[str], rows: list[list[str]], text_columns: tuple[int, ...] = (0,)) -> str:
    """Text to the left, numbers to the right; nothing where there are no rows."""
    if not rows:
        return ""
    return "\n".join(aligned([[title, *header[1:]], *([fitted(row[0], 28), *row[1:]] for row in rows)], text_columns))
