"""The scenes, sample candidates and motion of a video from a single pass over its frames."""

from __future__ import annotations

import base64
import collections
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tiktokactions import video
from tiktokactions.curation.description import Description, Thumbs, corner_times, described
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.scenes import analysis_size, make_cut_finder, sample_indices
from tiktokactions.curation.shots import SecondLook, without
from tiktokactions.curation.transnet import Probabilities
from tiktokactions.records import Motion, Probe, Scene, Stretch, Transition
from tiktokactions.video.orientation import Orientation

GRID = 8
"""Motion is kept per cell of an 8x8 grid, fine enough to separate a person's surroundings from the rest."""
NOISE_LEVELS = 3
"""Luma changes of up to this many levels (of 255) are sensor and compression noise, not motion."""
STILL = 0.02
"""A frame whose mean change (luma levels per pixel, without noise) is below this repeats the frame before it."""

KEPT_PER_SCENE = 300
"""A scene of up to this many frames keeps all; a longer one keeps every second, fourth ... so that 150 to 300 stay."""
_CELL_BYTES = GRID * GRID * 2
RECENT = 64
"""The newest frames are always kept, because a detector may report a cut some frames late."""


@dataclass(frozen=True)
class KeptFrame:
    index: int
    time_s: float
    picture: np.ndarray
    """Planar, as coded (not turned upright); see :mod:`tiktokactions.video`."""

    def upright_bgr(self, probe: Probe) -> np.ndarray:
        picture = video.upright(self.picture, probe.rotation, probe.mirrored)
        return video.to_bgr(picture, video.matrix_named(probe.color_matrix))


@dataclass(frozen=True)
class Evidence:
    """What one pass over a video yields, before anything looks for people."""

    probe: Probe
    scenes: tuple[Scene, ...]
    longest_scene: int
    scene_sizes: tuple[tuple[int, int], ...]
    """Width and height in each scene, if they are not all the same."""
    damaged: tuple[Stretch, ...]
    """What no scene contains, because it shows damage."""
    transitions: tuple[Transition, ...] | None
    """What the second look found in the scene that was the longest; None without it."""
    samples: tuple[KeptFrame, ...]
    """The sampled frames of the longest scene, in order."""
    kept: tuple[KeptFrame, ...]
    """All frames of that scene that were kept, in order."""
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


class _Scenes:
    """The scenes so far, and the candidates of the longest."""

    def __init__(self, source: video.VideoFile, look: SecondLook | None) -> None:
        self._source, self._look = source, look
        self.found: list[Scene] = []
        self.shapes: list[video.Shape] = []
        self.candidates = _Candidates()
        self.longest = 0
        self.longest_kept: list[KeptFrame] = []
        self._start, self._shape = 0, source.shape

    def begin(self, first: int, shape: video.Shape) -> None:
        self._start, self._shape = first, shape

    def cut(self, cuts: list[int]) -> None:
        for cut in sorted(cuts):
            if cut > self._start:
                self.end(cut)
                self._start = cut

    def end(self, end: int) -> None:
        """The current scene ends before frame ``end``."""
        kept = self.candidates.split(end)
        scene = Scene(*self._span_s(self._start, end), self._start, end)
        if not self.found or scene.duration_s > self.found[self.longest].duration_s:
            self.longest, self.longest_kept = len(self.found), kept
        if self._look is not None:
            self._look.end_scene(end, is_longest=self.longest == len(self.found))
        self.found.append(scene)
        self.shapes.append(self._shape)

    def look_again(self) -> tuple[Transition, ...] | None:
        """Once all scenes have ended: what the second look finds in the longest, which is then split there."""
        if self._look is None:
            return None
        whole = self.found[self.longest]
        found = self._look.transitions(whole.start_frame, whole.end_frame)
        shots = []
        for start, end in without(whole.start_frame, whole.end_frame, found):
            # Of a shot without a kept frame nothing could be judged.
            if kept := [frame for frame in self.longest_kept if start <= frame.index < end]:
                shots.append((Scene(*self._span_s(start, end), start, end), kept))
        if shots:
            self.found[self.longest : self.longest + 1] = [scene for scene, _ in shots]
            self.shapes[self.longest : self.longest + 1] = [self.shapes[self.longest]] * len(shots)
            best = max(range(len(shots)), key=lambda i: shots[i][0].duration_s)
            self.longest, self.longest_kept = self.longest + best, shots[best][1]
        return tuple(
            Transition(*self._span_s(start, end), start, end, probability) for start, end, probability in found
        )

    def _span_s(self, start: int, end: int) -> tuple[float, float]:
        return self._source.times_s[start], self._source.timeline.end_s(end - 1)

    @property
    def end_s(self) -> float:
        return self.found[-1].end_s if self.found else 0.0


