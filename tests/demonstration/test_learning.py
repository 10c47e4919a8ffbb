"""The rendered set is learned: what the steps ``train`` and ``learn`` of the demonstration promise."""

from __future__ import annotations

import statistics

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from tiktokactions.demonstration import learning
from tiktokactions.model.run import Run


@pytest.fixture
def few_and_short(monkeypatch):
    few = learning.render_actions
    monkeypatch.setattr(learning, "render_actions", lambda output, **_: few(output, train_figures=4, test_figures=1))
    for recipe in (learning.PRETRAINING, learning.FINETUNING):
        monkeypatch.setitem(recipe, "epochs", 2)


def test_the_demo_runs_through(tmp_path, few_and_short):
    """The whole chain with a few figures and two epochs: files, not accuracy."""
    told: list[str] = []
    found, scratch = learning.learn_rendered_actions(tmp_path, report=lambda progress: told.append(progress.message))
    assert found.videos == 6 and found.classes == 6
    assert (tmp_path / "runs" / "finetuned-0" / "evaluations" / "test" / "confusion.png").is_file()
    assert "rendered clips" in " ".join(told)
    losses = [Run(tmp_path / "runs" / f"{name}-0").result.loss for name in ("finetuned", "scratch")]
    assert None not in losses and losses[0] != losses[1], "the comparison begins with random weights"
    again = learning.learn_rendered_actions(tmp_path)
    assert [test.top1 for test in again] == [found.top1, scratch.top1], "a second call redoes nothing"


@pytest.mark.slow
def test_the_brief_training_is_the_comparison_on_fewer_clips(tmp_path, few_and_short):
    assert learning.train_briefly(tmp_path).videos == 6
    assert (tmp_path / "runs" / "brief-0" / "evaluations" / "test" / "confusion.png").is_file()
    learning.learn_rendered_actions(tmp_path)
    losses = [Run(tmp_path / "runs" / f"{name}-0").result.loss for name in ("brief", "scratch")]
    assert losses[0] == losses[1], "one process or two: the same training"


@pytest.mark.slow
def test_unseen_figures_are_told_apart_after_a_brief_training(tmp_path):
    """Chance is 17 %."""
    assert learning.train_briefly(tmp_path).top1 >= 0.45


@pytest.mark.slow
def test_unseen_figures_are_told_apart(tmp_path):
    """Mean of three seeds; chance is 17 %."""
    found = [learning.learn_rendered_actions(tmp_path, seed=seed)[0].top1 for seed in range(3)]
    assert statistics.mean(found) >= 0.75, found
