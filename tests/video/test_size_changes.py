"""Recordings whose picture changes its size or its turn on the way, as phones and browsers make them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from tests.made_videos import numbered_frames, read_numbers, video_stream
from tiktokactions.curation.evidence import gather_evidence
from tiktokactions.curation.options import CurateOptions
from tiktokactions.video import ClipSettings, VideoFile, cut_clip

PARTS = [((64, 96), 20), ((96, 64), 30), ((64, 96), 12)]


def write(path: Path) -> Path:
    """Parts of different sizes in one VP8 stream, ten frames a second."""
    with av.open(str(path), "w") as out:
        stream = video_stream(out, "libvpx", 10, PARTS[0][0])
        done = 0
        for (width, height), frames in PARTS:
            with av.open("/dev/null", "w", format="webm") as aside:
                encoder = video_stream(aside, "libvpx", 10, (width, height), b="2M", deadline="realtime")
                packets: list[av.Packet] = []
                for number, rgb in enumerate(numbered_frames(frames, width, height, first=done)):
                    frame = av.VideoFrame.from_ndarray(rgb)
                    frame.pts, frame.time_base = number, Fraction(1, 10)
                    packets += encoder.encode(frame)
                packets += encoder.encode(None)
            for packet in packets:
                place = done + round((packet.pts or 0) * packet.time_base * 10)
                packet.stream, packet.time_base = stream, Fraction(1, 10)
                packet.pts = packet.dts = place
                out.mux(packet)
            done += frames
    return path


def test_a_change_of_size_ends_a_scene_and_each_has_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "v.webm")
    with VideoFile(path) as source:
        evidence = gather_evidence(source, CurateOptions(min_scene_frames=2), 416)
    assert [(s.start_frame, s.end_frame) for s in evidence.scenes] == [(0, 20), (20, 50), (50, 62)]
    assert evidence.scene_sizes == ((64, 96), (96, 64), (64, 96))
    assert (evidence.probe.width, evidence.probe.height) == (96, 64), "of the longest scene"
    for scene, size in zip(evidence.scenes, evidence.scene_sizes, strict=True):
        settings = ClipSettings(None, None, 18, False)
        clip = cut_clip(
            str(path), tmp_path / "c.mp4", scene.start_s, scene.end_s, evidence.probe, settings, scene.frames
        )
        assert (clip.width, clip.height) == size
        assert read_numbers(tmp_path / "c.mp4") == list(range(scene.start_frame, scene.end_frame))
