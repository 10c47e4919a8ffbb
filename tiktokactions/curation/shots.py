"""The second look: transitions within a scene that the scene detector did not see, and TransNet V2 as a scene detector.

A scene is kept as thumbs of 48 x 27 pixels, about fifteen a second, from the same decode. Where the picture differs from that
of a fifth of a second before and after by more than moving parts explain, the network looks; elsewhere there cannot be a
transition, and most of most scenes costs nothing. Dissolves, fades and cuts in quick succession are found as well.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tiktokactions.curation.transnet import (
    CONTEXT,
    THUMB_HEIGHT,
    THUMB_WIDTH,
    WINDOW,
    Probabilities,
    Thumbs,
    in_windows,
)

Found = tuple[int, int, float]
"""A transition: its frames ``[start, end)`` and its probability."""

THUMB_GAP_S = 0.049
"""Thumbs are at least this far apart: every second frame at 30 per second, which finds as much as all (docs/log.md)."""
CHANGED = 18.0
"""Levels of luma (of 255) by which a picture has to change. In videos with known cuts (benchmarks/cuts.py) every dissolve,
fade, whip pan and hard cut changed it by more than 22; six of seven other frames by less than this."""
AROUND = 12
"""Thumbs at either end of a window that are context. In windows as short as these are, 25 find no more (docs/log.md)."""
REACH = 3
"""Thumbs before and after that a thumb is compared with."""
SHIFT_PX = 3
"""Parts of the picture may have moved by so many pixels of a thumb."""
LIKELY = 0.4
"""The probability from which a thumb belongs to a transition."""
FAINT = 2
"""Thumbs by which a transition is taken to be longer at either end: there the other shot is faint, or a whip pan begins."""
EDGE, SETTLED = 8, 24
"""Of so many thumbs at the end of a shot the first may be what is left of a transition that was cut through; the others show
how much the picture changes in this shot."""
MOST_THUMBS = 2048
"""Thumbs that wait for the end of their scene (8 MB); a longer scene is looked at bit by bit."""


def thumb(image_bgr: np.ndarray) -> np.ndarray:
    small = cv2.resize(image_bgr, (THUMB_WIDTH, THUMB_HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)


class SecondLook:
    """Takes all frames of a video in order, and at its end says which transitions are in the longest scene."""

    def __init__(self, network: Probabilities) -> None:
        self._network = network
        self._current = self._longest = _Scene([], [], 0)
        self._last_s, self._last_frame = -np.inf, -1

    def add(self, frame: int, time_s: float, image_bgr: np.ndarray) -> None:
        self._last_frame = frame
        if time_s < self._last_s + THUMB_GAP_S:
            return
        self._last_s = time_s
        self._current.thumbs.append(thumb(image_bgr))
        self._current.frames.append(frame)
        if len(self._current.thumbs) == MOST_THUMBS:
            self._current.judge(self._network, MOST_THUMBS - AROUND)
            self._current = replace(self._current.tail(self._current.judged), is_begun=True)

    def end_scene(self, end: int, is_longest: bool) -> None:
        """The current scene ends before frame ``end``."""
        first_of_next = bisect.bisect_left(self._current.frames, end)
        finished, self._current = self._current, self._current.tail(first_of_next)
        self._current.found = [f for f in finished.found if f[0] >= end]
        if is_longest:
            del finished.thumbs[first_of_next:], finished.frames[first_of_next:]
            self._longest = finished

    def transitions(self, start: int, end: int) -> list[Found]:
        """Those in the longest scene, whose frames are ``[start, end)``."""
        scene = self._longest
        scene.judge(self._network, len(scene.thumbs))
        if end <= self._last_frame and (rest := unsettled(scene.thumbs[: -SETTLED - 1 : -1])):
            scene.found.append((scene.frames[-rest], end, 0.0))
        found = [f for f in self._longest.found if start < f[1] and f[0] < end]
        return [(max(start, first), min(end, last), probability) for first, last, probability in found]


@dataclass
class _Scene:
    thumbs: list[np.ndarray]
    frames: list[int]
    """The number of each thumb's frame."""
    judged: int
    """The first thumb that has not been looked at. Those before have been, or belong to the scene before: context."""
    found: list[Found] = field(default_factory=list)
    is_begun: bool = False
    """Whether a part of the scene has been looked at."""

    def tail(self, first: int) -> _Scene:
        """What comes from thumb ``first`` on, with context."""
        kept = max(0, first - AROUND)
        return _Scene(self.thumbs[kept:], self.frames[kept:], first - kept, self.found)

    def judge(self, network: Probabilities, end: int) -> None:
        """Look at the thumbs up to ``end`` that were not yet looked at."""
        if end <= self.judged:
            return
        first = self.judged
        if first and not self.is_begun and (rest := unsettled(self.thumbs[first : first + SETTLED])):
            self.found.append((self.frames[first], self.frames[first + rest], 0.0))
        thumbs = np.array(self.thumbs[:end])
        likely = np.zeros(end)
        for first, last in _joined(_runs(_may_hide_a_transition(thumbs, self.judged))):
            likely[first:last] = in_windows(network, thumbs, first, last, AROUND)[:, 1]
        frames = [*self.frames[:end], self.frames[end - 1] + 1]
        for first, last in _runs(likely >= LIKELY):
            probability = round(float(likely[first:last].max()), 3)
            ends = max(first - FAINT, self.judged), min(last + FAINT, end)
            self.found.append((frames[ends[0]], frames[ends[1]], probability))
        self.judged = end


