"""Cuts: precision, recall, F1 and CPU of each way to find them, on videos whose cuts are known; and what the second look does
to clips.

The videos are made of real footage (benchmarks/cut_videos.py). A cut counts as found if what was found lies within three
frames of it. Frames are decoded once, as curation does; the milliseconds are those of the detector alone, on one thread. The
second look is judged on the longest scene that ``content`` leaves, as it looks at nothing else; its milliseconds are spread
over all frames of the video. Clips are those of videos that are accepted whoever is seen in them.

    python -m benchmarks.cuts
    python -m benchmarks.cuts --videos 4        # a smoke test, not a result
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.corpus import default_folder, test_data
from benchmarks.cut_videos import FPS, JOINS, CutVideo, Event, build
from benchmarks.people import resolve_or_say_why
from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions import video
from tiktokactions.curation.one_video import curate_video
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector, with_transnet
from tiktokactions.curation.scenes import analysis_size, make_cut_finder
from tiktokactions.curation.shots import SecondLook
from tiktokactions.curation.transnet import Probabilities, open_network
from tiktokactions.curation.weights import transnet_file
from tiktokactions.records import VideoRecord

SEED, VIDEOS = 19, 12
NEAR = 3
VISIBLE = 2
"""Frames at either end of a gradual transition in which the other shot is too faint to count as inside a clip."""
ADAPTIVE = CurateOptions(scenes="adaptive", scene_threshold=3.5, scene_param=("window_width=3",))
WAYS = {
    "content": CurateOptions(),
    "adaptive 3.5, window 3": ADAPTIVE,
    "adaptive 3.5, window 3, 0.6 s": replace(ADAPTIVE, min_scene_frames=round(0.6 * FPS)),
    "transnetv2": CurateOptions(scenes="transnetv2"),
}
LOOK = "second look"

Frames = list[tuple[float, np.ndarray]]
Span = tuple[int, int]


@dataclass
class Found:
    """What one way found in all videos."""

    wrong: Counter[str] = field(default_factory=Counter)
    """Finds where there is no cut, by what is there instead."""
    joins: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    frames: int = 0

    def add(self, spans: Sequence[Span], truth: Sequence[Event], distractions: Sequence[Event]) -> None:
        used: set[int] = set()
        for join in truth:
            near = {i for i, (start, end) in enumerate(spans) if start < join.end + NEAR and end > join.start - NEAR}
            self.joins[join.kind] += 1
            self.found[join.kind] += bool(near)
            used |= near
        for i, (start, end) in enumerate(spans):
            if i not in used:
                there = (e.kind for e in distractions if start < e.end + NEAR and end > e.start - NEAR)
                self.wrong[next(there, "nothing")] += 1

    def numbers(self) -> dict[str, Any]:
        right, all_joins = self.found.total(), self.joins.total()
        precision = right / max(1, right + self.wrong.total())
        recall = right / max(1, all_joins)
        return {
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / max(1e-9, precision + recall),
            "ms_per_frame": 1000 * self.cpu_s / max(1, self.frames),
            "recall_by_kind": {kind: self.found[kind] / self.joins[kind] for kind in JOINS if self.joins[kind]},
            "joins": all_joins,
            "false": dict(self.wrong),
        }


def decoded(path: Path) -> Frames:
    with video.VideoFile(path) as opened:
        scaler = video.AnalysisScaler(*analysis_size(opened.shape.coded_width, opened.shape.coded_height))
        return [(frame.time_s, scaler(frame.picture)[0].copy()) for frame in opened.frames()]


def cuts_of(frames: Frames, options: CurateOptions, network: Probabilities) -> list[int]:
    finder = make_cut_finder(options, Fraction(FPS), 0, network)
    found = [cut for time_s, image_bgr in frames for cut in finder.feed(time_s, image_bgr)]
    return sorted({*found, *finder.finish()})


def looked(frames: Frames, cuts: Sequence[int], network: Probabilities) -> tuple[Span, list[Span]]:
    """The longest scene, and the transitions that the second look finds in it."""
    look, start, longest = SecondLook(network), 0, (0, 0)
    ends = {*cuts, len(frames)}
    for number, (time_s, image_bgr) in enumerate(frames):
        look.add(number, time_s, image_bgr)
        if number + 1 in ends:
            is_longest = number + 1 - start > longest[1] - longest[0]
            longest = (start, number + 1) if is_longest else longest
            look.end_scene(number + 1, is_longest)
            start = number + 1
    return longest, [(first, last) for first, last, _ in look.transitions(*longest)]


def timed(found: Found, frames: Frames, call: Callable[[], Any]) -> Any:
    began = time.process_time()
    result = call()
    found.cpu_s += time.process_time() - began
    found.frames += len(frames)
    return result


def measure_ways(videos: Sequence[CutVideo], network: Probabilities) -> dict[str, dict[str, Any]]:
    ways = {name: Found() for name in [*WAYS, LOOK]}
    for number, made in enumerate(videos):
        frames = decoded(made.path)
        spans = {}
        for name, options in WAYS.items():
            cuts = timed(ways[name], frames, partial(cuts_of, frames, options, network))
            # A gradual transition is a scene of its own to transnetv2: its two ends are one find.
            spans[name] = (
                joined([(cut - 1, cut) for cut in cuts]) if name == "transnetv2" else [(c, c + 1) for c in cuts]
            )
            ways[name].add(spans[name], made.joins, made.distractions)
        cuts = [start for start, _ in spans["content"]]
        (start, end), transitions = timed(ways[LOOK], frames, partial(looked, frames, cuts, network))
        inside = [join for join in made.joins if join.start > start + NEAR and join.end < end - NEAR]
        at_ends = [join for join in made.joins if join not in inside]
        apart = [s for s in transitions if not any(s[0] < j.end + NEAR and s[1] > j.start - NEAR for j in at_ends)]
        ways[LOOK].add(apart, inside, made.distractions)
        print(f"{number + 1} of {len(videos)} videos", file=sys.stderr)
    return {name: found.numbers() for name, found in ways.items()}


def joined(spans: Sequence[Span]) -> list[Span]:
    """Finds that are at most 40 frames apart and may be the two ends of one transition, as one."""
    result: list[Span] = []
    for start, end in spans:
        if result and end - result[-1][1] <= 40 and result[-1][1] - result[-1][0] == 1:
            start = result.pop()[0]
        result.append((start, end))
    return result


def measure_clips(videos: Sequence[CutVideo], detector: ResolvedDetector, folder: Path) -> dict[str, Any]:
    """Clips with a transition inside, and CPU seconds, with and without the second look."""
    results: dict[str, Any] = {}
    for name, looks in (("without", False), ("with", True)):
        seen_by, options, _ = with_transnet(detector, CurateOptions(min_person_frames=0, second_look=looks))
        dirty, accepted, cpu_s = [], 0, []
        for made in videos:
            began = time.process_time()
            record = curate_video(made.path, options, seen_by, folder, made.path.stem)
            cpu_s.append(time.process_time() - began)
            accepted += record.status == "accepted"
            inside = joins_inside(record, made)
            if inside:
                dirty.append([made.path.stem, *(join.kind for join in inside)])
        results[name] = {"accepted": accepted, "dirty": dirty, "cpu_s": statistics.fmean(cpu_s)}
    results["cpu_ratio"] = results["with"]["cpu_s"] / results["without"]["cpu_s"]
    return results


def joins_inside(record: VideoRecord, made: CutVideo) -> list[Event]:
    if record.segment is None or record.status != "accepted":
        return []
    start, end = round(record.segment.start_s * FPS), round(record.segment.end_s * FPS)

    def is_inside(join: Event) -> bool:
        if join.end - join.start == 1:
            return start < join.start < end
        return max(start, join.start + VISIBLE) < min(end, join.end - VISIBLE)

    return [join for join in made.joins if is_inside(join)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=default_folder() / "cuts", help="cache (default: %(default)s)")
    parser.add_argument("--videos", type=int, default=VIDEOS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    facts = environment()
    print_environment(facts)
    detector = resolve_or_say_why("yolox-nano", test_data().parents[1])
    if detector is None:
        return 1
    network = open_network(transnet_file())
    videos = build(options.folder, options.videos, SEED)
    ways = measure_ways(videos, network)
    with tempfile.TemporaryDirectory() as folder:
        clips = measure_clips(videos, detector, Path(folder))

    names = ("precision", "recall", "f1", "ms_per_frame")
    print_table(
        f"{len(videos)} videos, {sum(len(v.joins) for v in videos)} cuts",
        ("way", *names, *JOINS),
        [
            (way, *(n[name] for name in names), *(n["recall_by_kind"].get(kind) for kind in JOINS))
            for way, n in ways.items()
        ],
    )
    for way, n in ways.items():
        print(f"  false, {way}: {n['false']}")
    for name in ("without", "with"):
        told = clips[name]
        print(
            f"{name} the second look: {told['accepted']} accepted, {len(told['dirty'])} with a transition inside,"
            f" {told['cpu_s']:.2f} CPU s a video"
        )
    print(f"CPU with it: {clips['cpu_ratio']:.2f} times that without")
    data = {"seed": SEED, "videos": len(videos), "ways": ways, "clips": clips, "near_frames": NEAR}
    print(f"\nwritten: {write_result('cuts', data, facts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
