"""Nested subsets: every size is a prefix of one order, and stays one when videos are added."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from tiktokactions.clips.clip import Clip
from tiktokactions.errors import UsageError
from tiktokactions.releases.subset import place_of

Part = tuple[str, float | None, float | None]
"""What a clip is known by: path, start and end in seconds."""


def order(clips: Sequence[Clip], seed: int, stratified: bool = False, first: Sequence[Clip] = ()) -> list[Clip]:
    """All clips by a hash of their names and the seed, after those that come ``first``: what was listed before.

    Args:
        clips: of the pool, in any order.
        seed: of the hash.
        stratified: every prefix holds each label in about its share of the whole, as far as ``first`` allows.
        first: clips that keep their places.
    """
    listed = {part_of(clip) for clip in first}
    pool = sorted((clip for clip in clips if part_of(clip) not in listed), key=lambda clip: _place(clip, seed))
    if not stratified:
        return [*first, *pool]
    number, next_of = Counter(clip.label or "" for clip in (*first, *pool)), Counter(clip.label or "" for clip in first)
    # A label's k-th of n clips comes at (k + u) / n of the way, with one u for each label.
    places: list[tuple[float, str]] = []
    for clip in pool:
        label = clip.label or ""
        offset = int.from_bytes(place_of(label, seed)[:4]) / 2**32
        places.append(((next_of[label] + offset) / number[label], label))
        next_of[label] += 1
    in_turn = sorted(range(len(pool)), key=places.__getitem__)
    return [*first, *(pool[i] for i in in_turn)]


def part_of(clip: Clip) -> Part:
    return clip.path, clip.start_s, clip.end_s


def _place(clip: Clip, seed: int) -> tuple[bytes, str]:
    """The file with its folder, so that a pool that was moved keeps its order; then the whole path."""
    number = "" if clip.synthetic is None else f"{clip.synthetic}:"
    name = number + "/".join(clip.file.split(os.sep)[-2:])
    return place_of(f"{name}\0{clip.start_s}\0{clip.end_s}", seed), clip.path


def parse_sizes(texts: Sequence[str]) -> list[int]:
    """``1000:6000:1000`` (both ends included), or numbers; ascending, each once. 0 stands for synthetic videos only.

    Raises:
        ValueError: no number, none above 0, or a step that leads nowhere.
    """
    found: set[int] = set()
    for text in texts:
        parts = text.replace("_", "").split(":")
        if len(parts) not in (1, 2, 3) or not all(part.isdigit() for part in parts):
            raise UsageError(f"`sizes`: got {text!r}, expected numbers or FIRST:LAST:STEP, e.g. 1000:6000:1000")
        first, *more = map(int, parts)
        last, step = (*(more or [first]), first)[:2]
        found.update(range(first, last + 1, step) if step else [first])
    if not any(found):
        raise UsageError(f"`sizes`: got {' '.join(texts)}, expected numbers of videos above 0")
    return sorted(found)
