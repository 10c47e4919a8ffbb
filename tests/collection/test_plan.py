from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktokactions.collection.options import CollectOptions
from tiktokactions.collection.plan import (
    PlanError,
    Window,
    around,
    choose,
    estimate,
    halves,
    period,
    read_hashtags,
    windows_of,
)

START = date(2023, 1, 1)


@given(days=st.integers(1, 900), wanted=st.integers(1, 2000), tag=st.text("abc", min_size=1), seed=st.integers(0, 5))
def test_windows_cover_the_period_exactly(days: int, wanted: int, tag: str, seed: int) -> None:
    end = START + timedelta(days=days - 1)
    windows = windows_of(tag, START, end, wanted, seed=seed)
    assert (windows[0].start, windows[-1].end) == (START, end)
    assert all(after.start == before.end + timedelta(days=1) for before, after in itertools.pairwise(windows))
    assert all(1 <= window.days <= 30 for window in windows)


def test_windows_end_on_different_days_for_different_hashtags() -> None:
    ends = {windows_of(f"tag{i}", START, date(2024, 6, 30), 900)[0].end for i in range(30)}
    assert len(ends) > 10


@given(days=st.integers(2, 60))
def test_halves_are_the_window(days: int) -> None:
    window = Window(START, START + timedelta(days=days - 1))
    first, second = halves(window)
    assert (first.start, second.end) == (window.start, window.end)
    assert second.start == first.end + timedelta(days=1) and abs(first.days - second.days) <= 1


def test_around_days_that_fail() -> None:
    window = Window(date(2023, 1, 1), date(2023, 1, 10))
    pieces = around(window, [date(2023, 1, 4), date(2023, 1, 5), date(2024, 1, 1)])
    assert [(p.start.day, p.end.day) for p in pieces] == [(1, 3), (4, 5), (6, 10)]


@given(sizes=st.lists(st.integers(0, 40), max_size=12), wanted=st.integers(1, 200))
def test_choice_takes_the_same_number_of_every_window(sizes: list[int], wanted: int) -> None:
    found = {str(w): [f"{w}-{i}" for i in range(size)] for w, size in enumerate(sizes)}
    kept = choose(found, wanted, "tag")
    assert len(kept) == len(set(kept)) == min(wanted, sum(sizes))
    taken = [sum(k.startswith(f"{w}-") for k in kept) for w in range(len(sizes))]
    level = max(taken, default=0)
    assert all(t == size or t >= level - 1 for t, size in zip(taken, sizes, strict=True))
    assert choose({name: ids[::-1] for name, ids in reversed(found.items())}, wanted, "tag") == kept


def test_estimate_of_the_paper() -> None:
    # Specification, section 3: 386 times 900 is 3,474 full pages; one request for each window of 30 days at least.
    found = estimate(386, date(2023, 1, 1), date(2024, 6, 30), CollectOptions())
    assert found.records == 347_400
    assert found.requests_at_best == 386 * (found.windows + 4) >= 3474, "four days are counted"
    assert found.days_at_best == round(found.requests_at_best / 1000, 2)


def test_period_ends_three_days_ago() -> None:
    today = date(2026, 11, 24)
    assert period(date(2026, 1, 1), date(2026, 12, 1), today)[:2] == (date(2026, 1, 1), date(2026, 11, 21))
    with pytest.raises(PlanError, match="expected a first day"):
        period(date(2026, 11, 23), None, today)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("hashtag,views\n#Piano,4\npiano,5\nshoerepair,\n", ["piano", "shoerepair"]),
        ("category,hashtag\ndance,waltz\n", ["waltz"]),
        ("#waltz\ntango\n\n", ["waltz", "tango"]),
    ],
)
def test_hashtags_are_read(tmp_path: Path, text: str, tags: list[str]) -> None:
    (tmp_path / "h.csv").write_text(text)
    assert read_hashtags(tmp_path / "h.csv") == tags


@pytest.mark.parametrize(
    ("text", "says"), [("a,b\n1,2\n", "column 'hashtag'"), ("\n", "no hashtag"), ("a b\n", "blanks")]
)
def test_lists_that_are_none(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(PlanError, match=says):
        read_hashtags(tmp_path / "h.csv")
