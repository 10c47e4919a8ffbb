"""How a run looks while it runs: a bar on a terminal, a line every few seconds elsewhere. Always on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from tiktokactions import Progress, StudyPlan, StudyResult, TrainingProgress
from tiktokactions.cli.words import with_dashes
from tiktokactions.study.extrapolation import Extrapolation, table_rows, videos

SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def show_progress() -> Iterator[Callable[[Progress], None]]:
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


def rate_and_time_left(progress: Progress, seconds: float) -> tuple[float, float | None]:
    """Videos an hour in this run, and the seconds left at that rate (None before the first video)."""
    per_hour = progress.done / seconds * 3600 if seconds > 0 else 0.0
    left = progress.total - progress.finished_before - progress.done
    return per_hour, left / progress.done * seconds if progress.done else None


def describe(progress: Progress, seconds: float) -> str:
    per_hour, left_s = rate_and_time_left(progress, seconds)
    parts = [
        f"{progress.finished_before + progress.done}/{progress.total} videos",
        f"{progress.accepted} accepted, {progress.needs_review} to review, {progress.rejected} rejected",
    ]
    if progress.done:
        parts.append(f"{per_hour:,.0f} videos/h")
    if left_s is not None:
        parts.append(f"{clock(left_s)} left")
    return " | ".join(parts)


def clock(seconds: float) -> str:
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}"


def _lines() -> Callable[[Progress], None]:
    began = last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        finished = progress.total and progress.finished_before + progress.done == progress.total
        if progress.message:
            print(with_dashes(progress.message), file=sys.stderr, flush=True)
        elif now - last >= SECONDS_BETWEEN_LINES or (finished and progress.done):
            last = now
            print(describe(progress, now - began), file=sys.stderr, flush=True)

    return show


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    began = time.monotonic()
    with Bar(BarColumn(bar_width=30), TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def show(progress: Progress) -> None:
            if progress.message:
                bar.console.print(with_dashes(progress.message), markup=False, highlight=False)
            else:
                bar.update(
                    task,
                    total=progress.total,
                    completed=progress.finished_before + progress.done,
                    description=describe(progress, time.monotonic() - began).replace("[", r"\["),
                )

        yield show


# --- training ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def show_training() -> Iterator[Callable[[TrainingProgress], None]]:
    """The same for training, evaluation and prediction; of several processes only the first speaks."""
    if os.environ.get("RANK", "0") != "0":
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _training_bar() as show:
            yield show
    else:
        yield _training_lines()


def describe_training(progress: TrainingProgress) -> str:
    parts = [
        f"step {progress.step:,}/{progress.steps:,}"
        if progress.loss is not None
        else f"{progress.step}/{progress.steps}"
    ]
    if progress.epoch:
        parts.append(f"epoch {progress.epoch}")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.lr is not None:
        parts.append(f"rate {progress.lr:.2e}")
    if progress.clips_per_s is not None:
        parts.append(f"{progress.clips_per_s:,.1f} clips/s")
    if progress.loading_share is not None:
        parts.append(f"{progress.loading_share:.0%} loading")
    if progress.seconds_left is not None:
        parts.append(f"{clock(progress.seconds_left)} left")
    return " | ".join(parts)


def _training_lines() -> Callable[[TrainingProgress], None]:
    last = time.monotonic()

    def show(progress: TrainingProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if progress.message:
            print(with_dashes(progress.message), file=sys.stderr, flush=True)
        elif now - last >= SECONDS_BETWEEN_LINES or progress.step == progress.steps:
            last = now
            print(describe_training(progress), file=sys.stderr, flush=True)

    return show


@contextlib.contextmanager
def _training_bar() -> Iterator[Callable[[TrainingProgress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(bar_width=30), TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def show(progress: TrainingProgress) -> None:
            if progress.message:
                bar.console.print(with_dashes(progress.message), markup=False, highlight=False)
            else:
                told = describe_training(progress).replace("[", r"\[")
                bar.update(task, total=progress.steps, completed=progress.step, description=told)

        yield show


# --- studies --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def show_line() -> Iterator[Callable[[str], None]]:
    """One line on a terminal that is written over; nothing elsewhere: it takes seconds."""
    if not sys.stderr.isatty():
        yield lambda line: None
        return
    try:
        yield lambda line: print(f"\r\033[Kfitting {line}", end="", file=sys.stderr, flush=True)
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be; the first to the left, numbers to the right, the last to the left."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if i in (0, len(head) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(head), line(["-" * width for width in widths]), *map(line, rows)]


def extrapolation_lines(found: Extrapolation) -> list[str]:
    """An extrapolation for people: the families, the answer, the backtest, the sentence."""
    head = ["family", "squared error", "AICc", *(f"{100 * t:g} %" for t in found.targets), "remarks"]
    lines = text_table(head, table_rows(found))
    if found.method == "paper":
        return [*lines, "", *found.notes]
    if found.curves is not None:
        rows = [
            (
                f"{100 * a.target:g} %",
                "not told" if a.size is None else videos(a.size),
                "not told" if a.low is None else videos(a.low),
                "no end" if a.high is None else videos(a.high),
                f"{a.share_reaching:.0%}",
            )
            for a in found.answers
        ]
        head = ["target", "videos", "90 % from", "to", "of the credible curves get there"]
        lines += ["", "All credible curves together:", *text_table(head, rows)]
    if found.backtests:
        worst: dict[str, float] = {}
        for test in found.backtests:
            size = max(abs(error) for error in test.errors)
            worst[test.name] = max(worst.get(test.name, 0.0), size)
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
    first = "source" if result.table and "source" in result.table[0] else "size"
    rows = [
        (
            f"{row[first]:,}" if first == "size" else row[first],
            *((f"{row['size']:,}",) if first == "source" else ()),
            str(row["runs"]),
            f"{100 * row['top1']:.2f} %",
            "-" if row["top1_sd"] is None else f"{100 * row['top1_sd']:.2f}",
            f"{100 * row['top5']:.2f} %",
        )
        for row in result.table
    ]
    head = [first, *(["videos"] if first == "source" else []), "runs", "top-1", "sd", "top-5"]
    lines += text_table(head, rows) if rows else []
    lines += [
        f"{d['first']} minus {d['second']}: {100 * d['difference']:+.2f} points"
        f" (95 % interval {100 * d['low']:+.2f} to {100 * d['high']:+.2f})"
        for d in result.differences
    ]
    lines += [f"warning: {warning}" for warning in result.warnings]
    for name, last_lines in result.failed.items():
        lines += [f"CRASHED {name} (--retry runs it again):", *(f"    {line}" for line in last_lines.splitlines()[-3:])]
    return [*lines, *([result.sentence] if result.sentence else []), f"Study: {result.study}"]
