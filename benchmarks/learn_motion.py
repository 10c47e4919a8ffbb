"""Does pre-training help on real motion, and which kind? Equal budgets, paired by test video.

    python -m benchmarks.learn_motion [--seeds 2] [--times 1] [--work FOLDER] [--quick]
    python -m benchmarks.learn_motion --learnable       # fight300: is there anything to learn, and at which size?

Arms of ``motion20`` (recorded motion of ten people, drawn as figures; odd subjects train, even ones test):

- ``scratch``: fine-tuned from random weights; ``scratch, longer``: with the operations of both trainings;
- ``pixels``: pre-trained on the training clips with pixel targets and tube masks, then fine-tuned as ``scratch``;
- ``pixels, motion masks``: the same with ``--masking motion``;
- ``latent``: the same with ``--target`` the encoder of ``pixels``, which costs as much again before.

Each arm is judged by fine-tuning and, which costs little, by a linear probe of its frozen encoder (``scratch``: random).
Each trial is a run of the product. What is finished in ``--work`` is not done again, and the JSON is written anew after each
trial, so that whatever is there is a result. Nothing is chosen by the test side: recipe and seeds were written down before.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

import tiktokactions as api
from benchmarks.learn import LIGHT, TINY, write_list
from benchmarks.report import environment, print_environment, print_table, write_result
from tests.conftest import SHARED
from tests.made_videos import write_video
from tiktokactions.intervals import wilson_interval
from tiktokactions.study.paired import answers_of
from tiktokactions.study.sources import differences

BONES = (
    *((20, 3), (1, 3), (2, 3), (1, 8), (8, 10), (10, 12), (2, 9), (9, 11), (11, 13), (3, 4), (4, 7), (7, 5), (7, 6)),
    *((5, 14), (14, 16), (16, 18), (6, 15), (15, 17), (17, 19)),
)
"""Pairs of joints, counted from 1."""
SIDE_PX = 96
METRES = 2.4
"""Of the square that a picture shows, around where the hip is in the first frame."""

PRETRAIN: dict[str, Any] = TINY | {
    "precision": "fp32",
    "frames": 16,
    "stride": 2,
    "mask_ratio": 0.75,
    "normalize_target": False,
    "batch_size": 8,
    "num_samples": 2,
    "base_lr": 0.032,  # 1e-3 for batches of 8 videos
    "min_lr": 0.00032,
    "epochs": 40,
    "pictures_epochs": 0,
}
FINETUNE: dict[str, Any] = LIGHT | {
    "precision": "fp32",
    "base_lr": 0.032,
    "frames": 16,
    "stride": 2,
    "epochs": 60,
    "warmup_epochs": 6,
    "segments": 2,
    "crops": 1,
}
LONGER = 87
"""Epochs of fine-tuning that take the operations of 40 of pre-training and 60 of fine-tuning."""
ARMS: dict[str, dict[str, Any] | None] = {
    "scratch": None,
    "pixels": {},
    "scratch, longer": None,
    "latent": {"target": "pixels"},
    "pixels, motion masks": {"masking": "motion"},
}
"""What each arm changes in PRETRAIN; None: nothing is pre-trained. ``target`` names the arm whose model it is."""
STAGES = (
    *(
        ("finetuned", arms)
        for arms in (("pixels", "scratch, longer"), ("pixels, motion masks",), ("latent",), ("scratch",))
    ),
    ("probe", ("scratch", "pixels", "pixels, motion masks", "latent")),
)
"""In this order, each with all seeds: a run that is cut short has answered the first questions whole."""


# --- motion20: drawing, split ---------------------------------------------------------------------------------------


def draw(joints_m: np.ndarray) -> Iterable[np.ndarray]:
    """RGB frames (96, 96, 3) of a figure, from joints (frames, 20, 3) in metres; lost frames are left out."""
    seen = joints_m[joints_m.any((1, 2))]
    centre = seen[0, 6, :2]
    for frame in seen:
        x_y = (frame[:, :2] - centre) * (SIDE_PX / METRES)
        points = np.round(np.stack([SIDE_PX / 2 + x_y[:, 0], SIDE_PX / 2 - x_y[:, 1]], 1) * 16).astype(int)
        picture = np.full((SIDE_PX, SIDE_PX, 3), 40, np.uint8)
        for first, second in BONES:
            cv2.line(picture, points[first - 1], points[second - 1], (230, 220, 200), 3, cv2.LINE_AA, 4)
        cv2.circle(picture, points[19], 6 * 16, (230, 180, 150), -1, cv2.LINE_AA, 4)
        yield picture


def motion20(data: Path, work: Path) -> tuple[Path, Path]:
    """Lists of the training and the test clips, drawn in ``work``."""
    rows: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for name, joints in np.load(data / "motion20" / "skeletons.npz").items():
        action, subject = name[:3], int(name[5:7])
        if not joints.any():
            continue
        path = work / "motion20" / f"{name}.mp4"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, list(draw(joints)), fps=15)
        rows[subject % 2 == 1].append((str(path), action))
    return write_list(work / "train.csv", rows[True]), write_list(work / "test.csv", rows[False])


def trial(
    arm: str, seed: int, kind: str, lists: tuple[Path, Path], work: Path, quick: bool, times: int = 1
) -> dict[str, Any]:
    """Carry out one arm with one seed, or find it done; the CPU seconds of all parts are told.

    Args:
        kind: ``finetuned``, or ``probe``: logistic regression on the frozen encoder.
        times: how many times as long every training is.
    """
    folder = folder_of(work, arm, seed)
    told = folder / f"{kind}.json"
    if told.exists():
        found: dict[str, Any] = json.loads(told.read_text())
        return found
    began, changed, init = time.process_time(), ARMS[arm], None
    if changed is not None:
        epochs = 1 if quick else PRETRAIN["epochs"] * times
        options = PRETRAIN | changed | {"seed": seed, "epochs": epochs}
        if "target" in changed:
            options["target"] = folder_of(work, changed["target"], seed) / "pretrained"
        init = folder / "pretrained"
        api.pretrain(lists[0], init, **options)
    pretrain_cpu_s = time.process_time() - began
    epochs = (LONGER if arm == "scratch, longer" else FINETUNE["epochs"]) * times
    options = FINETUNE | {"seed": seed, "epochs": epochs, "warmup_epochs": epochs // 10}
    options |= {"epochs": 1, "warmup_epochs": 0} if quick else {}
    options |= {"linear_probe": kind == "probe"}
    result = api.finetune(lists[0], folder / kind, test=lists[1], init=init, **options).as_json()
    found = {"kind": kind, "arm": arm, "seed": seed, "top1": result["test"]["top1"], "videos": result["test"]["videos"]}
    found["top1_95"] = wilson_interval(round(found["top1"] * found["videos"]), found["videos"])
    found |= {"train_loss": result["loss"], "pretrain_cpu_s": round(pretrain_cpu_s, 1)}
    found |= {"cpu_s": round(time.process_time() - began, 1), "load": os.getloadavg()[0]}
    told.write_text(json.dumps(found))
    return found


def folder_of(work: Path, arm: str, seed: int) -> Path:
    return work / f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}"


def compared(trials: Sequence[dict[str, Any]], work: Path) -> list[dict[str, Any]]:
    """Differences between arms on the same videos and, as far as both have them, the same seeds."""
    right: dict[str, dict[int, dict[Any, bool]]] = {}
    for row in trials:
        evaluation = folder_of(work, row["arm"], row["seed"]) / row["kind"] / "evaluations" / "test"
        right.setdefault(f"{row['arm']} ({row['kind']})", {})[row["seed"]] = answers_of(evaluation)
    rows = []
    for one, other in itertools.combinations(right, 2):
        seeds = sorted(set(right[one]) & set(right[other]))
        if seeds and one.rpartition(" (")[2] == other.rpartition(" (")[2]:
            videos = sorted(right[one][seeds[0]], key=str)
            both = {arm: np.array([[right[arm][s][v] for v in videos] for s in seeds], float) for arm in (other, one)}
            [found] = differences(both)
            rows.append(asdict(found) | {"seeds": seeds})
    return rows


# --- fight300: is there anything to learn? --------------------------------------------------------------------------


def motion_features(path: Path, side_px: int, frames: int = 16) -> dict[str, np.ndarray]:
    """Of frames shrunk to this shorter side: energy (mean absolute difference, in a 4 × 4 grid) and optical flow (histograms
    of direction by magnitude, and quantiles of the magnitude)."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)][::2][:frames]
    factor = side_px / min(pictures[0].shape)
    small = [cv2.resize(p, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for p in pictures]
    energy, flows = [], []
    for one, two in itertools.pairwise(small):
        change = cv2.absdiff(one, two).astype(np.float32)
        energy.append(cv2.resize(change, (4, 4), interpolation=cv2.INTER_AREA).ravel())
        flow = cv2.calcOpticalFlowFarneback(one, two, None, 0.5, 3, 11, 2, 5, 1.1, 0) / factor  # type: ignore[call-overload]
        size, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1])
        turns = np.histogram(angle, 8, (0, 2 * np.pi), weights=size)[0] / size.size
        flows.append(np.concatenate([turns, np.quantile(size, [0.5, 0.75, 0.9, 0.97, 0.99])]))
    sorted_energy = [np.sort(e) for e in energy]  # where in the picture it moves is the camera's business
    of_time: list[Any] = [np.mean, np.std, np.max]
    return {
        "energy": np.concatenate([f(sorted_energy, axis=0) for f in of_time]),
        "flow": np.concatenate([f(flows, axis=0) for f in of_time]),
    }


