"""MSR Action3D as videos: the recorded motion of ten people, drawn as figures, for benchmarks that need many small clips.

The motion is real; the picture is drawn here, in colours of each recording's own. Odd people are learned from, even ones are
tested on, which is the standard split.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import cv2
import numpy as np

from benchmarks.learn import Item, Task
from benchmarks.learn_motion import BONES
from tests.made_videos import write_video

ACTIONS = (
    "high_arm_wave horizontal_arm_wave hammer hand_catch forward_punch high_throw draw_x draw_tick draw_circle hand_clap "
    "two_hand_wave side_boxing bend forward_kick side_kick jogging tennis_swing tennis_serve golf_swing pick_up_throw"
).split()
SIDE = 96
RATE = 15
METRES = 2.6
"""Of the scene, over the whole picture."""


def motion_task(data: Path, folder: Path) -> Task:
    """Draw what is not drawn yet; a recording's group is the number of its person."""
    items = []
    with np.load(data / "motion20" / "skeletons.npz") as recordings:
        for name in sorted(recordings):
            if not recordings[name].any():  # one of the 567 is lost altogether
                continue
            action, person = (int(number) for number in re.findall(r"\d+", name)[:2])
            path = folder / ACTIONS[action - 1] / f"{name}.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name(f"{name}.part.mp4")
                write_video(part, drawn(recordings[name], name), fps=RATE)
                part.rename(path)
            items.append(Item(str(path), ACTIONS[action - 1], person))
    odd, even = (tuple(i for i in items if (i.group or 0) % 2 == rest) for rest in (1, 0))
    return Task("motion20, odd people to even", odd, even)


def drawn(joints: np.ndarray, name: str) -> list[np.ndarray]:
    """RGB uint8 (SIDE, SIDE, 3) for each frame of (frames, 20 joints, x y z in metres); lost frames stand still."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    ground, limbs = rng.integers(150, 255, 3), rng.integers(0, 100, 3)
    seen = joints[joints.any((1, 2))]
    middle = np.array([np.median(seen[..., 0]), np.median(seen[..., 1]) - 0.1])
    pictures = []
    for frame in seen:
        points = ((frame[:, :2] - middle) * (1, -1) / METRES + 0.5) * SIDE * 16  # fixed point: sixteenths of a pixel
        picture = np.empty((SIDE, SIDE, 3), np.uint8)
        picture[:] = ground
        for a, b in BONES:
            start, end = ([int(v) for v in points[n - 1]] for n in (a, b))
            cv2.line(picture, start, end, limbs.tolist(), 4, cv2.LINE_AA, 4)
        head = [int(v) for v in points[19]]
        cv2.circle(picture, head, 5 * 16, limbs.tolist(), -1, cv2.LINE_AA, 4)
        pictures.append(picture)
    return pictures
