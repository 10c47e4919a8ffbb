"""Which frames of a damaged file can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class PacketSeen(NamedTuple):
    """A packet in the file's order."""

    frame: int
    """Number of its frame in display order; without one, that of the next packet with one."""
    is_keyframe: bool
    """Whether decoding may begin with it."""
    is_lost: bool
    """Whether it could not be decoded, or is known to be damaged."""


@dataclass(frozen=True)
class Damage:
    frames: frozenset[int] = frozenset()
    """Numbers of the frames that show damage, their own or that of what they are predicted from."""
    breaks: frozenset[int] = frozenset()
    """Numbers of the frames before which damage begins or ends."""


def find_damage(packets: Sequence[PacketSeen], is_damaged: Sequence[bool], notices_late: bool = False) -> Damage:
    """What damage reaches: everything from a damaged picture on, in the order of decoding, until the next keyframe.

    Decoders tell of the picture that is damaged, not of those that are predicted from it.

    Args:
        packets: of the video, in the file's order.
        is_damaged: whether the decoder said so of each frame, in display order.
        notices_late: pictures before one that is damaged may be damaged, too, back to the keyframe.
    """
    place_of = {packet.frame: place for place, packet in enumerate(packets)}
    damaged = {place for place, packet in enumerate(packets) if packet.is_lost}
    damaged |= {max(0, place - 1) for place in damaged}  # where one packet breaks off, the one before often did
    damaged |= {place_of[frame] for frame, bad in enumerate(is_damaged) if bad and frame in place_of}
    spans: list[tuple[int, int]] = []
    reached = 0
    for place in sorted(damaged):
        if place < reached:
            continue
        while notices_late and place > reached and not packets[place].is_keyframe:
            place -= 1
        reached = next((n for n in range(place + 1, len(packets)) if packets[n].is_keyframe), len(packets))
        end = packets[reached].frame if reached < len(packets) else len(is_damaged)
        spans.append((min(packet.frame for packet in packets[place:reached]), end))
    bad_frames = {frame for frame, bad in enumerate(is_damaged) if bad}
    bad_frames.update(*(range(first, end) for first, end in spans))
    is_bad = [False, *(frame in bad_frames for frame in range(len(is_damaged)))]
    breaks = {number for number, (before, after) in enumerate(pairwise(is_bad)) if before != after}
    # Where every damaged frame is missing, the next one breaks nonetheless.
    breaks |= {end for _, end in spans if end < len(is_damaged)}
    return Damage(frozenset(bad_frames), frozenset(breaks))
