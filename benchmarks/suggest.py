"""What does `review suggest` find, and what does a stratified sample save? On real clips, some of their labels made wrong.

    python -m benchmarks.suggest [--quick] [--work FOLDER]

Tasks: actions3 (64 clips of one person, three actions), actions7 (181 generated clips, seven) and fight300 (300 surveillance
clips, two), described by what a dataset keeps without a model (hashes, colours, motion); and motion20 (recorded motion of ten
people, twenty actions), described by statistics of the skeletons; they stand for the features of an encoder that sees motion.
With ``--encoder`` instead: ``tiny`` is pre-trained, and then fine-tuned, for a few CPU minutes on one side of actions3 (even
recordings) and of motion20 (odd people, drawn as figures), with right labels. The clips of the other side, which it never
saw, are asked about, described without a model, by the encoder before and by the encoder after fine-tuning.
Clips of one scene (actions7), source (fight300) or person (motion20) are one group. 10, 20 and 40 % of the clips get another
label, drawn at random, anew for each seed.

1. The share of the wrong labels that is found when the first 5, 10 and 20 % of the clips are looked at: in the order of
   confident learning, of margins (what the model is least sure of), and at random. Intervals are over the seeds.
2. The judgements after which the precision of a label is known within 5 points in 95 of 100 cases (over labels and draws): of
   a simple random sample, of one that draws every label as often, and of ``review --sample N --stratified``, each with its
   unbiased estimate. The clips of five seeds together are the dataset, since labels of 25 clips need nearly all of them.

The functions are those of the product. What is curated in ``--work`` is not curated again.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tiktokactions as ta
from benchmarks.choose import ACCEPT_ALL
from benchmarks.learn import listed, make_tasks, write_list
from benchmarks.learn_motion import FINETUNE, PRETRAIN
from benchmarks.motion20 import motion_task
from benchmarks.report import environment, print_environment, print_table, write_result
from tests.conftest import SHARED
from tiktokactions.releases.subset import features_in, features_of_looks
from tiktokactions.reviews.order import priority_sample, sampling_sizes
from tiktokactions.reviews.suspects import Labelled, doubts

WRONG = (0.1, 0.2, 0.4)
LOOKED_AT = (0.05, 0.1, 0.2)
SEEDS, POOLED, DRAWS = 10, 5, 30
SHARES = tuple(n / 40 for n in range(1, 41))
"""Of all clips, as sizes of samples."""
WITHIN, SURELY = 0.05, 0.95
SETTINGS = {
    **{"seeds": SEEDS, "draws": DRAWS, "pooled": POOLED, "looked_at": LOOKED_AT},
    **{"within": WITHIN, "surely": SURELY, "shares": SHARES},
}


@dataclass(frozen=True)
class Task:
    name: str
    features: np.ndarray
    labels: tuple[str, ...]
    groups: np.ndarray


def tasks(data: Path, work: Path) -> Iterator[Task]:
    """Raises nothing where a folder is missing: its task is left out."""
    for name in ("actions3", "actions7", "fight300"):
        items = listed(data / name, r"__(\d+)__")
        curated = ta.curate(
            write_list(work / f"{name}.csv", [(i.path, i.label) for i in items]), work / name, **ACCEPT_ALL
        )
        columns = ["video_id", "labels", "motion", "source_path"]
        rows = [row for batch in curated.batches(columns) for row in batch.to_pylist() if row["labels"]]
        sources = {i.path: f"{i.label} {i.group}" if i.group is not None else i.path for i in items}
        if name == "fight300":
            with (data / name / "list.csv").open(newline="") as file:
                sources = {str(data / name / row["path"]): row["source"] for row in csv.DictReader(file)}
        groups = np.unique([sources[row["source_path"]] for row in rows], return_inverse=True)[1]
        yield Task(name, features_of_looks(curated, rows), tuple(row["labels"][0] for row in rows), groups)
    yield motion20(data / "motion20" / "skeletons.npz")


def motion20(path: Path) -> Task:
    """Mean, spread, extremes and speed of every joint, seen from the neck."""
    features, labels, groups = [], [], []
    for name, frames in np.load(path).items():
        seen = frames[np.abs(frames).sum((1, 2)) > 0]
        if len(seen) < 3:
            continue
        joints = seen - seen[:, 2:3]
        parts = (joints.mean(0), joints.std(0), joints.max(0), joints.min(0), np.abs(np.diff(joints, axis=0)).mean(0))
        features.append(np.concatenate([part.ravel() for part in parts]))
        found = re.match(r"a(\d+)_s(\d+)", name)
        assert found is not None
        labels.append(f"action {found[1]}")
        groups.append(int(found[2]))
    return Task("motion20", np.array(features, np.float32), tuple(labels), np.array(groups))


# --- features of an encoder that was trained on other clips ---------------------------------------------------------


def encoder_tasks(data: Path, work: Path) -> Iterator[Task]:
    """The same clips described in several ways: without a model, and by an encoder before and after fine-tuning."""
    three = next(task for task in make_tasks(data) if task.name == "actions3, even to odd")
    for name, task, epochs in (("actions3", three, 80), ("motion20", motion_task(data, work / "drawn"), 10)):
        folder = work / f"{name}-encoder"
        train = write_list(folder / "train.csv", [(i.path, i.label) for i in task.train])
        asked = write_list(folder / "asked.csv", [(i.path, i.label) for i in task.test])
        curated = ta.curate(asked, folder / "asked", **ACCEPT_ALL)
        columns = ["video_id", "labels", "motion", "source_path"]
        rows = [row for batch in curated.batches(columns) for row in batch.to_pylist() if row["labels"]]
        items = {item.path: item for item in task.test}
        # Recordings of actions3 are all of one person: each is its own group.
        of_group = [(name == "motion20" and items[row["source_path"]].group) or row["source_path"] for row in rows]
        groups = np.unique(np.array(list(map(str, of_group))), return_inverse=True)[1]
        labels = tuple(row["labels"][0] for row in rows)
        yield Task(f"{name}-looks", features_of_looks(curated, rows), labels, groups)
        recipe = FINETUNE | {"epochs": epochs, "warmup_epochs": epochs // 10}
        run = ta.pretrain(train, folder / "pretrained", seed=0, **PRETRAIN | {"epochs": epochs})
        for how in ("pretrained", "finetuned"):
            if how == "finetuned":
                run = ta.finetune(train, folder / how, test=asked, init=run, seed=0, **recipe)
                print(f"{name}: fine-tuned, top-1 {run.as_json()['test']['top1']:.0%} on the clips asked about")
            ta.predict(run, str(curated.folder), features=folder / f"{how}.parquet", device="cpu")
            places, features = features_in(folder / f"{how}.parquet")
            yield Task(f"{name}-{how}", features[[places[row["video_id"]] for row in rows]], labels, groups)


def made_wrong(labels: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    names, given = sorted(set(labels)), list(labels)
    for place in rng.choice(len(labels), round(share * len(labels)), replace=False):
        given[place] = str(rng.choice([name for name in names if name != labels[place]]))
    return given


# --- 1: errors found -----------------------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean over the seeds, and its 95 % interval by bootstrap."""
    drawn = np.random.default_rng(0).choice(np.array(values), (2000, len(values))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"mean": float(np.mean(values)), "low": float(low), "high": float(high)}


