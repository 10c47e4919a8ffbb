"""Decoding, timing and cutting, on videos whose frames carry their number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.made_videos import numbered_frames, read_numbers, write_video
from tiktokactions import video
from tiktokactions.video import ClipSettings, VideoError, VideoFile, cut_clip
from tiktokactions.video.decode import Frame

SETTINGS = ClipSettings(short_side=320, fps=None, crf=18, audio=False)
NTSC = {name: Fraction(n, 1001) for name, n in (("23.976", 24000), ("29.97", 30000), ("59.94", 60000))}


def jittered(n: int, fps: float, drop: int) -> list[float]:
    """Times of ``n`` frames of which every ``drop``-th is missing, as screen recorders and phones write them."""
    times = [i / fps for i in range(2 * n) if i % drop]
    return [t - times[0] for t in times[:n]]


def read(path: Path) -> tuple[Any, list[float]]:
    with VideoFile(path) as opened:
        for _ in opened.frames():
            pass
        return opened.probe(), list(opened.times_s)


VIDEOS: dict[str, dict[str, Any]] = {
    "30 fps": {},
    "23.976 fps": {"fps": NTSC["23.976"]},
    "29.97 fps": {"fps": NTSC["29.97"]},
    "59.94 fps": {"fps": NTSC["59.94"]},
    "B-frames": {"b_frames": 3, "options": {"preset": "fast", "g": "50"}},
    "open GOP": {"b_frames": 3, "options": {"preset": "fast", "g": "30", "x264-params": "open-gop=1:scenecut=0"}},
    "one keyframe": {"b_frames": 2, "options": {"preset": "fast", "g": "999"}},
    "starts late": {"start_s": 1.7},
    "starts late, B-frames": {"start_s": 0.34, "b_frames": 3, "options": {"preset": "fast"}},
    "matroska, whole milliseconds": {"suffix": ".mkv", "fps": NTSC["29.97"]},
    "mpeg-ts": {"suffix": ".ts", "b_frames": 2},
    "avi without time stamps": {"suffix": ".avi", "codec": "mpeg4", "options": {"b": "4M"}},
    "turned 90": {"rotation": 90},
    "turned 180": {"rotation": 180},
    "turned 270, B-frames": {"rotation": 270, "b_frames": 2},
    "wide pixels": {"sample_aspect_ratio": Fraction(16, 11)},
    "narrow pixels, turned": {"sample_aspect_ratio": Fraction(3, 4), "rotation": 90},
    "10 bit HEVC": {
        "codec": "libx265",
        "pixel_format": "yuv420p10le",
        "options": {"preset": "ultrafast", "x265-params": "log-level=none"},
    },
}


@pytest.mark.parametrize("name", VIDEOS)
def test_a_clip_has_exactly_the_frames_of_its_interval(name: str, tmp_path: Path) -> None:
    settings = dict(VIDEOS[name])
    path = tmp_path / f"v{settings.pop('suffix', '.mp4')}"
    write_video(path, numbered_frames(100, 480, 640), **settings)
    probe, times_s = read(path)
    assert probe.frames == 100
    assert not probe.variable_frame_rate
    assert (probe.width, probe.height) == pytest.approx((480, 640), abs=2)
    for first, last in ((0, 100), (37, 71), (1, 2), (99, 100)):
        end_s = times_s[last] if last < 100 else probe.duration_s
        clip = cut_clip(str(path), tmp_path / "clip.mp4", times_s[first], end_s, probe, SETTINGS, last - first)
        assert read_numbers(tmp_path / "clip.mp4") == list(range(first, last))
        assert (clip.frames, clip.width, clip.height) == (last - first, 320, clip.height)
        assert clip.height in (426, 428)
        assert clip.fps == probe.frame_rate == settings.get("fps", 30)


@pytest.mark.parametrize("name", [name for name in VIDEOS if name != "avi without time stamps"])
def test_seeking_alone_finds_exactly_the_frames(name: str, tmp_path: Path) -> None:
    """Cutting falls back to decoding from the start; what it falls back from has to be right by itself, to the pixel."""
    settings = dict(VIDEOS[name])
    path = tmp_path / f"v{settings.pop('suffix', '.mp4')}"
    write_video(path, numbered_frames(100, 240, 320), **settings)
    with VideoFile(path) as opened:
        shown = [(f.time_s, pixels(f)) for f in opened.frames()]
    for first, last in ((37, 71), (1, 2), (60, 99)):
        with VideoFile(path) as opened:
            found = [(f.time_s, pixels(f)) for f in opened.frames_between(shown[first][0], shown[last][0])]
        assert found == shown[first:last]


def pixels(frame: Frame) -> list[bytes]:
    return [bytes(plane) for plane in frame.picture.planes]


def test_uneven_frames_become_a_constant_rate_without_foreign_frames(tmp_path: Path) -> None:
    times = jittered(120, 30, drop=5)
    path = write_video(tmp_path / "v.mp4", numbered_frames(120, 320, 320), times_s=times, b_frames=2)
    probe, times_s = read(path)
    assert probe.variable_frame_rate
    assert probe.frame_rate == 30
    assert times_s == pytest.approx(times, abs=1e-4)
    clip = cut_clip(str(path), tmp_path / "c.mp4", times_s[30], times_s[90], probe, SETTINGS, 60)
    numbers = read_numbers(tmp_path / "c.mp4")
    assert clip.frames == len(numbers) == round((times_s[90] - times_s[30]) * 30)
    assert set(numbers) == set(range(30, 90)), "every frame of the interval is shown, none from outside"
    shown_late = [abs(times_s[n] - times_s[30] - k / 30) for k, n in enumerate(numbers)]
    assert max(shown_late) <= 1 / 30 + 1e-3


@pytest.mark.parametrize(("fps", "expected"), [(Fraction(15), 25), (Fraction(60), 100), (Fraction(25), 42)])
def test_another_frame_rate_keeps_the_duration(fps: Fraction, expected: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered_frames(90, 320, 320))
    probe, times_s = read(path)
    settings = ClipSettings(320, fps, 18, False)
    clip = cut_clip(str(path), tmp_path / "c.mp4", times_s[20], times_s[70], probe, settings, 50)
    numbers = read_numbers(tmp_path / "c.mp4")
    assert clip.frames == len(numbers) == expected
    assert min(numbers) >= 20
    assert max(numbers) < 70


def test_clips_are_encoded_for_training(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered_frames(64, 640, 360), b_frames=3)
    probe, _ = read(path)
    cut_clip(str(path), tmp_path / "c.mp4", 0, probe.duration_s, probe, SETTINGS, 64)
    with av.open(str(tmp_path / "c.mp4")) as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        packets = [p for p in clip.demux(stream) if p.size]
        keyframes = [i for i, p in enumerate(packets) if p.is_keyframe]
        assert max(np.diff([*keyframes, 64])) <= 16
        assert [p.pts for p in packets] == [p.dts for p in packets], "no B-frames"
        assert not clip.streams.audio
    data = (tmp_path / "c.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "faststart"


def test_sound_is_kept_on_request_and_lasts_as_long_as_the_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered_frames(90, 320, 320), audio=True)
    probe, times_s = read(path)
    cut_clip(str(path), tmp_path / "c.mp4", times_s[30], times_s[75], probe, ClipSettings(320, None, 18, True), 45)
    with av.open(str(tmp_path / "c.mp4")) as clip:
        sound = np.concatenate([f.to_ndarray() for f in clip.decode(audio=0)], axis=1)
    assert sound.shape[1] / 48000 == pytest.approx(1.5, abs=0.05)
    assert np.abs(sound[:, 4800:-4800]).max() > 0.1
    assert read_numbers(tmp_path / "c.mp4") == list(range(30, 75))


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"hello world\n" * 50, "notes.txt", "not_a_video"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "list.m3u8", "not_a_video"),
        (b"ffconcat version 1.0\nfile v.mp4\n", "list.ffconcat", "not_a_video"),
        (bytes(range(256)) * 40, "noise.mp4", "not_a_video"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + b"\x00" * 500, "half.mp4", "truncated"),
    ],
)
def test_files_that_are_no_videos(content: bytes, name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VideoError) as error:
        VideoFile(path)
    assert error.value.reason == reason


def test_sound_alone_has_no_video_stream(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        out.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(VideoError, match="no_video_stream"):
        VideoFile(tmp_path / "a.mp4")


def test_damage_in_the_middle_is_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered_frames(120, 480, 640), b_frames=2)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\x55" * 400
    path.write_bytes(data)
    probe, _ = read(path)
    assert probe.corrupt_frames > 0


@pytest.mark.parametrize(
    ("times", "header", "rate", "variable"),
    [
        ([], 30, 30, False),
        ([0.0], 24, 24, False),
        ([i / 30 for i in range(100)], 30, 30, False),
        ([round(i * 1001 / 30) / 1000 for i in range(300)], 30, Fraction(30000, 1001), False),
        ([i * 1001 / 30000 for i in range(300)], Fraction(30000, 1001), Fraction(30000, 1001), False),
        ([i / 30 for i in range(200) if i % 3], 20, 30, True),
        ([0, 1 / 30, 2 / 30, 5.0, 5 + 1 / 30], 30, 30, True),
        ([i / 17 for i in range(100)], 30, 17, False),
    ],
    ids=["empty", "one", "even", "milliseconds", "ntsc", "dropped", "pause", "odd rate"],
)
def test_nominal_rate(times: list[float], header: Any, rate: Any, variable: bool) -> None:
    assert video.nominal_rate(times, Fraction(header)) == (Fraction(rate), variable)


@pytest.mark.parametrize(
    ("size", "wanted", "fitted"),
    [
        ((1080, 1920), {"short_side": 320}, (320, 568)),
        ((1920, 1080), {"short_side": 320}, (568, 320)),
        ((200, 150), {"short_side": 320}, (200, 150)),
        ((341, 257), {}, (340, 256)),
        ((576, 1024), {"long_side": 416}, (234, 416)),
        ((3, 900), {"long_side": 416}, (2, 416)),
    ],
)
def test_fit_size(size: tuple[int, int], wanted: dict[str, int], fitted: tuple[int, int]) -> None:
    assert video.fit_size(*size, **wanted) == fitted


def test_full_range_sources_keep_their_brightness(tmp_path: Path) -> None:
    gray = [np.full((128, 128, 3), level, np.uint8) for level in (0, 64, 128, 255) for _ in range(8)]
    path = write_video(tmp_path / "v.mp4", gray, pixel_format="yuvj420p", crf=4)
    probe, _ = read(path)
    cut_clip(str(path), tmp_path / "c.mp4", 0, probe.duration_s, probe, SETTINGS, 32)
    with av.open(str(tmp_path / "c.mp4")) as clip:
        means = [f.to_ndarray(format="rgb24").mean() for f in clip.decode(video=0)]
    assert means[4::8] == pytest.approx([0, 64, 128, 255], abs=4)


def test_real_and_odd_videos_are_read_or_refused_with_a_reason(shared_data: Path, tmp_path: Path) -> None:
    refused = {}
    for path in sorted((shared_data / "odd").iterdir()):
        try:
            probe, times_s = read(path)
        except VideoError as error:
            refused[path.name] = error.reason
            continue
        assert probe.frames == len(times_s) > 0
        assert times_s[0] == 0
        assert (np.diff(times_s) > 0).all()
        clip = cut_clip(str(path), tmp_path / "c.mp4", 0, probe.duration_s, probe, SETTINGS, probe.frames)
        assert video.look_through(tmp_path / "c.mp4")[0] == clip.frames
    assert refused == {
        "-video-with-dash-.mp4": "too_small",
        "bitmap.mp4": "too_small",
        "result.webm": "not_a_video",
    }
