from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from benchmarks.learn_motion import SIDE_PX, draw, motion_features
from tests.made_videos import write_video


def test_a_skeleton_is_drawn_where_it_is_and_lost_frames_are_left_out():
    joints = np.zeros((3, 20, 3), np.float32)
    joints[1, :, 2] = joints[2, :, 2] = 2.0  # metres away
    joints[2, 19, :2] = (0.6, 0.6)  # the head goes up and to the right, the hip stays
    still, moved = draw(joints)
    assert still.shape == (SIDE_PX, SIDE_PX, 3)
    where = np.argwhere((moved != still).any(2)).mean(0)
    assert where[0] < SIDE_PX / 2 < where[1]


def test_what_moves_has_energy_and_flow(tmp_path):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (96, 96, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    files = [
        write_video(tmp_path / f"{name}.mp4", [np.roll(picture, by * n, 1) for n in range(8)])
        for name, by in (("still", 0), ("moves", 4))
    ]
    still, moves = (motion_features(file, 64) for file in files)
    assert moves["energy"].mean() > 10 * still["energy"].mean()
    assert moves["flow"].mean() > 10 * still["flow"].mean()
