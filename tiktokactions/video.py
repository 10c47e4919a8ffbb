"""Reading and writing video: the only module that touches the decoder and the encoder (PyAV, no ffmpeg binary).

Here alone live variable frame rates, broken time stamps, rotation, non-square pixels, colour range and damaged packets.
Everything outside sees frames with a number and a time, small pictures, and clips.

Shapes: a *picture* is planar I420 in limited range, uint8 ``(height * 3 // 2, width)``, both sides even: the luma of
``height`` rows, then the two quarter-size chroma planes. It is what decoders give and encoders take, at half the memory
of BGR.
"""

from __future__ import annotations

import errno
import functools
import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from tiktokactions.records import Probe


CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,live_flv,asf,ogg,gif,apng,webp_pipe,mjpeg,rm,dv,mxf,wtv,"
    "h264,hevc,m4v,mpegvideo,vc1,ivf,obu,nut,yuv4mpegpipe,swf,vob,amv,av1,jpeg_pipe,png_pipe,bmp_pipe,tiff_pipe,image2"
)
"""Demuxers a file may be opened with. Left out on purpose: playlists (hls, concat, dash), which open other files and
addresses, and ``tty``, which reads any text as a film."""

CONTAINERS_WITHOUT_TIMESTAMPS = {"avi", "h264", "hevc", "m4v", "mpegvideo", "vc1", "mjpeg"}
"""Their packets carry no presentation times: frames are timed by counting, and never sought to."""

SMALLEST_SIDE_PX = 16
SAME_TIME_S = 1e-6
STANDARD_RATES = [Fraction(n, d) for n, d in ((24000, 1001), (30000, 1001), (60000, 1001))] + [
    Fraction(n) for n in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
]
_PLANAR_8_BIT = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"}
_TO_LIMITED_LUMA = np.round(16 + np.arange(256) * (219 / 255)).astype(np.uint8)
_TO_LIMITED_CHROMA = np.round(128 + (np.arange(256) - 128.0) * (224 / 255)).astype(np.uint8)


