"""What a collection says about the views of hashtags: its videos are a sample, and each stands for several."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tiktokactions.collection.store import Collection


@dataclass
class ViewSample:
    """The sampled videos that carry one hashtag."""

    views: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    """How many videos of its window each stands for: those that the server showed, divided by those that were kept."""
    is_complete: bool = False
    """Whether the hashtag itself was asked for and every window was read to its end."""


def view_samples(folder: Path, hashtags: Iterable[str]) -> dict[str, ViewSample]:
    """A sample for each of ``hashtags`` that some video of the collection carries.

    A hashtag that was asked for is sampled by its own windows. Any other one only occurs in videos found for those: its
    sample weighs them by what their windows showed, and is never complete.
    """
    wanted = set(hashtags)
    samples: dict[str, ViewSample] = defaultdict(ViewSample)
    with Collection(folder) as collection:
        asked = set(collection.hashtags())
        ask = collection.database.execute
        shown = dict(ask("SELECT id, shown FROM windows"))
        query = "SELECT hashtag FROM windows WHERE state NOT IN ('done', 'split') OR reason LIKE '%empty pages%'"
        unread = {row[0] for row in ask(query)}
        is_random = bool((collection.setting("wanted") or {}).get("random"))
        videos: dict[str, tuple[list[str], float]] = {}
        for video_id, tags, raw in ask("SELECT video_id, hashtags, raw FROM videos"):
            count = json.loads(raw).get("view_count")
            if isinstance(count, (int, float)) and not isinstance(count, bool) and count >= 0:
                videos[video_id] = (json.loads(tags), float(count))
        found = [row for row in ask("SELECT hashtag, video_id, window FROM found") if row[1] in videos]
    kept = Counter(window for _, _, window in found)
    beside: dict[str, float] = {}
    for tag, video_id, window in found:
        weight = max(1.0, shown.get(window, 0) / kept[window])
        beside[video_id] = min(weight, beside.get(video_id, weight))
        if tag in wanted:
            _add(samples[tag], videos[video_id][1], weight)
    for video_id, (tags, views) in videos.items():
        for tag in wanted & set(tags) - asked:
            _add(samples[tag], views, beside.get(video_id, 1.0))
    for tag in samples.keys() & asked:
        samples[tag].is_complete = tag not in unread and not is_random
    return samples


def _add(sample: ViewSample, views: float, weight: float) -> None:
    sample.views.append(views)
    sample.weights.append(weight)
