"""The data-size study (paper, section 5 and Figure 3): pre-train on nested subsets, fine-tune alike, test alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tiktokactions.plots import ACCEPTED, MUTED, REVIEW, new_figure, save_figure, style
from tiktokactions.study.contents import StudyError
from tiktokactions.study.options import Equal
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
    same = {"data": data, "largest": largest if study.options.equal == "steps" else None}
    study.keep("scaling", may_grow=("sizes", "repeats", "pool"), sizes=list(sizes), pool=len(pool), **same)
    if begun.get("pool", len(pool)) != len(pool):
        report(
            f"{data} had {begun['pool']} clips and has {len(pool)}: lists stay as they are, new clips come after theirs"
        )
    orders = [study.order(pool, data, f"size-*-repeat-{n}.csv", n) for n in range(study.options.repeats)]
    study.keep_contents(clips[: max(sizes[-1], before)] for clips, before in orders)
    return [
        study.trial(f"size-{n:07d}-repeat-{repeat}", clips[:n], largest, repeat)
        for repeat, (clips, _) in enumerate(orders)
        for n in sizes
    ]


@style()
def draw_scaling(study: Path, results: Sequence[TrialResult], equal: Equal) -> list[Path]:
    """Figure 3: top-1 and top-5 by size, every run a dot, the mean a line, the spread over repeats a bar."""
    figure = new_figure(8, 4.4)
    axes = figure.add_subplot()
    groups = sorted(grouped(results, lambda r: r.size).items())
    classes = classes_of(study)
    told = zip(METRICS, ("top-1", "top-5"), (ACCEPTED, REVIEW), strict=True)
    for metric, name, colour in list(told)[: 1 if 0 < classes < FEW_CLASSES else 2]:
        by_size = {size: [100 * getattr(r, metric) for r in found] for size, found in groups}
        means = [float(np.mean(values)) for values in by_size.values()]
        spread = [float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for values in by_size.values()]
        axes.errorbar(list(by_size), means, yerr=spread, color=colour, marker="o", ms=5, capsize=3, label=name)
        dots = [(size, value) for size, values in by_size.items() for value in values]
        axes.plot(*zip(*dots, strict=True), ".", color=colour, alpha=0.45)
    if classes:
        axes.axhline(100 / classes, color=MUTED, lw=1, ls="--", label="chance")
    axes.set_xlabel("videos pre-trained on")
    axes.set_ylabel("accuracy, %")
    axes.set_title(f"accuracy by pre-training size (equal {equal}{spread_told(results, len(groups))})")
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
