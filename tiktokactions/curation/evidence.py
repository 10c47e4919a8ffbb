"""The scenes, sample candidates and motion of a video from a single pass over its frames."""

from __future__ import annotations

import base64
import collections
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tiktokactions import video
from tiktokactions.curation.description import Description, Thumbs, corner_times, described
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.scenes import CutFinder, analysis_size, make_scene_detector, sample_indices
from tiktokactions.records import Motion, Probe, Scene

GRID = 8
"""Motion is kept per cell of an 8x8 grid, fine enough to separate a person's surroundings from the rest."""
NOISE_LEVELS = 3
"""Luma changes of up to this many levels (of 255) are sensor and compression noise, not motion."""
STILL = 0.02
"""A frame whose mean change (luma levels per pixel, without noise) is below this repeats the frame before it."""

KEPT_PER_SCENE = 300
"""A scene of up to this many frames keeps all; a longer one keeps every second, fourth ... so that 150 to 300 stay."""
RECENT = 64
"""The newest frames are always kept, because a detector may report a cut some frames late."""


@dataclass(frozen=True)
class KeptFrame:
    index: int
    time_s: float
    picture: np.ndarray
    """Planar, as coded (not turned upright); see :mod:`tiktokactions.video`."""


@dataclass(frozen=True)
class Evidence:
    """What one pass over a video yields, before anything looks for people."""

    probe: Probe
    scenes: tuple[Scene, ...]
    longest_scene: int
    samples: tuple[KeptFrame, ...]
    """The sampled frames of the longest scene, in order."""
    scene_times_s: np.ndarray
    """Times of all frames of the longest scene, float64 ``(n,)``."""
    motion: Motion
    static_share: float
    description: Description | None
    """Of the longest scene; None if no frame of it is there that could be described."""
    decode_s: float
    analyse_s: float


class _Candidates:
    """Frames of the current scene, thinned as it grows. Each of them may become a sample."""

    def __init__(self) -> None:
        self.kept: list[KeptFrame] = []
        self._stride = 1
        self._start = 0
        self._recent: collections.deque[KeptFrame] = collections.deque(maxlen=RECENT)

    def add(self, frame: KeptFrame) -> None:
        self._recent.append(frame)
        if (frame.index - self._start) % self._stride:
            return
        if len(self.kept) == KEPT_PER_SCENE:
            self.kept = self.kept[::2]
            self._stride *= 2
            if (frame.index - self._start) % self._stride:
                return
        self.kept.append(frame)

    def split(self, cut: int) -> list[KeptFrame]:
        """End the current scene before frame ``cut``; the frames already seen of the next one stay."""
        finished = [frame for frame in self.kept if frame.index < cut]
        late = [frame for frame in self.kept if frame.index >= cut]
        recent = [frame for frame in self._recent if frame.index >= cut]
        reaches_back = bool(self._recent) and self._recent[0].index <= cut
        self.kept = recent if reaches_back else late
        self._stride = 1 if reaches_back else self._stride
        self._start = self.kept[0].index if self.kept else cut
        return finished


def gather_evidence(source: video.VideoFile, options: CurateOptions, long_side: int) -> Evidence:
    """Decode a video once from start to end.

    Frames are shrunk twice: to PySceneDetect's analysis size for cuts and motion, and to ``long_side`` pixels as
    candidates for the samples. Memory grows only by 140 bytes a frame with the length of the video.

    Raises:
        VideoError: ``too_long``, ``truncated``, ``corrupt``, ``single_frame``, ``no_frames``.
    """
    _check_length(source.duration_s_from_header, options)
    scaler = video.AnalysisScaler(*analysis_size(source.coded_width, source.coded_height))
    square_width = round(source.coded_width * source.sample_aspect_ratio)
    candidate_size = video.fit_size(square_width, source.coded_height, long_side=long_side)
    cuts = CutFinder(make_scene_detector(options), source.guessed_rate)
    candidates = _Candidates()
    changes, thumbs = _ChangeMeter(), Thumbs()
    boundaries, longest_s, longest_kept = [0], -1.0, list[KeptFrame]()
    decode_s = analyse_s = 0.0

    def close_scenes(found: list[int]) -> None:
        nonlocal longest_s, longest_kept
        for cut in found:
            if cut > boundaries[-1]:
                finished = candidates.split(cut)
                duration_s = source.times_s[cut] - source.times_s[boundaries[-1]]
                if duration_s > longest_s:
                    longest_s, longest_kept = duration_s, finished
                boundaries.append(cut)

    clock = time.perf_counter()
    for frame in source.frames():
        decoded = time.perf_counter()
        decode_s += decoded - clock
        if frame.time_s > options.max_source_s:
            _check_length(frame.time_s, options)
        image_bgr, luma = scaler(frame.picture)
        candidates.add(KeptFrame(frame.number, frame.time_s, video.shrink(frame.picture, *candidate_size)))
        changes.add(luma)
        thumbs.add(frame.time_s, luma)
        close_scenes(sorted(cuts.feed(frame.time_s, image_bgr)))
        clock = time.perf_counter()
        analyse_s += clock - decoded
    probe = source.probe()
    _check_health(probe)
    close_scenes(cuts.finish())
    edges_s = [*source.times_s, probe.duration_s]
    frame_ranges = itertools.pairwise([*boundaries, len(source.times_s)])
    scenes = tuple(Scene(edges_s[start], edges_s[end], start, end) for start, end in frame_ranges)
    if scenes[-1].duration_s > longest_s:
        longest_kept = candidates.kept
    longest = max(range(len(scenes)), key=lambda i: scenes[i].duration_s)
    scene = scenes[longest]
    times_s = np.array(source.times_s[scene.start_frame : scene.end_frame])
    motion, static_share = changes.of_scene(scene, times_s, probe.rotation)
    samples = tuple(nearest_kept(longest_kept, scene, options.samples))
    description = _described(longest_kept, *thumbs.between(scene.start_s, scene.end_s, probe.rotation), probe.rotation)
    analyse_s += time.perf_counter() - clock
    return Evidence(probe, scenes, longest, samples, times_s, motion, static_share, description, decode_s, analyse_s)


