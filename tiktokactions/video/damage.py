"""Which frames of a damaged file can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

Stamp = int


class PacketSeen(NamedTuple):
    """A packet in the file's order: its time stamp, whether decoding may begin with it, whether it could not be decoded."""

    stamp: Stamp
    is_keyframe: bool
    is_lost: bool


@dataclass(frozen=True)
class Damage:
    frames: frozenset[int] = frozenset()
    """Numbers of the frames that show damage, their own or that of what they are predicted from."""
    breaks: frozenset[int] = frozenset()
    """Numbers of the frames before which damage begins or ends."""


def find_damage(packets: Sequence[PacketSeen], frames: Sequence[tuple[Stamp, bool]]) -> Damage:
    """What damage reaches: everything from a damaged picture on, in the order of decoding, until the next keyframe.

    Decoders tell of the picture that is damaged, not of those that are predicted from it.

    Args:
        packets: of the video, in the file's order.
        frames: stamp of every decoded frame in display order, and whether the decoder said that it is damaged.
    """
    place_of = {packet.stamp: place for place, packet in enumerate(packets)}
    damaged = {place for place, packet in enumerate(packets) if packet.is_lost}
    damaged |= {max(0, place - 1) for place in damaged}  # where one packet breaks off, the one before often did
    damaged |= {place_of[stamp] for stamp, is_damaged in frames if is_damaged and stamp in place_of}
    spans: list[tuple[Stamp, Stamp | None]] = []
    reached = 0
    for place in sorted(damaged):
        if place < reached:
            continue
        reached = next((n for n in range(place + 1, len(packets)) if packets[n].is_keyframe), len(packets))
        first = min(packet.stamp for packet in packets[place:reached])
        spans.append((first, packets[reached].stamp if reached < len(packets) else None))
    is_bad = [
        is_damaged or any(first <= stamp and (end is None or stamp < end) for first, end in spans)
        for stamp, is_damaged in frames
    ]
    breaks = {number for number, (before, after) in enumerate(pairwise([False, *is_bad])) if before != after}
    # Where every damaged frame is missing, the next one breaks nonetheless.
    for _, end in spans:
        breaks |= {number for number, (stamp, _) in enumerate(frames) if stamp == end}
    return Damage(frozenset(number for number, bad in enumerate(is_bad) if bad), frozenset(breaks))
