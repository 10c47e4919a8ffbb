"""Views estimated from a sample: what is estimated, how sure that is, and that everything says so."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import tiktokactions as api
from tests.collection.worlds import TODAY, collect, server_of, video, wanted
from tiktokactions.collection.sample import view_samples
from tiktokactions.collection.sandbox import Faults, ResearchServer
from tiktokactions.collection.store import Collection
from tiktokactions.hashtags.estimate import FEWEST, estimate
from tiktokactions.machine import JumpingClock

START = date(2024, 1, 1)


@pytest.mark.parametrize(
    ("views", "weights", "expected"),
    [([], [], None), ([5.0], [1.0], 5.0), ([5.0, 7.0], [2.0, 10.0], 80.0), ([0.0] * 20, [3.0] * 20, 0.0)],
)
def test_the_sum_of_what_each_video_stands_for(
    views: list[float], weights: list[float], expected: float | None
) -> None:
    found = estimate("run", views, weights, True)
    assert (None if found is None else found.views) == expected


def test_too_few_videos_give_no_interval() -> None:
    few, enough = (estimate("run", [10.0] * n, [2.0] * n, True) for n in (FEWEST - 1, FEWEST))
    assert few is not None and (few.low, few.high) == (None, None)
    assert enough is not None and enough.low == pytest.approx(enough.high) == pytest.approx(20.0 * FEWEST)


def test_the_interval_is_the_same_every_time_and_in_every_order() -> None:
    views = np.random.default_rng(1).lognormal(6, 2, 40).tolist()
    first, again = (estimate("run", views, [2.0] * 40, True) for _ in range(2))
    assert first == again and first is not None and first.low is not None and first.high is not None
    assert first.low < first.views < first.high


def test_how_often_the_interval_holds_the_truth() -> None:
    """Tails as heavy as those of real view counts (the ratio of the mean to the median is seven)."""
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(60):
        found = estimate(str(trial), rng.lognormal(6, 2, 60).tolist(), [10.0] * 60, True)
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= 600 * np.exp(6 + 2**2 / 2) <= found.high
    assert held >= 51, held


def sampled(folder: Path, per_hashtag: int, windows: int | None = None) -> dict[str, float]:
    """400 videos with #run, a fifth with #jump beside it, all with the same 1,000 views."""
    world = [
        video(n, START + timedelta(days=n % 60), "run", *(["jump"] if n % 5 == 0 else []), view_count=1000)
        for n in range(400)
    ]
    end = START + timedelta(days=59)
    collect(server_of(world), folder, ["run"], wanted(per_hashtag, START, end, windows=windows))
    return {
        tag: sum(w * v for w, v in zip(s.weights, s.views, strict=True))
        for tag, s in view_samples(folder, ["run", "jump", "absent"]).items()
    }


def test_a_sample_of_everything_is_exact_and_no_lower_bound(tmp_path: Path) -> None:
    totals = sampled(tmp_path, 1000)
    assert totals == {"run": 400_000, "jump": 80_000}
    found = view_samples(tmp_path, ["run", "jump"])
    assert found["run"].is_complete and not found["jump"].is_complete, "jump was only seen beside run"


def test_a_kept_share_stands_for_what_the_server_showed(tmp_path: Path) -> None:
    # Pages of 100 are read whole although only some videos of each window are kept.
    totals = sampled(tmp_path, 40, windows=10)
    assert len(view_samples(tmp_path, ["run"])["run"].views) == 40
    assert totals["run"] == pytest.approx(400_000, rel=0.05)


@pytest.mark.parametrize("is_random", [True, False])
def test_a_sample_stands_for_the_whole_period_and_ranks_truly(tmp_path: Path, is_random: bool) -> None:
    """Scaled by videos a day: pages that end after hours stand for all the days of their window."""
    many = [video(n, START + timedelta(days=n % 60), "run", view_count=1000) for n in range(9000)]
    few = [video(90_000 + n, START + timedelta(days=n % 60), "jump", view_count=1000) for n in range(1500)]
    what = wanted(60, START, START + timedelta(days=59), windows=2, random=is_random)
    collect(server_of(many + few), tmp_path, ["run", "jump"], what)
    totals = {}
    for tag, s in view_samples(tmp_path, ["run", "jump"]).items():
        found = estimate(tag, s.views, s.weights, s.is_complete, size_error=s.size_error)
        assert found is not None and found.low is not None and found.high is not None and not found.is_lower_bound
        assert found.low <= {"run": 9e6, "jump": 1.5e6}[tag] <= found.high
        totals[tag] = found.views
    assert totals["run"] == pytest.approx(9e6, rel=0.35) and totals["jump"] == pytest.approx(1.5e6, rel=0.35)


