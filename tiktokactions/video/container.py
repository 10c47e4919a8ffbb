"""Opening a file, and choosing the one stream of it that is the video."""

from __future__ import annotations

from fractions import Fraction

import av
from av.stream import Disposition

from tiktokactions.errors import TiktokactionsError
from tiktokactions.records import Probe

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,live_flv,asf,ogg,gif,apng,webp_pipe,mjpeg,rm,dv,mxf,wtv,"
    "h264,hevc,m4v,mpegvideo,vc1,ivf,obu,nut,yuv4mpegpipe,swf,vob,amv,av1,jpeg_pipe,png_pipe,bmp_pipe,tiff_pipe,image2"
)
"""Demuxers that may open a file. Left out on purpose: playlists (hls, concat, dash), which open other files and
addresses, and ``tty``, which reads any text as a film."""

SOUND = {b"ID3": 0, b"fLaC": 0, b"#!AMR": 0, b"WAVE": 8, b"AIFF": 8, b"caff": 0}
"""How files of sound alone begin, and at which byte. (FFmpeg's own guess takes noise for MP3.)"""

FASTEST_RATE = 240
"""Frames per second: nobody records faster, so a higher rate says how finely a container counts."""

NEVER_THE_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
THUMBNAILS_SLOWER = 10
"""A smaller picture with this many times fewer frames a second than a larger one beside it is its timed thumbnails, of
which an MP4 file does not say so."""


class VideoError(TiktokactionsError):
    """A video that cannot be used. ``reason`` is one of ``records.FAILURES``; ``probe`` is there where it was decoded."""

    def __init__(self, reason: str, detail: str, probe: Probe | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.probe = reason, detail, probe


def open_container(path: str) -> av.container.InputContainer:
    """Raises:
    VideoError: ``not_a_video``, ``truncated``, ``no_video_stream``, ``unsupported``.
    OSError: the file cannot be opened at all (missing, no permission).
    """
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
        is_mpeg_sound = len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 in (0xF0, 0xF2)  # AAC, MP3 without a tag
        if is_mpeg_sound or any(head[at:].startswith(mark) for mark, at in SOUND.items()):
            raise VideoError("no_video_stream", "a sound file") from error
        # Without the path, which the record holds separately: reasons are published, paths are not.
        told = getattr(error, "strerror", None) or str(error).split(";")[0]
        raise VideoError("not_a_video", told) from error


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The stream marked as default, else the one with the largest picture, else with the most of them (an animated AVIF has
    a still beside it); never cover art or timed thumbnails.

    Raises:
        VideoError: ``no_video_stream``, or ``unsupported`` where FFmpeg has no decoder for it.
    """
    streams = [s for s in container.streams.video if not s.disposition & NEVER_THE_VIDEO]
    if not streams:
        raise VideoError("no_video_stream", f"{len(container.streams.audio)} audio streams and no video")
    decodable = [s for s in streams if s.codec_context is not None]
    if not decodable:
        raise VideoError("unsupported", "no decoder for this kind of video")
    stream = max(
        (s for s in decodable if not any(_is_thumbnails_of(s, other) for other in decodable)),
        key=lambda s: (_pixels(s) > 0, bool(s.disposition & Disposition.default), _pixels(s), s.frames),
    )
    if not _pixels(stream):
        if is_animated_webp(container.name.removeprefix("file:")):
            raise VideoError("unsupported", "an animated WebP, which FFmpeg does not read: convert it to GIF or MP4")
        raise VideoError("no_video_stream", f"the {stream.codec_context.name} stream has no picture size")
    stream.thread_type = "NONE"  # one thread per video: cores are better used by one worker each (measured)
    stream.codec_context.thread_count = 1
    return stream


def is_animated_webp(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(21)
    return head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def _pixels(stream: av.VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height


def _is_thumbnails_of(stream: av.VideoStream, other: av.VideoStream) -> bool:
    rate, faster = stream.average_rate, other.average_rate
    return _pixels(stream) < _pixels(other) and bool(rate and faster and rate * THUMBNAILS_SLOWER <= faster)


def header_rate(stream: av.VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and Fraction(1, 10) <= rate <= FASTEST_RATE:
            return Fraction(rate)
    return Fraction(25)
