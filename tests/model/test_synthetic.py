"""Synthetic videos: the same by number, in motion, with cut-outs where they show some."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from tests.model.conftest import MICRO  # noqa: E402
from tests.model.made_clips import make_clips  # noqa: E402
from tiktokactions.clips.clip import Clip  # noqa: E402
from tiktokactions.model.options import PretrainOptions  # noqa: E402
from tiktokactions.model.samples import PretrainClips, open_clip  # noqa: E402
from tiktokactions.model.synthetic import FRAMES, SIDE_PX, SyntheticVideo  # noqa: E402
from tiktokactions.video import UnreadableError  # noqa: E402


def test_a_video_follows_from_its_number():
    video = SyntheticVideo(5)
    frames = video.read([0, 64, 8])
    assert frames.shape == (3, SIDE_PX, SIDE_PX, 3) and frames.dtype == np.uint8
    assert np.array_equal(SyntheticVideo(5).read([8])[0], frames[2]), "whatever else is asked for"
    assert not np.array_equal(SyntheticVideo(6).read([8])[0], frames[2])
    assert len(video.times_s) == video.frames == FRAMES and video.span_s[1] > video.times_s[-1]


@pytest.mark.parametrize("number", range(3))
def test_everything_moves_a_little_at_a_time(number):
    first, next_one, later = SyntheticVideo(number).read([0, 1, 32]).astype(float)
    assert 0.2 < np.abs(next_one - first).mean() < np.abs(later - first).mean()


def test_shapes_show_cut_outs_of_frames():
    shown = np.full((1, 40, 60, 3), (250, 3, 125), np.uint8)

    def share(video: SyntheticVideo) -> float:
        return float((np.abs(video.read([0])[0].astype(int) - shown[0, 0, 0]).max(2) < 3).mean())

    with_them, without = (np.mean([share(SyntheticVideo(n, s)) for n in range(4)]) for s in (shown, None))
    assert with_them > 0.2 and without < 0.02
    tiny = SyntheticVideo(0, np.zeros((1, 1, 1, 3), np.uint8)).read([0])
    assert tiny.shape == (1, SIDE_PX, SIDE_PX, 3), "a frame of a single pixel has a cut-out, too"


def test_training_reads_them_as_it_reads_files(tmp_path):
    make_clips(tmp_path, 1, ways=("left",))
    [file] = tmp_path.rglob("*.mp4")
    clips = [Clip("synthetic:3", None), Clip(f"synthetic:3:{file}", None)]
    options = PretrainOptions(num_samples=1, seed=1)
    plain, own = (PretrainClips(clips, MICRO, options)[2, index] for index in (0, 1))
    assert plain["video"].shape == (1, 3, MICRO.frames, 64, 64) and plain["encoder_mask"].shape == (1, 128)
    again = PretrainClips(clips, MICRO, options)
    assert torch.equal(again[2, 1]["video"], own["video"]) and not torch.equal(own["video"], plain["video"])
    assert torch.equal(own["encoder_mask"], again[2, 1]["encoder_mask"])
    with (
        pytest.raises(UnreadableError, match=r"^synthetic:3:/gone\.mp4: cannot be opened"),
        open_clip(Clip("synthetic:3:/gone.mp4", None)),
    ):
        pass
