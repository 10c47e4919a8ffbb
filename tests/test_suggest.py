"""The benchmark of suggestions, on made features: what it counts, and that errors are found before others."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import suggest


def test_errors_are_found_earlier_than_by_chance():
    rng = np.random.default_rng(0)
    kinds = np.arange(60) % 3
    features = (np.eye(3, 6)[kinds] * 4 + rng.normal(0, 1, (60, 6))).astype(np.float32)
    task = suggest.Task("made", features, tuple(f"action {kind}" for kind in kinds), np.arange(60))
    told = suggest.measured(task, 0.1, seeds=2, draws=3)
    confident = [cell["mean"] for cell in told["found"]["confident learning"]]
    assert confident[1] > 0.6 and confident[2] > 0.9 and told["instead_that_is_right"]["mean"] > 0.5
    assert all(cell["low"] <= cell["mean"] <= cell["high"] for cells in told["found"].values() for cell in cells)
    assert told["pooled_clips"] == 120 and all(6 <= needed <= 120 for needed in told["judgements"].values())


def test_wrong_labels_are_as_many_as_asked_and_never_the_right_one():
    labels = ["a", "b", "c"] * 10
    given = suggest.made_wrong(labels, 0.2, np.random.default_rng(1))
    assert sum(one != other for one, other in zip(given, labels, strict=True)) == 6


@pytest.mark.parametrize(("count", "known"), [(4, True), (0, False)], ids=["all are drawn", "nobody is drawn"])
def test_what_a_sample_knows(count, known):
    given, wrong = ["a", "a", "a", "b"], np.array([True, False, False, False])
    assert suggest.within(given, wrong, dict.fromkeys("0123", 1.0), count, 0) == [known, known]
