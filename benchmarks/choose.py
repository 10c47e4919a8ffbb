"""Does choosing clips help? The ways of ``dataset subset`` against random clips, at a quarter and at half of the data.

    python -m benchmarks.choose [--quick] [--jobs 2] [--work FOLDER] [--tasks actions3 ...] [--seeds 5] [--steps 400]

Of each task of ``benchmarks.learn`` the training side becomes a dataset (every video accepted), of which each way takes as
many clips. ``tiny`` is fine-tuned on them from random weights, with the recipe of ``benchmarks.learn`` and as many steps, and
asked about the test side. Every seed chooses clips and trains. The interval of a way's difference from random clips
counts the test videos and the seeds (``study sources``). Nothing is chosen by a test side. What is finished in ``--work`` is
not done again.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tiktokactions as api
from benchmarks.learn import CHOSEN, RECIPES, STEPS, Task, make_tasks, write_list
from benchmarks.report import environment, print_environment, print_table, write_result
from tests.conftest import SHARED
from tiktokactions.clips.read import read_clips
from tiktokactions.study.paired import answers_of
from tiktokactions.study.sources import differences

WAYS = ("random", "balanced", "quality", "diverse", "balanced-clusters", "prune")
SHARES = (0.25, 0.5)
ACCEPT_ALL: dict[str, Any] = {
    **{"detector": "none", "min_person_frames": 0, "static": "keep", "second_look": False, "keep_duplicates": True},
    "min_clip_s": 0.5,
}


@dataclass(frozen=True)
class Trial:
    """One choice, and the training on it."""

    data: str
    test: str
    way: str
    share: float
    seed: int
    steps: int
    run: str


def carry_out(trial: Trial) -> str:
    """Choose, train and test, unless that was done before; gives the folder of the run."""
    run, chosen = Path(trial.run), Path(f"{trial.run}-clips")
    if not api.Run(run).finished:
        candidates = api.Dataset(trial.data).stats().accepted
        size = max(2, round(trial.share * candidates))
        api.dataset_subset(trial.data, chosen, by=trial.way, size=size, seed=trial.seed)  # type: ignore[arg-type]
        clips = _listed(chosen)
        if left_out := sorted({label for _, label in _listed(trial.data)} - {label for _, label in clips}):
            # A clip of each, so that all models are asked about the same classes.
            more = Path(f"{trial.run}-more")
            api.dataset_subset(trial.data, more, by="labels", labels=left_out, cap=1, seed=trial.seed)
            clips += _listed(more)
        train = write_list(Path(f"{trial.run}.csv"), clips)
        recipe = dict(RECIPES[CHOSEN])
        recipe["batch_size"] = min(recipe["batch_size"], len(clips))
        epochs = max(1, round(trial.steps / (len(clips) // recipe["batch_size"])))
        recipe |= {"epochs": epochs, "warmup_epochs": epochs // 10, "seed": trial.seed, "precision": "fp32"}
        api.finetune(train, run, test=trial.test, **recipe)
    return trial.run


def _listed(data: str | Path) -> list[tuple[str, str]]:
    return [(clip.path, str(clip.label)) for clip in read_clips(data, side="all").clips]


def trials_of(task: Task, work: Path, steps: int, seeds: Sequence[int], ways: Sequence[str] = WAYS) -> list[Trial]:
    """The dataset of a task's training side, and everything that is to be tried on it."""
    folder = work / "".join(c if c.isalnum() else "-" for c in task.name)
    lists = [[(item.path, item.label) for item in side] for side in (task.train, task.test)]
    train, test = (
        write_list(folder / f"{name}.csv", rows) for name, rows in zip(("train", "test"), lists, strict=True)
    )
    api.curate(train, folder / "data", **ACCEPT_ALL)
    return [
        Trial(str(folder / "data"), str(test), way, share, seed, steps, str(folder / f"{way}-{share:g}-{seed}"))
        for share in SHARES
        for way in ways
        for seed in seeds
    ]


def compared(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """For each share and way: top-1, and its difference from random clips with the 95 % interval."""
    rows = []
    for share in SHARES:
        here = [trial for trial in trials if trial.share == share]
        answers = {trial: answers_of(Path(trial.run) / "evaluations" / "test") for trial in here}
        videos = sorted(set.intersection(*(set(found) for found in answers.values())), key=str)
        correct: dict[str, np.ndarray] = {}
        for way in dict.fromkeys(trial.way for trial in here):
            runs = [[answers[t][video] for video in videos] for t in here if t.way == way]
            correct[way] = np.array(runs, float)
        for way, right in correct.items():
            row: dict[str, Any] = {"share": share, "way": way, "runs": len(right), "top1": float(right.mean())}
            if way != "random":
                [found] = differences({way: right, "random": correct["random"]})
                row |= {"difference": found.difference, "low": found.low, "high": found.high}
            rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="four steps and one seed of everything; nothing is written"
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one core each")
    parser.add_argument(
        "--work", type=Path, default=Path("choose-runs"), help="folder of all runs; what is there is kept"
    )
    parser.add_argument(
        "--tasks", nargs="+", default=["even to odd", "odd to even", "by scene"], help="names, or parts"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args(arguments)
    if not (SHARED / "data").is_dir():
        print(
            f"{SHARED / 'data'}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'data'",
            file=sys.stderr,
        )
        return 2
    facts = environment()
    print_environment(facts)
    tasks = [task for task in make_tasks(SHARED / "data") if any(word in task.name for word in given.tasks)]
    steps, seeds = (4, range(1)) if given.quick else (given.steps, range(given.seeds))
    results = {}
    with mp.get_context("spawn").Pool(given.jobs, maxtasksperchild=1) as pool:
        for task in tasks:
            trials = trials_of(task, given.work, steps, seeds)
            pool.map(carry_out, trials, chunksize=1)
            results[task.name] = compared(trials)
            cells = [
                (
                    f"{row['share']:.0%}",
                    row["way"],
                    row["runs"],
                    *(row.get(k) for k in ("top1", "difference", "low", "high")),
                )
                for row in results[task.name]
            ]
            print_table(task.name, ("share", "way", "runs", "top-1", "against random", "low", "high"), cells)
    if not given.quick:
        settings = {"recipe": RECIPES[CHOSEN], "steps": steps, "seeds": len(seeds), "curate": ACCEPT_ALL}
        told = {"settings": settings, "results": results, "tasks": [asdict(task) for task in tasks]}
        print(write_result("choose", told, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
