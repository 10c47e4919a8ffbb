"""Decoding with torchcodec, where a person asks for it; imported only then."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from tiktokactions.errors import TiktokactionsError

EXACT_IN = {"mov", "mp4", "matroska", "webm"}
"""FFmpeg's names of the containers in which it finds every frame; in MPEG-TS it runs out of them."""


def begins_anew(codec: str, header: bytes, packet: bytes) -> bool:
    """Whether nothing after a keyframe is predicted from frames before it.

    torchcodec begins at keyframes whatever they are. H.264 and HEVC have kinds that a decoder needs some frames to recover
    from (open groups of pictures, intra refresh); pictures of its other codecs have not.
    """
    if codec not in ("h264", "hevc"):
        return True
    length_at = 4 if codec == "h264" else 21
    if len(header) <= length_at or header[0] != 1:
        return False  # no lengths in front of the units, as in streams cut out of MPEG-TS
    length = (header[length_at] & 3) + 1
    kinds, at = set(), 0
    while at + length < len(packet):
        first = packet[at + length]
        kinds.add(first & 31 if codec == "h264" else first >> 1 & 63)
        at += length + int.from_bytes(packet[at : at + length])
    return bool(kinds & ({5} if codec == "h264" else {19, 20}))


class DecoderError(TiktokactionsError, RuntimeError):
    """The decoder that was chosen is not installed or cannot be loaded; the message says what to do."""


class TorchcodecError(Exception):
    """An error of torchcodec. Internal: the reader falls back on PyAV or raises an ``UnreadableError``."""


class TorchcodecReader:
    """The frames of a video stream, numbered as they are shown. It turns them upright by itself.

    Raises:
        DecoderError: torchcodec is not installed, or cannot be loaded.
        TorchcodecError: it cannot open the file.
    """

    def __init__(self, path: str, stream: int) -> None:
        decoders = import_torchcodec()
        try:
            # Approximate seeking guesses frames from the average rate; one thread, as for every decoder here.
            self._decoder = decoders.VideoDecoder(
                path, stream_index=stream, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
            )
        except (RuntimeError, ValueError) as error:
            raise TorchcodecError(f"torchcodec cannot open it: {error}") from error
        self.count: int = self._decoder.metadata.num_frames

    def frames(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Number and frame, uint8 RGB (height, width, 3).

        Raises:
            TorchcodecError: one of them cannot be decoded.
        """
        try:
            pictures = self._decoder.get_frames_at(indices=numbers.tolist()).data.numpy()
        except (RuntimeError, IndexError) as error:
            raise TorchcodecError(f"torchcodec cannot decode it: {error}") from error
        yield from zip(numbers.tolist(), pictures, strict=True)


def import_torchcodec() -> ModuleType:
    """``torchcodec.decoders``; raises ``DecoderError`` with what to do where that fails."""
    try:
        return importlib.import_module("torchcodec.decoders")
    except ModuleNotFoundError as error:
        raise DecoderError(
            "`decoder` torchcodec: torchcodec is not installed: pip install torchcodec, or use the `decoder` pyav"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DecoderError(
            f"`decoder` torchcodec: torchcodec is installed but cannot be loaded ({reason}): it needs FFmpeg's shared"
            " libraries and the torch it was built for; or use the `decoder` pyav"
        ) from error
