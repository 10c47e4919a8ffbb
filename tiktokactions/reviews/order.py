"""In which order videos are shown: the doubtful ones first, no label left behind; and which are drawn at random."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

LEAST_DOUBT = 0.1
"""A model is never so sure of a label that a sample leaves it out."""


class Waiting(NamedTuple):
    """A video that needs review."""

    video_id: str
    label: str
    missing_frames: int | None
    """How many more sampled frames with a person would have qualified it; None where nobody looked for people."""
    margin: float | None
    """By how much the best frame that is still missing fell short of the score threshold."""


def order_that_teaches(waiting: Sequence[Waiting], accepted: Mapping[str, int]) -> list[str]:
    """Video ids, most instructive first.

    Videos that lack one frame with a person come before those that lack two, and so on; those in which nobody looked for
    people come last. Among equals labels take turns, each turn beginning with the label that has the fewest videos
    (``accepted`` ones, and those placed so far); within a label the smallest ``margin`` comes first. Remaining
    ties are ordered by a hash of the id, which says nothing about the video.
    """
    groups: dict[float, dict[str, list[Waiting]]] = {}
    for video in sorted(waiting, key=_nearness, reverse=True):  # the nearest at the end, where they are taken from
        missing = float("inf") if video.missing_frames is None else max(0, video.missing_frames)
        groups.setdefault(missing, {}).setdefault(video.label, []).append(video)
    placed = dict(accepted)
    order: list[str] = []
    for missing in sorted(groups):
        by_label = groups[missing]
        while by_label:
            for label in sorted(by_label, key=lambda name: (placed.get(name, 0), name)):
                order.append(by_label[label].pop().video_id)
                placed[label] = placed.get(label, 0) + 1
                if not by_label[label]:
                    del by_label[label]
    return order


def _nearness(video: Waiting) -> tuple[float, str]:
    return (float("inf") if video.margin is None else video.margin, scramble(video.video_id))


def scramble(video_id: str, seed: int = 0) -> str:
    """A number that looks random and is the same everywhere: sorting by it draws a sample that grows without changing."""
    return hashlib.sha256(f"{seed}:{video_id}".encode()).hexdigest()


def priority_sample(sizes: Mapping[str, float], count: int, seed: int) -> dict[str, float]:
    """Draw ``count`` videos, each about as often as its size says, and how many each stands for: priority sampling (Duffield,
    Lund and Thorup 2007). Sums of weights estimate without bias, whatever the sizes; equal sizes draw a simple sample."""
    priority = {i: int(scramble(i, seed), 16) / 2**256 / size for i, size in sizes.items()}
    order = sorted(sizes, key=lambda i: (priority[i], i))
    # Who would have come next tells how likely each was; where nobody is left, all were sure to come.
    limit = priority[order[count]] if count < len(order) else float("inf")
    return {i: max(1.0, 1 / (sizes[i] * limit)) for i in order[:count]}


def sampling_sizes(labels: Mapping[str, Sequence[str]], wrong: Mapping[str, float]) -> dict[str, float]:
    """How often to draw each video: for its rarest label as often as for others, by how uncertain it is whether that is
    right (Neyman's allocation). ``wrong``: how likely, where a model says so."""
    videos = Counter(label for names in labels.values() for label in names)
    sizes = {}
    for video_id, names in labels.items():
        doubt = min(max(wrong.get(video_id, 0.5), LEAST_DOUBT), 1 - LEAST_DOUBT)
        sizes[video_id] = math.sqrt(doubt * (1 - doubt)) / min((videos[name] for name in names), default=len(labels))
    return sizes
