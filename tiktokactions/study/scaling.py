"""The data-size study (paper, section 5 and Figure 3): pre-train on nested subsets, fine-tune alike, test alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tiktokactions.files import write_csv
from tiktokactions.model.run import write_clips
from tiktokactions.plots import ACCEPTED, REVIEW, new_figure, save_figure, style
from tiktokactions.study.options import Equal, StudyOptions
from tiktokactions.study.plan import (
    Recipe,
    StudyError,
    check_evaluation,
    equal_epochs,
    keep_settings,
    pool_of,
    study_settings,
    trial_seed,
)
from tiktokactions.study.subsets import order
from tiktokactions.study.trials import Trial


def scaling_trials(
    data: str,
    sizes: Sequence[int],
    evaluate_on: str,
    study: Path,
    options: StudyOptions,
    recipe: Recipe,
) -> list[Trial]:
    """Write the study's settings and subsets, and return its trials, small sizes first, repeat by repeat.

    Raises:
        StudyError: more videos asked for than there are, evaluation data without sides, or a folder that holds another
            study.
    """
    pool = pool_of(data)
    if max(sizes) > len(pool):
        raise StudyError(
            f"`sizes`: got {max(sizes)}, but {data} has {len(pool)} clips to pre-train on; expected at most that many"
        )
    check_evaluation(evaluate_on)
    settings = study_settings("scaling", evaluate_on, options, recipe) | {
        "data": data,
        "sizes": list(sizes),
        # Equal steps are those of the largest size; a larger one added later would change what was equal.
        "largest": max(sizes) if options.equal == "steps" else None,
    }
    keep_settings(study, settings, may_grow=("sizes", "repeats"))
    trials = []
    for repeat in range(options.repeats):
        seed = trial_seed(options, repeat)
        clips = order(pool, seed, options.stratified)
        for size in sizes:
            name = f"size-{size:07d}-repeat-{repeat}"
            subset = study / "subsets" / f"{name}.csv"
            write_clips(subset, clips[:size])
            epochs = equal_epochs(size, max(sizes), recipe.pretrain, options.equal)
            trials.append(
                Trial(
                    name=name,
                    facts={"size": size, "repeat": repeat, "seed": seed, "pretrain_epochs": epochs},
                    pretrain_on=subset,
                    pretrain_options={**recipe.pretrain, "epochs": epochs, "seed": seed},
                    finetune_on=evaluate_on,
                    finetune_options={**recipe.finetune, "seed": seed},
                )
            )
    return trials


def write_results(study: Path, results: Mapping[str, Mapping[str, Any]]) -> Path:
    """``results.csv``: ``size,accuracy,run,seed,metric`` with a row for top-1 and one for top-5 of every trial."""
    rows = (
        (row["size"], f"{row[metric]:.6f}", row["repeat"], row["seed"], metric)
        for row in sorted(results.values(), key=lambda r: (r["size"], r["repeat"]))
        for metric in ("top1", "top5")
    )
    write_csv(study / "results.csv", [("size", "accuracy", "run", "seed", "metric"), *rows])
    return study / "results.csv"


@style()
def draw_scaling(study: Path, results: Mapping[str, Mapping[str, Any]], equal: Equal) -> list[Path]:
    """Figure 3: top-1 and top-5 by size, every run a dot, the mean a line, the spread over repeats a bar."""
    figure = new_figure(8, 4.4)
    axes = figure.add_subplot()
    for metric, name, colour in (("top1", "top-1", ACCEPTED), ("top5", "top-5", REVIEW)):
        by_size: dict[int, list[float]] = defaultdict(list)
        for row in results.values():
            by_size[row["size"]].append(100 * row[metric])
        sizes = sorted(by_size)
        means = [float(np.mean(by_size[s])) for s in sizes]
        spread = [float(np.std(by_size[s], ddof=1)) if len(by_size[s]) > 1 else 0.0 for s in sizes]
        axes.errorbar(sizes, means, yerr=spread, color=colour, marker="o", ms=5, capsize=3, label=name)
        dots = [(s, v) for s in sizes for v in by_size[s]]
        axes.plot(*zip(*dots, strict=True), ".", color=colour, alpha=0.45)
    axes.set_xlabel("videos pre-trained on")
    axes.set_ylabel("accuracy, %")
    axes.set_title(f"accuracy by pre-training size (equal {equal}; bars: standard deviation)")
    axes.grid(True)
    axes.legend(frameon=False)
    return save_figure(figure, study / "figures" / "accuracy_by_size")


def table(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each size the number of runs, mean and standard deviation (None of one run) of top-1, mean of top-5, steps."""
    rows = []
    for size in sorted({r["size"] for r in results.values()}):
        found = [r for r in results.values() if r["size"] == size]
        top1 = [r["top1"] for r in found]
        rows.append(
            {
                "size": size,
                "runs": len(found),
                "top1": float(np.mean(top1)),
                "top1_sd": float(np.std(top1, ddof=1)) if len(top1) > 1 else None,
                "top5": float(np.mean([r["top5"] for r in found])),
                "pretrain_steps": int(np.mean([r["pretrain_steps"] for r in found])),
                "pretrain_epochs": int(np.mean([r["pretrain_epochs"] for r in found])),
            }
        )
    return rows
