"""Studies and extrapolations as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions import StudyPlan, StudyResult
from tiktokactions.cli.progress import clock
from tiktokactions.text import aligned

if TYPE_CHECKING:
    from tiktokactions.study.extrapolation import Extrapolation


def extrapolation_lines(found: Extrapolation) -> list[str]:
    """An extrapolation for people: the sentence, then targets, accuracies to expect, the families, the backtest."""
    from tiktokactions.study.extrapolation import SHOWN, probability, table_rows, videos

    head = ["family", "squared error", "AICc", *(f"{100 * t:g} %" for t in found.targets), "remarks"]
    families = aligned([head, *table_rows(found)], (0, len(head) - 1), rule=True)
    if found.method == "paper":
        return [*families, "", *found.notes]
    lines = [found.sentence, ""]
    rows = [
        (f"{100 * a.target:g} %", *map(probability, a.by_multiple.values()), *map(videos, a.assured.values()))
        for a in found.answers
    ]
    head = ["target", "twice", "four times", "eight times", "videos for 50 %", "80 %", "95 % assurance"]
    lines += ["Probability with more data, and videos for an assurance:", *aligned([head, *rows], (0,), rule=True), ""]
    largest = float(found.measured.sizes[-1])
    asked = [found.at(size) for size in (*found.asked, *(largest * n for n in SHOWN if not found.asked))]
    expected = [(f"{e.size:,.0f}", *(f"{100 * v:.1f} %" for v in (e.accuracy, e.low, e.high))) for e in asked]
    lines += [
        "Accuracy to expect:",
        *aligned([["videos", "accuracy", "90 % from", "to"], *expected], (), rule=True),
        "",
    ]
    lines += ["Laws, each by itself:", *families]
    if (test := found.backtest) is not None:
        lines += [
            "",
            f"Backtest: without {test.size:,.12g} videos {100 * test.accuracy:.1f} % would have been expected there"
            f" ({100 * test.low:.1f} to {100 * test.high:.1f}); measured {100 * test.measured:.1f} %",
        ]
    return [*lines, "", *(f"Note: {note}." for note in found.notes)]


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
    lines += [f"warning: {warning}" for warning in result.warnings] + [f"Note: {note}." for note in result.notes]
    for name, last_lines in result.failed.items():
        lines += [f"CRASHED {name} (--retry runs it again):", *(f"    {line}" for line in last_lines.splitlines()[-3:])]
    return [*lines, *([result.sentence] if result.sentence else []), f"Study: {result.study}"]
