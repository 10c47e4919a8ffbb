"""Finds out whether the end of a file is missing. Decoders do not say: to them it is a shorter video."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import BinaryIO

import av

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def what_is_missing(
    path: str,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    packets: int,
    last_is_damaged: bool,
    ends_early: bool = True,
) -> str | None:
    """The sign that the file is cut off, in words; None if there is none.

    Args:
        path: of the file.
        container: the same file, opened.
        stream: the one whose packets were counted.
        packets: found in it.
        last_is_damaged: whether the last of them ended too early.
        ends_early: whether they end before the video should, or nobody knows when it should.
    """
    if last_is_damaged:
        return f"it ends within packet {packets} of its video"
    kind = container.format.name
    if "mp4" in kind and packets < len(stream.index_entries):
        return f"{packets} of {len(stream.index_entries)} packets are there"
    if not ends_early:
        return None
    expected = matroska_size(path) if "matroska" in kind else avi_size(path) if kind == "avi" else None
    size = os.path.getsize(path)
    if expected is not None and size < expected:
        return f"{size:,} of {expected:,} bytes are there"
    return None


def end_of_track_s(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """When the last frame leaves the screen in the container's clock, as the file says of this very stream; None if it
    does not. The container's duration may be that of the sound or of a subtitle."""
    kind = container.format.name
    base = stream.time_base or Fraction(0)
    if ("mp4" in kind or kind == "avi") and stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * base)
    if "matroska" in kind and container.duration:
        whole_s = container.duration / av.time_base
        hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
        minutes, _, seconds = rest.partition(":")
        try:
            return min(int(hours) * 3600 + int(minutes) * 60 + float(seconds), whole_s)
        except ValueError:
            return whole_s if len(container.streams) == 1 else None
    return None


def avi_size(path: str) -> int | None:
    """The size in bytes that an AVI file states, over all its parts; None if it does not (a recording that was stopped)."""
    size, end = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while end < size:
            file.seek(end)
            head = file.read(8)
            length = int.from_bytes(head[4:], "little")
            if head[:4] != b"RIFF" or not length:
                break
            end += 8 + length + length % 2
    return end or None


def matroska_size(path: str) -> int | None:
    """The size in bytes that a Matroska or WebM file states; None if it does not (live recordings)."""
    with open(path, "rb") as file:
        size = 0
        for element in (_EBML, _SEGMENT):
            file.seek(size, os.SEEK_CUR)
            if file.read(4) != element or (told := _element_size(file)) is None:
                return None
            size = told
        return file.tell() + size


def _element_size(file: BinaryIO) -> int | None:
    """EBML's number of variable length: leading zero bits of the first byte count the bytes that follow."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    bits = 7 * (more + 1)
    value = int.from_bytes(first + file.read(more), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
