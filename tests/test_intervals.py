"""Intervals against published and hand-computed ones."""

from __future__ import annotations

import pytest

from tiktokactions.intervals import wilson_interval


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
        (50, 100, 0.4038, 0.5962),
        (95, 100, 0.8882, 0.9785),
        (2.5, 10, 0.0809, 0.5578),  # where ties count in parts, hits are no whole number
    ],
)
def test_wilson_interval(hits, of, low, high):
    assert wilson_interval(hits, of) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
