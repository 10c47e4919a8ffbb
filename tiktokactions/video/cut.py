"""Cutting: encodes the frames of an interval as a clip for training, and looks through a clip."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from tiktokactions.machine import NO_SPACE
from tiktokactions.records import Probe
from tiktokactions.video.colour import Colour
from tiktokactions.video.container import VideoError, open_container
from tiktokactions.video.decode import VideoFile
from tiktokactions.video.pictures import fit_size, to_frame


@dataclass(frozen=True)
class ClipSettings:
    """How clips are encoded: H.264 yuv420p, no B-frames, a keyframe at least every 16 frames, so that reading any 16
    frames for training decodes at most 31; CAVLC, which is a tenth larger than CABAC and decodes in two thirds the time."""

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
    if seeking finds another number, the video is read from its start instead.

    Raises:
        VideoError: ``clip_failed`` where the frames cannot be found or encoded.
    """
    # Frames that are evenly spaced on the whole need not be so here: the last one may be held.
    tolerance_s = max(1 / float(probe.frame_rate), 0.002 * (end_s - start_s))
    fits = expected is None or abs(expected / float(probe.frame_rate) - (end_s - start_s)) <= tolerance_s
    evenly = settings.fps in (None, probe.frame_rate) and not probe.variable_frame_rate and fits
    for seek in (not probe.timestamps_repaired, False):
        with VideoFile(path) as video:
            found, clip = _encode(video, target, start_s, end_s, probe, settings, seek, evenly)
        if found and (expected is None or found == expected):
            return clip
    got = f"{found} frames between {start_s:.3f} s and {end_s:.3f} s"
    raise VideoError("clip_failed", f"{got}, expected {expected or 'some'}")


def _encode(
    video: VideoFile,
    target: Path,
    start_s: float,
    end_s: float,
    probe: Probe,
    settings: ClipSettings,
    seek: bool,
    evenly: bool,
) -> tuple[int, CutClip]:
    rate = settings.fps or probe.frame_rate
    frames = video.frames_between(start_s, end_s, seek=seek)
    first = next(frames, None)
    if first is None:
        return 0, CutClip(0, rate, 0, 0)
    width, height = fit_size(*first.shape.size, short_side=settings.short_side)
    found = written = 0
    try:
        with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            stream = _video_output(output, first.shape.colour, rate, width, height, settings.crf)
            # Streams have to be declared before the first packet is written.
            has_sound = settings.audio and probe.has_audio
            sound = output.add_stream("aac", rate=48000, layout="stereo") if has_sound else None

            def counted() -> Iterator[tuple[float, np.ndarray]]:
                nonlocal found
                for frame in itertools.chain([first], frames):
                    found += 1
                    yield frame.time_s, frame.upright(width, height)

            for picture in (p for _, p in counted()) if evenly else _resampled(counted(), start_s, end_s, rate):
                frame = to_frame(picture)
                frame.pts, frame.time_base = written, 1 / rate
                output.mux(stream.encode(frame))
                written += 1
            output.mux(stream.encode(None))
            if sound is not None:
                _copy_sound(output, sound, video.path, start_s + probe.start_s, end_s + probe.start_s)
    except av.error.FFmpegError as error:
        if error.errno in NO_SPACE:
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
        raise VideoError("clip_failed", f"the encoder refused: {error}") from error
    return found, CutClip(written, rate, width, height)


def _resampled(
    frames: Iterator[tuple[float, np.ndarray]], start_s: float, end_s: float, rate: Fraction
) -> Iterator[np.ndarray]:
    """At each output time the frame that is on screen then, give or take half an output frame; the first one from the
    start on."""
    shown = next(frames)[1]
    total = max(1, round((end_s - start_s) * float(rate)))
    number = 0
    for time_s, following in frames:
        while number < total and start_s + (number + 0.5) / rate < time_s:
            yield shown
            number += 1
        shown = following
    yield from itertools.repeat(shown, total - number)


def _video_output(
    output: av.container.OutputContainer, colour: Colour, rate: Fraction, width: int, height: int, crf: int
) -> av.VideoStream:
    options = {"preset": PRESET, "crf": str(crf), "g": str(KEYFRAME_INTERVAL), "bf": "0", "coder": "cavlc"}
    stream = output.add_stream("libx264", rate=rate, options=options | {"threads": "1"})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    codec = stream.codec_context
    codec.time_base = 1 / rate
    codec.color_range = ColorRange.MPEG  # limited; shrink() has converted full-range sources
    codec.colorspace, codec.color_primaries, codec.color_trc = colour.matrix, colour.primaries, colour.transfer
    return stream


def _copy_sound(
    output: av.container.OutputContainer, sound: av.AudioStream, path: str, start_s: float, end_s: float
) -> None:
    """The sound between two times of the container's clock, re-encoded as AAC; it begins with the clip's first frame."""
    with open_container(path) as source:
        audio = source.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48000)
        first, last = round(start_s * 48000), round(end_s * 48000)
        source.seek(max(0, int((start_s - 1) * av.time_base)))
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
                        output.mux(sound.encode(piece))
                        written += cut.shape[1]
            if started and position >= last:
                break
        output.mux(sound.encode(None))


def look_through(path: Path, show: Sequence[int] = (), long_side: int = 640) -> tuple[int, list[np.ndarray]]:
    """Decode a clip from end to end: how many frames it has, and those in ``show`` as BGR, shrunk to ``long_side``.

    Where none is to be seen the deblocking filter is skipped: it cannot fail.

    Raises:
        VideoError: the file does not open or a frame is damaged.
    """
    frames, pictures = 0, list[np.ndarray]()
    with VideoFile(path, skip_loop_filter="default" if show else "all") as video:
        for frame in video.frames():
            if frames in show:
                pictures.append(frame.bgr(*fit_size(*frame.shape.size, long_side=long_side)))
            frames += 1
        if video.corrupt_frames:
            raise VideoError("corrupt", f"{video.corrupt_frames} damaged frames in {path}")
    return frames, pictures


@functools.cache
def library_versions() -> dict[str, str]:
    return {"av": av.__version__, "ffmpeg": str(av.ffmpeg_version_info), "opencv": cv2.__version__}
