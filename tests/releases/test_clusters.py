"""Choosing by clusters: every kind has its share, and of what is alike one stays."""

from __future__ import annotations

import numpy as np
import pytest

from tiktokactions.releases import clusters
from tiktokactions.releases.clusters import balanced_clusters, k_means, most_telling

RNG = np.random.default_rng(0)
KINDS = np.repeat([0, 1, 2], [1800, 150, 50])
POINTS = (10 * np.eye(8)[KINDS] + 0.5 * RNG.normal(size=(2000, 8))).astype(np.float32)


@pytest.mark.parametrize("size", [60, 90, 150])
def test_rare_kinds_have_more_than_their_share(size):
    chosen = balanced_clusters(POINTS, size)
    counts = np.bincount(KINDS[chosen], minlength=3)
    assert len(set(chosen)) == counts.sum() == size and chosen == sorted(chosen)
    assert counts[2] >= 3 * size * 50 / 2000 and counts[1] >= 1.5 * size * 150 / 2000, "three times, half as much again"
    assert balanced_clusters(POINTS, size) == chosen, "the same every time"


def test_few_points_are_balanced_too():
    kinds = np.repeat([0, 1], [24, 6])
    points = (10 * np.eye(8)[kinds] + 0.5 * np.random.default_rng(1).normal(size=(30, 8))).astype(np.float32)
    assert np.bincount(kinds[balanced_clusters(points, 8)], minlength=2)[1] >= 3, "of a fifth of the points"


@pytest.mark.parametrize("choose", [balanced_clusters, most_telling])
@pytest.mark.parametrize(
    ("points", "size", "expected"),
    [
        (np.zeros((1, 3)), 1, 1),
        (np.zeros((5, 3)), 3, 3),
        (np.ones((200, 3)), 199, 199),
        (np.ones((2000, 3)), 100, 100),
        (POINTS[:40], 99, 40),
    ],
    ids=["one", "equal", "many equal", "more equal ones than are looked at twice", "fewer than asked for"],
)
def test_degenerate_points(choose, points, size, expected):
    chosen = choose(points.astype(np.float32), size)
    assert len(set(chosen)) == len(chosen) == expected and all(0 <= i < len(points) for i in chosen)


def test_of_what_is_alike_one_stays(monkeypatch):
    monkeypatch.setattr(clusters, "CHUNK", 7)  # several parts of a cluster
    first = RNG.normal(size=(120, 16))
    points = np.concatenate([first, first[:60] + 1e-3 * RNG.normal(size=(60, 16))]).astype(np.float32)
    chosen = set(most_telling(points, 120))
    assert len(chosen) == 120 and all((i in chosen) + (120 + i in chosen) == 1 for i in range(60))
    assert {*range(60, 120)} <= chosen
    assert set(most_telling(3 * points, 120)) == chosen, "lengths do not matter"


def test_each_point_goes_to_its_nearest_centre_and_no_centre_is_lost():
    centres, assigned = k_means(POINTS, 6, np.random.default_rng(1))
    distances = ((POINTS[:, None] - centres) ** 2).sum(2)
    assert np.array_equal(assigned, distances.argmin(1)) and len(np.unique(assigned)) == 6


@pytest.mark.parametrize(
    ("held", "total", "shares"),
    [
        ([5, 1, 0, 9], 9, [4, 1, 0, 4]),
        ([5, 1, 0, 9], 100, [5, 1, 0, 9]),
        ([2, 2], 3, [2, 1]),
        ([3, 3], 0, [0, 0]),
    ],
)
def test_shares_are_even_as_far_as_they_can_be(held, total, shares):
    assert clusters._even_shares(np.array(held), total).tolist() == shares