def _described(
    kept: Sequence[KeptFrame], thumbs: Sequence[np.ndarray], times_s: Sequence[float], rotation: int
) -> Description | None:
    if not thumbs:
        return None
    kept_s = np.array([frame.time_s for frame in kept])
    nearest = sorted({int(np.abs(kept_s - time_s).argmin()) for time_s in corner_times(times_s)})
    pictures = (video.upright(kept[i].picture, rotation) for i in nearest)
    return described([video.split_planes(picture)[0] for picture in pictures], thumbs, times_s)


def nearest_kept(kept: Sequence[KeptFrame], scene: Scene, samples: int) -> list[KeptFrame]:
    """The kept frames that are nearest to the paper's sample indices, each at most once, in order."""
    indices = np.array([frame.index for frame in kept])
    wanted = [scene.start_frame + i for i in sample_indices(scene.frames, samples)]
    return [kept[i] for i in sorted({int(np.abs(indices - frame).argmin()) for frame in wanted})]


def _check_length(duration_s: float | None, options: CurateOptions) -> None:
    if duration_s is not None and duration_s > options.max_source_s:
        raise video.VideoError(
            "too_long",
            f"{duration_s:.0f} s or more, `max_source_s` is {options.max_source_s:g}: raise it or cut the video",
        )


def _check_health(probe: Probe) -> None:
    """Reject damaged videos, because what they show cannot be trusted."""
    expected_s = probe.duration_s_from_header
    if expected_s is not None and probe.duration_s < expected_s - max(0.5, 0.05 * expected_s):
        raise video.VideoError("truncated", f"decoded {probe.duration_s:.2f} s of {expected_s:.2f} s", probe)
    if probe.corrupt_frames:
        raise video.VideoError("corrupt", f"{probe.corrupt_frames} damaged of {probe.frames} frames", probe)
    if probe.frames == 1:
        raise video.VideoError("single_frame", "a picture rather than a video", probe)


class _ChangeMeter:
    """The mean absolute luma change of each frame from the one before, per grid cell, without noise."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._cells = bytearray()

    def add(self, luma: np.ndarray) -> None:
        change = cv2.absdiff(luma, luma if self._before is None else self._before)
        cv2.threshold(change, NOISE_LEVELS, 0, cv2.THRESH_TOZERO, dst=change)
        cells = cv2.resize(change.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
        self._before = luma
        self._cells += cells.astype(np.float16).tobytes()

    def of_scene(self, scene: Scene, times_s: np.ndarray, rotation: int) -> tuple[Motion, float]:
        """The motion per second of a scene on the upright grid, and the share of its frames that repeat the one before.

        The first frame of the scene is left out, because the cut changes it.
        """
        cells = np.frombuffer(bytes(self._cells), np.float16).reshape(-1, GRID, GRID)
        cells = cells[scene.start_frame : scene.end_frame].astype(np.float32)
        seconds = np.floor(times_s - scene.start_s + video.SAME_TIME_S).astype(int)
        grid = np.zeros((int(seconds[-1]) + 1, GRID, GRID), np.float32)
        frames = np.zeros(len(grid), np.int64)
        np.add.at(grid, seconds[1:], cells[1:])
        np.add.at(frames, seconds[1:], 1)
        grid /= np.maximum(frames, 1)[:, None, None]
        grid = np.rot90(grid, -rotation // 90, axes=(1, 2))
        still = float((cells[1:].mean(axis=(1, 2)) < STILL).mean()) if len(cells) > 1 else 1.0
        return encode_motion(grid), round(still, 4)


def encode_motion(grid: np.ndarray) -> Motion:
    """A ``grid``, float ``(seconds, 8, 8)``, as a record: 8 bits a cell, relative to the largest value of the scene."""
    unit = float(f"{float(grid.max()) / 255 or 1.0:.6g}")
    cells = np.clip(np.rint(grid / unit), 0, 255).astype(np.uint8)
    per_second = tuple(round(float(value), 4) for value in grid.mean(axis=(1, 2)))
    return Motion(per_second, base64.b64encode(cells.tobytes()).decode(), unit)


def decode_motion(motion: Motion) -> np.ndarray:
    """The grid of a record as float32 ``(seconds, 8, 8)``."""
    cells = np.frombuffer(base64.b64decode(motion.grid), np.uint8).reshape(-1, GRID, GRID)
    return cells.astype(np.float32) * motion.grid_unit
