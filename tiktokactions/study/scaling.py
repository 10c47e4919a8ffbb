"""The data-size study (paper, section 5 and Figure 3): pre-train on nested subsets, fine-tune alike, test alike."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from tiktokactions.plots import ACCEPTED, MUTED, REVIEW, new_figure, save_figure, style
from tiktokactions.study.budget import hours_by_size, next_trial
from tiktokactions.study.contents import StudyError
from tiktokactions.study.options import Equal, ScalingOptions
from tiktokactions.study.settings import Design, check_evaluation, pool_of
from tiktokactions.study.tables import FEW_CLASSES, METRICS, Row, classes_of, grouped, spread_told, summary
from tiktokactions.study.trials import Trial, TrialResult


def scaling_trials(
    data: str, sizes: Sequence[int], study: Design, report: Callable[[str], None] = lambda line: None
) -> list[Trial]:
    """Write the study's settings and subsets, and return its trials, small sizes first, repeat by repeat.

    A study that was begun keeps its lists. What is new in the pool comes after what they have.

    Raises:
        StudyError: more videos asked for than there are, evaluation data without sides, or a folder that holds another
            study, or one of other contents.
    """
    pool = pool_of(data)
    if max(sizes) > len(pool):
        raise StudyError(
            f"`sizes`: got {max(sizes)}, but {data} has {len(pool)} clips to pre-train on; expected at most that many"
        )
    check_evaluation(study.evaluate_on)
    # Equal steps are those of the largest size that the study began with; larger ones that are added take as many.
    begun = study.settings()
    largest = int(begun.get("largest") or max(sizes))
    warm = isinstance(study.options, ScalingOptions) and study.options.warm
    same = {
        "data": data,
        "largest": largest if study.options.equal == "steps" else None,
        **({"warm": True} if warm else {}),
    }
    study.keep("scaling", may_grow=("sizes", "repeats", "pool"), sizes=list(sizes), pool=len(pool), **same)
    if begun.get("pool", len(pool)) != len(pool):
        report(
            f"{data} had {begun['pool']} clips and has {len(pool)}: lists stay as they are, new clips come after theirs"
        )
    orders = [study.order(pool, data, f"size-*-repeat-{n}.csv", n) for n in range(study.options.repeats)]
    study.keep_contents(clips[: max(sizes[-1], before)] for clips, before in orders)
    trials: list[Trial] = []
    for repeat, (clips, _) in enumerate(orders):
        for place, n in enumerate(sizes):
            after = trials[-1] if warm and place else None
            trials.append(study.trial(f"size-{n:07d}-repeat-{repeat}", clips[:n], largest, repeat, after=after))
    return trials


def batches(
    trials: Sequence[Trial], options: ScalingOptions, finished: dict[str, TrialResult], failed: Collection[str]
) -> Iterator[tuple[list[Trial], str]]:
    """Trials that can be run together, and why these; the caller adds what it finished and what failed before it goes on.

    All of them, or with ``warm`` size by size, or with a ``budget`` those that are worth most for their GPU hours:
    none at last, and why.
    """
    if options.budget is None:
        by_size = itertools.groupby(
            sorted(trials, key=lambda trial: trial.facts["size"]), lambda trial: trial.facts["size"]
        )
        yield from ((list(found), "") for _, found in by_size) if options.warm else [(list(trials), "")]
        return
    named = {(trial.facts["size"], trial.facts["repeat"]): trial for trial in trials}
    while True:
        done = {key: finished[trial.name] for key, trial in named.items() if trial.name in finished}
        ready = [
            key
            for key, trial in named.items()
            if not {trial.name} & {*finished, *failed}
            and (trial.begin_with is None or trial.begin_with.parent.name in finished)
        ]
        took = {key: result.seconds_of_last_start for key, result in done.items()}
        hours = hours_by_size(took) if took else lambda size: 0.0
        chosen: list[Trial] = []
        left = options.budget - sum(took.values()) / 3600
        for _ in range(options.jobs):
            choice = next_trial({key: result.top1 for key, result in done.items()}, ready, hours, left)
            if choice.key is None:
                break
            ready.remove(choice.key)
            left -= hours(choice.key[0])
            chosen.append(named[choice.key])
        yield chosen, choice.reason


@style()
def draw_scaling(study: Path, results: Sequence[TrialResult], equal: Equal) -> list[Path]:
    """Figure 3: top-1 and top-5 by size, every run a dot, the mean a line, the spread over repeats a bar; thin, how far other
    test clips could lead (95 %)."""
    figure = new_figure(8, 4.4)
    axes = figure.add_subplot()
    groups = sorted(grouped(results, lambda r: r.size).items())
    classes = classes_of(study)
    told = zip(METRICS, ("top-1", "top-5"), (ACCEPTED, REVIEW), strict=True)
    for metric, name, colour in list(told)[: 1 if 0 < classes < FEW_CLASSES else 2]:
        by_size = {size: [100 * getattr(r, metric) for r in found] for size, found in groups}
        means = [float(np.mean(values)) for values in by_size.values()]
        spread = [float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for values in by_size.values()]
        tested = [1.96 * np.sqrt(m * (100 - m) / found[0].videos) for m, (_, found) in zip(means, groups, strict=True)]
        axes.errorbar(list(by_size), means, yerr=spread, color=colour, marker="o", ms=5, capsize=3, label=name)
        axes.errorbar(list(by_size), means, yerr=tested, color=colour, fmt="none", lw=0.6, alpha=0.6)
        dots = [(size, value) for size, values in by_size.items() for value in values]
        axes.plot(*zip(*dots, strict=True), ".", color=colour, alpha=0.45)
    if classes:
        axes.axhline(100 / classes, color=MUTED, lw=1, ls="--", label="chance")
    axes.set_xlabel("videos pre-trained on")
    axes.set_ylabel("accuracy, %")
    axes.set_title(
        f"accuracy by pre-training size (equal {equal}{spread_told(results, len(groups))}; thin: test clips)"
    )
    axes.grid(True)
    axes.legend(frameon=False)
    return save_figure(figure, study / "figures" / "accuracy_by_size")


def table(results: Sequence[TrialResult]) -> list[Row]:
    """For each size its summary, and the steps and epochs of pre-training."""
    return [
        {
            "size": size,
            **summary(found),
            "pretrain_steps": int(np.mean([r.pretrain_steps for r in found])),
            "pretrain_epochs": int(np.mean([r.pretrain_epochs for r in found])),
        }
        for size, found in sorted(grouped(results, lambda r: r.size).items())
    ]
