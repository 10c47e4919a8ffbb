"""Accepted clips searched again: videos are curated, and ten frames of every written clip are looked at once more.

The clips are read with plain PyAV, and their frames taken as the paper takes a scene's. A clip fails if fewer than
``min_person_frames`` of them show a person. The scene's verdict is printed beside it: what the rule of before accepts.

    python -m benchmarks.clips_again                       # the test data's videos with yolox-nano
    python -m benchmarks.clips_again --videos my/videos --detector blazepose --judge yolox-nano
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

import tiktokactions as api
from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.curation.decide import people_in
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector, open_detector, resolve_detector
from tiktokactions.curation.scenes import sample_indices
from tiktokactions.files import all_records
from tiktokactions.records import VideoRecord

FOLDERS = ("clips", "odd", "scenes")


@dataclass(frozen=True)
class Again:
    """One video whose scene or clip qualifies, and what its clip shows when it is searched again."""

    video: str
    status: str
    long_scene: bool
    scene_people: int
    clip_people: int
    people_again: int


def curated(videos: list[str], folder: Path, options: CurateOptions) -> list[VideoRecord]:
    changed: dict[str, Any] = {"detector": options.detector, "min_person_frames": options.min_person_frames}
    dataset = api.curate(videos, folder, keep_duplicates=True, **changed)
    return list(all_records(dataset.folder))


def search_again(clip: Path, judge: ResolvedDetector) -> int:
    """How many of ten frames of a clip show somebody."""
    with av.open(str(clip)) as container:
        frames = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]
    found = open_detector(judge)([frames[i] for i in sample_indices(len(frames))])
    return sum(any(person.score >= judge.info.default_score for person in people) for people in found)


def looked_at(record: VideoRecord, folder: Path, judge: ResolvedDetector) -> Again:
    assert record.clip is not None and record.segment is not None and record.scene is not None
    assert record.detector is not None
    score = record.detector.default_score
    return Again(
        Path(record.source.path).name,
        record.status,
        record.segment.duration_s < record.scene.duration_s,
        people_in(record.samples, score),
        people_in(record.clip.searched, score),
        search_again(folder / record.clip.path, judge),
    )


def main() -> int:
    shared_default = os.environ.get("TIKTOKACTIONS_TEST_DATA", str(Path(__file__).parents[1].parent / "shared"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(shared_default), help="folder that holds data/")
    parser.add_argument("--videos", nargs="+", help="default: the test data's videos")
    parser.add_argument("--detector", default="yolox-nano", help="the one that curates")
    parser.add_argument("--judge", help="the one that searches again (default: the same)")
    parser.add_argument("--min-person-frames", type=int, default=4)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    facts = environment()
    print_environment(facts)
    videos = options.videos or [str(options.shared / "data" / name) for name in FOLDERS]
    settings = CurateOptions(detector=options.detector, min_person_frames=options.min_person_frames)
    judge = resolve_detector(options.judge or options.detector)
    with tempfile.TemporaryDirectory() as name:
        records = curated(videos, Path(name), settings)
        cut = [record for record in records if record.clip is not None and record.status != "rejected"]
        again = [looked_at(record, Path(name), judge) for record in cut]

    least = settings.min_person_frames
    accepted = [one for one in again if one.status == "accepted"]
    failing = [one for one in accepted if one.people_again < least]
    by_scene = [one for one in again if one.scene_people >= least]
    counts = {
        "videos": len(records),
        "clips": len(again),
        "of longer scenes": sum(one.long_scene for one in again),
        "accepted": len(accepted),
        "accepted clips that fail": len(failing),
        "accepted clips that show nobody": sum(one.people_again == 0 for one in accepted),
        "the scene's frames would have accepted": len(by_scene),
        "of these, clips that fail": sum(one.people_again < least for one in by_scene),
    }
    print_table("Clips searched again", ("", "number"), list(counts.items()))
    for one in failing:
        print(f"  fails: {one}")
    share = len(failing) / len(accepted) if accepted else 0.0
    print(f"\n  accepted clips that fail the rule on their own frames: {share:.1%}")
    if not options.videos:
        told = {"detector": options.detector, "judge": judge.info.name, "share_failing": share, "counts": counts}
        print(f"\nwritten: {write_result('clips_again', told, facts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
