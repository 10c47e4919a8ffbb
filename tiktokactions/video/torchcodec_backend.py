"""Decoding with torchcodec, where a person asks for it; imported only then."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np


class TorchcodecError(Exception):
    """What torchcodec said of a file."""


class TorchcodecReader:
    """The frames of a video stream, numbered as they are shown. It turns them upright by itself.

    Raises:
        RuntimeError: torchcodec is not installed, or cannot be loaded.
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


def import_torchcodec() -> Any:
    """``torchcodec.decoders``; raises ``RuntimeError`` with what to do where that fails."""
    try:
        return importlib.import_module("torchcodec.decoders")
    except ModuleNotFoundError as error:
        raise RuntimeError("torchcodec is not installed: pip install torchcodec, or use --decoder pyav") from error
    except (ImportError, OSError, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RuntimeError(
            f"torchcodec is installed but cannot be loaded ({reason}): it needs FFmpeg's shared libraries and the torch it"
            " was built for; or use --decoder pyav"
        ) from error
