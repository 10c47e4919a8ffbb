"""What do *real* videos add? The same small model from scratch, pre-trained on synthetic videos, on synthetic videos with
cut-outs of real frames, and on these real videos; linear probes on two small tasks tell what the encoder has learned.

    python -m benchmarks.floor [--quick] [--work FOLDER]

Tasks and jobs are those of :mod:`benchmarks.learn`; pre-training is short, so that all of it takes a few CPU minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learn import LIGHT, PRETRAIN, Job, do, make_tasks, pretraining_paths, write_list
from benchmarks.report import environment, print_environment, print_table, write_result
from tests.conftest import SHARED

TASKS = ("actions3, even to odd", "actions7, by scene")
SEEDS = (0, 1)
VIDEOS, EPOCHS = 80, 3
EACH: dict[str, Any] = {"batch_size": 2, "num_samples": 4, "base_lr": 0.128, "min_lr": 0.00128}
"""Four views of each decoded video; the rate is that of :mod:`benchmarks.learn` for as many clips in a step."""
SMALL: dict[str, Any] = {"frames": 8, "precision": "fp32"}
PROBED: dict[str, Any] = {"linear_probe": True, "segments": 2, "crops": 1}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps of everything; nothing is written")
    parser.add_argument(
        "--work", type=Path, default=Path("floor-runs"), help="folder of all runs; what is there is kept"
    )
    given = parser.parse_args(arguments)
    facts = environment()
    print_environment(facts)
    videos, epochs = (8, 1) if given.quick else (VIDEOS, EPOCHS)
    tasks = [task for task in make_tasks(SHARED / "data") if task.name in TASKS]
    paths = np.random.default_rng(0).permutation(pretraining_paths(SHARED / "data", tasks))[:videos].tolist()
    real = str(write_list(given.work / "real.csv", [(path, "none") for path in paths]))
    sources = {"synthetic": f"synthetic:{videos}", "cut-outs": f"synthetic:{videos}:{real}", "real": real}
    before = PRETRAIN | SMALL | EACH | {"epochs": epochs, "pictures_epochs": 0}
    results: list[dict[str, Any]] = []
    for seed in SEEDS[: 1 if given.quick else None]:
        for source, data in {"scratch": None, **sources}.items():
            run = str(given.work / f"{source}-{seed}")
            if data is not None:
                job = Job("pre-training", "", "pretrain", None, seed, data, None, run, tuple(before.items()))
                results.append(do(job) | {"source": source})
            for task in tasks:
                folder = given.work / task.name.partition(",")[0]
                train = write_list(folder / "train.csv", [(i.path, i.label) for i in task.train])
                test = write_list(folder / "test.csv", [(i.path, i.label) for i in task.test])
                recipe = LIGHT | (SMALL if data is None else {"precision": "fp32"}) | PROBED
                init, probe = None if data is None else run, str(folder / f"probe-{source}-{seed}")
                job = Job(task.name, "probe", "probe", init, seed, str(train), str(test), probe, tuple(recipe.items()))
                results.append(do(job) | {"source": source})
    rows = []
    for task in tasks:
        for source in ("scratch", *sources):
            found = [r["top1"] for r in results if (r["task"], r["source"]) == (task.name, source)]
            rows.append((task.name, source, len(found), float(np.mean(found)), min(found), max(found), len(task.test)))
    print_table(
        "top-1 on the test side", ("task", "pre-trained on", "runs", "mean", "lowest", "highest", "clips"), rows
    )
    if not given.quick:
        settings = {"videos": videos, "epochs": epochs, "pretrain": before, "probe": recipe}
        cpu_s = sum(r["cpu_s"] for r in results)
        print(write_result("floor", {"settings": settings, "summary": rows, "cpu_s": cpu_s, "runs": results}, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