def _may_hide_a_transition(thumbs: Thumbs, first: int) -> NDArray[np.bool_]:
    """``(T,)``: True near every thumb from ``first`` on around which the picture changes; False before ``first``."""
    here = np.arange(first, len(thumbs))
    luma = np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in thumbs[first:]])
    before, after = np.maximum(here - REACH, first) - first, np.minimum(here + REACH, len(thumbs) - 1) - first
    changed = unexplained_change(luma[before], luma[after]) > CHANGED
    near = np.zeros(len(thumbs), bool)
    for shift in range(-REACH, REACH + 1):
        near[np.clip(here[changed] + shift, first, len(thumbs) - 1)] = True
    return near


def unsettled(thumbs: Sequence[np.ndarray]) -> int:
    """How many thumbs at the edge of a shot, outermost first, belong to the rest of a transition within which the scene
    detector has cut: whip pans and fades. There the picture changes by far more than it does further inside."""
    if len(thumbs) < SETTLED:
        return 0
    luma = np.array([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in thumbs], np.uint8)
    changes = unexplained_change(luma[:-REACH], luma[REACH:])
    is_settled = changes[:EDGE] <= max(CHANGED, 2 * float(np.median(changes[EDGE:])))
    rest = int(np.argmax(is_settled)) if is_settled.any() else EDGE
    return rest + FAINT if rest else 0


def unexplained_change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean difference of luma of each pair of pictures ``(N, 27, 48)``, each of 18 blocks moved to where it fits best."""
    count, height, width = before.shape
    padded = np.pad(before, ((0, 0), (SHIFT_PX, SHIFT_PX), (SHIFT_PX, SHIFT_PX)), mode="edge")
    flat = np.ascontiguousarray(after).reshape(count * height, width)
    best = np.full((count * 3, 6), 255.0, np.float32)
    for y, x in itertools.product(range(2 * SHIFT_PX + 1), repeat=2):
        moved = np.ascontiguousarray(padded[:, y : y + height, x : x + width]).reshape(count * height, width)
        blocks = cv2.resize(cv2.absdiff(moved, flat), (6, count * 3), interpolation=cv2.INTER_AREA)
        np.minimum(best, blocks, out=best)
    return best.reshape(count, -1).mean(axis=1, dtype=np.float64)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """``[first, last)`` of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _joined(runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbours so near to each other that one window over both costs less than two."""
    joined: list[tuple[int, int]] = []
    for first, last in runs:
        if joined and first - joined[-1][1] <= 2 * AROUND:
            first = joined.pop()[0]
        joined.append((first, last))
    return joined


class TransNetCuts:
    """TransNet V2 as the scene detector, on every frame; used like :class:`~tiktokactions.curation.scenes.CutFinder`.

    A gradual transition becomes a scene of its own between the two that it joins. Cuts come up to 300 frames late.
    """

    def __init__(self, network: Probabilities, threshold: float, first: int) -> None:
        self._network, self._threshold = network, threshold
        self._thumbs: list[np.ndarray] = []
        self._next = first
        """The frame number of the first thumb that has not been judged; ``CONTEXT`` thumbs before it are kept."""
        self._context = 0
        self._first, self._was_likely = first, False

    def feed(self, time_s: float, image_bgr: np.ndarray) -> list[int]:
        self._thumbs.append(thumb(image_bgr))
        if len(self._thumbs) < self._context + WINDOW - CONTEXT:
            return []
        return self._judge(len(self._thumbs) - CONTEXT)

    def finish(self) -> list[int]:
        cuts = self._judge(len(self._thumbs)) if len(self._thumbs) > self._context else []
        return [cut for cut in cuts if cut < self._next]

    def _judge(self, end: int) -> list[int]:
        thumbs = np.array(self._thumbs)
        likely = in_windows(self._network, thumbs, self._context, end)[:, 0] >= self._threshold
        changes = np.flatnonzero(np.diff(np.concatenate([[self._was_likely], likely])))
        # The first likely frame is the last of its shot; the first unlikely one begins the next shot.
        cuts = {self._next + int(at) + bool(likely[at]) for at in changes}
        self._next += end - self._context
        self._was_likely = bool(likely[-1])
        self._thumbs = self._thumbs[max(0, end - CONTEXT) :]
        self._context = min(end, CONTEXT)
        return sorted(cut for cut in cuts if cut > self._first)


def without(start: int, end: int, transitions: Sequence[Found]) -> list[tuple[int, int]]:
    """What the transitions leave of the frames ``[start, end)``."""
    shots = []
    for first_frame, last_frame, _ in transitions:
        shots.append((start, first_frame))
        start = max(start, last_frame)
    return [(first, last) for first, last in [*shots, (start, end)] if first < last]
