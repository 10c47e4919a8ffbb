"""What a collection says about the views of hashtags: its videos are a sample, and each stands for several."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tiktokactions.collection.design import end_of, size_error
from tiktokactions.collection.store import Collection, moment
from tiktokactions.machine import DAY_S


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
    sample weighs them as these do, and is never complete.
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
        factors, unknown = _factors(collection)
        rows = ask("SELECT hashtag, video_id, window, probability FROM found")
        found = [
            (tag, video_id, 1 / p if p else factors.get(w, 1.0)) for tag, video_id, w, p in rows if video_id in videos
        ]
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
        samples[tag].is_complete = tag not in unread | unknown
        samples[tag].size_error = errors[tag]
    return samples


def _factors(collection: Collection) -> tuple[dict[int, float], set[str]]:
    """For collections of earlier versions and hashtags that are not finished: how many videos each row of a window stands
    for; and the hashtags of which that is not known."""
    is_random = bool((collection.setting("wanted") or {}).get("random"))
    kept: Counter[int] = Counter()
    oldest: dict[int, int] = {}
    query = "SELECT window, video_id, create_time FROM found JOIN videos USING(video_id)"
    for window, video_id, at in collection.database.execute(query):
        kept[window] += 1
        oldest[window] = min(moment(video_id, at), oldest.get(window, moment(video_id, at)))
    factors, unknown = {}, set()
    query = "SELECT id, hashtag, start, \"end\", state, shown, size FROM windows WHERE state<>'split'"
    for window, tag, start, end, state, shown, size in collection.database.execute(query):
        if not kept[window]:
            continue
        if size is None and state == "more" and not is_random:
            # Newest first: what was read spans the time from its oldest row to the window's end.
            days = (date.fromisoformat(end) - date.fromisoformat(start)).days + 1
            size = shown * days * DAY_S / max(1, end_of(date.fromisoformat(end)) - oldest[window])
        elif size is None and state == "more":
            unknown.add(tag)
        factors[window] = max(1.0, (shown if size is None else size) / kept[window])
    return factors, unknown


def _add(sample: ViewSample, views: float, weight: float) -> None:
    sample.views.append(views)
    sample.weights.append(weight)
