"""Scene cuts agree with PySceneDetect, its goldens, and the paper's sampling rule."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from tiktokactions import video
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.scenes import (
    CutFinder,
    analysis_size,
    make_scene_detector,
    sample_indices,
    scene_parameters,
)

NAMES = {
    "ContentDetector": "content",
    "AdaptiveDetector": "adaptive",
    "HistogramDetector": "histogram",
    "HashDetector": "hash",
    "ThresholdDetector": "threshold",
}
MISSED_BY_PYSCENEDETECT_ITSELF = {"counter.mp4.HistogramDetector.default", "testvideo.mp4.HistogramDetector.default"}


@pytest.mark.parametrize(
    ("frames", "samples", "one_based"),
    [
        (0, 10, []),
        (1, 10, [1]),
        (9, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (10, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (19, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (101, 10, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        (300, 5, [60, 120, 180, 240, 300]),
    ],
)
def test_samples_lie_where_the_paper_puts_them(frames: int, samples: int, one_based: list[int]) -> None:
    assert [i + 1 for i in sample_indices(frames, samples)] == one_based


@pytest.mark.parametrize(
    ("size", "analysis"), [((1920, 1080), (256, 144)), ((576, 1024), (144, 256)), ((200, 150), (200, 150))]
)
def test_analysis_size_is_pyscenedetects(size: tuple[int, int], analysis: tuple[int, int]) -> None:
    assert analysis_size(*size) == analysis


@pytest.mark.parametrize(("ours", "theirs"), [("content", ContentDetector), ("adaptive", AdaptiveDetector)])
def test_the_faster_score_is_the_librarys(ours: str, theirs: type[ContentDetector]) -> None:
    fast, slow = make_scene_detector(CurateOptions(scenes=ours)), theirs()  # type: ignore[arg-type]
    assert isinstance(fast, theirs)
    random = np.random.default_rng(0)
    zero = FrameTimecode(0, Fraction(30))
    for i in range(40):
        frame = np.clip(random.normal(40 + 170 * (i // 10 % 2), 20, (36, 64, 3)), 0, 255).astype(np.uint8)
        assert fast.process_frame(zero + i, frame) == slow.process_frame(zero + i, frame)
        assert fast._frame_score == pytest.approx(slow._frame_score, rel=1e-12)


@pytest.mark.parametrize("name", ["counter.mp4", "fades.mp4", "goldeneye-vfr-drop3.mp4", "testvideo.mp4"])
def test_every_golden_of_pyscenedetect_is_reproduced(shared_data: Path, name: str) -> None:
    goldens = sorted((shared_data / "scenes" / "goldens").glob(f"{name}.*.json"))
    goldens = [golden for golden in goldens if golden.stem not in MISSED_BY_PYSCENEDETECT_ITSELF]
    assert len(goldens) >= 6
    cuts, times_s, rate = find_cuts(shared_data / "scenes" / name, [options_of(golden) for golden in goldens])
    wrong = {}
    for golden, ours in zip(goldens, cuts, strict=True):
        expected = json.loads(golden.read_text())["cuts"]
        # Golden numbers count frames of a constant rate: a video with dropped frames is compared by time.
        found = [times_s[cut] * float(rate) for cut in ours] if "vfr" in name else ours
        tolerance = 1 if "vfr" in name else 0
        if len(found) != len(expected) or any(abs(a - b) > tolerance for a, b in zip(found, expected, strict=True)):
            wrong[golden.stem] = (found, expected)
    assert wrong == {}


def options_of(golden: Path) -> CurateOptions:
    _, detector, variant = golden.stem.rsplit(".", 2)
    return CurateOptions(
        scenes=NAMES[detector],  # type: ignore[arg-type]
        scene_threshold=None if variant == "default" else float(variant[1:]),
    )


def find_cuts(path: Path, options: list[CurateOptions]) -> tuple[list[list[int]], list[float], Fraction]:
    """The cuts with each of the options, of one decode."""
    with video.VideoFile(path) as source:
        scaler = video.AnalysisScaler(*analysis_size(source.shape.coded_width, source.shape.coded_height))
        finders = [CutFinder(make_scene_detector(some), source.guessed_rate) for some in options]
        cuts: list[list[int]] = [[] for _ in finders]
        for frame in source.frames():
            picture = scaler(frame.picture)[0]
            for found, finder in zip(cuts, finders, strict=True):
                found += finder.feed(frame.time_s, picture)
        for found, finder in zip(cuts, finders, strict=True):
            found += finder.finish()
        return cuts, list(source.times_s), source.guessed_rate


def test_parameters_are_checked_and_reach_the_detector() -> None:
    assert scene_parameters("adaptive") == {"window_width": 2, "min_content_val": 15.0, "luma_only": False}
    detector = make_scene_detector(CurateOptions(scenes="adaptive", scene_param=("window_width=3", "luma_only=true")))
    assert isinstance(detector, AdaptiveDetector)
    assert detector.window_width == 3
    with pytest.raises(
        ValueError, match=r"the content detector has no 'window_width', expected one of \['luma_only'\]"
    ):
        make_scene_detector(CurateOptions(scene_param=("window_width=3",)))
    with pytest.raises(ValueError, match="expected a number like 2"):
        make_scene_detector(CurateOptions(scenes="adaptive", scene_param=("window_width=wide",)))
