"""A model that learns every week: does replay of old clips help, does it forget, and what would training anew have given?

    python -m benchmarks.weeks [--quick] [--cpu-minutes 45] [--seeds 3] [--work FOLDER] [--tasks motion20 actions7]

The clips of a task's training side come in six weeks. Half of a label's clips come in one week (a trend), the others spread
over all weeks. ``tiny`` is pre-trained on the first week and then, like ``update``, continued every week on the new clips and
a share of old ones (``replay 0``, ``0.25``, ``0.5``). ``frozen`` stays with the first week's model. ``anew`` begins at random
in weeks 3 and 6 with all clips so far and the compute of all weeks so far. Every week takes the same number of steps.

Each model is asked two things, without training on any test side: the loss of pre-training with fixed masks, and the top-1
of a linear probe fitted to the clips so far. Forgetting is both on what the first week is about: its own clips, and test
clips of the labels that were its trend. Every answer is a line of ``FOLDER/answers.jsonl``; none is asked for twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tiktokactions as api
from benchmarks.learn import PRETRAIN, Item, Task, make_tasks, write_list
from benchmarks.motion20 import motion_task
from benchmarks.report import environment, print_environment, print_table, write_result
from tests.conftest import SHARED
from tests.made_videos import write_video
from tiktokactions.clips.clip import Clip
from tiktokactions.model import pretraining_model
from tiktokactions.model.augment import normalise
from tiktokactions.model.autoencoder import kept_tokens, reconstruction_target
from tiktokactions.model.evaluate import load_run
from tiktokactions.model.masking import tube_mask
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.samples import TestClips
from tiktokactions.model.weights import load_into, read_weights
from tiktokactions.study.sources import differences

WEEKS = 6
REPLAYS = (0.0, 0.25, 0.5)
ANEW_IN = (3, 6)
STRIDE = 2
RECIPE: dict[str, Any] = PRETRAIN | {
    **{"precision": "fp32", "frames": 8, "stride": STRIDE, "pictures_epochs": 0, "skip_unreadable": False},
}
"""Without ``epochs``, which follow from the weeks."""
EPOCHS = 2
"""A week's, over as many clips as come in all weeks: new ones are seen several times."""
MASKS = 4
"""Fixed ones for each clip, of which the loss is the mean."""


@dataclass(frozen=True)
class Ask:
    """One model to train and to ask."""

    task: str
    arm: str
    seed: int
    week: int

    @property
    def name(self) -> str:
        return f"{self.task.split(',')[0]}-{self.arm.replace(' ', '-')}-{self.seed}-{self.week}"

    @property
    def parent(self) -> Ask | None:
        """The model that it goes on from."""
        if self.week == 1 or self.arm == "anew":
            return None
        return Ask(self.task, "first" if self.week == 2 else self.arm, self.seed, self.week - 1)


def asks_of(task: str, seed: int) -> list[Ask]:
    """In an order in which a parent comes before its child."""
    replays = [f"replay {share:g}" for share in REPLAYS]
    weekly = [Ask(task, arm, seed, week) for week in range(2, WEEKS + 1) for arm in replays]
    return [Ask(task, "first", seed, 1), *weekly, *(Ask(task, "anew", seed, week) for week in ANEW_IN)]