class VideoError(Exception):
    """A video that cannot be used. ``reason`` is one of ``records.FAILURES``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


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
        if pts is None or self.first_pts is None:
            seconds = -math.inf
        else:
            seconds = (pts - self.first_pts) * self.time_base.numerator / self.time_base.denominator
        if seconds <= self.last_s or seconds == -math.inf:
            self.repaired = True
            seconds = 0.0 if index == 0 else self.last_s + self.frame_interval_s
        self.last_s = seconds
        return seconds


class VideoFile:
    """An open video. Use as a context manager; read with :meth:`frames` or :meth:`frames_between`.

    Raises:
        VideoError: ``not_a_video``, ``truncated``, ``no_video_stream``, ``too_small``.
        OSError: the file cannot be opened at all (missing, no permission).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._container = _open_container(self.path)
        try:
            self._stream = _video_stream(self._container, self.path)
        except VideoError:
            self._container.close()
            raise
        self.times_s = array("d")
        """Time of every frame decoded by :meth:`frames`."""
        self.corrupt_frames = 0
        self._repaired = False
        codec = self._stream.codec_context
        self.coded_width, self.coded_height = codec.width, codec.height
        if min(self.coded_width, self.coded_height) < SMALLEST_SIDE_PX:
            self._container.close()
            raise VideoError(
                "too_small",
                f"{self.coded_width}x{self.coded_height} pixels, expected {SMALLEST_SIDE_PX} or more a side",
            )
        self.header_rate = _header_rate(self._stream)
        self.guessed_rate = Fraction(self._stream.guessed_rate or self.header_rate)
        """The rate the frames were captured for, as far as the header tells: not lowered by frames left out."""
        self.by_counting = bool(set(self._container.format.name.split(",")) & CONTAINERS_WITHOUT_TIMESTAMPS)
        self.rotation = 0
        """Degrees clockwise that turn the coded picture upright; known after the first frame."""

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._container.close()

    @property
    def duration_s_from_header(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * (self._stream.time_base or 0))
        if self._container.duration:
            return self._container.duration / av.time_base
        return None

    @property
    def sample_aspect_ratio(self) -> Fraction:
        ratio = self._stream.sample_aspect_ratio
        return Fraction(ratio) if ratio and Fraction(1, 8) <= ratio <= 8 else Fraction(1)

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height of the upright, square-pixelled picture; final after the first frame was decoded."""
        width = max(1, round(self.coded_width * self.sample_aspect_ratio))
        return (self.coded_height, width) if self.rotation in (90, 270) else (width, self.coded_height)

    def frames(self) -> Iterator[Frame]:
        """Every frame from the first to the last, in display order. Damaged packets are skipped and counted."""
        self.times_s = array("d")
        self.corrupt_frames = 0
        clock = self._clock()
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
            wanted = 0
            for frame in fresh.frames():
                self.rotation = fresh.rotation
                if frame.time_s >= end_s - SAME_TIME_S:
                    return
                if frame.time_s >= start_s - SAME_TIME_S:
                    yield Frame(wanted, frame.time_s, frame.picture)
                    wanted += 1

    def _frames_after_seek(self, start_s: float, end_s: float) -> Iterator[Frame]:
        base = self._stream.time_base
        assert base is not None
        with VideoFile(self.path) as fresh:
            first = next(fresh.frames(), None)
            if first is None or first.picture.pts is None:
                return
            self.rotation = fresh.rotation
            zero = first.picture.pts
        for margin_s in (0.0, 2.0, 10.0, math.inf):
            offset = zero + math.floor((start_s - margin_s) / base) if margin_s < start_s else None
            if offset is None:
                yield from self.frames_between(start_s, end_s, seek=False)
                return
            with VideoFile(self.path) as fresh:
                try:
                    fresh._container.seek(offset, stream=fresh._stream, backward=True)
                except av.error.FFmpegError:
                    continue
                wanted, landed_before_start = 0, False
                for picture in fresh._pictures():
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

    def probe(self) -> Probe:
        """What is known after :meth:`frames` was read to its end.

        Raises:
            VideoError: ``no_frames``.
        """
        if not self.times_s:
            raise VideoError("no_frames", f"{self._stream.codec_context.name} stream without one decodable frame")
        rate, variable = nominal_rate(self.times_s, self.header_rate)
        width, height = self.display_size
        header_frames = self._stream.frames or None
        base = self._stream.time_base or Fraction(0)
        return Probe(
            container=self._container.format.name,
            codec=self._stream.codec_context.name,
            pixel_format=str(self._stream.codec_context.pix_fmt),
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
            duration_s=self.end_s(rate),
            duration_s_from_header=self.duration_s_from_header,
            frames=len(self.times_s),
            frames_from_header=header_frames,
            corrupt_frames=self.corrupt_frames,
            start_s=float((self._stream.start_time or 0) * base),
            bit_rate=self._stream.bit_rate or self._container.bit_rate or None,
            has_audio=bool(self._container.streams.audio),
        )

    def end_s(self, rate: Fraction) -> float:
        """When the last decoded frame ends: one nominal frame after it began."""
        return self.times_s[-1] + float(1 / rate)

    def _clock(self) -> _Clock:
        return _Clock(self._stream.time_base or Fraction(1, 90000), float(1 / self.header_rate), self.by_counting)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        """Decode on, counting damage instead of stopping at it."""
        packets = self._container.demux(self._stream)
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


def _open_container(path: str) -> av.container.InputContainer:
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
            raise VideoError(
                "truncated", "an MP4 file without its index (moov): the end of the file is missing"
            ) from error
        raise VideoError("not_a_video", str(error).split(";")[0]) from error


def _video_stream(container: av.container.InputContainer, path: str) -> av.VideoStream:
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


def _header_rate(stream: av.VideoStream) -> Fraction:
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
        # The lower quartile: as many gaps may be widened by a missing frame as not.
        measured, tolerance = 1 / float(np.percentile(gaps_s, 25, method="lower")), 0.05
    else:
        measured, tolerance = (len(times) - 1) / float(times[-1] - times[0]), max(1e-3, 0.5 / len(times) ** 1.5)
    candidates = ([] if variable else [header_rate]) + STANDARD_RATES
    best = min(candidates, key=lambda rate: abs(float(rate) / measured - 1))
    if abs(float(best) / measured - 1) <= tolerance:
        return best, variable
    return Fraction(measured).limit_denominator(1001), variable


# --- pictures ------------------------------------------------------------------------------------------------------


def even(pixels: float) -> int:
    """The nearest even number, at least 2: chroma planes are half as large."""
    return max(2, round(pixels / 2) * 2)


def fit_size(
    width: int, height: int, *, long_side: int | None = None, short_side: int | None = None
) -> tuple[int, int]:
    """Even width and height with the given long or short side, never enlarged."""
    if long_side is not None:
        scale = min(1.0, long_side / max(width, height))
    elif short_side is not None:
        scale = min(1.0, short_side / min(width, height))
    else:
        scale = 1.0
    return even(width * scale), even(height * scale)


class AnalysisScaler:
    """Shrinks frames for scene detection: BGR ``(height, width, 3)`` and luma ``(height, width)``, uint8.

    It samples the nearest pixels and converts with the same routine as OpenCV's video reader does at full size, since
    PySceneDetect's thresholds are tuned to that: averaging before sampling, or rounding colours more exactly, moves cuts.
    """

    def __init__(self, width: int, height: int) -> None:
        self._to_bgr = VideoReformatter()
        self._small = {name: av.VideoFrame(width, height, name) for name in ("yuv420p", "yuvj420p")}

    def __call__(self, picture: av.VideoFrame) -> tuple[np.ndarray, np.ndarray]:
        picture = _planar(picture)
        small = self._small["yuvj420p" if _is_full_range(picture) else "yuv420p"]
        for plane, target in zip(picture.planes, small.planes, strict=True):
            pixels = _plane(target)
            cv2.resize(_plane(plane), pixels.shape[::-1], dst=pixels, interpolation=cv2.INTER_LINEAR)
        packed = self._to_bgr.reformat(small, format="bgr24").planes[0]
        rows = np.frombuffer(memoryview(packed), np.uint8).reshape(packed.height, packed.line_size)[
            :, : packed.width * 3
        ]
        return rows.reshape(packed.height, packed.width, 3), _plane(small.planes[0]).copy()


def _planar(picture: av.VideoFrame) -> av.VideoFrame:
    """The frame itself if its planes are 8-bit luma and chroma, else converted (10-bit, RGB, palette, alpha ...)."""
    if picture.format.name in _PLANAR_8_BIT:
        return picture
    return picture.reformat(format="yuvj420p" if _is_full_range(picture) else "yuv420p")


def _is_full_range(picture: av.VideoFrame) -> bool:
    return picture.format.name.startswith("yuvj") or picture.color_range == ColorRange.JPEG


def shrink(picture: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """A decoded frame as a picture ``(height * 3 // 2, width)`` (see the module), still as the camera held it.

    Averages before it samples: for clips, thumbnails and detection.
    """
    picture = _planar(picture)
    out = np.empty((height * 3 // 2, width), np.uint8)
    quarter = height * width // 4
    flat = out.reshape(-1)
    targets = (
        out[:height],
        flat[height * width : height * width + quarter].reshape(height // 2, width // 2),
        flat[height * width + quarter :].reshape(height // 2, width // 2),
    )
    for plane, target in zip(picture.planes, targets, strict=True):
        _resize(_plane(plane), target)
    if _is_full_range(picture):
        cv2.LUT(out[:height], _TO_LIMITED_LUMA, dst=out[:height])
        cv2.LUT(out[height:], _TO_LIMITED_CHROMA, dst=out[height:])
    return out


def _plane(plane: Any) -> np.ndarray:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _resize(source: np.ndarray, target: np.ndarray) -> None:
    height, width = target.shape
    # Halving by averaging is vectorised; OpenCV's area filter for odd ratios is ten times slower.
    while source.shape[0] >= 2 * height and source.shape[1] >= 2 * width:
        half = (source.shape[1] // 2, source.shape[0] // 2)
        source = cv2.resize(source[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA)
    cv2.resize(source, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)


def upright(picture: np.ndarray, rotation: int) -> np.ndarray:
    """Turn a picture clockwise by 0, 90, 180 or 270 degrees."""
    if rotation == 0:
        return picture
    turn = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}[rotation]
    planes = [cv2.rotate(np.ascontiguousarray(p), turn) for p in split_planes(picture)]
    height, width = planes[0].shape
    return np.concatenate([p.reshape(-1) for p in planes]).reshape(height * 3 // 2, width)


def split_planes(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Luma ``(h, w)`` and the two chroma planes ``(h/2, w/2)`` of a picture, as views."""
    width = picture.shape[1]
    height = picture.shape[0] * 2 // 3
    flat = picture.reshape(-1)
    quarter = height * width // 4
    chroma = flat[height * width :].reshape(2, height // 2, width // 2) if quarter else flat[:0].reshape(2, 0, 0)
    return picture[:height], chroma[0], chroma[1]


def to_bgr(picture: np.ndarray) -> np.ndarray:
    """A picture as BGR uint8 ``(height, width, 3)``."""
    return cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420)


# --- cutting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipSettings:
    """How clips are encoded: H.264 yuv420p, no B-frames, a keyframe at least every 16 frames, so that reading any 16
    frames for training decodes at most 31."""

    short_side: int | None
    fps: Fraction | None
    crf: int
    audio: bool


KEYFRAME_INTERVAL = 16
PRESET = "superfast"


@dataclass(frozen=True)
class CutClip:
    frames: int
    fps: Fraction
    width: int
    height: int


def cut_clip(
    path: str, target: Path, start_s: float, end_s: float, probe: Probe, settings: ClipSettings, expected: int | None
) -> CutClip:
    """Encode the frames of ``[start_s, end_s)`` to ``target``, upright, square-pixelled, at a constant frame rate.

    A source with even spacing gives each of its frames once; an uneven one, or another ``settings.fps``, is sampled at
    the output's times, always from frames inside the interval. ``expected`` is the number of source frames inside it:
    where seeking finds another number the video is read from its start instead.

    Raises:
        VideoError: ``clip_failed`` where the frames cannot be found or encoded.
    """
    for seek in (True, False):
        with VideoFile(path) as video:
            found, clip = _encode(
                video, target, start_s, end_s, probe, settings, seek and not probe.timestamps_repaired
            )
        if found and (expected is None or found == expected):
            return clip
    raise VideoError(
        "clip_failed", f"{found} frames between {start_s:.3f} s and {end_s:.3f} s, expected {expected or 'some'}"
    )


def _encode(
    video: VideoFile, target: Path, start_s: float, end_s: float, probe: Probe, settings: ClipSettings, seek: bool
) -> tuple[int, CutClip]:
    rate = settings.fps or probe.frame_rate
    width, height = fit_size(probe.width, probe.height, short_side=settings.short_side)
    coded = (height, width) if probe.rotation in (90, 270) else (width, height)
    found = written = 0
    try:
        with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            stream = _video_output(output, video, rate, width, height, settings.crf)
            # Streams have to be declared before the first packet is written.
            sound = _AudioCopy(output, video.path, start_s, end_s) if settings.audio and probe.has_audio else None

            def write(picture: np.ndarray) -> None:
                nonlocal written
                frame = _to_frame(picture)
                frame.pts, frame.time_base = written, 1 / rate
                output.mux(stream.encode(frame))
                written += 1

            def counted() -> Iterator[tuple[float, np.ndarray]]:
                nonlocal found
                for frame in video.frames_between(start_s, end_s, seek=seek):
                    found += 1
                    yield frame.time_s, upright(shrink(frame.picture, *coded), probe.rotation)

            if settings.fps in (None, probe.frame_rate) and not probe.variable_frame_rate:
                for _, picture in counted():
                    write(picture)
            else:
                _resample(counted(), end_s, rate, write)
            output.mux(stream.encode(None))
            if sound is not None:
                sound.copy()
    except av.error.FFmpegError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
        raise VideoError("clip_failed", f"the encoder refused: {error}") from error
    return found, CutClip(written, rate, width, height)


def _resample(
    frames: Iterator[tuple[float, np.ndarray]], end_s: float, rate: Fraction, write: Callable[[np.ndarray], None]
) -> None:
    """Show at each output time the frame that is on screen then, give or take half an output frame."""
    shown = next(frames, None)
    if shown is None:
        return
    start_s = shown[0]
    total = max(1, round((end_s - start_s) * float(rate)))
    number = 0
    for following in frames:
        while number < total and start_s + (number + 0.5) / rate < following[0]:
            write(shown[1])
            number += 1
        shown = following
    for _ in range(number, total):
        write(shown[1])


def _video_output(
    output: av.container.OutputContainer, video: VideoFile, rate: Fraction, width: int, height: int, crf: int
) -> av.VideoStream:
    stream = output.add_stream(
        "libx264",
        rate=rate,
        options={"preset": PRESET, "crf": str(crf), "g": str(KEYFRAME_INTERVAL), "bf": "0", "threads": "1"},
    )
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    codec, source = stream.codec_context, video._stream.codec_context
    codec.time_base = 1 / rate
    codec.color_range = ColorRange.MPEG  # limited; shrink() has converted full-range sources
    codec.colorspace, codec.color_primaries, codec.color_trc = (
        source.colorspace,
        source.color_primaries,
        source.color_trc,
    )
    return stream


def _to_frame(picture: np.ndarray) -> av.VideoFrame:
    width, height = picture.shape[1], picture.shape[0] * 2 // 3
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, source in zip(frame.planes, split_planes(picture), strict=True):
        _plane(plane)[:] = source
    frame.color_range = ColorRange.MPEG
    return frame


class _AudioCopy:
    """The sound between two times, re-encoded as AAC so that it begins with the clip's first frame."""

    def __init__(self, output: av.container.OutputContainer, path: str, start_s: float, end_s: float) -> None:
        self._output, self._path, self._start_s, self._end_s = output, path, start_s, end_s
        self._stream = output.add_stream("aac", rate=48000, layout="stereo")

    def copy(self) -> None:
        with _open_container(self._path) as source:
            audio, video = source.streams.audio[0], source.streams.video[0]
            # Times count from the first video frame; audio stamps run on the container's clock.
            zero_s = float((video.start_time or 0) * (video.time_base or 0))
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48000)
            first, last = (round((t + zero_s) * 48000) for t in (self._start_s, self._end_s))
            source.seek(max(0, int((self._start_s + zero_s - 1) * av.time_base)))
            written = position = 0
            started = False
            for packet in source.demux(audio):
                try:
                    decoded = packet.decode()
                except av.error.FFmpegError:
                    continue  # sound may be damaged where the picture is not: a gap is better than no clip
                for frame in decoded:
                    if not started and frame.time is not None:
                        position, started = round(frame.time * 48000), True
                    for part in resampler.resample(frame):
                        samples = part.to_ndarray()
                        cut = samples[:, max(0, first - position) : max(0, last - position)]
                        position += samples.shape[1]
                        if cut.shape[1]:
                            piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(cut, np.float32), "fltp", "stereo")
                            piece.sample_rate, piece.pts, piece.time_base = 48000, written, Fraction(1, 48000)
                            self._output.mux(self._stream.encode(piece))
                            written += cut.shape[1]
                if started and position >= last:
                    break
            self._output.mux(self._stream.encode(None))


def count_frames(path: Path) -> int:
    """Decode a clip from end to end and count its frames. The deblocking filter is skipped: it cannot fail.

    Raises:
        VideoError: the file does not open or a frame is damaged.
    """
    with VideoFile(path) as video:
        video._stream.codec_context.options = {"skip_loop_filter": "all"}
        frames = sum(1 for _ in video.frames())
        if video.corrupt_frames:
            raise VideoError("corrupt", f"{video.corrupt_frames} damaged frames in {path}")
    return frames


@functools.cache
def library_versions() -> dict[str, str]:
    return {"av": av.__version__, "ffmpeg": str(av.ffmpeg_version_info), "opencv": cv2.__version__}
