"""Time stamps as files have them: holes, jumps, held frames, bursts."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.made_videos import numbered_frames, read_numbers, video_stream, write_video
from tiktokactions.curation.evidence import Evidence, gather_evidence
from tiktokactions.curation.options import CurateOptions
from tiktokactions.video import ClipSettings, VideoFile, cut_clip, nominal_rate
from tiktokactions.video.timing import Timeline

MS = Fraction(1, 1000)


def even(frames: int, step_ms: int = 100, start_ms: int = 0) -> list[int]:
    return [start_ms + step_ms * i for i in range(frames)]


def runs_of(stamps_ms: Sequence[int | None], last_ms: int = 0, promised_s: float = 0.0) -> list[tuple[float, float]]:
    """Start and end of each run of a 10 fps video in seconds; every frame has 100 ms, the last ``last_ms``."""
    timeline = Timeline(MS, Fraction(10))
    for number, stamp in enumerate(stamps_ms):
        timeline.add(stamp, last_ms if number + 1 == len(stamps_ms) else 100)
    timeline.finish(promised_s)
    starts = [timeline.times_s[start] for start in timeline.run_starts]
    return [(round(start, 3), round(end, 3)) for start, end in zip(starts, timeline.run_ends_s, strict=True)]


HOUR = 3_600_000
RUNS: dict[str, tuple[Sequence[int | None], list[tuple[float, float]]]] = {
    "even": (even(30), [(0, 3)]),
    "starts late": (even(30, start_ms=1700), [(0, 3)]),
    "pause of a second": (even(20) + even(20, start_ms=2900), [(0, 4.9)]),
    "hole in the middle": (even(20) + even(20, start_ms=5000), [(0, 2), (5, 7)]),
    "hole after the first frame": ([0, *even(20, start_ms=4000)], [(0, 0.1), (4, 6)]),
    "hole before the last frame": ([*even(20), 9000], [(0, 2), (9, 9.1)]),
    "two holes": (even(20) + even(20, start_ms=5000) + even(9, start_ms=20_000), [(0, 2), (5, 7), (20, 20.9)]),
    "jump of hours": (even(20) + even(20, start_ms=26 * HOUR), [(0, 2), (93600, 93602)]),
    "jump back": (even(20, start_ms=HOUR) + even(20), [(0, 2), (2, 4)]),
    "one stamp runs back": ([*even(20), 1850, *even(20, start_ms=2100)], [(0, 4.1)]),
    "no stamps": ([None] * 20, [(0, 2)]),
    "a frame in five seconds": (even(20, step_ms=5000), [(0, 100)]),
}


@pytest.mark.parametrize("name", RUNS)
def test_holes_end_a_run(name: str) -> None:
    stamps_ms, expected = RUNS[name]
    if name == "a frame in five seconds":  # the header says ten a second: the first gaps look like holes
        assert runs_of(stamps_ms)[-1][1] == 100
        assert len(runs_of(stamps_ms)) <= 4
        return
    assert runs_of(stamps_ms) == expected


@pytest.mark.parametrize(
    ("last_ms", "promised_s", "end_s"),
    [(0, 0, 3), (100, 0, 3), (2000, 0, 4.9), (0, 4.9, 4.9), (100, 2.5, 3), (26 * HOUR, 0, 3), (0, 93600, 3)],
    ids=["unknown", "as most", "held", "held, says the track", "promised less", "for hours", "hours, says the track"],
)
def test_the_last_frame_lasts_for_its_own_duration(last_ms: int, promised_s: float, end_s: float) -> None:
    assert runs_of(even(30), last_ms, promised_s) == [(0, end_s)]


def test_a_frame_before_a_hole_is_not_held_over_it() -> None:
    """MP4 says that the frame before a hole lasts until its end."""
    timeline = Timeline(MS, Fraction(10))
    for stamp in even(20):
        timeline.add(stamp, 3100 if stamp == 1900 else 100)
    timeline.add(5000, 100)
    assert timeline.run_ends_s == [pytest.approx(2.0)]
    assert timeline.shown_s == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("gaps_ms", "rate"),
    [
        ([1, 66], 30),
        ([5, 62], 30),
        ([1, 1, 98], 30),
        ([1], 240),
        ([4.1667], 240),
        ([33.333, 66.667], 30),
        ([33.333, 33.333, 500.0], 30),
    ],
    ids=[
        "pairs 1 ms apart",
        "pairs 5 ms apart",
        "threes",
        "1000 a second",
        "240",
        "every third left out",
        "many left out",
    ],
)
def test_the_nominal_rate_is_one_that_people_record(gaps_ms: list[float], rate: int) -> None:
    times_s = np.concatenate([[0.0], np.cumsum(np.resize(gaps_ms, 150)) / 1000])
    assert float(nominal_rate(times_s, Fraction(30))[0]) == pytest.approx(rate, rel=0.02)


def test_two_rates_one_after_the_other_are_uneven() -> None:
    gaps_s = [1 / 30] * 100 + [1 / 25] * 100
    assert nominal_rate(np.cumsum([0, *gaps_s]), Fraction(28)) == (30, True)
    assert nominal_rate(np.cumsum([0, *gaps_s[:100]]), Fraction(28)) == (30, False)


# --- files ---------------------------------------------------------------------------------------------------------


def evidence_of(path: Path) -> Evidence:
    with VideoFile(path) as source:
        return gather_evidence(source, CurateOptions(min_scene_frames=2), 416)


def clip_of(path: Path, evidence: Evidence, target: Path) -> list[int]:
    scene = evidence.scenes[evidence.longest_scene]
    settings = ClipSettings(None, None, 18, False)
    cut_clip(str(path), target, scene.start_s, scene.end_s, evidence.probe, settings, scene.frames)
    return read_numbers(target)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv"])
def test_no_clip_reaches_across_a_hole(suffix: str, tmp_path: Path) -> None:
    times_s = [i / 10 + (20 if i >= 10 else 0) + (3600 if i >= 45 else 0) for i in range(60)]
    path = write_video(tmp_path / f"v{suffix}", numbered_frames(60, 96, 96), fps=10, times_s=times_s)
    evidence = evidence_of(path)
    assert [(s.start_frame, s.end_frame) for s in evidence.scenes] == [(0, 10), (10, 45), (45, 60)]
    assert [s.duration_s for s in evidence.scenes] == pytest.approx([1, 3.5, 1.5], abs=0.01)
    assert evidence.probe.duration_s == pytest.approx(6, abs=0.02)
    assert clip_of(path, evidence, tmp_path / "clip.mp4") == list(range(10, 45))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_long_recording_is_known_from_its_packets_and_a_hole_is_not_one(suffix: str, tmp_path: Path) -> None:
    for jump_s, shown_s in ((0.0, 0.0), (9000.0, 6.0)):
        times_s = [i / 10 + (jump_s if i >= 30 else 0) for i in range(60)]
        path = write_video(tmp_path / f"{jump_s}{suffix}", numbered_frames(60, 64, 64), fps=10, times_s=times_s)
        with VideoFile(path) as opened:
            assert opened.shown_s(3600) == pytest.approx(shown_s, abs=0.2), (
                "looked through only where the header is long"
            )
            assert opened.shown_s(3) == pytest.approx(6, abs=0.2)


def write_avi(path: Path, codec: str, dropped: set[int]) -> Path:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    with av.open(str(path), "w") as out:
        stream = video_stream(out, codec, 30, (96, 96), pixels, b="2M")
        for number, rgb in enumerate(numbered_frames(90, 96, 96)):
            if number not in dropped:
                frame = av.VideoFrame.from_ndarray(rgb).reformat(format=pixels)
                frame.pts, frame.time_base = number, Fraction(1, 30)
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
def test_frames_left_out_of_an_avi_keep_their_time(codec: str, tmp_path: Path) -> None:
    dropped = {5, 6, 40, 71}
    path = write_avi(tmp_path / "v.avi", codec, dropped)
    evidence = evidence_of(path)
    expected = [number / 30 for number in range(90) if number not in dropped]
    assert evidence.scene_times_s == pytest.approx(expected)
    shown = clip_of(path, evidence, tmp_path / "clip.mp4")
    assert len(shown) == 90
    held = {place: number for place, number in enumerate(shown) if place != number}
    assert held == {5: 4, 6: 4, 40: 39, 71: 70}, "the frame before those that are missing"


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "libx264"), (".webm", "libvpx"), (".mp4", "libx264")])
def test_sound_that_lasts_longer_does_not_make_a_video_truncated(suffix: str, codec: str, tmp_path: Path) -> None:
    with av.open(str(tmp_path / f"v{suffix}"), "w") as out:
        stream = video_stream(out, codec, 10, (64, 64))
        sound = out.add_stream("libopus" if suffix == ".webm" else "aac", rate=48000, layout="mono")
        for rgb in numbered_frames(30, 64, 64):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb)))
        out.mux(stream.encode(None))
        for begin in range(0, 48000 * 5, 960):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, begin, Fraction(1, 48000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    assert evidence_of(tmp_path / f"v{suffix}").probe.duration_s == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_held_last_frame_is_part_of_the_clip(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as out:
        codec, pixels = ("gif", "rgb8") if suffix == ".gif" else ("libx264", "yuv420p")
        stream = video_stream(out, codec, 10, (96, 96), pixels)
        packets: list[av.Packet] = []
        for number, rgb in enumerate(numbered_frames(20, 96, 96)):
            frame = av.VideoFrame.from_ndarray(rgb).reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        last = max(packets, key=lambda packet: packet.pts or 0)
        last.duration = round(2 / (last.time_base or 1))
        out.mux(packets)
    evidence = evidence_of(path)
    assert evidence.probe.duration_s == pytest.approx(1.9 + 2, abs=0.11)
    assert len(clip_of(path, evidence, tmp_path / "clip.mp4")) == pytest.approx(39, abs=1)
    assert len(evidence.motion.per_second) == 4


def test_what_stands_before_the_first_keyframe_is_left_out_and_counted(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", numbered_frames(60, 96, 96), fps=10, options={"g": "20"})
    path = tmp_path / "v.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and number >= 7:
                packet.stream = stream
                out.mux(packet)
    evidence = evidence_of(path)
    assert evidence.probe.leading_frames == 13
    assert evidence.probe.corrupt_frames == 0
    assert clip_of(path, evidence, tmp_path / "clip.mp4") == list(range(20, 60))