def week_of(items: Sequence[Item]) -> list[int]:
    """1 to WEEKS for each: every second clip of a label in its own week, the others in turn in all weeks."""
    weeks, labels = [0] * len(items), sorted({item.label for item in items})
    for number, label in enumerate(labels):
        own = [i for i, item in enumerate(items) if item.label == label]
        own.sort(key=lambda i: zlib.crc32(Path(items[i].path).name.encode()))
        for place, i in enumerate(own):
            weeks[i] = 1 + (number if place % 2 else number + place // 2) % WEEKS
    return weeks


def trend_of_week_1(items: Sequence[Item]) -> set[str]:
    return set(sorted({item.label for item in items})[::WEEKS])


def train(ask: Ask, task: Task, weeks: Sequence[int], work: Path, epochs: int) -> Path:
    """Pre-train on the clips of the week, old ones and new ones by the arm's share; equal steps in every week."""
    run = work / ask.name
    new = [item for item, week in zip(task.train, weeks, strict=True) if week == ask.week]
    old = [item for item, week in zip(task.train, weeks, strict=True) if week < ask.week]
    everything = len(task.train) // 8 * 8
    share = float(ask.arm.removeprefix("replay ")) if ask.arm.startswith("replay") else 0.0
    if ask.arm == "anew":
        parts, epochs = [old + new], epochs * ask.week
    else:
        parts = [new, old] if share else [new]
    lists = [
        write_list(work / f"{ask.name}-{n}.csv", [(i.path, i.label) for i in part]) for n, part in enumerate(parts)
    ]
    # An epoch is as long as its lists: new clips are repeated until every week has as many.
    missing = everything - sum(map(len, parts))
    rows = [(i.path, i.label) for i in parts[0]]
    repeated = (rows * (2 + missing // len(rows)))[: len(rows) + missing]
    write_list(lists[0], repeated)
    init = None if ask.parent is None else work / ask.parent.name
    mix = [1 - share, share] if len(parts) == 2 else None
    recipe = RECIPE | {"epochs": epochs, "warmup_epochs": epochs / 10, "seed": 100 * ask.seed + ask.week}
    api.pretrain(lists, run, init=init, mix=mix, **recipe)
    return run


# --- what a model is asked --------------------------------------------------------------------------------------------


def views_of(items: Sequence[Item], run: Path) -> torch.Tensor:
    """uint8 (clips, 3, T, H, W): the middle of each."""
    clips = [Clip(item.path, item.label) for item in items]
    options = EvaluateOptions(segments=1, crops=1, workers=0, device="cpu")
    views = TestClips(clips, api.Run(run).config, options, STRIDE, "dense")
    return torch.stack([views[0, number]["video"][0] for number in range(len(clips))])


@torch.inference_mode()
def answers(run: Path, views: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Losses (clips,) and features (clips, D) of all views."""
    config, weights = api.Run(run).config, read_weights(run).tensors
    coder = pretraining_model(config).eval()
    load_into(coder, weights, what=str(run))
    rng = np.random.default_rng(0)
    masks = [torch.from_numpy(tube_mask(config.grid, RECIPE["mask_ratio"], rng))[None] for _ in range(MASKS)]
    losses, features = [], []
    encoder, _ = load_run(run)
    for part in views.split(16):
        video, own = normalise(part), []
        for mask in masks:
            seen, hidden = (kept_tokens(m.expand(len(part), -1), config) for m in (mask, ~mask))
            target = reconstruction_target(video, hidden, config, RECIPE["normalize_target"])
            own.append((coder(video, seen, hidden).float() - target).square().mean((1, 2)))
        losses.append(torch.stack(own).mean(0))
        features.append(encoder.features(video))
    return torch.cat(losses).numpy(), torch.cat(features).numpy()


def probed(features: np.ndarray, labels: Sequence[str], tested: np.ndarray, truth: Sequence[str]) -> list[int]:
    """1 for each tested clip that logistic regression on the features of the others names rightly."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300)).fit(features, labels)
    return [int(found == label) for found, label in zip(model.predict(tested), truth, strict=True)]


def told_of(ask: Ask, run: Path, task: Task, weeks: Sequence[int], views: torch.Tensor) -> Iterator[dict[str, Any]]:
    """The answers of a model; those of the first one also as ``frozen``, whose probe learns the later weeks' clips."""
    losses, features = answers(run, views)
    split, of_weeks = len(task.train), np.array(weeks)
    labels, truth = ([item.label for item in side] for side in (task.train, task.test))
    for week in range(1, WEEKS + 1) if ask.arm == "first" else [ask.week]:
        so_far = np.flatnonzero(of_weeks <= week)
        right = probed(features[so_far], [labels[i] for i in so_far], features[split:], truth)
        told = {"task": ask.task, "arm": "frozen" if ask.arm == "first" else ask.arm, "seed": ask.seed, "week": week}
        told |= {"top1": float(np.mean(right)), "right": right, "loss": float(losses.mean())}
        yield told | {"first_week_losses": [round(float(v), 6) for v in losses[:split][of_weeks == 1]]}


# --- what came out ----------------------------------------------------------------------------------------------------


def compared(rows: Sequence[dict[str, Any]], task: Task) -> list[dict[str, Any]]:
    """For each arm and week: top-1, top-1 on the first week's labels, the loss on its clips; and, where an arm without
    replay has the same seeds, what is different from it, with 95 % intervals."""
    first_labels = trend_of_week_1(task.train)
    first = np.array([item.label in first_labels for item in task.test])
    found = []
    for arm, week in dict.fromkeys((row["arm"], row["week"]) for row in rows):
        own, plain = (
            {r["seed"]: r for r in rows if (r["arm"], r["week"]) == key} for key in ((arm, week), ("replay 0", week))
        )
        right = np.array([r["right"] for r in own.values()], float)
        losses = np.array([r["first_week_losses"] for r in own.values()])
        told = {
            "arm": arm,
            "week": week,
            "seeds": sorted(own),
            "top1": right.mean(),
            "first_top1": right[:, first].mean(),
        }
        told |= {"first_loss": losses.mean()}
        if arm != "replay 0" and (both := sorted(set(own) & set(plain))):
            for name, videos in (("top1", slice(None)), ("first_top1", first)):
                pair = {
                    n: np.array([r[s]["right"] for s in both], float)[:, videos] for n, r in (("a", own), ("b", plain))
                }
                [apart] = differences(pair)
                told[f"{name}_difference"] = [apart.difference, apart.low, apart.high]
            # Per cent of the loss, each clip against itself; of the clips, since the seeds are few.
            ratios = [np.log(own[s]["first_week_losses"]) - np.log(plain[s]["first_week_losses"]) for s in both]
            of_clips = 100 * np.mean(ratios, axis=0)
            error = 1.96 * of_clips.std(ddof=1) / len(of_clips) ** 0.5
            told["first_loss_percent"] = [of_clips.mean(), of_clips.mean() - error, of_clips.mean() + error]
        found.append(json.loads(json.dumps(told, default=float)))
    return found


def small(task: Task, folder: Path) -> Task:
    """The same videos with a short side of 96 and every second frame, so that decoding does not take the time."""
    import av

    def made(item: Item) -> Item:
        path = folder / item.label / f"{Path(item.path).stem}.mp4"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with av.open(item.path) as container:
                stream = container.streams.video[0]
                width = 96 * stream.width // stream.height // 2 * 2
                pictures = [f.to_ndarray(format="rgb24", width=width, height=96) for f in container.decode(stream)][::2]
            part = path.with_name("part.mp4")
            write_video(part, pictures, fps=8)
            part.rename(path)
        return Item(str(path), item.label, item.group)

    return Task(task.name, tuple(map(made, task.train)), tuple(map(made, task.test)))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few clips and one seed; nothing is written")
    parser.add_argument("--cpu-minutes", type=float, default=45.0, help="begin no training after so many")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("weeks-runs"), help="what is there is kept")
    parser.add_argument("--tasks", nargs="+", default=["motion20", "actions7"])
    given = parser.parse_args(arguments)
    data = SHARED / "data"
    if not (data / "motion20").is_dir():
        print(f"{data}: no motion20; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'data'", file=sys.stderr)
        return 2
    facts = environment()
    print_environment(facts)
    torch.set_num_threads(1)
    makers = {
        "motion20": lambda: motion_task(data, given.work / "motion20"),
        "actions7": lambda: small(make_tasks(data)[-1], given.work / "actions7"),
    }
    tasks = {name: makers[name]() for name in given.tasks}
    if given.quick:
        tasks = {name: Task(t.name, t.train[::3], t.test[::9]) for name, t in tasks.items()}
    file = given.work / "answers.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    settings = {"recipe": RECIPE, "epochs": EPOCHS, "weeks": WEEKS, "masks": MASKS}
    views: dict[str, torch.Tensor] = {}
    for seed in range(1 if given.quick else given.seeds):
        for name, task in tasks.items():
            weeks = week_of(task.train)
            for ask in asks_of(name, seed):
                key = (name, "frozen" if ask.arm == "first" else ask.arm, seed, ask.week)
                if key in {tuple(row[k] for k in ("task", "arm", "seed", "week")) for row in rows}:
                    continue
                if sum(row.get("cpu_s", 0) for row in rows) > 60 * given.cpu_minutes:
                    print(f"stopped before {ask.name}: {given.cpu_minutes:g} CPU minutes are over")
                    return 0
                began = time.process_time()
                run = train(ask, task, weeks, given.work, EPOCHS)
                if name not in views:
                    views[name] = views_of([*task.train, *task.test], run)
                found = list(told_of(ask, run, task, weeks, views[name]))
                found[0]["cpu_s"] = round(time.process_time() - began, 1)
                rows += found
                with file.open("a") as lines:
                    lines.writelines(json.dumps(row) + "\n" for row in found)
                print({k: v for k, v in found[-1].items() if not isinstance(v, list)}, flush=True)
                if not given.quick:
                    results = {n: compared([r for r in rows if r["task"] == n], t) for n, t in tasks.items()}
                    spent = round(sum(row.get("cpu_s", 0) for row in rows), 1)
                    write_result("weeks", {"settings": settings, "cpu_s": spent, "results": results}, facts)
    for name, task in tasks.items():
        found = compared([row for row in rows if row["task"] == name], task)
        headers = ("arm", "week", "seeds", "top-1", "first labels", "loss of first clips")
        cells = [(r["arm"], r["week"], len(r["seeds"]), r["top1"], r["first_top1"], r["first_loss"]) for r in found]
        print_table(name, headers, cells)
    return 0


if __name__ == "__main__":
    sys.exit(main())
