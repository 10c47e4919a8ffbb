"""Where a video cuts from one scene to the next: PySceneDetect's detectors, fed frame by frame from our one decode."""

from __future__ import annotations

import bisect
import inspect
from array import array
from fractions import Fraction

import cv2
import numpy as np
from scenedetect.common import FrameTimecode
from scenedetect.detector import SceneDetector
from scenedetect.detectors import AdaptiveDetector, ContentDetector, HashDetector, HistogramDetector, ThresholdDetector

from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.shots import TransNetCuts
from tiktokactions.curation.transnet import Probabilities
from tiktokactions.errors import UsageError
from tiktokactions.records import JsonObject

ANALYSIS_LONG_SIDE = 256
"""PySceneDetect's own automatic downscale; its thresholds were tuned at this size."""

TRANSNET_THRESHOLD = 0.5
"""The authors' own."""


class _FastScore:
    """PySceneDetect's content score (mean absolute change of hue, saturation and value) without its int32 copies.

    Mixed into its detectors; ``tests/curation/test_scenes.py`` checks that it equals the library's.
    """

    _weights: ContentDetector.Components
    _last_hsv: np.ndarray | None = None

    def _calculate_frame_score(self, timecode: FrameTimecode, frame_img: np.ndarray) -> float:
        if self._weights.delta_edges > 0:
            return super()._calculate_frame_score(timecode, frame_img)  # type: ignore[misc]
        hsv = cv2.cvtColor(frame_img, cv2.COLOR_BGR2HSV)
        previous, self._last_hsv = self._last_hsv, hsv
        if previous is None:
            return 0.0
        totals = cv2.sumElems(cv2.absdiff(hsv, previous))
        pixels = hsv.shape[0] * hsv.shape[1]
        weighted = sum(total / pixels * weight for total, weight in zip(totals[:3], self._weights[:3], strict=True))
        return weighted / sum(abs(weight) for weight in self._weights)


class _FastContentDetector(_FastScore, ContentDetector):
    pass


class _FastAdaptiveDetector(_FastScore, AdaptiveDetector):
    pass


_DETECTORS: dict[str, tuple[type[SceneDetector], str]] = {
    "content": (_FastContentDetector, "threshold"),
    "adaptive": (_FastAdaptiveDetector, "adaptive_threshold"),
    "histogram": (HistogramDetector, "threshold"),
    "hash": (HashDetector, "threshold"),
    "threshold": (ThresholdDetector, "threshold"),
}


def make_cut_finder(
    options: CurateOptions, rate: Fraction, first: int, network: Probabilities | None
) -> CutFinder | TransNetCuts:
    """What finds the cuts from frame ``first`` on; ``network`` is what ``transnetv2`` looks with.

    Raises:
        UsageError: a ``scene_param`` that this detector does not have, or a value of the wrong type.
    """
    if options.scenes != "transnetv2":
        return CutFinder(make_scene_detector(options), rate, first)
    assert network is not None
    threshold = TRANSNET_THRESHOLD if options.scene_threshold is None else options.scene_threshold
    return TransNetCuts(network, threshold, first)


def check_scene_options(options: CurateOptions) -> None:
    """Raises :class:`UsageError` for what :func:`make_cut_finder` would."""
    if options.scenes != "transnetv2":
        make_scene_detector(options)
    elif options.scene_param:
        raise UsageError(f"`scene_param` {options.scene_param[0]}: transnetv2 has no parameters")


def make_scene_detector(options: CurateOptions) -> SceneDetector:
    """The PySceneDetect detector that the options ask for.

    Raises:
        UsageError: a ``scene_param`` that this detector does not have, or a value of the wrong type.
    """
    kind, threshold_name = _DETECTORS[options.scenes]
    known = scene_parameters(options.scenes)
    settings: JsonObject = {"min_scene_len": options.min_scene_frames}
    if options.scene_threshold is not None:
        settings[threshold_name] = options.scene_threshold
    for item in options.scene_param:
        name, _, value = item.partition("=")
        if name not in known:
            raise UsageError(
                f"`scene_param` {item}: the {options.scenes} detector has no '{name}', expected one of {sorted(known)}"
            )
        try:
            settings[name] = _typed(value, known[name])
        except ValueError:
            raise UsageError(f"`scene_param` {item}: expected a number like {known[name]!r}") from None
    return kind(**settings)


def scene_parameters(name: str) -> dict[str, float | int | bool]:
    """The other parameters of a detector with their defaults (threshold and minimum length have options of their own)."""
    kind, threshold_name = _DETECTORS[name]
    # The mixin hides nothing: signatures are the library's.
    defaults = {p.name: p.default for p in inspect.signature(kind.__init__).parameters.values()}
    own = (threshold_name, "min_scene_len")
    return {n: default for n, default in defaults.items() if isinstance(default, (int, float)) and n not in own}


def _typed(value: str, default: float | int | bool) -> float | int | bool:
    if isinstance(default, bool):
        if value.lower() not in ("true", "false", "1", "0"):
            raise ValueError(value)
        return value.lower() in ("true", "1")
    return type(default)(value)


def analysis_size(width: int, height: int) -> tuple[int, int]:
    """The size for finding scenes: PySceneDetect's (256 on the long side), rounded to even numbers."""
    factor = max(1.0, max(width, height) / ANALYSIS_LONG_SIDE)
    return max(2, round(width / factor / 2) * 2), max(2, round(height / factor / 2) * 2)


class CutFinder:
    """Takes frames in order and gives the frame numbers at which new scenes begin, as soon as the detector is sure.

    The detector gets *nominal* frame numbers (time x nominal rate), so that its "15 frames" take as long in a video with
    dropped frames as in one without. The numbers given are those of frames that exist, counted from ``first``.
    """

    def __init__(self, detector: SceneDetector, rate: Fraction, first: int = 0) -> None:
        self._first = first
        self._detector = detector
        self._zero = FrameTimecode(0, rate)
        self._rate = float(rate)
        self._nominal = array("q")
        self._cuts: set[int] = {0}
        self._last = self._zero

    def feed(self, time_s: float, image_bgr: np.ndarray) -> list[int]:
        """The new cuts that this frame revealed: 0-based frame numbers, each at most once, never the first."""
        nominal = round(time_s * self._rate)
        if self._nominal and nominal <= self._nominal[-1]:
            nominal = self._nominal[-1] + 1
        self._nominal.append(nominal)
        self._last = self._zero + nominal
        return self._new(self._detector.process_frame(self._last, image_bgr))

    def finish(self) -> list[int]:
        """The cuts that only the end of the video reveals."""
        return self._new(self._detector.post_process(self._last)) if self._nominal else []

    def _new(self, found: list[FrameTimecode]) -> list[int]:
        indices = dict.fromkeys(bisect.bisect_left(self._nominal, cut.frame_num) for cut in found)
        new = [index for index in indices if index < len(self._nominal) and index not in self._cuts]
        self._cuts.update(new)
        return [self._first + index for index in new]


def sample_indices(frames: int, samples: int = 10) -> list[int]:
    """0-based frame numbers within a scene: every ⌊n/samples⌋-th frame, starting at that one (paper, section 3.3.1).

    101 frames give 10, 20, ... 100 (1-based). A scene with fewer frames than ``samples`` gives all of them.
    """
    if frames < samples:
        return list(range(frames))
    stride = frames // samples
    return [stride * (k + 1) - 1 for k in range(samples)]
