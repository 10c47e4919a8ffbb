"""The videos that other tests are judged by must themselves be right."""

from __future__ import annotations

import socket
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.made_videos import numbered_frames, read_number, read_numbers, write_video

NUMBERS = [0, 1, 2, 15, 16, 255, 256, 1799, 4095, 54000, 65535]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_frame_reads_as_its_number(number):
    [frame] = numbered_frames(1, 64, 48, first=number)
    assert frame.shape == (48, 64, 3)
    assert frame.dtype == np.uint8
    assert read_number(frame) == number


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda f: f[::-1], id="upside down"),
        pytest.param(lambda f: f[:, ::-1], id="mirrored"),
        pytest.param(lambda f: np.rot90(f, 2), id="turned by 180"),
        pytest.param(lambda f: np.rot90(f, 1), id="turned by 90"),
        pytest.param(lambda f: np.full_like(f, 128), id="grey"),
    ],
)
def test_a_wrong_frame_is_hardly_ever_taken_for_a_number(wrong):
    read = 0
    frames = list(numbered_frames(300, 96, 64))
    for frame in frames:
        try:
            read_number(wrong(frame))
        except ValueError:
            continue
        read += 1
    assert read < 0.15 * len(frames), "4 checksum bits let about one in 16 through"


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="0 to 65535"):
        list(numbered_frames(1, 64, 48, first=65536))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("a.mp4", {}, id="plain"),
        pytest.param("a.mp4", {"crf": 30, "b_frames": 3}, id="crf 30 with B-frames"),
        pytest.param("a.mp4", {"rotation": 90}, id="rotation 90"),
        pytest.param("a.mp4", {"rotation": 180}, id="rotation 180"),
        pytest.param("a.mov", {"rotation": 270}, id="rotation 270"),
        pytest.param("a.mp4", {"sample_aspect_ratio": Fraction(4, 3)}, id="wide pixels"),
        pytest.param("a.mkv", {"audio": True}, id="matroska with sound"),
        pytest.param("a.mp4", {"start_s": 1.5, "b_frames": 2, "audio": True}, id="late start with sound"),
        pytest.param("a.ts", {"start_s": 10.0}, id="transport stream"),
        pytest.param("a.webm", {"codec": "libvpx"}, id="vp8"),
        pytest.param("a.avi", {"codec": "mpeg4"}, id="avi"),
    ],
)
def test_a_written_file_holds_every_frame_in_order(tmp_path, name, settings):
    path = write_video(tmp_path / name, numbered_frames(40, 320, 192, first=1000, cuts=(20,)), **settings)
    assert read_numbers(path) == list(range(1000, 1040))


def test_numbers_survive_crf_30_and_scaling_down_to_short_side_320(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered_frames(12, 576, 1024, first=500), crf=30)
    with av.open(str(path)) as container:
        small = [f.reformat(320, 568, "rgb24", interpolation="POINT") for f in container.decode(video=0)]
    again = write_video(tmp_path / "b.mp4", [f.to_ndarray() for f in small], crf=30)
    assert read_numbers(again) == list(range(500, 512))


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 25, Fraction(30000, 1001), Fraction(60000, 1001), 120])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frame_rates_are_kept(tmp_path, fps, suffix):
    path = write_video(tmp_path / f"a.{suffix}", numbered_frames(30, 64, 48), fps=fps)
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        # Matroska keeps milliseconds only, so that its readers guess the rate.
        assert rate == (fps if suffix == "mp4" else pytest.approx(fps, rel=1e-3))
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([float(i / Fraction(fps)) for i in range(30)], abs=0.00051)


def test_variable_frame_rate_has_the_times_asked_for(tmp_path):
    times_s = [0.0, 0.04, 0.1, 0.5, 0.55, 1.0]
    path = write_video(tmp_path / "a.mp4", numbered_frames(6, 64, 48), times_s=times_s, start_s=2.0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.start_time is not None
        assert stream.time_base is not None
        assert float(stream.start_time * stream.time_base) == pytest.approx(2.0)
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([2.0 + t for t in times_s], abs=1e-4)


def test_metadata_is_what_players_expect(tmp_path):
    path = write_video(
        tmp_path / "a.mp4",
        numbered_frames(3, 96, 64),
        rotation=90,
        sample_aspect_ratio=Fraction(2),
        b_frames=0,
        audio=True,
    )
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (32, 96), "stored on its side, then squeezed in width"
        assert stream.codec_context.sample_aspect_ratio == 2
        assert frame.rotation == -90, "PyAV counts counter-clockwise: turn it by 90 degrees clockwise"
        assert container.streams.audio[0].codec_context.sample_rate == 48_000


def test_cuts_are_seen_where_they_are_and_nowhere_else(tmp_path):
    from scenedetect import ContentDetector, detect

    path = write_video(tmp_path / "a.mp4", numbered_frames(200, 320, 240, cuts=(40, 77, 130, 160)))
    scenes = detect(str(path), ContentDetector(threshold=27))
    assert [scene[0].frame_num for scene in scenes] == [0, 40, 77, 130, 160]


def test_the_fixture_writes_to_a_new_folder_each_time(make_video, numbered_frames, read_number):
    one = make_video("same.mp4", numbered_frames(2, 64, 48))
    two = make_video("same.mp4", numbered_frames(2, 64, 48, first=7))
    assert one != two
    with av.open(str(two)) as container:
        assert [read_number(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)] == [7, 8]


def test_the_network_is_out_of_reach():
    with socket.socket() as sock, pytest.raises(pytest.fail.Exception, match="network"):
        sock.connect(("192.0.2.1", 80))