def gather_evidence(
    source: video.VideoFile, options: CurateOptions, long_side: int, network: Probabilities | None = None
) -> Evidence:
    """Decode a video once from start to end; a damaged one twice more, to leave out what shows damage.

    Frames are shrunk twice: to PySceneDetect's analysis size for cuts and motion, and to ``long_side`` pixels as
    candidates for the samples. Memory grows only by 140 bytes a frame and 8 kB a second with the length of the video.
    ``network`` is what the options ``transnetv2`` and ``second_look`` look with.

    Raises:
        VideoError: ``too_long``, ``truncated``, ``corrupt``, ``single_frame``, ``no_frames``.
    """
    _check_length(source, options)
    evidence = _one_pass(source, options, long_side, network)
    if evidence is None:
        with video.VideoFile(source.path, source.skip_loop_filter, source.find_damage()) as undamaged:
            evidence = _one_pass(undamaged, options, long_side, network)
    assert evidence is not None
    return evidence


def _one_pass(
    source: video.VideoFile, options: CurateOptions, long_side: int, network: Probabilities | None
) -> Evidence | None:
    """None if there is damage and nobody knows yet where."""
    cuts = scaler = None
    look = SecondLook(network) if options.second_look and network is not None else None
    scenes, changes, thumbs = _Scenes(source, look), _ChangeMeter(), Thumbs()
    damaged: list[Stretch] = []
    decode_s = analyse_s = 0.0
    number = -1
    clock = time.perf_counter()
    for frame in source.frames():
        decoded = time.perf_counter()
        decode_s += decoded - clock
        if frame.time_s > options.max_source_s:
            _check_length(source, options)
        if frame.starts_anew or cuts is None or scaler is None:
            if cuts is not None:
                scenes.cut(cuts.finish())
                scenes.end(number + 1)
            is_broken = source.damage is not None and frame.number in source.damage.breaks
            if is_broken and frame.time_s > scenes.end_s:
                damaged.append(Stretch(scenes.end_s, frame.time_s))
            scenes.begin(frame.number, frame.shape)
            cuts = make_cut_finder(options, source.guessed_rate, frame.number, network)
            scaler = video.AnalysisScaler(*analysis_size(frame.shape.coded_width, frame.shape.coded_height))
            candidate_size = video.fit_size(*frame.shape.stored_size, long_side=long_side)
        number = frame.number
        image_bgr, luma = scaler(frame.picture)
        picture = video.shrink(frame.picture, *candidate_size)
        scenes.candidates.add(KeptFrame(number, frame.time_s, picture))
        changes.add(number, luma, frame.starts_anew)
        thumbs.add(frame.time_s, luma)
        if look is not None:
            look.add(number, frame.time_s, frame.shape.orientation.of_pixels(image_bgr))
        scenes.cut(cuts.feed(frame.time_s, image_bgr))
        clock = time.perf_counter()
        analyse_s += clock - decoded
    _check_health(source, number)
    if source.corrupt_frames and source.damage is None:
        return None
    assert cuts is not None
    scenes.cut(cuts.finish())
    scenes.end(number + 1)
    if source.corrupt_frames and source.end_s > scenes.end_s + 1.5 / source.header_rate:
        damaged.append(Stretch(scenes.end_s, source.end_s))
    transitions = scenes.look_again()
    scene, shape = scenes.found[scenes.longest], scenes.shapes[scenes.longest]
    times_s = np.array(source.times_s[scene.start_frame : scene.end_frame])
    motion, static_share = changes.of_scene(scene, times_s, shape.orientation)
    sizes = tuple(shape.size for shape in scenes.shapes)
    shown = thumbs.between(scene.start_s, scene.end_s, shape.orientation)
    description = _described(scenes.longest_kept, *shown, shape.orientation)
    return Evidence(
        probe=source.probe(shape),
        scenes=tuple(scenes.found),
        longest_scene=scenes.longest,
        scene_sizes=sizes if len(set(sizes)) > 1 else (),
        damaged=tuple(damaged),
        transitions=transitions,
        samples=tuple(nearest_kept(scenes.longest_kept, scene, options.samples)),
        kept=tuple(scenes.longest_kept),
        scene_times_s=times_s,
        motion=motion,
        static_share=static_share,
        description=description,
        decode_s=decode_s,
        analyse_s=analyse_s + time.perf_counter() - clock,
    )


