"""Does pre-training help? On real clips, with a tiny model on a CPU: pre-trained against from scratch, honestly split.

    python -m benchmarks.learn [--quick] [--jobs 2] [--work FOLDER] [--tasks actions3 ...]

Pre-trains ``tiny`` once per seed on all clips of the test data that are on no test side, then fine-tunes on small labelled
tasks from these weights and from random ones, with the same recipe and seeds, and fits linear probes on both encoders.
Nothing is chosen by a test side: the fine-tuning recipe is the one of RECIPES that does best, on average over scratch and
pre-trained, on a validation part of the training side (``--choose``), and is written down in CHOSEN.

Tasks: ``actions3`` (one person, three actions; even recordings against odd, both directions; and the trap of splitting by
clothing), ``actions7`` (generated videos, seven classes, by source scene).
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing as mp
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import environment, print_environment, print_table, write_result
from tests.conftest import SHARED

VIDEO_SUFFIXES = {".mp4", ".avi", ".mkv", ".webm", ".mov", ".gif"}
PRETRAIN_SEEDS = (0, 1, 2)
FINETUNE_SEEDS = (0, 1, 2, 3, 4)
TINY: dict[str, Any] = {"model": "tiny", "precision": "bf16", "workers": 0, "threads": 1, "device": "cpu"}

PRETRAIN: dict[str, Any] = TINY | {
    "mask_ratio": 0.75,
    "normalize_target": False,
    "batch_size": 8,
    "num_samples": 2,
    "base_lr": 0.032,  # 1e-3 for batches of 8 videos
    "min_lr": 0.00032,
    "epochs": 60,
    "pictures_epochs": 30,
    "skip_unreadable": True,
}
"""About 1,560 steps of 16 clips."""

LIGHT: dict[str, Any] = TINY | {
    "augment": "none",
    "erase": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "min_area": 0.8,
    "flip": False,
    "drop_path": 0.0,
    "layer_decay": 1.0,
    "init_scale": 1.0,
    "batch_size": 8,
    "num_samples": 1,
    "validate_epochs": 0,
    "min_lr": 0.0,
    "clip_grad": 1.0,
}
RECIPES: dict[str, dict[str, Any]] = {
    "light augmentation, rate 1e-3": LIGHT | {"base_lr": 0.032},
    "light augmentation, rate 5e-4": LIGHT | {"base_lr": 0.016},
    "strong augmentation, rate 1e-3": LIGHT
    | {
        "base_lr": 0.032,
        "augment": "rand-m7-n4-mstd0.5-inc1",
        "erase": 0.25,
        "mixup": 0.8,
        "cutmix": 1.0,
        "min_area": 0.08,
        "flip": True,
    },
}
CHOSEN = "light augmentation, rate 1e-3"
STEPS = 400
"""Of fine-tuning, whatever the size of the task."""


# --- tasks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    path: str
    label: str
    group: int | None
    """Number of the recording or of the source scene; None where it has none."""


def listed(folder: Path, pattern: str) -> list[Item]:
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES:
            number = re.search(pattern, path.name)
            found.append(Item(str(path), path.parent.name, int(number[1]) if number else None))
    return found


@dataclass(frozen=True)
class Task:
    name: str
    train: tuple[Item, ...]
    test: tuple[Item, ...]
    pretrain_seeds: tuple[int, ...] = PRETRAIN_SEEDS
    finetune_seeds: tuple[int, ...] = FINETUNE_SEEDS


def make_tasks(data: Path) -> list[Task]:
    three = [item for item in listed(data / "actions3", r"_d(\d+)\.") if item.group is not None]
    seven = listed(data / "actions7", r"__(\d+)__")

    def split(name: str, items: list[Item], on_train: Callable[[Item], bool]) -> Task:
        train, test = (tuple(i for i in items if on_train(i) is side) for side in (True, False))
        return Task(name, train, test)

    def even(item: Item) -> bool:
        return (item.group or 0) % 2 == 0

    def first_clothes(item: Item) -> bool:
        return (item.group or 0) <= 10

    def learned_scene(item: Item) -> bool:
        # Two thirds of a class's scenes, in the order of their numbers; what has no number is learned from.
        scenes = sorted({i.group for i in seven if i.label == item.label and i.group is not None})
        return item.group is None or scenes.index(item.group) % 3 != 2

    return [
        split("actions3, even to odd", three, even),
        split("actions3, odd to even", three, lambda i: not even(i)),
        split("actions3, clothes of d1-d10 to the others", three, first_clothes),
        split("actions3, clothes of d11-d20 to the others", three, lambda i: not first_clothes(i)),
        split("actions7, by scene", seven, learned_scene),
    ]


def validation_task(task: Task) -> Task:
    """A part of the training side to learn from and one to choose by: every third recording, in their order."""
    groups = sorted({item.group for item in task.train if item.group is not None})
    held = set(groups[2::3])
    train = tuple(item for item in task.train if item.group not in held)
    return Task("validation part of " + task.name, train, tuple(i for i in task.train if i.group in held), (0,), (0,))


def pretraining_paths(data: Path, tasks: Iterable[Task]) -> list[str]:
    """All videos that are on no test side of any task."""
    tested = {item.path for task in tasks for item in task.test}
    return [item.path for item in listed(data, r"(\d+)") if item.path not in tested]


def write_list(path: Path, rows: Iterable[tuple[str, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return path


# --- jobs: each is one run of the product, kept on disk, so that an interrupted benchmark goes on -------------------


@dataclass(frozen=True)
class Job:
    task: str
    recipe: str
    kind: str
    """``pretrain``, ``finetune`` or ``probe``."""
    init: str | None
    """Run folder of the first weights; None: from scratch."""
    seed: int
    train: str
    test: str | None
    run: str
    options: tuple[tuple[str, Any], ...]


def do(job: Job) -> dict[str, Any]:
    """Carry out a job, unless its answer is there already."""
    import tiktokactions as api

    answer = Path(job.run + ".json")
    if answer.exists():
        found: dict[str, Any] = json.loads(answer.read_text())
        return found
    began = time.process_time()
    options = dict(job.options) | {"seed": job.seed}
    if job.kind == "pretrain":
        result = api.pretrain(job.train, job.run, **options).as_json()
        log = [json.loads(line) for line in Path(job.run, "log.jsonl").read_text().splitlines()]
        told: dict[str, Any] = {"first_loss": log[0]["loss"], "loss": log[-1]["loss"], "steps": result["steps"]}
    else:
        result = api.finetune(job.train, job.run, test=job.test, init=job.init, **options).as_json()
        told = {"top1": result["test"]["top1"], "videos": result["test"]["videos"], "steps": result["steps"]}
    told |= {"task": job.task, "recipe": job.recipe, "kind": job.kind, "init": job.init is not None, "seed": job.seed}
    told |= {"pretrained_by": Path(job.init).name if job.init else None}
    told["cpu_s"] = round(time.process_time() - began, 1)
    answer.write_text(json.dumps(told))
    print(
        f"  {job.task}, {job.kind}, {'pre-trained' if job.init else 'scratch'}, {job.recipe}, seed {job.seed}: {told}"
    )
    return told


def finetuning(
    task: Task, name: str, recipe: dict[str, Any], pretrained: list[str], work: Path, kind: str
) -> list[Job]:
    """All runs of a task: from scratch and from every pre-trained model."""
    folder = work / re.sub(r"\W+", "-", task.name)
    train = write_list(folder / "train.csv", [(i.path, i.label) for i in task.train])
    test = write_list(folder / "test.csv", [(i.path, i.label) for i in task.test])
    options = dict(recipe)
    if kind == "probe":
        options |= {"linear_probe": True}
    else:
        per_epoch = len(task.train) // options["batch_size"]
        options |= {"epochs": max(1, round(STEPS / per_epoch)), "warmup_epochs": max(1, round(STEPS / per_epoch / 10))}
    jobs = []
    for init in [None, *(p for p in pretrained if int(p[-1]) in task.pretrain_seeds)]:
        # A probe draws nothing but the random encoder.
        seeds = task.finetune_seeds if kind == "finetune" or init is None else (0,)
        for seed in seeds:
            source = Path(init).name if init else "scratch"
            run = folder / re.sub(r"\W+", "-", f"{kind} {name} {source} {seed}")
            jobs.append(Job(task.name, name, kind, init, seed, str(train), str(test), str(run), tuple(options.items())))
    return jobs


def summarise(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and spread of top-1 for every task, kind, recipe and start."""
    keys = dict.fromkeys((r["task"], r["kind"], r["recipe"], r["init"]) for r in results)
    rows = []
    for key in keys:
        found = [r["top1"] for r in results if (r["task"], r["kind"], r["recipe"], r["init"]) == key]
        rows.append(
            dict(zip(("task", "kind", "recipe", "pretrained"), key, strict=True))
            | {
                "runs": len(found),
                "mean": statistics.mean(found),
                "sd": statistics.stdev(found) if len(found) > 1 else 0.0,
            }
            | {"low": min(found), "high": max(found)}
        )
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps of everything; nothing is written")
    parser.add_argument(
        "--choose", action="store_true", help="compare RECIPES on a validation part of the training side"
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one core each")
    parser.add_argument(
        "--work", type=Path, default=Path("learn-runs"), help="folder of all runs; what is there is kept"
    )
    parser.add_argument("--tasks", nargs="+", default=[""], help="only tasks whose name holds one of these words")
    given = parser.parse_args(arguments)
    data = SHARED / "data"
    if not data.is_dir():
        print(f"{data}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'data'", file=sys.stderr)
        return 2
    facts = environment()
    print_environment(facts)
    global STEPS
    pretrain = dict(PRETRAIN)
    if given.quick:
        STEPS, pretrain["epochs"] = 4, 2
    tasks = make_tasks(data)
    unlabelled = write_list(given.work / "pretrain.csv", [(p, "none") for p in pretraining_paths(data, tasks)])
    seeds = PRETRAIN_SEEDS[:1] if given.quick or given.choose else PRETRAIN_SEEDS
    first = [
        Job(
            "all",
            "pretrain",
            "pretrain",
            None,
            s,
            str(unlabelled),
            None,
            str(given.work / f"pretrained-{s}"),
            tuple(pretrain.items()),
        )
        for s in seeds
    ]
    with mp.get_context("spawn").Pool(given.jobs, maxtasksperchild=1) as pool:
        losses = pool.map(do, first, chunksize=1)
        pretrained = [job.run for job in first]
        jobs: list[Job] = []
        if given.choose:
            for name, recipe in RECIPES.items():
                for task in map(validation_task, tasks[:2]):
                    jobs += finetuning(task, name, recipe, pretrained[:1], given.work, "finetune")
        else:
            for task in (task for task in tasks if any(word in task.name for word in given.tasks)):
                jobs += finetuning(task, CHOSEN, RECIPES[CHOSEN], pretrained, given.work, "finetune")
                jobs += finetuning(task, "probe", LIGHT, pretrained, given.work, "probe")
        results = pool.map(do, jobs, chunksize=1)
    rows = summarise(results)
    print_table(
        "pre-training loss (un-normalised target)",
        ("seed", "first", "last", "steps", "CPU s"),
        [(str(r["seed"]), r["first_loss"], r["loss"], r["steps"], r["cpu_s"]) for r in losses],
    )
    print_table(
        "top-1 on the test side" if not given.choose else "top-1 on the validation part of the training side",
        ("task", "how", "recipe", "start", "runs", "mean", "sd", "lowest", "highest"),
        [
            (
                r["task"],
                r["kind"],
                r["recipe"],
                "pre-trained" if r["pretrained"] else "scratch",
                r["runs"],
                *(r[k] for k in ("mean", "sd", "low", "high")),
            )
            for r in rows
        ],
    )
    if not given.quick:
        settings = {"pretrain": pretrain, "recipes": RECIPES, "chosen": CHOSEN, "steps": STEPS}
        name = "learn-choice" if given.choose else "learn"
        print(
            write_result(name, {"settings": settings, "pretraining": losses, "summary": rows, "runs": results}, facts)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
