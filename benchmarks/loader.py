"""Our loader against the reference's own datasets: clips per CPU second, pre-training, fine-tuning and testing.

    python -m benchmarks.loader --reference VideoMAEv2     (a checkout of the reference, or TIKTOKACTIONS_REFERENCE)
    python -m benchmarks.loader --quick                    (one round over few videos: a smoke test, not a result)

Both sides run in this process on one thread and change places from round to round, and both end with normalised float32
clips. Without the reference's code pre-training is compared with an imitation, which draws the same frames, crops and masks,
and fine-tuning with nothing; the result says which it was. Test views are always compared with the imitation. Videos: 340x256
(H.264), the UCF101 and HMDB51 clips of the test data, 576x1024 (``benchmarks.corpus``), and the clips that ``curate`` writes
from these. Where the test data is absent, rendered videos stand in for all of them, which the result says.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch

import tiktokactions as api
from benchmarks import corpus, reference_loader
from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.clips.clip import Clip
from tiktokactions.model.augment import normalise
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.hardware import Hardware, Processes
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions, PretrainOptions
from tiktokactions.model.samples import FinetuneClips, PretrainClips, TestClips
from tiktokactions.video import cut

COPIES = 2
SMALL = (340, 256)
SMALL_VIDEOS = 12
SMALL_S = 8.0


# --- videos --------------------------------------------------------------------------------------------------------


def small_videos(folder: Path, real: bool) -> list[Path]:
    """H.264 files of 320x240, encoded once: stretches of real clips, or rendered ones."""
    paths = []
    stretches = [stretch for kind in corpus.STRETCHES for stretch in kind if stretch[0].startswith(("web", "kinetics"))]
    for number in range(SMALL_VIDEOS):
        path = folder / "small-340" / f"{'real' if real else 'rendered'}{number:02d}.mp4"
        paths.append(path)
        if path.exists():
            continue
        if real:
            file, start_s, end_s = stretches[number % len(stretches)]
            source = [
                "-ss",
                f"{start_s}",
                "-t",
                f"{min(SMALL_S, end_s - start_s)}",
                "-i",
                str(corpus.test_data() / file),
            ]
        else:
            source = rendered(SMALL, SMALL_S, number)
        size = f"{SMALL[0]}:{SMALL[1]}"
        scale = f"scale={size}:force_original_aspect_ratio=increase,crop={size},setsar=1"
        corpus.encode([*source, "-vf", scale, *H264, "-an"], path)
    return paths


H264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "23", "-pix_fmt", "yuv420p", "-threads", "2")


def large_videos(folder: Path, real: bool) -> list[Path]:
    """H.264 files of 576x1024 at about 1.5 Mb/s: the corpus, or rendered ones."""
    if real:
        return corpus.build(folder)
    paths = [folder / "large" / f"rendered{number:02d}.mp4" for number in range(4)]
    for number, path in enumerate(paths):
        if not path.exists():
            source = rendered((corpus.WIDTH, corpus.HEIGHT), 15, number)
            corpus.encode([*source, *H264, "-b:v", str(corpus.VIDEO_BITS)], path)
    return paths


def rendered(size: tuple[int, int], seconds: float, seed: int) -> list[str]:
    """FFmpeg's zooming fractal under a little noise: moves everywhere, and is as hard to decode as a real video."""
    fractal = f"mandelbrot=size={size[0]}x{size[1]}:rate=30:start_scale={3 / (seed + 1):.3f}"
    return [
        "-f",
        "lavfi",
        "-t",
        f"{seconds}",
        "-i",
        f"{fractal},noise=alls=4:allf=t:all_seed={seed + 1},format=yuv420p",
    ]


def curated_clips(folder: Path, videos: Sequence[Path]) -> list[Path]:
    """The clips that ``curate`` writes, whoever is seen in them."""
    encoder = hashlib.sha256(Path(cut.__file__).read_bytes()).hexdigest()[:8]  # other settings, other clips
    dataset = folder / f"curated-{len(videos)}-{videos[0].stem}-{encoder}"
    api.curate(videos, dataset, detector="none", min_person_frames=0, keep_duplicates=True, workers=1)
    return sorted((dataset / "clips").rglob("*.mp4"))


def shared_small_videos() -> list[Path]:
    return sorted([*corpus.test_data().glob("ucf101/*.avi"), *corpus.test_data().glob("hmdb51/*.avi")])


