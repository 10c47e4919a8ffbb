"""Reading single frames for training: exactly those asked for, each decoded once, never another in its place."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.stream import Discard
from av.video.reformatter import VideoReformatter

from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.video.container import VideoError, header_rate, open_container, video_stream
from tiktokactions.video.cut_off import what_is_missing
from tiktokactions.video.decode import CONTAINERS_WITHOUT_TIMESTAMPS
from tiktokactions.video.frame_index import (
    FrameIndex,
    PacketFacts,
    index_packets,
    kinds_of_pictures,
    says_packed,
    times_from_stamps,
)
from tiktokactions.video.orientation import orientation_of
from tiktokactions.video.pictures import packed_pixels
from tiktokactions.video.timing import SAME_TIME_S
from tiktokactions.video.torchcodec_backend import (
    EXACT_IN,
    TorchcodecError,
    TorchcodecReader,
    begins_anew,
    import_torchcodec,
)

KEPT_BYTES = 64 << 20
"""Packets of files up to this size stay in memory between finding the frames and decoding them; larger files are read
from the disk a second time."""

Backend = Literal["pyav", "torchcodec"]
NumberedFrame = tuple[int, av.VideoFrame]


class UnreadableError(TiktokactionsError, RuntimeError):
    """A clip that cannot be read as it should be. ``str(error)`` begins with its path."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, detail)
        self.path, self.detail = path, detail

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


class _DecodingError(Exception):
    """Decoding did not yield what the index promised. Internal: another way is tried, then ``UnreadableError``."""


class _OrderError(_DecodingError):
    """Frames came out in another order than that of their time stamps. Internal, as its base."""