@dataclass(frozen=True)
class Simulated:
    """Hashtags of any size: their videos follow the hours of the day and grow in number, and views are heavy-tailed."""

    days: int
    tags: dict[str, tuple[np.ndarray, np.ndarray]]
    """Times (s since the start, sorted) and views of each hashtag's videos."""

    @classmethod
    def drawn(cls, count: int, days: int, seed: int) -> Simulated:
        rng = np.random.default_rng(seed)
        tags = {}
        for number in range(count):
            size = int(10 ** rng.uniform(2, 4.3))
            day = days * rng.power(rng.uniform(1, 1.8), size)
            hour = (24 * rng.beta(3, 1.5, size) + 5 * rng.normal()) % 24
            views = rng.lognormal(6, 2, size) if number % 2 else 300 * (1 + rng.pareto(1.5, size))
            times = np.floor(np.minimum(day, days - 1)) * 86400 + hour * 3600
            tags[f"tag{number}"] = (np.sort(times.astype(int)), views.astype(int))
        return cls(days, tags)

    def candidates(self, hashtags: Sequence[str], start: date, end: date) -> list[dict[str, object]]:
        first = int(datetime(START.year, START.month, START.day, tzinfo=UTC).timestamp())
        found = []
        for place, (tag, (times, views)) in enumerate(self.tags.items()):
            if tag in hashtags:
                low, high = np.searchsorted(times, [(d - START).days * 86400 for d in (start, end + timedelta(days=1))])
                found += [
                    {"id": (first + int(times[i]) << 32) + 100_000 * place + int(i), "create_time": first + int(times[i]),
                     "hashtag_names": [tag], "view_count": int(views[i])}
                    for i in range(low, high)
                ]  # fmt: skip
        return found


def test_a_busy_evening_before_midnight_is_not_taken_for_a_busy_day(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tags = {}
    for number in range(2):
        times = rng.integers(0, 30, 4000) * 86400 + (3600 * ((rng.normal(21, 2, 4000)) % 24)).astype(int)
        tags[f"tag{number}"] = (np.sort(times), np.ones(4000, int))
    server = ResearchServer(Simulated(30, tags), JumpingClock(TODAY), Faults(requests_a_day=100_000))
    collect(server, tmp_path, list(tags), wanted(200, START, START + timedelta(days=29), random=True))
    with Collection(tmp_path) as collection:
        query = "SELECT sum(size) FROM windows WHERE state<>'split' GROUP BY hashtag"
        sizes = [row[0] / 4000 for row in collection.database.execute(query)]
    assert len(sizes) == 2 and 0.85 < np.mean(sizes) < 1.15  # with the last two hours alone as a measure: 1.7


@pytest.mark.slow
def test_the_interval_holds_the_truth_in_nine_of_ten_simulated_hashtags(tmp_path: Path) -> None:
    world = Simulated.drawn(40, 180, seed=5)
    server = ResearchServer(world, JumpingClock(TODAY), Faults(requests_a_day=100_000))
    collect(server, tmp_path, list(world.tags), wanted(300, START, START + timedelta(days=179), random=True))
    truths = {tag: float(views.sum()) for tag, (_, views) in world.tags.items()}
    held, ratios = [], []
    for tag, s in view_samples(tmp_path, world.tags).items():
        found = estimate(tag, s.views, s.weights, s.is_complete, size_error=s.size_error)
        assert found is not None and found.low is not None and found.high is not None
        held.append(found.low <= truths[tag] <= found.high)
        ratios.append(found.views / truths[tag])
    assert len(held) == 40 and sum(held) >= 36, sorted(ratios)
    assert 0.8 < np.median(ratios) < 1.2


def test_estimates_are_said_to_be_estimates_everywhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from tiktokactions.cli import main

    sampled(tmp_path / "col", 1000)
    (tmp_path / "c.csv").write_text("hashtag\nrun\njump\nmopping\n")
    (tmp_path / "v.csv").write_text("hashtag,views\nmopping,9e6\n")
    arguments = [str(tmp_path / "c.csv"), "--views", str(tmp_path / "v.csv"), "--estimate-from", str(tmp_path / "col")]
    assert main(["hashtags", "select", *arguments, "--min-views", "100000", "-o", str(tmp_path / "out")]) == 0
    said = capfd.readouterr().out
    assert "views of 2 candidates are estimates from a sample of 400 collected videos" in said
    kept = {row["hashtag"]: row for row in csv.DictReader((tmp_path / "out/hashtags.csv").read_text().splitlines())}
    assert {tag: row["views_are"] for tag, row in kept.items()} == {"mopping": "given", "run": "estimate"}
    assert (kept["run"]["views_low"], kept["run"]["views_high"]) == ("400000", "400000")
    rows = {row["hashtag"]: row for row in csv.DictReader((tmp_path / "out/decisions.csv").read_text().splitlines())}
    assert rows["jump"]["decision"] == "dropped" and rows["jump"]["views_are"] == "estimate, lower bound"
    assert "about 80 k views (estimate from 80 videos" in rows["jump"]["why"]
    assert "estimates from a sample" in (tmp_path / "out/flow.svg").read_text()


def test_an_estimate_whose_interval_reaches_the_threshold_is_kept(tmp_path: Path) -> None:
    sampled(tmp_path / "col", 1000)
    (tmp_path / "c.csv").write_text("hashtag\nrun\njump\n")
    found = api.hashtags_select(tmp_path / "c.csv", tmp_path / "out", estimate_from=tmp_path / "col", min_views=400_001)
    assert [d.decision for d in found.decisions] == ["dropped", "dropped"]
    found = api.hashtags_select(tmp_path / "c.csv", tmp_path / "out", estimate_from=tmp_path / "col", min_views=300_000)
    assert [(d.hashtag, d.decision) for d in found.decisions] == [("run", "kept"), ("jump", "dropped")]
