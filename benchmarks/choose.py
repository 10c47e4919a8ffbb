"""Does choosing clips help? The ways of ``dataset subset`` against random clips, at a quarter and at half of the data.

    python -m benchmarks.choose [--quick] [--jobs 2] [--work FOLDER] [--tasks motion20 ...] [--seeds 5] [--learner finetune]

The training side of each task becomes a dataset (every video accepted), of which each way takes as many clips. A learner is
fitted to them and asked about the test side: ``regression``, a logistic regression on motion energy and optical flow, which
takes seconds; or ``finetune``, ``tiny`` from random weights with the recipe of ``benchmarks.learn``, a minute or two each.
Every seed chooses clips and trains. The interval of a way's difference from random clips counts the test videos and the
seeds (``study sources``). Nothing is chosen by a test side. What is finished in ``--work`` is not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing as mp
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tiktokactions as api
from benchmarks.learn import CHOSEN, RECIPES, STEPS, Item, Task, make_tasks, write_list
from benchmarks.learn_motion import motion_features
from benchmarks.motion20 import motion_task
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


SIDE_PX = 64
"""The shorter side of the pictures in which motion is looked for."""


@dataclass(frozen=True)
class Trial:
    """One choice, and what is learned from it."""

    data: str
    test: str
    way: str
    share: float
    seed: int
    learner: str
    steps: int
    run: str


def carry_out(trial: Trial) -> None:
    """Choose, learn and test, unless that was done before."""
    told = Path(f"{trial.run}.json")
    if told.exists():
        return
    clips = _chosen(trial)
    if trial.learner == "regression":
        right = _by_regression(clips, _read_list(trial.test), Path(trial.test).parent / "features")
    else:
        train = write_list(Path(f"{trial.run}.csv"), clips)
        recipe = dict(RECIPES[CHOSEN])
        recipe["batch_size"] = min(recipe["batch_size"], len(clips))
        epochs = max(1, round(trial.steps / (len(clips) // recipe["batch_size"])))
        recipe |= {"epochs": epochs, "warmup_epochs": epochs // 10, "seed": trial.seed, "precision": "fp32"}
        api.finetune(train, trial.run, test=trial.test, **recipe)
        found = answers_of(Path(trial.run) / "evaluations" / "test")
        right = {str(video): answer for video, answer in found.items()}
    told.write_text(json.dumps(right))


def _chosen(trial: Trial) -> list[tuple[str, str]]:
    """Paths and labels of the chosen clips, of each label at least one, so that all models know the same classes."""
    chosen, everything = Path(f"{trial.run}-clips"), _listed(trial.data)
    size = max(2, round(trial.share * len(everything)))
    api.dataset_subset(trial.data, chosen, by=trial.way, size=size, seed=trial.seed)  # type: ignore[arg-type]
    clips = _listed(chosen)
    if left_out := sorted({label for _, label in everything} - {label for _, label in clips}):
        more = Path(f"{trial.run}-more")
        api.dataset_subset(trial.data, more, by="labels", labels=left_out, cap=1, seed=trial.seed)
        clips += _listed(more)
    return clips


def _by_regression(train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]], folder: Path) -> dict[str, bool]:
    """Which test videos a logistic regression on motion features gets right."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, asked = (np.stack([_features(path, folder) for path, _ in rows]) for rows in (train, test))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(x, [y for _, y in train])
    guesses = model.predict(asked)
    return {path: bool(guess == label) for (path, label), guess in zip(test, guesses, strict=True)}


def _features(path: str, folder: Path) -> np.ndarray:
    """Logarithms of motion energy and flow (``learn_motion``), remembered in the folder."""
    known = folder / f"{zlib.crc32(path.encode())}.npy"
    if not known.exists():
        found = motion_features(Path(path), SIDE_PX)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(known, np.log1p(np.concatenate([found["energy"], found["flow"]])))
    return np.asarray(np.load(known))


def _listed(data: str | Path) -> list[tuple[str, str]]:
    return [(clip.path, str(clip.label)) for clip in read_clips(data, side="all").clips]


def _read_list(path: str | Path) -> list[tuple[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return [(row["path"], row["label"]) for row in csv.DictReader(file)]


def fight_task(data: Path) -> Task:
    """Surveillance footage, two classes: a third of the sources, drawn by their names, tests."""
    with (data / "fight300" / "list.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    items = [
        Item(str(data / "fight300" / row["path"]), row["label"], zlib.crc32(row["source"].encode())) for row in rows
    ]
    train, test = (tuple(item for item in items if ((item.group or 0) % 3 == 0) is tests) for tests in (False, True))
    return Task("fight300, by source", train, test)


def trials_of(
    task: Task, work: Path, learner: str, steps: int, seeds: Sequence[int], ways: Sequence[str] = WAYS
) -> list[Trial]:
    """The dataset of a task's training side, and everything that is to be tried on it."""
    folder = work / "".join(c if c.isalnum() else "-" for c in task.name)
    lists = [[(item.path, item.label) for item in side] for side in (task.train, task.test)]
    train, test = (
        write_list(folder / f"{name}.csv", rows) for name, rows in zip(("train", "test"), lists, strict=True)
    )
    api.curate(train, folder / "data", **ACCEPT_ALL)
    return [
        Trial(
            *(str(folder / "data"), str(test), way, share, seed, learner, steps),
            str(folder / learner / f"{way}-{share:g}-{seed}"),
        )
        for share in SHARES
        for way in ways
        for seed in seeds
    ]


def compared(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """For each share and way: top-1, and its difference from random clips with the 95 % interval."""
    rows = []
    for share in SHARES:
        here = [trial for trial in trials if trial.share == share]
        answers = {trial: json.loads(Path(f"{trial.run}.json").read_text()) for trial in here}
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
    names = ["even to odd", "odd to even", "by scene", "motion20", "fight300"]
    parser.add_argument("--tasks", nargs="+", default=names, help="names, or parts")
    parser.add_argument("--learner", choices=("regression", "finetune"), default="regression")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS, help="of fine-tuning")
    given = parser.parse_args(arguments)
    if not (SHARED / "data").is_dir():
        print(
            f"{SHARED / 'data'}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'data'",
            file=sys.stderr,
        )
        return 2
    facts = environment()
    print_environment(facts)
    data = SHARED / "data"
    tasks = [*make_tasks(data), motion_task(data, given.work / "motion20"), fight_task(data)]
    tasks = [task for task in tasks if any(word in task.name for word in given.tasks)]
    steps, seeds = (4, range(1)) if given.quick else (given.steps, range(given.seeds))
    results = {}
    with mp.get_context("spawn").Pool(given.jobs, maxtasksperchild=1) as pool:
        for task in tasks:
            trials = trials_of(task, given.work, given.learner, steps, seeds)
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
        learner = {"recipe": RECIPES[CHOSEN], "steps": steps} if given.learner == "finetune" else {"side_px": SIDE_PX}
        settings = {"learner": given.learner, **learner, "seeds": len(seeds), "curate": ACCEPT_ALL}
        told = {"settings": settings, "results": results, "tasks": [asdict(task) for task in tasks]}
        print(write_result("choose", told, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
