"""Nested subsets: every size is a prefix of one seeded order, so that a larger subset only adds videos."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from tiktokactions.clips.clip import Clip
from tiktokactions.errors import UsageError


def order(clips: Sequence[Clip], seed: int, stratified: bool = False) -> list[Clip]:
    """All clips in a random order that depends on the clips and the seed only, not on the order given.

    Args:
        clips: of the pool.
        seed: of the permutation.
        stratified: every prefix holds each label in about its share of the whole.
    """
    rng = random.Random(seed)
    pool = sorted(clips, key=lambda clip: (clip.path, clip.start_s or 0.0, clip.end_s or 0.0))
    rng.shuffle(pool)
    if not stratified:
        return pool
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in pool:
        by_label[clip.label or ""].append(clip)
    # A label's k-th of n clips comes at (k + u) / n of the way, with one u for each label.
    places = []
    for label in sorted(by_label):
        offset = rng.random()
        places += [((k + offset) / len(by_label[label]), label, clip) for k, clip in enumerate(by_label[label])]
    return [clip for _, _, clip in sorted(places, key=lambda place: place[:2])]


def parse_sizes(texts: Sequence[str]) -> list[int]:
    """``1000:6000:1000`` (both ends included), or numbers; ascending, each once.

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
    if not found or min(found) < 1:
        raise UsageError(f"`sizes`: got {' '.join(texts)}, expected numbers of videos above 0")
    return sorted(found)
