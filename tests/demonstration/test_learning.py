"""The rendered set is learned: what the step ``learn`` of the demonstration promises."""

from __future__ import annotations

import shutil
import statistics

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from tiktokactions.demonstration import learning


def test_the_demo_runs_through(tmp_path, monkeypatch):
    """The whole chain with a few figures and two epochs: files, not accuracy."""
    few = learning.render_actions
    monkeypatch.setattr(
        learning, "render_actions", lambda output, progress: few(output, train_figures=4, test_figures=1)
    )
    for recipe in (learning.PRETRAINING, learning.FINETUNING):
        monkeypatch.setitem(recipe, "epochs", 2)
    told: list[str] = []
    monkeypatch.setattr(learning, "usable_cores", lambda: 2)
    found = learning.learn_rendered_actions(
        tmp_path, scratch=True, report=lambda progress: told.append(progress.message)
    )
    assert found["videos"] == 6 and found["classes"] == 6 and found["finetune_loss"] > 0
    assert (tmp_path / "runs" / "finetuned-0" / "evaluations" / "test" / "confusion.png").is_file()
    assert "rendered clips" in " ".join(told)
    assert any("scratch-0: finished before" in line for line in told), "the second core did it meanwhile"
    monkeypatch.setattr(learning, "usable_cores", lambda: 1)
    shutil.rmtree(tmp_path / "runs" / "scratch-0")
    alone = learning.learn_rendered_actions(tmp_path, scratch=True)
    assert alone["scratch"]["finetune_loss"] == found["scratch"]["finetune_loss"], "one core or two: the same training"
    assert learning.learn_rendered_actions(tmp_path)["top1"] == found["top1"], "a second call redoes nothing"


@pytest.mark.slow
def test_unseen_figures_are_told_apart(tmp_path):
    """Mean of three seeds; chance is 17 %."""
    found = [learning.learn_rendered_actions(tmp_path, seed=seed)["top1"] for seed in range(3)]
    assert statistics.mean(found) >= 0.75, found
