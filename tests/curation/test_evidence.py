"""One pass: scenes, samples and motion of generated videos whose frames carry their number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_videos import numbered_frames, read_number, write_video
from tiktokactions import video
from tiktokactions.curation.description import describe
from tiktokactions.curation.evidence import Evidence, decode_motion, encode_motion, gather_evidence
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.scenes import sample_indices


def evidence_of(path: Path, **options: Any) -> Evidence:
    with video.VideoFile(path) as source:
        return gather_evidence(source, CurateOptions(**options), 416)


def numbers_of(evidence: Evidence) -> list[int]:
    """The numbers that the kept pictures show."""
    turned = [video.to_bgr(video.upright(s.picture, evidence.probe.rotation)) for s in evidence.samples]
    return [read_number(picture[:, :, ::-1]) for picture in turned]


@pytest.mark.parametrize("detector", ["content", "adaptive", "hash"])
def test_scenes_and_samples_of_a_cut_video(detector: str, tmp_path: Path) -> None:
    cuts = (40, 160, 190)
    path = write_video(tmp_path / "v.mp4", numbered_frames(260, 320, 320, cuts=cuts), b_frames=2)
    evidence = evidence_of(path, scenes=detector)
    spans = [(s.start_frame, s.end_frame) for s in evidence.scenes]
    if detector != "hash":  # perceptual hashes do not see every change of background
        assert spans == [(0, 40), (40, 160), (160, 190), (190, 260)]
    scene = evidence.scenes[evidence.longest_scene]
    assert scene.frames == max(end - start for start, end in spans)
    expected = [scene.start_frame + i for i in sample_indices(scene.frames)]
    assert [s.index for s in evidence.samples] == expected == numbers_of(evidence)
    assert [s.time_s for s in evidence.samples] == pytest.approx([i / 30 for i in expected])
    assert len(evidence.scene_times_s) == scene.frames


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_longest_scene_is_described_upright(rotation: int, tmp_path: Path) -> None:
    frames = list(numbered_frames(200, 320, 240, cuts=(60,)))
    description = evidence_of(write_video(tmp_path / "v.mp4", frames, rotation=rotation)).description
    assert description is not None
    expected = describe([frame[:, :, ::-1] for frame in frames[60:]], [i / 30 for i in range(60, 200)])
    assert description.size_px == expected.size_px
    assert description.times_s == pytest.approx(expected.times_s, abs=1 / 16)
    assert np.abs(description.thumbs[0].astype(float) - expected.thumbs[0]).mean() < 12
    assert len(description.codes) > 100


def test_the_first_of_equally_long_scenes_is_taken(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered_frames(120, 320, 320, cuts=(60,)))
    assert evidence_of(path).longest_scene == 0


@pytest.mark.parametrize("frames", [5, 299, 300, 301, 650, 1300])
def test_samples_stay_near_the_papers_indices_however_long_the_scene(frames: int, tmp_path: Path) -> None:
    cut = 47
    path = write_video(tmp_path / "v.mp4", numbered_frames(cut + frames, 64, 64, cuts=(cut,)), fps=30)
    evidence = evidence_of(path, min_scene_frames=2)
    scene = evidence.scenes[evidence.longest_scene]
    expected = [scene.start_frame + i for i in sample_indices(scene.frames)]
    allowed = 0 if scene.frames <= 300 else -(-scene.frames // 100)
    assert len(evidence.samples) == len(expected)
    assert max(abs(s.index - i) for s, i in zip(evidence.samples, expected, strict=True)) <= allowed


def test_a_short_scene_after_a_long_one_is_sampled_exactly_when_the_cut_is_noticed_late(tmp_path: Path) -> None:
    """The adaptive detector reports cuts two frames late, when the long scene has long been thinned."""
    path = write_video(tmp_path / "v.mp4", numbered_frames(700 + 720, 64, 64, cuts=(700,)))
    evidence = evidence_of(path, scenes="adaptive")
    assert [(s.start_frame, s.end_frame) for s in evidence.scenes] == [(0, 700), (700, 1420)]
    first_samples = [s.index - 700 for s in evidence.samples]
    assert first_samples == pytest.approx(sample_indices(720), abs=8)


def test_motion_is_measured_where_and_when_it_happens(tmp_path: Path) -> None:
    frames = np.full((150, 160, 160, 3), 90, np.uint8)
    for i in range(60, 120):  # seconds 2 and 3: a block moves in the upper left quarter
        frames[i, 20:50, 10 + i % 30 : 30 + i % 30] = 230
    path = write_video(tmp_path / "v.mp4", list(frames), crf=10)
    evidence = evidence_of(path, scene_threshold=200.0)
    grid = decode_motion(evidence.motion)
    per_second = np.array(evidence.motion.per_second)
    assert grid.shape == (5, 8, 8)
    assert per_second[[2, 3]].min() > 20 * per_second[[0, 1]].max()
    assert grid[2:4, :4, :4].sum() > 0.99 * grid[2:4].sum()
    assert evidence.static_share == pytest.approx(90 / 150, abs=0.05)


def test_motion_is_turned_upright(tmp_path: Path) -> None:
    frames = np.full((40, 160, 240, 3), 90, np.uint8)
    for i in range(40):
        frames[i, 5:35, 5 + i % 20 : 35 + i % 20] = 230  # upper left of the upright picture
    path = write_video(tmp_path / "v.mp4", list(frames), rotation=90)
    grid = decode_motion(evidence_of(path, scene_threshold=200.0).motion)
    assert grid[:, :3, :3].sum() > 0.95 * grid.sum()


def test_motion_survives_its_encoding() -> None:
    grid = np.random.default_rng(1).random((7, 8, 8)).astype(np.float32) * 13
    assert decode_motion(encode_motion(grid)) == pytest.approx(grid, abs=13 / 500)
    assert (decode_motion(encode_motion(np.zeros((2, 8, 8)))) == 0).all()


@pytest.mark.parametrize(
    ("frames", "options", "reason"),
    [(1, {}, "single_frame"), (60, {"max_source_s": 1.0}, "too_long")],
)
def test_videos_that_give_no_evidence(frames: int, options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered_frames(frames, 64, 64))
    with pytest.raises(video.VideoError) as error:
        evidence_of(path, **options)
    assert error.value.reason == reason


def test_too_long_is_noticed_without_a_duration_in_the_header(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered_frames(90, 64, 64))
    raw = tmp_path / "raw.h264"
    import av

    with av.open(str(path)) as source, av.open(str(raw), "w", format="h264") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    with pytest.raises(video.VideoError, match="too_long"):
        evidence_of(raw, max_source_s=1.0)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_file_is_rejected(keep: float, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", numbered_frames(300, 320, 320), crf=28)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(video.VideoError) as error:
        evidence_of(path)
    assert error.value.reason == "truncated"
    assert error.value.probe is not None, "what was decoded is evidence too"
    assert error.value.probe.frames < 300
