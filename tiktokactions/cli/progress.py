"""Shows the progress of a run: a bar on a terminal, a line every few seconds elsewhere. Always on standard error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

from tiktokactions import DemoStep, Progress, TrainingProgress
from tiktokactions.cli.words import with_dashes
from tiktokactions.commands.options import nothing
from tiktokactions.model.predictions import Prediction
from tiktokactions.records import to_builtins

SECONDS_BETWEEN_LINES = 10.0
Told = TypeVar("Told", Progress, TrainingProgress)
Describe = Callable[[Told, float], tuple[int, int, str]]
"""Of progress and the seconds since the start: how much is done, of how much, and the line that says it."""
Show = Callable[..., None]
"""Shows what a callback is told: progress of its kind, a step, or a line."""


@contextlib.contextmanager
def displays(callbacks: Mapping[str, str], as_json: bool) -> Iterator[dict[str, Show]]:
    """For each callback of a command, a function that shows what it receives."""
    shows: dict[str, AbstractContextManager[Show]] = {
        "Progress": show_progress(describe),
        "TrainingProgress": show_progress(describe_training),
        "DemoStep": contextlib.nullcontext(nothing if as_json else show_step),
        "Prediction": predictions_as_json() if as_json else contextlib.nullcontext(show_prediction),
        "kept": contextlib.nullcontext(show_kept),
        "passing": show_line(),
    }
    with contextlib.ExitStack() as until_the_end:
        yield {name: until_the_end.enter_context(shows[told]) for name, told in callbacks.items()}


def show_kept(line: str) -> None:
    print(with_dashes(line), file=sys.stderr, flush=True)


def show_step(step: DemoStep) -> None:
    print(f"{step.name}: {step.told}" + (" (skipped)" if step.skipped else f" ({step.seconds:,.1f} s)"))
    for path in step.files:
        print(f"  {path}")
    print(f"  with your own data:  {step.command}\n", flush=True)


def show_prediction(prediction: Prediction) -> None:
    if os.environ.get("RANK", "0") == "0" and prediction.reason is None:
        guesses = [f"  {guess.probability:7.2%}  {guess.label}" for guess in prediction.top]
        when = "" if prediction.start_s is None else f"  {prediction.start_s:.2f} to {prediction.end_s or 0:.2f} s"
        print(f"{prediction.path}{when}", *guesses, sep="\n", flush=True)


@contextlib.contextmanager
def predictions_as_json() -> Iterator[Callable[[Prediction], None]]:
    """A JSON array whose elements are printed as they come, so that what is done stays whatever happens next."""
    before = "["

    def show(prediction: Prediction) -> None:
        nonlocal before
        if os.environ.get("RANK", "0") == "0":
            print(before, json.dumps(to_builtins(prediction)), sep="", end="", flush=True)
            before = ",\n "

    yield show
    if before != "[":
        print("]", flush=True)


@contextlib.contextmanager
def show_progress(describe: Describe[Told]) -> Iterator[Callable[[Told], None]]:
    """Shows messages, and progress as ``describe`` puts it; of several processes that train together only the first."""
    if os.environ.get("RANK", "0") != "0":
        yield nothing
        return
    began = last = time.monotonic()

    def show_in_lines(progress: Told) -> None:
        nonlocal last
        now = time.monotonic()
        done, total, told = describe(progress, now - began)
        now_done = progress.done if isinstance(progress, Progress) else progress.step
        if progress.message:
            show_kept(progress.message)
        elif now - last >= SECONDS_BETWEEN_LINES or (now_done and done == total):
            last = now
            print(told, file=sys.stderr, flush=True)

    if not sys.stderr.isatty():
        yield show_in_lines
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(bar_width=30), TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def show_in_bar(progress: Told) -> None:
            if progress.message:
                bar.console.print(with_dashes(progress.message), markup=False, highlight=False)
                return
            done, total, told = describe(progress, time.monotonic() - began)
            bar.update(task, total=total, completed=done, description=told.replace("[", r"\["))

        yield show_in_bar


def describe(progress: Progress, seconds: float) -> tuple[int, int, str]:
    """How many videos are done, of how many, and a line that says it; ``seconds`` have passed in this run."""
    finished, left = progress.finished_before + progress.done, progress.total - progress.finished_before - progress.done
    parts = [
        f"{finished}/{progress.total} videos",
        f"{progress.accepted} accepted, {progress.needs_review} to review, {progress.rejected} rejected",
    ]
    if progress.done:
        per_hour = progress.done / seconds * 3600 if seconds > 0 else 0.0
        parts += [f"{per_hour:,.0f} videos/h", f"{clock(left / progress.done * seconds)} left"]
    return finished, progress.total, " | ".join(parts)


def describe_training(progress: TrainingProgress, seconds: float) -> tuple[int, int, str]:
    """The same for training, evaluation and prediction, which measure their own time."""
    is_training = progress.loss is not None
    parts = [f"step {progress.step:,}/{progress.steps:,}" if is_training else f"{progress.step}/{progress.steps}"]
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
    return progress.step, progress.steps, " | ".join(parts)


def clock(seconds: float) -> str:
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}"


@contextlib.contextmanager
def show_line() -> Iterator[Callable[[str], None]]:
    """One line on a terminal that is overwritten each time; nothing elsewhere, where it would be noise."""
    if not sys.stderr.isatty():
        yield nothing
        return
    try:
        yield lambda line: print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
