"""Which stream of a file is the video, and what is said of files without one."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from tests.made_videos import numbered_frames, video_stream
from tiktokactions.video import ClipReader, VideoError, VideoFile

SMALL, LARGE = (32, 48), (64, 96)
DEFAULT = Disposition.default


def write(path: Path, streams: list[tuple[tuple[int, int], int, Disposition]]) -> Path:
    """Video streams of three seconds, each with its size, frames a second and disposition."""
    with av.open(str(path), "w") as out:
        opened = []
        for size, rate, disposition in streams:
            stream = video_stream(out, "libx264", rate, size, preset="ultrafast")
            stream.disposition = disposition
            opened.append((stream, rate))
        packets: list[av.Packet] = []
        for stream, rate in opened:
            for number, rgb in enumerate(numbered_frames(3 * rate, stream.width, stream.height)):
                frame = av.VideoFrame.from_ndarray(rgb)
                frame.pts, frame.time_base = number, Fraction(1, rate)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        out.mux(sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)))
    return path


STREAMS: dict[str, tuple[list[tuple[tuple[int, int], int, Disposition]], int]] = {
    "one": ([(SMALL, 10, DEFAULT)], 0),
    "the default one": ([(LARGE, 10, Disposition(0)), (SMALL, 10, DEFAULT)], 1),
    "the larger of two defaults": ([(SMALL, 10, DEFAULT), (LARGE, 10, DEFAULT)], 1),
    "the first of equals": ([(SMALL, 10, DEFAULT), (SMALL, 10, DEFAULT)], 0),
    "not the thumbnails": ([(SMALL, 1, DEFAULT), (LARGE, 20, Disposition(0))], 1),
    "not the thumbnails after it": ([(LARGE, 20, DEFAULT), (SMALL, 1, DEFAULT)], 0),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_video_is(name: str, suffix: str, tmp_path: Path) -> None:
    streams, expected = STREAMS[name]
    path = write(tmp_path / f"v{suffix}", streams)
    with VideoFile(path) as opened, ClipReader(path) as reader:
        assert opened.stream.index == expected
        assert sum(1 for _ in opened.frames()) == reader.frames == 3 * streams[expected][1]


def sound(container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = cast(av.AudioStream, out.add_stream(codec, rate=44100, layout="mono"))
        samples = (np.random.default_rng(0).random((1, 44100)) * 2000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate = 44100
        for part in av.AudioResampler(stream.format, "mono", 44100, stream.frame_size or 0).resample(frame):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp3", "libmp3lame"), ("wav", "pcm_s16le"), ("flac", "flac"), ("adts", "aac"), ("mp4", "aac")],
)
def test_a_sound_file_has_no_video_stream(container: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / "7300000000000000001.mp3"
    path.write_bytes(sound(container, codec))
    with pytest.raises(VideoError, match="no_video_stream"):
        VideoFile(path)


def test_an_animated_webp_is_unsupported_and_a_still_one_a_picture(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (64, 64), (level, 90, 90)) for level in (0, 120, 240)]
    pictures[0].save(tmp_path / "moving.webp", save_all=True, append_images=pictures[1:], duration=100)
    pictures[0].save(tmp_path / "still.webp")
    with pytest.raises(VideoError, match="unsupported: an animated WebP"):
        VideoFile(tmp_path / "moving.webp")
    with VideoFile(tmp_path / "still.webp") as opened:
        assert sum(1 for _ in opened.frames()) == 1
