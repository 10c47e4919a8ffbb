"""Whether a model has learned anything: in a sentence where it has not, with what to change. Needs no torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from tiktokactions.intervals import wilson_interval
from tiktokactions.model.options import LR_BATCH
from tiktokactions.model.run import Evaluation, RunInfo
from tiktokactions.records import JsonObject

LEAST_FALL = 0.01
"""Share of a loss: below a smaller fall nothing of use has been learned."""
END = 0.75
"""What comes after this share of the steps is the end of a training."""
GOOD_RATE = 1e-3
"""Of small models from random weights, measured (docs/log.md)."""


def warning_of_training(info: RunInfo, log: Sequence[JsonObject], guessing: float | None = None) -> str | None:
    """What to say of a training whose loss did not fall; None where it fell, or where nobody can tell.

    Args:
        log: the lines of ``log.jsonl``.
        guessing: the loss of giving the same answer for every clip; None: what counts is the loss at first.
    """
    lines = [line for line in log if "loss" in line]
    bar, what = guessing, "guessing has"
    if bar is None:
        if len(lines) < 2 or info.init is not None:  # weights that were trained before may have little left to learn
            return None
        begin = [line["loss"] for line in lines[: max(1, len(lines) // 4)]]
        bar, what, lines = max(begin[0], statistics.fmean(begin)), "at first it was", lines[len(begin) :]
    end = [line["loss"] for line in lines if line["step"] > END * info.derived.steps]
    if not end:
        return None
    loss, noise = statistics.fmean(end), 2 * statistics.stdev(end) / math.sqrt(len(end)) if len(end) > 1 else 0.0
    if loss < bar - max(noise, LEAST_FALL * bar):
        return None
    return f"this model has not learned: the training loss was {loss:.4f} at the end, {what} {bar:.4f}. {_advice(info)}"


def warning_of_test(found: Evaluation, training: str | None, videos_of: Sequence[int]) -> str | None:
    """What to say of a test whose top-1 may be chance; None where it is above.

    Args:
        training: what there is to say of the training, see :func:`warning_of_training`.
        videos_of: how many videos of each class were tested.
    """
    if found.chance is None or found.top1_low > found.chance:
        return None
    tested = sum(count > 0 for count in videos_of)
    if wilson_interval(found.videos, found.videos)[0] <= max(videos_of) / found.videos:
        # As right may be who always says the same.
        numbers = f"{found.videos} video{'s' * (found.videos > 1)} of {tested} class{'es' * (tested > 1)}"
        told = f"{numbers} cannot tell whether this model has learned, whatever it answers: test on more"
        return told if training is None else f"{told}; {training}"
    interval = f"95 % interval {found.top1_low:.1%} to {found.top1_high:.1%}"
    told = f"top-1 {found.top1:.1%} ({interval}) cannot be told from guessing, {found.chance:.1%}"
    if training is not None:
        return f"{told}; {training}"
    return (
        f"{told}: {found.videos} videos are too few to tell, or what was learned from the training videos does not hold"
        " for these (then train on more of them, of more people and places, or begin with `init`)"
    )


def _advice(info: RunInfo) -> str:
    """What was done, in numbers, and what to change."""
    options, derived = info.options, info.derived
    lr, videos, base_lr = derived.lr, derived.videos_per_step, options["base_lr"]
    good = min(GOOD_RATE, 10 * lr) if info.init else GOOD_RATE
    is_other, is_paper = not good / 2 <= lr <= 2 * good, options.get("recipe", "paper") == "paper"
    ways = [f"`base_lr` {good * LR_BATCH / videos:.2g}, which makes it {good:.2g}"] * is_other
    ways += [*["`recipe` small, for few videos"] * is_paper, "more `epochs`"]
    times = f"`base_lr` {base_lr:.2g} × {videos} videos in a step / {LR_BATCH}"
    return f"The highest rate was {lr:.2g} ({times}), over {derived.steps:,} steps. Try {', or '.join(ways)}."
