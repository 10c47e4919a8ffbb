"""Finds out which packet of a file holds which frame, without decoding where possible.

A packet is numbered by its place in the file, a frame by its place on the screen; B-frames make the two differ. Frame
``i`` is the ``i``-th frame that decoding the file from its first packet to its last would yield.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

INTRA_ONLY = {"mjpeg", "png", "huffyuv", "ffvhuff", "rawvideo", "prores", "dnxhd", "dvvideo"}
"""Every packet is a keyframe and gives one frame, so the order in the file is the order on the screen."""

ONE_FRAME_A_PACKET = INTRA_ONLY | {"h264", "hevc", "vp9", "av1", "libdav1d", "libaom-av1", "gif"}
"""Every packet of a sound file shows one frame at its time stamp. (Packets of VP8 may hold frames that are never shown.)"""

SKIPS_EXACTLY = {"h264", "mpeg4"}
"""For these codecs FFmpeg can leave out frames that no other frame needs, and all others stay the same to the bit. HEVC's
mark for such frames is valid only within a temporal layer; VP9 and AV1 adapt with every frame."""

LONGEST_EMPTY_VOP = 19
"""Bytes: an MPEG-4 picture up to this size may say "nothing coded here", and no frame comes out (FFmpeg's bound)."""

_VOP = re.compile(rb"\x00\x00\x01\xb6(.)", re.DOTALL)
_PACKED = re.compile(rb"DivX\d+(?:Build|b)\d+p")


class PacketFacts(NamedTuple):
    """What is kept of a packet that is not decoded."""

    pts: int | None
    is_keyframe: bool
    is_discarded: bool
    """Decoded, but not shown: in front of where an edit list begins."""
    size: int
    pictures: str = ""
    """MPEG-4 only: the kinds of the coded pictures inside, such as ``P`` or ``PB``."""


@dataclass(frozen=True)
class FrameIndex:
    """Where the frames of a file are. Arrays over frames are in display order, arrays over packets in file order."""

    packet_of_frame: np.ndarray | None
    """int64 (frames,); None if frames can only be counted: then decode from the first packet and count."""
    frame_of_packet: np.ndarray
    """int64 (packets,); -1 where a packet shows nothing."""
    starts: np.ndarray
    """int64: packets at which decoding may begin, rising."""
    is_droppable: np.ndarray
    """bool (packets,): FFmpeg may leave out the packet's frame if nobody asked for it."""
    times_s: np.ndarray
    """float64 (frames,): seconds since the first frame."""

    @property
    def frames(self) -> int:
        return len(self.times_s)

    def runs(self, frames: np.ndarray) -> list[tuple[int, int]]:
        """The packets ``[first, end)`` to decode, one run after the other, for the given rising frame numbers."""
        assert self.packet_of_frame is not None
        runs: list[tuple[int, int]] = []
        for frame in frames.tolist():
            packet = int(self.packet_of_frame[frame])
            start = self._start_for(packet, frame)
            if runs and start < runs[-1][1]:
                runs[-1] = (runs[-1][0], max(runs[-1][1], packet + 1))
            else:
                runs.append((start, packet + 1))
        return runs

    def _start_for(self, packet: int, frame: int) -> int:
        for start in self.starts[: np.searchsorted(self.starts, packet, side="right")][::-1]:
            # Frames that follow a keyframe in the file but are shown before it may need earlier packets.
            if self.frame_of_packet[start] <= frame:
                return int(start)
        return 0


def kinds_of_pictures(data: bytes) -> str:
    """The coded pictures of an MPEG-4 packet by their first letters: I, P, B or S (global motion)."""
    return "".join("IPBS"[match[1][0] >> 6] for match in _VOP.finditer(data))


def says_packed(data: bytes) -> bool:
    """Whether MPEG-4 headers announce two pictures in one packet ("packed bitstream": DivX, XviD)."""
    return _PACKED.search(data) is not None


def index_packets(
    packets: Sequence[PacketFacts],
    codec: str,
    *,
    stamped: bool,
    time_base: Fraction,
    rate: Fraction,
    packed: bool = False,
) -> FrameIndex | None:
    """The index of a file, or None where only decoding can tell.

    Args:
        packets: of the video stream, in the file's order, empty ones left out.
        codec: FFmpeg's name of the decoder.
        stamped: whether the container carries presentation times.
        time_base: seconds of a tick of these.
        rate: frames per second, for times where there are none.
        packed: see :func:`says_packed`.
    """
    if not packets:
        return None
    order: np.ndarray | None
    droppable = np.full(len(packets), codec in SKIPS_EXACTLY)
    if codec == "mpeg4":
        order, droppable = _order_of_mpeg4(packets, packed)
    elif stamped:
        order = _order_by_stamps(packets) if codec in ONE_FRAME_A_PACKET else None
    else:
        order = np.arange(len(packets)) if codec in INTRA_ONLY else None
    if order is None or not len(order):
        return None
    frame_of_packet = np.full(len(packets), -1, np.int64)
    frame_of_packet[order] = np.arange(len(order))
    starts = [n for n, p in enumerate(packets) if p.is_keyframe and (n == 0 or frame_of_packet[n] >= 0)]
    times_s = times_from_stamps([packets[n].pts if stamped else None for n in order.tolist()], time_base, rate)
    return FrameIndex(order, frame_of_packet, np.array(starts, np.int64), droppable, times_s)


def times_from_stamps(pts: Sequence[int | None], time_base: Fraction, rate: Fraction) -> np.ndarray:
    """Seconds since the first of the frames, by counting where stamps are missing or run backwards; float64 (frames,)."""
    if None not in pts:
        stamps = np.array(pts, np.float64)
        if (np.diff(stamps) > 0).all():
            return (stamps - stamps[:1]) * (time_base.numerator / time_base.denominator)
    return np.arange(len(pts)) / float(rate)


def _order_by_stamps(packets: Sequence[PacketFacts]) -> np.ndarray | None:
    stamps = [p.pts for p in packets if p.pts is not None]
    if len(set(stamps)) < len(packets):
        return None
    # Pictures before the first keyframe, in the file or on the screen, have nothing to be predicted from: some decoders
    # show them, some do not.
    if not packets[0].is_keyframe or stamps[0] != min(stamps):
        return None
    return np.array([n for n in np.argsort(stamps).tolist() if not packets[n].is_discarded], np.int64)


def _order_of_mpeg4(packets: Sequence[PacketFacts], packed: bool) -> tuple[np.ndarray | None, np.ndarray]:
    """Follow FFmpeg's decoder through the packets: which picture each of them yields, and when it is shown.

    In packed streams a packet holds a picture and the B-picture shown before it; the decoder keeps the second for the
    next packet, which is an empty stand-in or brings another B-picture, kept in turn. Whatever else occurs in files is
    left to decoding.
    """
    droppable = np.zeros(len(packets), bool)
    shown: list[int] = []
    anchor = -1  # the last I-, P- or S-picture, shown when the next one comes
    anchors = 0
    kept = False
    for number, packet in enumerate(packets):
        pictures = packet.pictures
        if not pictures and packet.size < 8 and not kept:
            continue  # a dropped frame: nothing comes out
        if packet.is_discarded:
            return None, droppable
        if kept and (pictures == "B" or (pictures in ("P", "S") and packet.size <= LONGEST_EMPTY_VOP)):
            kind, kept = "B", pictures == "B"
        elif not kept and packet.size > LONGEST_EMPTY_VOP and (len(pictures) == 1 or (packed and pictures[1:] == "B")):
            kind, kept = pictures[0], len(pictures) == 2
        else:
            return None, droppable
        if kind != "B":
            if anchors:
                shown.append(anchor)
            anchor, anchors = number, anchors + 1
        elif anchors < 2:
            return None, droppable  # predicted from what is not there
        else:
            shown.append(number)
            droppable[number] = not kept
    return np.array([*shown, anchor] if anchors else shown, np.int64), droppable
