"""Videos made for tests: frames that carry their own number, and a writer for the ways in which real files differ.

Everything here is upright and square-pixelled as a viewer sees it; ``write_video`` turns it into what the file stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

ROWS, COLUMNS = 2, 10
NUMBER_BITS = 16  # the other 4 of the 20 cells are a checksum
BAND = (3 / 8, 5 / 8)  # the bar code fills the whole width between these fractions of the height
BACKGROUNDS = ((200, 60, 40), (30, 60, 190), (225, 215, 90), (20, 110, 60), (205, 205, 205))
AUDIO_RATE = 48_000


def numbered_frames(n: int, width: int, height: int, first: int = 0, cuts: Sequence[int] = ()) -> Iterator[np.ndarray]:
    """``n`` frames, RGB uint8 (height, width, 3), each showing its number, from ``first`` on, as a bar code.

    ``cuts`` are positions in ``range(n)`` at which the background changes so much that scene detectors see a cut there
    and nowhere else (consecutive numbers differ in few bars).
    """
    for index in range(n):
        scene = sum(cut <= index for cut in cuts)
        frame = np.empty((height, width, 3), np.uint8)
        frame[:] = BACKGROUNDS[scene % len(BACKGROUNDS)]
        for cell, is_white in zip(_cells(width, height), _bits(first + index), strict=True):
            frame[cell] = 255 if is_white else 0
        yield frame


def read_number(frame_rgb: np.ndarray) -> int:
    """The number in a frame (height, width, 3): scaled, stretched and compressed is fine, turned or mirrored is not.

    Raises:
        ValueError: no bar code, or one whose checksum is wrong.
    """
    height, width = frame_rgb.shape[:2]
    means = np.array([_middle(frame_rgb[cell]).mean() for cell in _cells(width, height)])
    if means.max() - means.min() < 100:
        raise ValueError(f"no bar code in this {width}x{height} frame: cells {means.min():.0f} to {means.max():.0f}")
    bits = means > (means.max() + means.min()) / 2
    gray = sum(int(bit) << place for place, bit in enumerate(bits[:NUMBER_BITS]))
    number = 0
    while gray:
        number, gray = number ^ gray, gray >> 1
    if list(bits) != _bits(number):
        raise ValueError(f"bar code reads {number} with a wrong checksum: turned, mirrored, or not a numbered frame")
    return number


def read_numbers(path: Path) -> list[int]:
    """The numbers of all frames of a file in display order, turned upright as its metadata says."""
    with av.open(str(path)) as container:
        return [
            read_number(np.rot90(frame.to_ndarray(format="rgb24"), k=frame.rotation // 90 % 4))
            for frame in container.decode(video=0)
        ]


def write_video(
    path: Path,
    frames: Iterator[np.ndarray] | Sequence[np.ndarray],
    *,
    fps: float | Fraction = 30,
    times_s: Sequence[float] | None = None,
    start_s: float = 0.0,
    rotation: int = 0,
    sample_aspect_ratio: Fraction = Fraction(1),
    codec: str = "libx264",
    crf: int = 18,
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    audio: bool = False,
) -> Path:
    """Encode upright square-pixelled RGB frames into a file whose type follows from its name.

    Args:
        path: where to; missing folders are made.
        frames: at least one, all of one size.
        fps: nominal frame rate, exact as a fraction.
        times_s: one time stamp per frame (variable frame rate), counted from ``start_s``; None: ``1 / fps`` apart.
        start_s: time stamp of the first frame.
        rotation: degrees clockwise (0, 90, 180, 270) that a player must turn the stored picture to show it upright.
        sample_aspect_ratio: width of a stored pixel by its height; the frames are squeezed in width accordingly.
        codec: FFmpeg's name of the encoder.
        crf: quality (x264 and x265 only), lower is better.
        b_frames: most B-frames in a row (x264 only).
        options: further options of the encoder.
        pixel_format: FFmpeg's name of how pixels are stored.
        audio: add a 440 Hz tone (AAC).
    """
    rate = Fraction(fps).limit_denominator(100_000)
    clock = 1 / rate if times_s is None and start_s == 0 else Fraction(1, 90_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: av.VideoStream | None = None
        end_s = 0.0
        for index, upright in enumerate(frames):
            stored = _as_stored(upright, rotation, sample_aspect_ratio)
            if stream is None:
                settings = _encoder_options(codec, crf, b_frames, options)
                stream = cast(av.VideoStream, container.add_stream(codec, rate=rate, options=settings))
                stream.width, stream.height, stream.pix_fmt = stored.shape[1], stored.shape[0], pixel_format
                stream.codec_context.time_base = clock
                stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
                stream.codec_context.thread_count = 1
                if rotation:
                    stream.set_display_rotation(-rotation % 360)
                tone = container.add_stream("aac", rate=AUDIO_RATE, layout="mono") if audio else None
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            time_s = float(index / rate) if times_s is None else times_s[index]
            frame.pts, frame.time_base = round((start_s + time_s) / clock), clock
            container.mux(stream.encode(frame))
            end_s = time_s + float(1 / rate)
        if stream is None:
            raise ValueError(f"{path}: no frames to write")
        container.mux(stream.encode(None))
        if tone is not None:
            for sound in _tone(end_s, start_s):
                container.mux(tone.encode(sound))
            container.mux(tone.encode(None))
    return path


def video_stream(
    out: av.container.OutputContainer,
    codec: str,
    rate: int,
    size: tuple[int, int],
    pixels: str = "yuv420p",
    **options: str,
) -> av.VideoStream:
    """A new stream of a file that is written packet by packet; ``size``: width and height."""
    stream = cast(av.VideoStream, out.add_stream(codec, rate=rate, options=options))
    stream.width, stream.height, stream.pix_fmt = *size, pixels
    return stream


def _as_stored(upright: np.ndarray, rotation: int, sample_aspect_ratio: Fraction) -> np.ndarray:
    stored = np.ascontiguousarray(np.rot90(upright, k=rotation // 90))
    if sample_aspect_ratio == 1:
        return stored
    height, width = stored.shape[:2]
    narrow = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(
        width=round(width / sample_aspect_ratio / 2) * 2, height=height, interpolation="AREA"
    )
    return narrow.to_ndarray()


def _encoder_options(codec: str, crf: int, b_frames: int, options: dict[str, str] | None) -> dict[str, str]:
    ours = {"libx264": {"preset": "ultrafast", "crf": str(crf), "bf": str(b_frames)}, "libx265": {"crf": str(crf)}}
    return ours.get(codec, {}) | (options or {})


def _tone(duration_s: float, start_s: float) -> Iterator[av.AudioFrame]:
    samples = round(duration_s * AUDIO_RATE)
    wave = (0.2 * np.sin(2 * np.pi * 440 * np.arange(samples) / AUDIO_RATE)).astype(np.float32)
    for begin in range(0, samples, 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)
        frame.pts = begin + round(start_s * AUDIO_RATE)
        yield frame


def _bits(number: int) -> list[bool]:
    """Gray code of the number, lowest place first (neighbours differ in one bar), then a checksum of four bits."""
    if not 0 <= number < 1 << NUMBER_BITS:
        raise ValueError(f"{number}: a bar code holds 0 to {(1 << NUMBER_BITS) - 1}")
    gray = number ^ number >> 1
    checksum = (number * 7 + number // 16 * 3 + number // 256 * 5 + number // 4096 * 11 + 5) % 16
    return [bool((gray | checksum << NUMBER_BITS) >> place & 1) for place in range(ROWS * COLUMNS)]


def _cells(width: int, height: int) -> Iterator[tuple[slice, slice]]:
    top, bottom = (fraction * height for fraction in BAND)
    rows = np.rint(np.linspace(top, bottom, ROWS + 1)).astype(int)
    columns = np.rint(np.linspace(0, width, COLUMNS + 1)).astype(int)
    for row in range(ROWS):
        for column in range(COLUMNS):
            yield slice(rows[row], rows[row + 1]), slice(columns[column], columns[column + 1])


def _middle(cell: np.ndarray) -> np.ndarray:
    height, width = cell.shape[:2]
    return cell[height // 4 : max(height - height // 4, 1), width // 4 : max(width - width // 4, 1)]