def _described(
    kept: Sequence[KeptFrame], thumbs: Sequence[np.ndarray], times_s: Sequence[float], orientation: Orientation
) -> Description | None:
    if not thumbs:
        return None
    kept_s = np.array([frame.time_s for frame in kept])
    nearest = sorted({int(np.abs(kept_s - time_s).argmin()) for time_s in corner_times(times_s)})
    pictures = (video.upright(kept[i].picture, *orientation) for i in nearest)
    return described([video.split_planes(picture)[0] for picture in pictures], thumbs, times_s)


def nearest_kept(kept: Sequence[KeptFrame], scene: Scene, samples: int) -> list[KeptFrame]:
    """The kept frames that are nearest to the paper's sample indices, each at most once, in order."""
    indices = np.array([frame.index for frame in kept])
    wanted = [scene.start_frame + i for i in sample_indices(scene.frames, samples)]
    return [kept[i] for i in sorted({int(np.abs(indices - frame).argmin()) for frame in wanted})]


def _check_length(source: video.VideoFile, options: CurateOptions) -> None:
    seconds = source.shown_s(options.max_source_s)
    if seconds > options.max_source_s:
        raise video.VideoError(
            "too_long",
            f"{seconds:.0f} s or more, `max_source_s` is {options.max_source_s:g}: raise it or cut the video",
        )


def _check_health(source: video.VideoFile, last: int) -> None:
    """Reject videos of which too little is there. ``last``: number of the last frame without damage, -1 for none."""
    probe, missing = source.probe(), source.missing()
    if missing:
        raise video.VideoError("truncated", f"{missing}; decoded {probe.duration_s:.2f} s", probe)
    if last < 0:
        raise video.VideoError("corrupt", f"{probe.corrupt_frames} damaged of {probe.frames} frames", probe)
    if probe.frames == 1:
        raise video.VideoError("single_frame", "a picture rather than a video", probe)


class _ChangeMeter:
    """The mean absolute luma change of each frame from the one before, per grid cell, without noise."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._cells = bytearray()

    def add(self, number: int, luma: np.ndarray, starts_anew: bool) -> None:
        """The next frame; one that starts anew is not compared with the one before."""
        if starts_anew:
            self._before = None
            self._cells += bytes(_CELL_BYTES * number - len(self._cells))  # frames that show damage
        change = cv2.absdiff(luma, luma if self._before is None else self._before)
        cv2.threshold(change, NOISE_LEVELS, 0, cv2.THRESH_TOZERO, dst=change)
        cells = cv2.resize(change.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
        self._before = luma
        self._cells += cells.astype(np.float16).tobytes()

    def of_scene(self, scene: Scene, times_s: np.ndarray, orientation: Orientation) -> tuple[Motion, float]:
        """The motion per second of a scene on the upright grid, and the share of its frames that repeat the one before.

        The first frame of the scene is left out, because the cut changes it.
        """
        cells = np.frombuffer(bytes(self._cells), np.float16).reshape(-1, GRID, GRID)
        cells = cells[scene.start_frame : scene.end_frame].astype(np.float32)
        seconds = np.floor(times_s - scene.start_s + video.SAME_TIME_S).astype(int)
        length = math.ceil(scene.duration_s - video.SAME_TIME_S)  # longer than its frames where the last one is held
        grid = np.zeros((max(length, int(seconds[-1]) + 1), GRID, GRID), np.float32)
        frames = np.zeros(len(grid), np.int64)
        np.add.at(grid, seconds[1:], cells[1:])
        np.add.at(frames, seconds[1:], 1)
        grid /= np.maximum(frames, 1)[:, None, None]
        grid = np.moveaxis(orientation.of_pixels(np.moveaxis(grid, 0, -1)), -1, 0)
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