def learnable(data: Path, sizes: Sequence[int] = (64, 112, 192)) -> list[dict[str, Any]]:
    """Accuracy of a linear model on these features, five folds that share no source, ten draws of the folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with (data / "list.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels, sources = np.array([r["label"] == "fight" for r in rows]), np.array([r["source"] for r in rows])
    found = []
    for side_px in sizes:
        features = [motion_features(data / row["path"], side_px) for row in rows]
        for kind in ("energy", "flow"):
            x = np.log1p(np.array([f[kind] for f in features]))
            right = np.zeros((10, len(rows)))
            for draw_ in range(len(right)):
                for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=draw_).split(x, labels, sources):
                    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
                    right[draw_, test] = model.fit(x[train], labels[train]).predict(x[test]) == labels[test]
            rng, names = np.random.default_rng(0), np.unique(sources)
            by_source = [right[:, sources == name].mean(0) for name in names]
            drawn = [
                np.concatenate([by_source[i] for i in rng.integers(len(names), size=len(names))]).mean()
                for _ in range(2000)
            ]
            low, high = np.quantile(drawn, [0.025, 0.975])
            found.append({"side_px": side_px, "features": kind, "accuracy": right.mean(), "low": low, "high": high})
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one epoch of everything; nothing is written")
    parser.add_argument("--learnable", action="store_true", help="look at fight300 with simple features instead")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--times", type=int, default=1, help="train so many times as long, in a --work of its own")
    parser.add_argument("--work", type=Path, default=Path("learn-motion-runs"), help="what is there is kept")
    given = parser.parse_args(arguments)
    data = SHARED / "data"
    if not (data / "motion20").is_dir():
        print(f"{data}: no motion20; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'data'", file=sys.stderr)
        return 2
    facts = environment()
    print_environment(facts)
    if given.learnable:
        rows = learnable(data / "fight300")
        print_table("fight300, linear model, folds by source", tuple(rows[0]), [tuple(row.values()) for row in rows])
        print(write_result("fight300", {"rows": rows}, facts))
        return 0
    lists = motion20(data, given.work)
    settings = {"pretrain": PRETRAIN, "finetune": FINETUNE, "arms": ARMS, "longer_epochs": LONGER, "times": given.times}
    trials: list[dict[str, Any]] = []
    for kind, arm, seed in [(kind, arm, s) for kind, arms in STAGES for s in range(given.seeds) for arm in arms]:
        trials.append(trial(arm, seed, kind, lists, given.work, given.quick, given.times))
        print(trials[-1], flush=True)
        told = {"settings": settings, "trials": trials, "differences": compared(trials, given.work)}
        if not given.quick:
            write_result("learn_motion" if given.times == 1 else "learn_motion_long", told, facts)
    headers = ("arm", "other", "difference", "low", "high")
    cells = [(r["first"], r["second"], r["difference"], r["low"], r["high"]) for r in compared(trials, given.work)]
    print_table("top-1, paired by video and seed", headers, cells)
    return 0


if __name__ == "__main__":
    sys.exit(main())
