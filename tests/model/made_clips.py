"""Small moving pictures with labels: a bright square that moves right, left, down or up over noise of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.made_videos import write_video
from tiktokactions.clips.clip import Clip, ClipSet

WAYS = {"right": (0, 2), "left": (0, -2), "down": (2, 0), "up": (-2, 0)}
SIDE, SQUARE = 48, 12


def moving_square(way: str, seed: int, frames: int = 24) -> np.ndarray:
    """uint8 (frames, 48, 48, 3)."""
    rng = np.random.default_rng(seed)
    video = np.repeat(rng.integers(0, 90, (1, SIDE // 8, SIDE // 8, 3), np.uint8), frames, 0).repeat(8, 1).repeat(8, 2)
    y, x = rng.integers(0, SIDE, 2)
    color = rng.integers(160, 256, 3)
    for number, frame in enumerate(video):
        rows = (y + WAYS[way][0] * number + np.arange(SQUARE)) % SIDE
        columns = (x + WAYS[way][1] * number + np.arange(SQUARE)) % SIDE
        frame[np.ix_(rows, columns)] = color
    return video


def make_clips(folder: Path, per_class: int, first_seed: int = 0, ways: tuple[str, ...] = tuple(WAYS)) -> ClipSet:
    """``per_class`` files of every way to move, in class folders."""
    clips = []
    for number in range(per_class):
        for i, way in enumerate(ways):
            path = folder / way / f"{number}.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, list(moving_square(way, first_seed + 100 * number + i)), fps=12)
            clips.append(Clip(str(path), way))
    return ClipSet(str(folder), "folder", tuple(clips), tuple(sorted(ways)))
