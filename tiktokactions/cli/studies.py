"""Studies and extrapolations as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions import StudyPlan, StudyResult
from tiktokactions.cli.progress import clock
from tiktokactions.text import aligned

if TYPE_CHECKING:
    from tiktokactions.study.extrapolation import Extrapolation


def extrapolation_lines(found: Extrapolation) -> list[str]:
    """An extrapolation for people: the families, the answer, the backtest, the sentence."""
    from tiktokactions.study.extrapolation import table_rows, videos

    head = ["family", "squared error", "AICc", *(f"{100 * t:g} %" for t in found.targets), "remarks"]
    lines = aligned([head, *table_rows(found)], (0, len(head) - 1), rule=True)
    if found.method == "paper":
        return [*lines, "", *found.notes]
    if found.curves is not None:
        rows = []
        for a in found.answers:
            size, low = ("not told" if n is None else videos(n) for n in (a.size, a.low))
            high = "no end" if a.high is None else videos(a.high)
            rows.append((f"{100 * a.target:g} %", size, low, high, f"{a.share_reaching:.0%}"))
        head = ["target", "videos", "90 % from", "to", "of the credible curves get there"]
        lines += ["", "All credible curves together:", *aligned([head, *rows], (0, len(head) - 1), rule=True)]
    if found.backtests:
        worst: dict[str, float] = {}
        for test in found.backtests:
            worst[test.name] = max(worst.get(test.name, 0.0), *map(abs, test.errors))
        told = ", ".join(f"{name} {100 * error:.1f}" for name, error in sorted(worst.items(), key=lambda w: w[1]))
        lines += ["", f"Backtest (largest error in points on the sizes left out): {told}"]
    return [*lines, "", *(f"Note: {note}." for note in found.notes), found.sentence]


def study_lines(result: StudyResult | StudyPlan) -> list[str]:
    """A study for people: its plan, or what it found so far."""
    if isinstance(result, StudyPlan):
        per = ", ".join(f"{name} {s:.3g} s a step, {result.steps[name]:,} steps" for name, s in result.measured.items())
        return [
            f"{len(result.trials)} trials, equal {result.equal}: {', '.join(result.trials)}",
            f"measured on the largest just now: {per}",
            f"about {clock(result.seconds)} with {result.jobs} at a time, without tests and start-up",
        ]
    lines = [f"{result.finished} of {result.trials} trials finished; pre-training with equal {result.equal}"]
    head = ["source", "videos"] if any("source" in row for row in result.table) else ["size"]
    rows = [
        (
            *([row["source"]] if "source" in row else []),
            f"{row['size']:,}",
            str(row["runs"]),
            f"{100 * row['top1']:.2f} %",
            "-" if row["top1_sd"] is None else f"{100 * row['top1_sd']:.2f}",
            f"{100 * row['top5']:.2f} %",
        )
        for row in result.table
    ]
    head += ["runs", "top-1", "sd", "top-5"]
    lines += aligned([head, *rows], (0, len(head) - 1), rule=True) if rows else []
    lines += [
        f"{d['first']} minus {d['second']}: {100 * d['difference']:+.2f} points"
        f" (95 % interval {100 * d['low']:+.2f} to {100 * d['high']:+.2f})"
        for d in result.differences
    ]
    lines += [f"warning: {warning}" for warning in result.warnings]
    for name, last_lines in result.failed.items():
        lines += [f"CRASHED {name} (--retry runs it again):", *(f"    {line}" for line in last_lines.splitlines()[-3:])]
    return [*lines, *([result.sentence] if result.sentence else []), f"Study: {result.study}"]
