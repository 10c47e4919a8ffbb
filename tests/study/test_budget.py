"""Which trial comes next: three sizes first, then what narrows the answer most per hour, nothing that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.test_contents import RECIPE, add
from tiktokactions.study.budget import Choice, hours_by_size, next_trial
from tiktokactions.study.options import ScalingOptions
from tiktokactions.study.scaling import batches, scaling_trials
from tiktokactions.study.settings import Design
from tiktokactions.study.trials import Trial, TrialResult, commands

SIZES = (1, 2, 4, 8, 16, 32)
GRID = [(size, repeat) for size in SIZES for repeat in range(3)]


def accuracy(size: int) -> float:
    return 0.9 - 0.5 * size**-0.4


def spent_on(budget: float) -> tuple[list[tuple[int, int]], Choice]:
    done: dict[tuple[int, int], float] = {}
    while True:
        left = budget - sum(size for size, _ in done)
        choice = next_trial(done, [key for key in GRID if key not in done], float, left)
        if choice.key is None:
            return list(done), choice
        done[choice.key] = accuracy(choice.key[0]) + 0.004 * (choice.key[1] - 1)


def test_three_sizes_first_and_never_more_than_the_budget():
    order, last = spent_on(94.5)
    assert order[:5] == [(1, 0), (32, 0), (4, 0), (2, 0), (8, 0)] and len(set(order)) == len(order)
    assert sum(size for size, _ in order) <= 94.5
    assert "none of the" in last.reason


def test_what_cannot_change_the_answer_is_left_out():
    order, last = spent_on(10_000)
    assert len(order) < len(GRID) and "would narrow the interval by 0.2 %" in last.reason


@pytest.mark.parametrize(
    ("left", "budget", "reason"),
    [([], 10, "every trial is finished"), ([(8, 0)], 3, "none of the 1 trials left fits into the 3 GPU hours left")],
)
def test_when_it_ends(left, budget, reason):
    assert next_trial({(1, 0): 0.5}, left, float, budget) == Choice(None, reason)


def test_hours_follow_from_what_trials_took():
    assert hours_by_size({(10, 0): 3600})(20) == pytest.approx(2), "of one size, in proportion"
    hours = hours_by_size({(10, 0): 2 * 3600, (20, 0): 3 * 3600, (20, 1): 3 * 3600})
    assert hours(40) == pytest.approx(5)
    assert hours_by_size({(10, 0): 3600, (20, 0): 1800})(20) > 0


@pytest.fixture
def design(tmp_path: Path) -> Design:
    for side in ("train", "test"):
        add(tmp_path / "tested" / side, "a/1", "b/1")
    add(tmp_path / "pool", *(f"v{n:02d}" for n in range(32)))
    options = ScalingOptions(repeats=2, warm=True, budget=1.0)
    return Design(tmp_path / "study", str(tmp_path / "tested"), options, RECIPE | {"epochs": 8}, {})


def result(trial: Trial, hours: float) -> TrialResult:
    size, repeat = trial.facts["size"], trial.facts["repeat"]
    return TrialResult(
        trial.name, size, repeat, 0, 1, None, accuracy(size), 1.0, 0.5, 10, 1, seconds_of_last_start=3600 * hours
    )


def test_warm_trials_begin_with_smaller_ones_and_train_for_the_rest(design, tmp_path):
    trials = scaling_trials(str(tmp_path / "pool"), SIZES, design)
    by_name = {trial.name: trial for trial in trials}
    first, second = by_name["size-0000008-repeat-1"], by_name["size-0000032-repeat-1"]
    assert first.facts["pretrain_epochs"] == 4, "half of the steps were made with half of the videos"
    typed = commands(second, tmp_path)[0]
    assert typed[typed.index("--init") + 1] == str(design.folder / "trials" / "size-0000016-repeat-1" / "pretrained")
    assert isinstance(design.options, ScalingOptions)
    finished: dict[str, TrialResult] = {}
    ran = []
    for batch, _ in batches(trials, design.options, finished, ()):
        if not batch:
            break
        for trial in batch:
            assert trial.begin_with is None or trial.begin_with.parent.name in finished
            finished[trial.name] = result(trial, trial.facts["size"] / 64)
            ran.append(trial.facts["size"])
    assert ran[:3] == [1, 2, 4] and sum(ran) <= 64
