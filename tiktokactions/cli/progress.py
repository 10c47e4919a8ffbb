"""How a run looks while it runs: a bar on a terminal, a line every few seconds elsewhere. Always on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from tiktokactions import DemoStep, Progress, TrainingProgress
from tiktokactions.cli.words import with_dashes
from tiktokactions.commands.options import nothing

SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def displays(callbacks: Mapping[str, str], as_json: bool) -> Iterator[dict[str, Callable[[Any], None]]]:
    """For each callback of a command, by what it is told, what shows it."""
    shows: dict[str, Callable[[], AbstractContextManager[Callable[[Any], None]]]] = {
        "Progress": show_progress,
        "TrainingProgress": show_training,
        "DemoStep": lambda: contextlib.nullcontext(nothing if as_json else show_step),
        "kept": lambda: contextlib.nullcontext(show_kept),
        "passing": show_line,
    }
    with contextlib.ExitStack() as until_the_end:
        yield {name: until_the_end.enter_context(shows[told]()) for name, told in callbacks.items()}


def show_kept(line: str) -> None:
    print(with_dashes(line), file=sys.stderr, flush=True)


def show_step(step: DemoStep) -> None:
    print(f"{step.name}: {step.told}" + (" (skipped)" if step.skipped else f" ({step.seconds:,.1f} s)"))
    for path in step.files:
        print(f"  {path}")
    print(f"  with your own data:  {step.command}\n", flush=True)


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


# --- the rest -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def show_line() -> Iterator[Callable[[str], None]]:
    """One line on a terminal that is written over; nothing elsewhere: it would be noise."""
    if not sys.stderr.isatty():
        yield lambda line: None
        return
    try:
        yield lambda line: print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
