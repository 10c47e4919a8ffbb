"""The benchmark of weeks: how clips are spread over them, and what is asked of whom."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("torch")

from benchmarks.learn import Item
from benchmarks.weeks import WEEKS, Ask, asks_of, trend_of_week_1, week_of


def test_half_of_a_label_comes_in_its_week_and_every_week_has_as_many() -> None:
    items = [
        Item(f"/videos/{label}{number}.mp4", f"action {label}", None) for label in "abcdef" for number in range(24)
    ]
    weeks = week_of(items)
    assert set(Counter(weeks).values()) == {24} and set(weeks) == set(range(1, WEEKS + 1))
    assert trend_of_week_1(items) == {"action a"}
    of_a = Counter(week for item, week in zip(items, weeks, strict=True) if item.label == "action a")
    assert of_a[1] == 14 and [of_a[week] for week in range(2, WEEKS + 1)] == [2] * 5


def test_a_model_goes_on_from_last_weeks_and_anew_begins_at_random() -> None:
    asks = asks_of("motion20", 0)
    for number, ask in enumerate(asks):
        assert ask.parent is None or ask.parent in asks[:number]
    assert [ask.parent for ask in asks if ask.arm == "anew"] == [None, None]
    assert Ask("motion20", "replay 0.5", 0, 2).parent == Ask("motion20", "first", 0, 1)
