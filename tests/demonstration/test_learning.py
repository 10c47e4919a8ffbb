"""The demo is the project for laptops, and what it trains tells unseen figures apart."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

import tiktokactions as ta
from tests.made_videos import numbered_frames, write_video
from tiktokactions.commands.run import shipped
from tiktokactions.demonstration import rendered
from tiktokactions.demonstration.samples import AS_IT_IS, RECIPES


@pytest.mark.slow
def test_unseen_figures_are_told_apart_after_a_brief_training(tmp_path):
    """Chance is 17 %."""
    [step] = ta.demo(tmp_path, steps=["train"])
    tested = ta.Run(tmp_path / "runs" / "scratch").evaluations["test"]
    assert tested.videos == 120 and tested.top1 >= 0.45
    assert f"top-1 {tested.top1:.1%}" in step.told and step.files == (f"{tested.folder}/confusion.png",)


def shortened(name: Any) -> str:
    """Nobody looks for people, and every training is a few steps."""
    look = 'output = "laptop/dataset"\n'
    text = (
        shipped(name)
        .replace(look, f'{look}detector = "none"\n')
        .replace("stride = 2\n", "stride = 2\nframes = 4\n")
        .replace("warmup_epochs = 1", "warmup_epochs = 0")
    )
    return text.replace("epochs = 8\n", "epochs = 1\n").replace("epochs = 4\n", "epochs = 1\n")


@pytest.mark.slow
def test_the_demo_leaves_a_project_that_goes_on(tmp_path, monkeypatch):
    """Its steps are those of the project, which is asked for the same seed; what they made is not made again."""
    all_figures = rendered.render_actions
    monkeypatch.setattr(rendered, "render_actions", lambda out, **_: all_figures(out, train_figures=6, test_figures=1))
    for number, path in enumerate((*(recipe.path for recipe in RECIPES), AS_IT_IS[0])):
        write_video(tmp_path / "samples/videos" / path, numbered_frames(30, 96, 64, first=1000 * number), fps=10)
    monkeypatch.setattr("tiktokactions.commands.demo.shipped", shortened)
    done = ta.demo(tmp_path, steps=["curate", "train", "learn", "report"], seed=3)
    assert [step.name for step in done if not step.skipped] == ["curate", "train", "learn", "report"]
    assert ta.Run(tmp_path / "runs" / "finetuned").options["seed"] == 3
    assert "Steps against the plan" in (tmp_path / "report.html").read_text()
    planned = {step.name: step.state for step in ta.run(tmp_path / "laptop.toml", dry_run=True).steps}
    assert planned["finetune"] == "up to date" and planned["study-scaling"] == "to do"
