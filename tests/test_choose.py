"""The benchmark of choosing clips, in tiny: every way on a made task, with its interval."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import choose
from benchmarks.learn import Item, Task
from tests.made_videos import numbered_frames, write_video


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["regression", "finetune"])
def test_each_way_is_compared_with_random_clips(learner, tmp_path):
    pytest.importorskip("torch")
    items = []
    for number in range(12):
        label = ("walking", "jumping")[number % 2]
        path = tmp_path / "videos" / label / f"{number}.mp4"
        write_video(path, numbered_frames(20, 96, 64, first=1000 * number), fps=10)
        items.append(Item(str(path), label, number))
    task = Task("made, in tiny", tuple(items[:8]), tuple(items[8:]))
    trials = choose.trials_of(task, tmp_path / "work", learner, 2, (0,), ("random", "balanced-clusters"))
    for trial in trials:
        choose.carry_out(trial)
    written = Path(f"{trials[0].run}.json").stat().st_mtime_ns
    choose.carry_out(trials[0])
    assert Path(f"{trials[0].run}.json").stat().st_mtime_ns == written, "what is done is not done again"
    rows = choose.compared(trials)
    assert [(row["share"], row["way"], row["runs"]) for row in rows] == [
        (share, way, 1) for share in (0.25, 0.5) for way in ("random", "balanced-clusters")
    ]
    assert all(row["low"] <= row["difference"] <= row["high"] for row in rows if row["way"] != "random")
