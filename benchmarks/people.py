"""Person presence: precision, recall and false alarms of each detector that can run here, over a sweep of thresholds.

A picture counts as one with people if a box scores at least the threshold: the question that curation asks of a frame.
Pictures are shrunk first to the size at which curation keeps its frames. Tall: the tallest person fills more than half
of the picture's height.

    python -m benchmarks.people                          # yolox-nano and blazepose
    python -m benchmarks.people --detector onnx:my.onnx --detector ultralytics:yolov8n.pt
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.curation.detectors import KEEP_SCORE, Detect
from tiktokactions.curation.people import ResolvedDetector, open_detector, resolve_detector
from tiktokactions.curation.weights import DetectorError
from tiktokactions.records import DetectorInfo, to_builtins

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
TALL = 0.5
MOST_FALSE_POSITIVES = 0.03


@dataclass(frozen=True)
class Photo:
    image_bgr: np.ndarray
    has_person: bool
    is_tall: bool


def read_photos(folder: Path) -> list[Photo]:
    """Photos of ``labels.csv`` (columns ``file,has_person,persons,tallest_person_height_fraction``)."""
    photos = []
    with open(folder / "labels.csv", newline="") as file:
        for row in csv.DictReader(file):
            path = folder / "images" / row["file"]
            image_bgr = cv2.imread(str(path))
            if image_bgr is None:
                raise FileNotFoundError(f"{path}: named in labels.csv, but not a picture that can be read")
            has_person = row["has_person"] == "1"
            tall = has_person and float(row["tallest_person_height_fraction"]) > TALL
            photos.append(Photo(image_bgr, has_person, tall))
    return photos


def shrink(image_bgr: np.ndarray, long_side: int) -> np.ndarray:
    scale = long_side / max(image_bgr.shape[:2])
    return cv2.resize(image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image_bgr


def measure(detect: Detect, photos: list[Photo], long_side: int) -> tuple[list[float], float]:
    """Best person score of every photo (0 where there is no box), and the median CPU milliseconds per photo."""
    images = [shrink(photo.image_bgr, long_side) for photo in photos]
    detect(images[:2])  # the first calls pay for memory and caches
    best, spent_ms = [], []
    for image in images:
        start = time.process_time()
        people = detect([image])[0]
        spent_ms.append((time.process_time() - start) * 1000)
        best.append(people[0].score if people else 0.0)
    return best, statistics.median(spent_ms)


def scores_at(threshold: float, best: list[float], photos: list[Photo]) -> dict[str, float | None]:
    """Precision, recall, recall for tall people, and false-positive rate; None where nothing is there to divide by."""

    def share(part: list[bool]) -> float | None:
        return sum(part) / len(part) if part else None

    said = [score >= threshold for score in best]
    return {
        "threshold": threshold,
        "precision": share([photo.has_person for photo, yes in zip(photos, said, strict=True) if yes]),
        "recall": share([yes for photo, yes in zip(photos, said, strict=True) if photo.has_person]),
        "recall_tall": share([yes for photo, yes in zip(photos, said, strict=True) if photo.is_tall]),
        "false_positive_rate": share([yes for photo, yes in zip(photos, said, strict=True) if not photo.has_person]),
    }


def lowest_score(sweep: list[dict[str, float | None]]) -> float:
    """The lowest threshold with at most :data:`MOST_FALSE_POSITIVES`: the default score of a detector."""
    return min(s["threshold"] or 0.0 for s in sweep if (s["false_positive_rate"] or 0.0) <= MOST_FALSE_POSITIVES)


def resolve_or_say_why(name: str, shared: Path) -> ResolvedDetector | None:
    try:
        return resolve_detector(name)
    except DetectorError as error:
        spare = shared / "models" / "yolox_nano.onnx"
        if name == "yolox-nano" and spare.is_file():
            print(f"yolox-nano: measured with {spare}, a re-export, as the official file cannot be had here")
            return resolve_detector(f"onnx:{spare}")
        print(f"{name}: not measured: {error}", file=sys.stderr)
        return None


def print_sweep(title: str, sweep: list[dict[str, float | None]], info: DetectorInfo) -> None:
    rows = []
    for scores in sweep:
        threshold, *rest = scores.values()
        rows.append((f"{threshold:.2f}{' *' if threshold == info.default_score else ''}", *rest))
    headers = ("threshold", "precision", "recall", "recall, tall", "false positives")
    print_table(f"{title}; * the default threshold", headers, rows)


def main() -> int:
    shared_default = os.environ.get("TIKTOKACTIONS_TEST_DATA", str(Path(__file__).parents[1].parent / "shared"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(shared_default), help="folder that holds data/people")
    parser.add_argument("--detector", action="append", help="repeatable; default: yolox-nano and blazepose")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    facts = environment()
    print_environment(facts)
    photos = read_photos(options.shared / "data" / "people")
    people, tall = sum(photo.has_person for photo in photos), sum(photo.is_tall for photo in photos)
    print(f"{len(photos)} photos, {people} with people, {tall} of them with a tall person")

    results: list[dict[str, Any]] = []
    for name in options.detector or ["yolox-nano", "blazepose"]:
        resolved = resolve_or_say_why(name, options.shared)
        if resolved is None:
            continue
        best, ms = measure(open_detector(resolved), photos, resolved.long_side)
        info, sweep = resolved.info, [scores_at(threshold, best, photos) for threshold in THRESHOLDS]
        print_sweep(f"{info.name} (SHA-256 {info.sha256[:12]}): {ms:.1f} CPU ms per frame, one thread", sweep, info)
        size_and_speed = {"long_side": resolved.long_side, "ms_per_frame": round(ms, 2)}
        results.append({"detector": to_builtins(info), **size_and_speed, "sweep": sweep})
    if not results:
        return 1
    data = {"photos": len(photos), "with_people": people, "with_tall_person": tall, "kept_from_score": KEEP_SCORE}
    print(f"\nwritten: {write_result('people', data | {'detectors': results}, facts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
