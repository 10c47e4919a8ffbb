"""Decoding: frames with a number and a time, and what is known about a file once all of them have been decoded."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

from tiktokactions.errors import TiktokactionsError
from tiktokactions.records import Probe

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,live_flv,asf,ogg,gif,apng,webp_pipe,mjpeg,rm,dv,mxf,wtv,"
    "h264,hevc,m4v,mpegvideo,vc1,ivf,obu,nut,yuv4mpegpipe,swf,vob,amv,av1,jpeg_pipe,png_pipe,bmp_pipe,tiff_pipe,image2"
)
"""Demuxers that may open a file. Left out on purpose: playlists (hls, concat, dash), which open other files and
addresses, and ``tty``, which reads any text as a film."""

CONTAINERS_WITHOUT_TIMESTAMPS = {"avi", "h264", "hevc", "m4v", "mpegvideo", "vc1", "mjpeg"}
"""Their packets carry no presentation times: frames are timed by counting, and never sought to."""

SMALLEST_SIDE_PX = 16
SAME_TIME_S = 1e-6
STANDARD_RATES = [Fraction(n, d) for n, d in ((24000, 1001), (30000, 1001), (60000, 1001))] + [
    Fraction(n) for n in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
]


class VideoError(TiktokactionsError):
    """A video that cannot be used. ``reason`` is one of ``records.FAILURES``; ``probe`` is there where it was decoded."""

    def __init__(self, reason: str, detail: str, probe: Probe | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.probe = reason, detail, probe


class Frame(NamedTuple):
    number: int
    """0-based count of decoded frames from the start of the video."""
    time_s: float
    """Seconds since the first frame."""
    picture: av.VideoFrame


@dataclass
class _Clock:
    """Turns time stamps into seconds since the first frame; rebuilds those that are missing or run backwards."""

    time_base: Fraction
    frame_interval_s: float
    by_counting: bool
    first_pts: int | None = None
    last_s: float = -math.inf
    repaired: bool = False

    def time_s(self, index: int, pts: int | None) -> float:
        if self.by_counting:
            return index * self.frame_interval_s
        if index == 0:
            self.first_pts = pts
        seconds = -math.inf
        if pts is not None and self.first_pts is not None:
            seconds = (pts - self.first_pts) * self.time_base.numerator / self.time_base.denominator
        if seconds <= self.last_s or seconds == -math.inf:
            self.repaired = True
            seconds = 0.0 if index == 0 else self.last_s + self.frame_interval_s
        self.last_s = seconds
        return seconds


class VideoFile:
    """An open video. Use as a context manager; read with :meth:`frames` or :meth:`frames_between`.

    ``skip_loop_filter``: FFmpeg's setting of the same name. ``noref`` skips the filter for frames that no other frame
    is predicted from: they look a little coarser, and all other frames are exact.

    Raises:
        VideoError: ``not_a_video``, ``truncated``, ``no_video_stream``, ``too_small``.
        OSError: the file cannot be opened at all (missing, no permission).
    """

    def __init__(self, path: str | os.PathLike[str], skip_loop_filter: str = "default") -> None:
        self.path = os.fspath(path)
        self._container = open_container(self.path)
        try:
            self.stream = video_stream(self._container)
            codec = self.stream.codec_context
            self.coded_width, self.coded_height = codec.width, codec.height
            if min(codec.width, codec.height) < SMALLEST_SIDE_PX:
                found = f"{codec.width}x{codec.height} pixels"
                raise VideoError("too_small", f"{found}, expected {SMALLEST_SIDE_PX} or more a side")
        except VideoError:
            self._container.close()
            raise
        self.times_s = array("d")
        """Time of every frame decoded by :meth:`frames`."""
        self.corrupt_frames = 0
        self._repaired = False
        codec.options = {"skip_loop_filter": skip_loop_filter}
        self.header_rate = header_rate(self.stream)
        self.guessed_rate = Fraction(self.stream.guessed_rate or self.header_rate)
        """The capture rate, as far as the header says; missing frames do not lower it."""
        self.by_counting = bool(set(self._container.format.name.split(",")) & CONTAINERS_WITHOUT_TIMESTAMPS)
        self.rotation = 0
        """Degrees clockwise that turn the coded picture upright; known after the first frame."""

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    @property
    def duration_s_from_header(self) -> float | None:
        if self.stream.duration:
            return float(self.stream.duration * (self.stream.time_base or 0))
        return self._container.duration / av.time_base if self._container.duration else None

    @property
    def sample_aspect_ratio(self) -> Fraction:
        ratio = self.stream.sample_aspect_ratio
        return Fraction(ratio) if ratio and Fraction(1, 8) <= ratio <= 8 else Fraction(1)

    def frames(self) -> Iterator[Frame]:
        """Every frame from the first to the last, in display order. Damaged packets are skipped and counted."""
        self.times_s = array("d")
        self.corrupt_frames = 0
        clock = _Clock(self.stream.time_base or Fraction(1, 90000), float(1 / self.header_rate), self.by_counting)
        for index, picture in enumerate(self._pictures()):
            if index == 0:
                self.rotation = round(-picture.rotation) % 360 // 90 * 90
            time_s = clock.time_s(index, picture.pts)
            self.times_s.append(time_s)
            self._repaired = clock.repaired
            yield Frame(index, time_s, picture)

    def frames_between(self, start_s: float, end_s: float, seek: bool = True) -> Iterator[Frame]:
        """The frames with ``start_s <= time_s < end_s``, found by seeking where that can be trusted.

        ``Frame.number`` counts from the first frame returned. With ``seek=False`` the video is decoded from its start.
        """
        if seek and not self.by_counting and start_s > 0:
            yield from self._frames_after_seek(start_s, end_s)
            return
        with VideoFile(self.path) as fresh:
            from_start = (frame for frame in fresh.frames() if frame.time_s >= start_s - SAME_TIME_S)
            for number, frame in enumerate(from_start):
                self.rotation = fresh.rotation
                if frame.time_s >= end_s - SAME_TIME_S:
                    return
                yield frame._replace(number=number)

    def _frames_after_seek(self, start_s: float, end_s: float) -> Iterator[Frame]:
        base = self.stream.time_base
        first = next(self.frames(), None)
        if first is None or first.picture.pts is None or base is None:
            return
        zero = first.picture.pts
        # Some containers land after the wanted time: try again from further back, and finally from the start.
        for margin_s in (0.0, 2.0, 10.0):
            if margin_s >= start_s:
                break
            try:
                self._container.seek(zero + math.floor((start_s - margin_s) / base), stream=self.stream, backward=True)
            except av.error.FFmpegError:
                continue
            wanted, landed_before_start = 0, False
            for picture in self._pictures():
                if picture.pts is None:
                    break
                time_s = (picture.pts - zero) * base.numerator / base.denominator
                landed_before_start = landed_before_start or time_s <= start_s + SAME_TIME_S
                if not landed_before_start:
                    break
                if time_s >= end_s - SAME_TIME_S:
                    return
                if time_s >= start_s - SAME_TIME_S:
                    yield Frame(wanted, time_s, picture)
                    wanted += 1
            if wanted:
                return
        yield from self.frames_between(start_s, end_s, seek=False)

    def probe(self) -> Probe:
        """What is known after :meth:`frames` was read to its end.

        Raises:
            VideoError: ``no_frames``.
        """
        if not self.times_s:
            raise VideoError("no_frames", f"{self.stream.codec_context.name} stream without one decodable frame")
        rate, variable = nominal_rate(self.times_s, self.header_rate)
        square_px = max(1, round(self.coded_width * self.sample_aspect_ratio)), self.coded_height
        width, height = reversed(square_px) if self.rotation in (90, 270) else square_px
        return Probe(
            container=self._container.format.name,
            codec=self.stream.codec_context.name,
            pixel_format=str(self.stream.codec_context.pix_fmt),
            width=width,
            height=height,
            coded_width=self.coded_width,
            coded_height=self.coded_height,
            rotation=self.rotation,
            sample_aspect_ratio=str(self.sample_aspect_ratio),
            fps=round(float(rate), 6),
            fps_exact=str(rate),
            variable_frame_rate=variable,
            timestamps_repaired=self._repaired,
            duration_s=self.times_s[-1] + float(1 / rate),  # the last frame lasts as long as most do
            duration_s_from_header=self.duration_s_from_header,
            frames=len(self.times_s),
            frames_from_header=self.stream.frames or None,
            corrupt_frames=self.corrupt_frames,
            start_s=float((self.stream.start_time or 0) * (self.stream.time_base or 0)),
            bit_rate=self.stream.bit_rate or self._container.bit_rate or None,
            has_audio=bool(self._container.streams.audio),
        )

    def _pictures(self) -> Iterator[av.VideoFrame]:
        """Decode on, counting damage instead of stopping at it."""
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                self.corrupt_frames += 1
                return
            try:
                pictures = packet.decode()
            except av.error.FFmpegError:
                self.corrupt_frames += 1
                continue
            for picture in pictures:
                assert isinstance(picture, av.VideoFrame)
                if (picture.width, picture.height) != (self.coded_width, self.coded_height):
                    picture = picture.reformat(self.coded_width, self.coded_height)
                self.corrupt_frames += bool(picture.is_corrupt)
                yield picture


def open_container(path: str) -> av.container.InputContainer:
    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    try:
        # "file:" keeps a name such as "a:b.mp4" or "-x.mp4" from being read as an address or an option.
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        with open(path, "rb") as file:
            head = file.read(12)
        if head[4:8] == b"ftyp":
            why = "an MP4 file without its index (moov): the end of the file is missing"
            raise VideoError("truncated", why) from error
        # Without the path, which the record holds separately: reasons are published, paths are not.
        told = getattr(error, "strerror", None) or str(error).split(";")[0]
        raise VideoError("not_a_video", told) from error


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    streams = [s for s in container.streams.video if s.codec_context is not None]
    # Cover art travels as a one-picture video stream beside the sound.
    streams = [s for s in streams if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise VideoError("no_video_stream", f"{len(container.streams.audio)} audio streams and no video")
    stream = streams[0]
    if not stream.codec_context.width or not stream.codec_context.height:
        raise VideoError("no_video_stream", f"the {stream.codec_context.name} stream has no picture size")
    stream.thread_type = "NONE"  # one thread per video: cores are better used by one worker each (measured)
    stream.codec_context.thread_count = 1
    return stream


def header_rate(stream: av.VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and Fraction(1, 10) <= rate <= 1000:
            return Fraction(rate)
    return Fraction(25)


def nominal_rate(times_s: Iterable[float], header_rate: Fraction) -> tuple[Fraction, bool]:
    """The frame rate a video was made for, and whether its frames are unevenly spaced.

    Evenly spaced frames have the rate they were measured at, as the header's or the nearest standard fraction. Otherwise
    the shorter spacing counts: frames that a camera or an encoder left out do not lower the rate.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if len(times) < 3:
        return header_rate, False
    gaps_s = np.diff(times)
    middle_s = float(np.median(gaps_s))
    # Containers that count in milliseconds shift frames by up to one, which is no unevenness.
    variable = bool((np.abs(gaps_s - middle_s) > max(0.25 * middle_s, 0.0015)).any())
    if variable:
        # The lower quartile, since up to half of the gaps may be wider because of missing frames.
        measured, tolerance = 1 / float(np.percentile(gaps_s, 25, method="lower")), 0.05
    else:
        measured, tolerance = (len(times) - 1) / float(times[-1] - times[0]), max(1e-3, 0.5 / len(times) ** 1.5)
    candidates = ([] if variable else [header_rate]) + STANDARD_RATES
    best = min(candidates, key=lambda rate: abs(float(rate) / measured - 1))
    if abs(float(best) / measured - 1) <= tolerance:
        return best, variable
    return Fraction(measured).limit_denominator(1001), variable
