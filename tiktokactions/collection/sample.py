"""What a collection says about the views of hashtags: its videos are a sample, and each stands for several."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tiktokactions.collection.design import size_error
from tiktokactions.collection.store import Collection


@dataclass
class ViewSample:
    """The sampled videos that carry one hashtag."""

    views: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    """How many videos each stands for: one divided by its inclusion probability."""
    is_complete: bool = False
    """Whether the hashtag itself was asked for, and its videos stand for all of the period."""
    size_error: tuple[float, int] = (0.0, 1)
    """Relative standard error of the number of videos, and its degrees of freedom (see :func:`design.size_error`)."""


def view_samples(folder: Path, hashtags: Iterable[str]) -> dict[str, ViewSample]:
    """A sample for each of ``hashtags`` that some video of the collection carries.

    A hashtag that was asked for is sampled by its own windows. Any other one only occurs in videos found for those: its
    sample weighs them as these do, and is never complete. Nor is that of a hashtag that is not finished: nobody knows yet for
    how many its videos stand.
    """
    wanted = set(hashtags)
    samples: dict[str, ViewSample] = defaultdict(ViewSample)
    with Collection(folder) as collection:
        asked = set(collection.hashtags())
        ask = collection.database.execute
        unread = {row[0] for row in ask("SELECT hashtag FROM windows WHERE state NOT IN ('done', 'more', 'split')")}
        videos: dict[str, tuple[list[str], float]] = {}
        for video_id, tags, raw in ask("SELECT video_id, hashtags, raw FROM videos"):
            count = json.loads(raw).get("view_count")
            if isinstance(count, (int, float)) and not isinstance(count, bool) and count >= 0:
                videos[video_id] = (json.loads(tags), float(count))
        rows = ask("SELECT hashtag, video_id, probability FROM found").fetchall()
        found = [(tag, video_id, 1 / p if p else 1.0) for tag, video_id, p in rows if video_id in videos]
        unread |= {tag for tag, _, p in rows if not p}
        errors = {tag: size_error(collection, tag) for tag in wanted & asked}
    beside: dict[str, float] = {}
    for tag, video_id, weight in found:
        beside[video_id] = min(weight, beside.get(video_id, weight))
        if tag in wanted:
            _add(samples[tag], videos[video_id][1], weight)
    for video_id, (tags, views) in videos.items():
        for tag in wanted & set(tags) - asked:
            _add(samples[tag], views, beside.get(video_id, 1.0))
    for tag in samples.keys() & asked:
        samples[tag].is_complete = tag not in unread
        samples[tag].size_error = errors[tag]
    return samples


def _add(sample: ViewSample, views: float, weight: float) -> None:
    sample.views.append(views)
    sample.weights.append(weight)
