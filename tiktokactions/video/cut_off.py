"""Finds out whether the end of a file is missing. Decoders do not say: to them it is a shorter video."""

from __future__ import annotations

import os
from typing import BinaryIO

import av

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def what_is_missing(
    path: str, container: av.container.InputContainer, stream: av.VideoStream, packets: int, last_is_damaged: bool
) -> str | None:
    """The sign that the file is cut off, in words; None if there is none.

    Args:
        path: of the file.
        container: the same file, opened.
        stream: the one whose packets were counted.
        packets: found in it.
        last_is_damaged: whether the last of them ended too early.
    """
    if last_is_damaged:
        return f"it ends within packet {packets} of its video"
    kind = container.format.name
    if "mp4" in kind and packets < len(stream.index_entries):
        return f"{packets} of {len(stream.index_entries)} packets are there"
    if "matroska" in kind:
        size = os.path.getsize(path)
        expected = matroska_size(path)
        if expected is not None and size < expected:
            return f"{size:,} of {expected:,} bytes are there"
    return None


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