# --- measuring -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Compared:
    """Both loaders on the same videos."""

    task: str
    videos: list[Path]
    config: ModelConfig
    checkout: Path | None
    folder: Path

    def run_ours(self, round_number: int) -> int:
        clips = [Clip(str(path), "one") for path in self.videos]
        if self.task == "pretrain":
            dataset = PretrainClips(clips, self.config, PretrainOptions(num_samples=COPIES))
            return sum(len(normalise(dataset[round_number, i]["video"])) for i in range(len(clips)))
        options = FinetuneOptions(num_samples=COPIES, augment_on="workers")
        tuned = FinetuneClips(clips, ["one"], self.config, options)
        here = Hardware(torch.device("cpu"), torch.float32, Processes())
        batches = ((sample := tuned[round_number, i]) | {"index": sample["index"][None]} for i in range(len(clips)))
        return sum(len(tuned.on(here, batch, round_number)) for batch in batches)

    def run_reference(self, round_number: int) -> int:
        if self.checkout is None:
            keys = [(0, round_number, i) for i in range(len(self.videos))]
            samples = zip(self.videos, keys, strict=True)
            return sum(
                len(reference_loader.pretrain_sample(v, self.config, COPIES, key)["video"]) for v, key in samples
            )
        for seeded in (random.seed, np.random.seed, torch.manual_seed):
            seeded(round_number)
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = reference_loader.own_dataset(self.checkout, self.task, self.videos, COPIES, self.folder)
        return sum(len(dataset[i][0]) for i in range(len(self.videos)))


def rates(sides: dict[str, Callable[[int], int]], rounds: int, what: str) -> dict[str, float]:
    """Clips per CPU second of every side, the median of rounds in which they alternate; each side is warmed up first."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(-1, rounds):
        print(f"{what}: round {round_number + 1} of {rounds}", file=sys.stderr)
        for name in sides if round_number % 2 == 0 else reversed(sides):
            before = time.process_time()
            clips = sides[name](max(0, round_number))
            spent_s = time.process_time() - before
            if round_number >= 0:
                measured[name].append(clips / spent_s)
    return {name: median(values) for name, values in measured.items()}


def compared_rates(kind: str, work: Compared, rounds: int) -> dict[str, Any]:
    found = rates({"ours": work.run_ours, "reference": work.run_reference}, rounds, f"{work.task}, {kind}")
    return {"videos": kind, "files": len(work.videos), **found, "ratio": found["ours"] / found["reference"]}


def test_rates(kind: str, videos: list[Path], config: ModelConfig, rounds: int) -> dict[str, Any]:
    """Fifteen views of each video: ours by one decode, the reference's by fifteen; videos per CPU second."""
    dataset = TestClips([Clip(str(path), None) for path in videos], config, EvaluateOptions(), 4, "dense")

    def ours(round_number: int) -> int:
        return sum(len(normalise(dataset[0, i]["video"])) > 0 for i in range(len(videos)))

    def reference(round_number: int) -> int:
        for path in videos:
            for view in range(15):
                reference_loader.test_view(path, config, view)
        return len(videos)

    found = rates({"ours": ours, "reference": reference}, rounds, f"test views, {kind}")
    return {"videos": kind, "files": len(videos), **found, "ratio": found["ours"] / found["reference"]}


# --- verdict -------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=corpus.default_folder(), help="cache (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--videos", type=int, help="at most so many of each kind (default: all)")
    told = os.environ.get("TIKTOKACTIONS_REFERENCE")
    parser.add_argument(
        "--reference", type=Path, default=told and Path(told), help="checkout of the reference's code (VideoMAEv2)"
    )
    parser.add_argument("--quick", action="store_true", help="one round over few videos; writes no result")
    options = parser.parse_args()
    rounds, most = (1, 3) if options.quick else (options.rounds, options.videos)

    facts = environment()
    print_environment(facts)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    real = corpus.has_test_data()
    config = model_config("vit-b")
    small, large = small_videos(options.folder, real)[:most], large_videos(options.folder, real)[:most]
    clips = curated_clips(options.folder, large)

    kinds = {"340x256 H.264": small, "576x1024 H.264": large, "curated clips": clips}
    if real:
        kinds["320x240 UCF101, HMDB51"] = shared_small_videos()[:most]
    rows: dict[str, list[dict[str, Any]]] = {}
    for task in ("pretrain", "finetune") if options.reference else ("pretrain",):
        works = {
            kind: Compared(task, videos, config, options.reference, options.folder) for kind, videos in kinds.items()
        }
        rows[task] = []
        for kind, work in works.items():
            rows[task].append(compared_rates(kind, work, rounds))
            print(rows[task][-1], file=sys.stderr, flush=True)  # a run cut short has told what it found
    tests = [test_rates("320x240 H.264", small[:3], config, min(rounds, 3))]
    tests.append(test_rates("576x1024 H.264", large[:1], config, min(rounds, 3)))

    against = "the reference's own code" if options.reference else "an imitation of the reference"
    for task, some in rows.items():
        title = f"{task}, against {against}: clips per CPU second, {COPIES} of each video"
        print_table(title, list(some[0]), [list(row.values()) for row in some])
    print_table("Test: videos per CPU second, 15 views of each", list(tests[0]), [list(r.values()) for r in tests])
    if not real:
        print("\n  no test data: all videos are rendered, and say little about real ones")
    if options.quick:
        print("\n  a quick run: too short to be a result, nothing is written")
        return
    result = {
        "rounds": rounds,
        "copies": COPIES,
        "most_videos": most,
        "real_videos": real,
        "against": against,
        **rows,
        "test": tests,
    }
    print("\n", write_result("loader", result, facts))


if __name__ == "__main__":
    main()
