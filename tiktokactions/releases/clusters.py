"""Choosing by clusters of features: balanced over all kinds, or without what others say already. Pure numpy, flat memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

POINTS_A_CLUSTER = 32
"""On the lowest level, where there are not more clusters than ``MOST_CLUSTERS``; fewer of fewer than 2048 points, which would
make one or two clusters otherwise, and so a random choice."""
MOST_CLUSTERS = 4096
CLUSTERS_A_CLUSTER = 16
"""On the levels above."""
ROUNDS = 10
CHUNK = 1024
"""Points whose distances are in memory at a time."""


def balanced_clusters(points: np.ndarray, size: int, seed: int = 0) -> list[int]:
    """As many points of every kind as there are, by hierarchical k-means with resampling and hierarchical sampling (Vo et al.
    2024, arXiv 2405.15613).

    Args:
        points: (N, D), float32.
        size: how many; all where there are fewer.

    Returns:
        Their indices, ascending. Within a cluster the first come first.
    """
    rng, level, parents = np.random.default_rng(seed), points, list[np.ndarray]()
    clusters = min(max(len(points) // POINTS_A_CLUSTER, math.isqrt(len(points) // 2)), MOST_CLUSTERS)
    held = [np.ones(len(points), int)]
    while clusters >= 2:
        level, assigned = k_means(level, clusters, rng)
        parents.append(assigned)
        held.append(np.bincount(assigned, held[-1], clusters).astype(int))
        clusters //= CLUSTERS_A_CLUSTER
    wanted = np.array([size])
    for assigned, below in zip([np.zeros(len(held[-1]), int), *reversed(parents)], reversed(held), strict=True):
        shares = np.zeros(len(below), int)
        for parent, children in _groups(assigned):
            shares[children] = _even_shares(below[children], wanted[parent])
        wanted = shares
    return [int(place) for place in np.flatnonzero(wanted)]


def most_telling(points: np.ndarray, size: int, seed: int = 0) -> list[int]:
    """Without semantic near-duplicates (SemDeDup, Abbas et al. 2023, arXiv 2303.09540): of points that are alike the one
    that is least like its cluster stays, and the threshold is such that ``size`` stay.

    Args:
        points: (N, D), float32.

    Returns:
        Their indices, ascending.
    """
    unit = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    clusters = max(1, min(len(points) // POINTS_A_CLUSTER, MOST_CLUSTERS))
    centres, assigned = k_means(unit, clusters, np.random.default_rng(seed))
    alike = np.full(len(points), -1.0)
    for cluster, members in _groups(assigned):
        members = members[np.argsort(unit[members] @ centres[cluster], kind="stable")]
        for first in range(0, len(members), CHUNK):
            part = members[first : first + CHUNK]
            cosines = np.tril(unit[part] @ unit[members[: first + len(part)]].T + 2, first - 1) - 2
            alike[part] = cosines.max(1)
    return sorted(map(int, np.argsort(alike, kind="stable")[:size]))


def k_means(points: np.ndarray, clusters: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centres (clusters, D), and the nearest of each point (N,). Fitted once more to as many points of every cluster, those
    nearest to its centre, so that the centres do not crowd where most points lie."""
    centres, assigned, distances = _fit(points, points[rng.choice(len(points), clusters, replace=False)])
    most = max(1, len(points) // clusters // 2)
    kept = np.concatenate([m[np.argsort(distances[m], kind="stable")[:most]] for _, m in _groups(assigned)])
    centres, _, _ = _fit(points[kept], centres)
    return centres, _nearest(points, centres)[0]


def _fit(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lloyd's algorithm; a centre that nobody is near to moves to a point that is far from all."""
    for _ in range(ROUNDS):
        assigned, distances = _nearest(points, centres)
        order = np.argsort(assigned, kind="stable")
        counts = np.bincount(assigned, minlength=len(centres))
        starts = np.cumsum(counts) - counts
        used = counts > 0
        moved = centres.copy()
        moved[used] = np.add.reduceat(points[order], starts[used], axis=0) / counts[used, None]
        unused = np.flatnonzero(~used)[: len(points)]
        moved[unused] = points[np.argsort(-distances, kind="stable")[: len(unused)]]
        centres = moved
    return centres, *_nearest(points, centres)


def _nearest(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each point the nearest centre and the squared distance to it."""
    assigned, distances = np.empty(len(points), int), np.empty(len(points), np.float32)
    squares = np.einsum("kd,kd->k", centres, centres)
    for first in range(0, len(points), CHUNK):
        part = points[first : first + CHUNK]
        apart = squares - 2 * (part @ centres.T)
        here = slice(first, first + len(part))
        assigned[here] = apart.argmin(1)
        distances[here] = apart.min(1) + np.einsum("nd,nd->n", part, part)
    return assigned, distances


def _groups(assigned: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each cluster that has members, with them in ascending order."""
    order = np.argsort(assigned, kind="stable")
    clusters, starts = np.unique(assigned[order], return_index=True)
    yield from zip(clusters.tolist(), np.split(order, starts[1:]), strict=True)


def _even_shares(held: np.ndarray, total: int) -> np.ndarray:
    """How many to take of each so that all give alike, as far as they hold so many; the first give one more."""
    low, high = 0, int(held.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(held, middle).sum() <= total else (low, middle - 1)
    shares = np.minimum(held, low)
    shares[np.flatnonzero(held > low)[: total - shares.sum()]] += 1
    return shares
