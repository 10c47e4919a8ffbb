"""Is the end of a file missing? Decoders do not tell: to them it is a shorter video."""

from __future__ import annotations

import os
from typing import BinaryIO

import av

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067


def what_is_missing(
    path: str, container: av.container.InputContainer, stream: av.VideoStream, packets: int, last_is_damaged: bool
) -> str | None:
    """In words what says that the file is cut off; None where nothing does.

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
    """How many bytes a Matroska or WebM file has by its own account; None where it does not say (live recordings)."""
    with open(path, "rb") as file:
        if _element_id(file) != _EBML:
            return None
        header = _element_size(file)
        if header is None:
            return None
        file.seek(header, os.SEEK_CUR)
        if _element_id(file) != _SEGMENT:
            return None
        segment = _element_size(file)
        return None if segment is None else file.tell() + segment


def _element_id(file: BinaryIO) -> int:
    return int.from_bytes(file.read(4), "big")  # both wanted ones have four bytes


def _element_size(file: BinaryIO) -> int | None:
    """EBML's number of variable length: leading zero bits of the first byte count the bytes that follow."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    bits = 7 * (more + 1)
    value = int.from_bytes(first + file.read(more), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
