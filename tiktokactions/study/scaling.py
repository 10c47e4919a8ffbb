"""The data-size study (paper, section 5 and Figure 3): pre-train on nested subsets, fine-tune alike, test alike."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from tiktokactions.clips.clip import Clip
from tiktokactions.clips.synthetic import synthetic_clips
from tiktokactions.plots import ACCEPTED, MUTED, REVIEW, new_figure, save_figure, style
from tiktokactions.records import JsonObject
from tiktokactions.study.budget import hours_by_size, next_trial
from tiktokactions.study.contents import StudyError
from tiktokactions.study.options import Equal, ScalingOptions
from tiktokactions.study.settings import Design, check_evaluation, pool_of
from tiktokactions.study.sources import correct_by_source, differences, write_differences
from tiktokactions.study.tables import FEW_CLASSES, METRICS, Row, classes_of, grouped, spread_told, summary
from tiktokactions.study.trials import Trial, TrialResult

FLOOR = "synthetic"
"""How the lists and trials of size 0 are called."""


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
    listed = [clips[: max(sizes[-1], before)] for clips, before in orders]
    floors: list[list[Clip]] = []
    if 0 in sizes:  # as many synthetic videos as the largest size has real ones, and as many steps
        made = synthetic_clips(largest * len(orders)).clips
        ordered = [study.order(made, FLOOR, f"{FLOOR}-repeat-{n}.csv", n) for n in range(len(orders))]
        floors = [clips[: before or largest] for clips, before in ordered]
    study.keep_contents([*listed, *floors])
    trials: list[Trial] = []
    for repeat, (clips, _) in enumerate(orders):
        if floors:
            name = f"{FLOOR}-repeat-{repeat}"
            trials.append(study.trial(name, floors[repeat], len(floors[repeat]), repeat, is_floor=True))
        for place, n in enumerate(size for size in sizes if size):
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
    floors = [trial for trial in trials if trial.facts["size"] == 0]
    if options.budget is None:
        by_size = itertools.groupby(
            sorted(trials, key=lambda trial: trial.facts["size"]), lambda trial: trial.facts["size"]
        )
        yield from ((list(found), "") for _, found in by_size) if options.warm else [(list(trials), "")]
        return
    if waiting := [trial for trial in floors if trial.name not in {*finished, *failed}]:
        yield waiting, "what synthetic videos alone reach is what every size is compared with"
    of_floors = sum(finished[trial.name].seconds_of_last_start for trial in floors if trial.name in finished)
    named = {(trial.facts["size"], trial.facts["repeat"]): trial for trial in trials if trial not in floors}
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
        left = options.budget - (of_floors + sum(took.values())) / 3600
        for _ in range(options.jobs):
            choice = next_trial({key: result.top1 for key, result in done.items()}, ready, hours, left)
            if choice.key is None:
                break
            ready.remove(choice.key)
            left -= hours(choice.key[0])
            chosen.append(named[choice.key])
        yield chosen, choice.reason


def beside_the_floor(study: Path, results: Sequence[TrialResult], seed: int) -> list[JsonObject]:
    """What the largest size reaches more than synthetic videos alone: what real videos add. Written and returned, if both
    are measured."""
    largest = max((result.size for result in results), default=0)
    if not largest or all(result.size for result in results):
        return []
    both = [result for result in results if result.size in (largest, 0)]
    both.sort(key=lambda result: -result.size)
    correct = correct_by_source(study, both, lambda result: f"{result.size:,} videos" if result.size else FLOOR)
    found = differences(correct, seed)
    write_differences(study, found)
    return [dataclasses.asdict(difference) for difference in found]


@style()
def draw_scaling(study: Path, results: Sequence[TrialResult], equal: Equal) -> list[Path]:
    """Figure 3: top-1 and top-5 by size, every run a dot, the mean a line, the spread over repeats a bar; thin, how far other
    test clips could lead (95 %)."""
    figure = new_figure(8, 4.4)
    axes = figure.add_subplot()
    groups = sorted(grouped((r for r in results if r.size), lambda r: r.size).items())
    floor, classes = [100 * r.top1 for r in results if not r.size], classes_of(study)
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
    if floor:
        axes.axhline(float(np.mean(floor)), color=ACCEPTED, lw=1, ls=":", label="top-1, synthetic videos only")
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