def errors_found(is_wrong: np.ndarray, score: np.ndarray) -> list[float]:
    order = np.argsort(score, kind="stable")
    return [float(is_wrong[order[: round(share * len(order))]].sum() / is_wrong.sum()) for share in LOOKED_AT]


# --- 2: judgements needed ------------------------------------------------------------------------------------------


def within(given: Sequence[str], is_wrong: np.ndarray, sizes: dict[str, float], count: int, seed: int) -> list[bool]:
    """Of every label, whether one sample tells its precision within 5 points; a label that is not in it is not known."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, weight in priority_sample(sizes, count, seed).items():
        place = int(name)
        sums[given[place]][0] += weight * (not is_wrong[place])
        sums[given[place]][1] += weight
    truth = {label: [0, 0] for label in given}
    for label, wrong in zip(given, is_wrong.tolist(), strict=True):
        truth[label][0] += not wrong
        truth[label][1] += 1
    return [
        label in sums and abs(sums[label][0] / sums[label][1] - right / of) <= WITHIN + 1e-9
        for label, (right, of) in truth.items()
    ]


def judgements_needed(given: Sequence[str], is_wrong: np.ndarray, sizes: dict[str, float], draws: int) -> int:
    """The smallest of the sizes of samples with which enough labels are known, over all draws."""
    low, high = 0, len(SHARES) - 1
    while low < high:  # a larger sample knows more
        middle = (low + high) // 2
        count = round(SHARES[middle] * len(given))
        known = [one for draw in range(draws) for one in within(given, is_wrong, sizes, count, draw)]
        low, high = (low, middle) if np.mean(known) >= SURELY else (middle + 1, high)
    return round(SHARES[low] * len(given))


# --- both ----------------------------------------------------------------------------------------------------------


def measured(task: Task, share: float, seeds: int, draws: int) -> dict[str, Any]:
    found: dict[str, list[list[float]]] = {"confident learning": [], "margin": [], "random": []}
    flagged, right = [], []
    pooled, pooled_wrong, wrong = list[str](), list[bool](), dict[str, float]()
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        given = made_wrong(task.labels, share, rng)
        is_wrong = np.array([a != b for a, b in zip(given, task.labels, strict=True)])
        said = doubts(Labelled(task.features, task.groups, [[g] for g in given], [{}] * len(given)), seed=seed)
        found["confident learning"].append(errors_found(is_wrong, np.nan_to_num(said.score, nan=2.0)))
        found["margin"].append(errors_found(is_wrong, np.nan_to_num(said.margin, nan=2.0)))
        found["random"].append(errors_found(is_wrong, rng.random(len(given))))
        flagged.append(float(is_wrong[said.likely_wrong].mean()) if said.likely_wrong.any() else 0.0)
        right.append(float(np.mean([said.instead[p] == task.labels[p] for p in np.flatnonzero(is_wrong)])))
        if seed < POOLED:
            wrong |= {str(len(pooled) + p): 1 - float(q) for p, q in enumerate(said.score) if not np.isnan(q)}
            pooled += given
            pooled_wrong += is_wrong.tolist()
    told: dict[str, Any] = {
        "task": task.name,
        "clips": len(task.labels),
        "labels": len(set(task.labels)),
        "wrong": share,
    }
    told["found"] = {way: [interval(column) for column in zip(*rows, strict=True)] for way, rows in found.items()}
    told["likely_wrong_that_are"], told["instead_that_is_right"] = interval(flagged), interval(right)
    labels = {str(place): [label] for place, label in enumerate(pooled)}
    ways = {
        "random": dict.fromkeys(labels, 1.0),
        "by label": sampling_sizes(labels, {}),
        "stratified": sampling_sizes(labels, wrong),
    }
    told["judgements"] = {w: judgements_needed(pooled, np.array(pooled_wrong), s, draws) for w, s in ways.items()}
    told["pooled_clips"] = len(pooled)
    return told


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two seeds of motion20; nothing is written")
    parser.add_argument("--encoder", action="store_true", help="features of a trained encoder instead")
    parser.add_argument("--work", type=Path, default=Path("suggest-runs"), help="datasets; what is there is kept")
    given = parser.parse_args(arguments)
    if not (SHARED / "data").is_dir():
        print(
            f"{SHARED / 'data'}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'data'",
            file=sys.stderr,
        )
        return 2
    facts = environment()
    print_environment(facts)
    seeds, draws = (2, 2) if given.quick else (SEEDS, DRAWS)
    some = (
        [motion20(SHARED / "data" / "motion20" / "skeletons.npz")]
        if given.quick
        else (encoder_tasks if given.encoder else tasks)(SHARED / "data", given.work)
    )
    name = "suggest_encoder" if given.encoder else "suggest"
    began, rows = sum(os.times()[:4]), []
    for task in some:
        print(
            f"{task.name}: {len(task.labels)} clips, {Counter(task.labels).most_common()}, {len(set(task.groups))} groups"
        )
        rows += [measured(task, share, seeds, draws) for share in WRONG]
        if not given.quick:  # as it goes: whatever is there is a result
            cpu_s = sum(os.times()[:4]) - began
            print(write_result(name, {"settings": SETTINGS, "cpu_s": cpu_s, "rows": rows}, facts), flush=True)
    cells = [
        (
            r["task"],
            f"{r['wrong']:.0%}",
            way,
            *(f"{c['mean']:.0%} ({c['low']:.0%} to {c['high']:.0%})" for c in columns),
        )
        for r in rows
        for way, columns in r["found"].items()
    ]
    print_table(
        "share of the errors found", ("task", "wrong", "order", *(f"{s:.0%} looked at" for s in LOOKED_AT)), cells
    )
    judged = [(r["task"], f"{r['wrong']:.0%}", r["pooled_clips"], *r["judgements"].values()) for r in rows]
    print_table("judgements needed", ("task", "wrong", "clips", "random", "by label", "stratified"), judged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