class ClipReader:
    """The frames of a video file, or of the part ``start_s <= time < end_s`` of it, by their numbers from 0 on.

    Frame ``i`` is the ``i``-th that decoding the whole file would yield, turned upright; pixels keep their stored shape.
    Use as a context manager, in one thread.

    Args:
        path: of the video file.
        start_s, end_s: seconds since the file's first frame; None: the file's beginning, its end.
        backend: ``torchcodec`` decodes with that library where it is exact. Files without time stamps (AVI, raw
            streams), with edit lists, of more than 8 bits, or whose frames only decoding can count, are read with PyAV
            all the same.

    Raises:
        UnreadableError: missing, not a video, cut off, no frame in the part.
        RuntimeError: torchcodec was asked for and cannot be loaded.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        start_s: float | None = None,
        end_s: float | None = None,
        backend: Backend = "pyav",
    ) -> None:
        self.path = os.fspath(path)
        try:
            self._container = open_container(self.path)
        except VideoError as error:
            raise UnreadableError(self.path, str(error)) from error
        except OSError as error:
            raise UnreadableError(self.path, f"cannot be opened: {error.strerror or error}") from error
        try:
            self._stream = self._stream_of(self._container)
            self._codec = self._stream.codec_context
            self._size = (self._codec.width, self._codec.height)
            self._to_rgb = VideoReformatter()
            self._stamped = not set(self._container.format.name.split(",")) & CONTAINERS_WITHOUT_TIMESTAMPS
            self._time_base = self._stream.time_base or Fraction(1, 90000)
            self._rate = header_rate(self._stream)
            self._kept: list[av.Packet] | None = None
            self._facts: list[PacketFacts] = []
            self._index = self._find_frames()
            self._first, self._end = self._part(start_s, end_s)
            self._torchcodec = self._open_torchcodec() if backend == "torchcodec" else None
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._kept = self._torchcodec = None
        self._container.close()

    @property
    def frames(self) -> int:
        """How many frames there are (in the part)."""
        return self._end - self._first

    @property
    def span_s(self) -> tuple[float, float]:
        """When its first frame begins and its last one ends, in seconds since the file's first frame."""
        times_s = self._index.times_s
        return float(times_s[self._first]), float(times_s[self._end - 1] + 1 / self._rate)

    @property
    def times_s(self) -> np.ndarray:
        """(frames,) float64: when each is shown, in seconds of the file."""
        return self._index.times_s[self._first : self._end]

    def read(
        self, indices: Sequence[int] | np.ndarray, each: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> np.ndarray:
        """Frames by number, in any order, repeated or not.

        Args:
            indices: int (n,), at least one.
            each: done to every frame, uint8 (height, width, 3), as it is decoded; to shrink it, for example, so that
                large frames are never held together.

        Returns:
            uint8 (n, height, width, 3), RGB.

        Raises:
            IndexError: a number below 0 or not below ``frames``.
            UnreadableError: one of the frames, or what it is predicted from, is damaged.
        """
        asked = np.asarray(indices, dtype=np.int64)
        if asked.ndim != 1 or not len(asked):
            raise UsageError(f"{self.path}: got indices of shape {asked.shape}, expected a list of at least one")
        if asked.min() < 0 or asked.max() >= self.frames:
            raise IndexError(f"{self.path}: got frames {asked.min()} to {asked.max()}, expected 0 to {self.frames - 1}")
        numbers, places = np.unique(asked + self._first, return_inverse=True)
        place_of = {number: place for place, number in enumerate(numbers.tolist())}
        thwc: np.ndarray | None = None
        for number, picture in self._pictures(numbers):
            picture = picture if each is None else each(picture)
            if thwc is None:
                thwc = np.empty((len(numbers), *picture.shape), np.uint8)
            thwc[place_of[number]] = picture
        assert thwc is not None
        return thwc if np.array_equal(places, np.arange(len(numbers))) else thwc[places]

    def check(self) -> None:
        """Decode every frame (of the part) and keep none.

        Raises:
            UnreadableError: one of them is damaged.
        """
        for _ in self._decode_rising(np.arange(self._first, self._end)):
            pass

    # --- finding frames ----------------------------------------------------------------------------------------------

    def _find_frames(self) -> FrameIndex:
        codec, facts = self._codec.name, self._facts
        packed = codec == "mpeg4" and says_packed(self._codec.extradata or b"")
        kept: list[av.Packet] = []
        size, last_is_damaged = 0, False
        for packet in self._demux(self._container, self._stream):
            pictures = ""
            if codec == "mpeg4":
                data = bytes(packet)
                pictures = kinds_of_pictures(data)
                packed = packed or (not facts and says_packed(data))
            facts.append(PacketFacts(packet.pts, packet.is_keyframe, packet.is_discard, packet.size, pictures))
            size, last_is_damaged = size + packet.size, packet.is_corrupt
            if size <= KEPT_BYTES:
                kept.append(packet)
            else:
                kept.clear()
        missing = what_is_missing(self.path, self._container, self._stream, len(facts), last_is_damaged)
        if missing:
            raise UnreadableError(self.path, f"the end of the file is missing: {missing}")
        self._kept = kept if size <= KEPT_BYTES else None
        found = index_packets(
            facts, codec, stamped=self._stamped, time_base=self._time_base, rate=self._rate, packed=packed
        )
        index = found or self._count_frames()
        if not index.frames:
            raise UnreadableError(self.path, f"no frame in this {codec} stream of {len(facts)} packets")
        return index

    def _count_frames(self) -> FrameIndex:
        """Decode everything, where nothing else tells which frames there are."""
        stamps: list[int | None] = []
        packets = len(self._facts)
        try:
            for frame in self._decode(0, packets, None):
                _check(frame)
                stamps.append(None if frame.pts is None or not self._stamped else self._facts[frame.pts].pts)
        except _DecodingError as error:
            raise UnreadableError(self.path, f"{error}, when its frames were counted") from error
        times_s = times_from_stamps(stamps, self._time_base, self._rate)
        none = np.full(packets, -1, np.int64)
        return FrameIndex(None, none, none[:0], np.zeros(packets, bool), times_s)

    def _open_torchcodec(self) -> TorchcodecReader | None:
        """None where its frames or colours would not be PyAV's: other containers, hidden frames, keyframes that nothing can
        begin with, more than 8 bits, interlaced or mirrored pictures."""
        import_torchcodec()
        is_exact = bool(set(self._container.format.name.split(",")) & EXACT_IN)
        if not is_exact or self._index.packet_of_frame is None or self._index.frames != len(self._facts):
            return None
        if any(part.bits > 8 for part in self._stream.format.components) or not self._begins_anew_at_keyframes():
            return None
        try:
            first = next(self._decode(0, len(self._facts), None))
            if first.interlaced_frame or first.rotation % 90 or orientation_of(first).mirrored:
                return None
        except (_DecodingError, StopIteration):
            return None  # a damaged file, which PyAV tells of when it is read
        try:
            found = TorchcodecReader(self.path, self._stream.index)
        except TorchcodecError as error:
            raise UnreadableError(self.path, str(error)) from error
        return found if found.count == self._index.frames else None

    def _begins_anew_at_keyframes(self) -> bool:
        codec, header = self._codec.name, bytes(self._codec.extradata or b"")
        packets = zip(self._facts, self._feed(0, len(self._facts)), strict=False)
        return all(begins_anew(codec, header, bytes(packet)) for facts, packet in packets if facts.is_keyframe)

    def _part(self, start_s: float | None, end_s: float | None) -> tuple[int, int]:
        times_s = self._index.times_s
        first = 0 if start_s is None else int(np.searchsorted(times_s, start_s - SAME_TIME_S))
        end = len(times_s) if end_s is None else int(np.searchsorted(times_s, end_s - SAME_TIME_S))
        if first >= end:
            until = "its end" if end_s is None else f"{end_s:g} s"
            raise UnreadableError(
                self.path,
                f"no frame from {start_s or 0:g} s to {until}: the last of {len(times_s)} is at {times_s[-1]:.3f} s",
            )
        return first, end

    # --- decoding ----------------------------------------------------------------------------------------------------

    def _pictures(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Rising numbers and their frames, upright, uint8 RGB (height, width, 3)."""
        if self._torchcodec is None:
            for number, frame in self._decode_rising(numbers):
                rgb = self._to_rgb.reformat(frame, *self._size, "rgb24", threads=1)
                yield number, orientation_of(frame).of_pixels(packed_pixels(rgb))
            return
        try:
            yield from self._torchcodec.frames(numbers)
        except TorchcodecError as error:
            raise UnreadableError(self.path, str(error)) from error

    def _decode_rising(self, numbers: np.ndarray) -> Iterator[NumberedFrame]:
        """Frames of the file by rising numbers. What seeking does not find is looked for from the file's beginning on:
        then those found before come once more."""
        try:
            if self._index.packet_of_frame is not None:
                runs = self._index.runs(numbers)
                try:
                    return (yield from self._wanted(self._sought(runs, set(numbers.tolist())), numbers))
                except _DecodingError:
                    whole = (0, max(end for _, end in runs))
                try:
                    return (yield from self._wanted(self._sought([whole], None), numbers))
                except _OrderError:
                    # Broken time stamps: the order in which frames come out is the one that counts.
                    self._index = self._count_frames()
            counted = itertools.islice(self._decode(0, len(self._facts), None), int(numbers[-1]) + 1)
            yield from self._wanted(enumerate(counted), numbers)
        except _DecodingError as error:
            raise UnreadableError(self.path, str(error)) from error

    def _wanted(self, found: Iterator[NumberedFrame], numbers: np.ndarray) -> Iterator[NumberedFrame]:
        missing = set(numbers.tolist())
        for number, frame in found:
            _check(frame, number)
            if number in missing:
                missing.remove(number)
                yield number, frame
        if missing:
            raise _DecodingError(f"frame {min(missing)} of {self._index.frames} was not decoded")

    def _sought(self, runs: Sequence[tuple[int, int]], wanted: set[int] | None) -> Iterator[NumberedFrame]:
        """Number and frame of what is decoded from each run of packets ``[first, end)``; None: leave nothing out."""
        number_of = self._index.frame_of_packet
        for first, end in runs:
            if first > 0 and self._codec.name == "mpeg4":
                for _ in self._decode(0, 1, None):
                    pass  # headers that later keyframes rely on stand in the first packet
            last = number_of[first] - 1
            for frame in self._decode(first, end, wanted):
                number = -1 if frame.pts is None else int(number_of[frame.pts])
                if number < number_of[first]:
                    continue  # shown before the keyframe, predicted from what was not decoded
                if number <= last:
                    raise _OrderError(f"frame {number} came after frame {last}")
                last = number
                yield number, frame

    def _decode(self, first: int, end: int, wanted: set[int] | None) -> Iterator[av.VideoFrame]:
        """The frames of the packets ``[first, end)``; ``pts`` of a frame is the number of its packet.

        With ``wanted`` the decoder leaves out other frames, where none that follow are predicted from them.
        """
        codec, index = self._codec, self._index if wanted is not None else None
        codec.flush_buffers()
        codec.skip_frame = "DEFAULT"
        skips = False
        for number, packet in enumerate(self._feed(first, end), start=first):
            packet.pts = number
            if index is not None and wanted is not None:
                skip = bool(index.is_droppable[number]) and index.frame_of_packet[number] not in wanted
                if skip != skips:
                    codec.skip_frame, skips = "NONREF" if skip else "DEFAULT", skip
            try:
                yield from codec.decode(packet)
            except av.error.FFmpegError as error:
                raise _DecodingError(f"packet {number} of {len(self._facts)} is damaged ({error.strerror})") from error
        try:
            yield from codec.decode(None)
        except av.error.FFmpegError as error:
            raise _DecodingError(f"the frames up to packet {end} are damaged ({error.strerror})") from error

    def _feed(self, first: int, end: int) -> Iterator[av.Packet]:
        if self._kept is not None:
            yield from self._kept[first:end]
            return
        with open_container(self.path) as container:
            for number, packet in enumerate(self._demux(container, self._stream_of(container))):
                if number >= end:
                    return
                if number >= first:
                    yield packet

    def _demux(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        try:
            yield from (packet for packet in container.demux(stream) if packet.size)
        except (av.error.FFmpegError, OSError) as error:
            raise UnreadableError(self.path, f"the file is damaged: {error.strerror or error}") from error

    def _stream_of(self, container: av.container.InputContainer) -> av.VideoStream:
        try:
            return video_stream(container)
        except VideoError as error:
            raise UnreadableError(self.path, str(error)) from error


def _check(frame: av.VideoFrame, number: int | None = None) -> None:
    if frame.is_corrupt:
        raise _DecodingError("a frame is damaged" if number is None else f"frame {number} is damaged")
