"""The package itself: every name is there when it is asked for, and nothing heavy before."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as ta
from tests.made_videos import numbered_frames, write_video
from tests.test_imports import HEAVY
from tiktokactions.cli.derive import all_commands

AT_MOST_MS = 50
HELP_AT_MOST_S = 0.35
SLACK = 1.6
"""Two cores that are shared with other work are slower by about this."""


def cpu_s(repository: Path, *arguments: str) -> float:
    """The least CPU time of five runs of Python."""
    environment = os.environ | {"PYTHONPATH": str(repository)}
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_the_import_takes_milliseconds_and_loads_nothing_heavy(repository: Path) -> None:
    took_ms = 1000 * (cpu_s(repository, "-c", "import tiktokactions") - cpu_s(repository, "-c", "pass"))
    assert took_ms <= AT_MOST_MS
    script = "import sys, json, tiktokactions; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(json.loads(done.stdout)) & (HEAVY | {"numpy", "pyarrow", "rich", "cyclopts", "msgspec"})


def test_help_comes_at_once(repository: Path) -> None:
    assert cpu_s(repository, "-m", "tiktokactions", "--help") <= HELP_AT_MOST_S * SLACK


def test_every_name_is_there() -> None:
    assert all(getattr(ta, name) is not None for name in ta.__all__)
    assert set(ta.__all__) <= set(dir(ta))
    assert {command.name for command in all_commands()} <= set(ta.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ta.nonsense


def test_the_old_name_still_works_and_says_so() -> None:
    with pytest.warns(DeprecationWarning, match="tiktokactions.api.doctor is now tiktokactions.doctor"):
        from tiktokactions.api import doctor
    assert doctor is ta.doctor


def test_the_ten_lines_of_the_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    monkeypatch.chdir(tmp_path)
    for number, label in enumerate(("walk", "walk", "walk", "jump", "jump", "jump")):
        frames = numbered_frames(50 + 10 * number, 96, 160, first=1000 * number)
        write_video(Path("videos", label, f"{number}.mp4"), frames, fps=10)
    data = ta.curate("videos/", "data/", min_person_frames=0, detector="none", workers=1)
    assert data.last_run.accepted == 6 and data.settled
    data = ta.Dataset("data/")
    with pytest.raises(ta.UsageError, match="was opened"):
        _ = data.last_run
    data.split(test=0.34, val=0)
    assert data.stats().accepted == 6
    quick: dict[str, Any] = {
        "batch_size": 2,
        "epochs": 1,
        "frames": 4,
        "image_size": 32,
        "workers": 0,
        "threads": 1,
        "device": "cpu",
    }
    run = ta.pretrain(data, "runs/pretrained", model="tiny", **quick)
    tuned = ta.finetune(data, "runs/tuned", init=run, **quick)
    assert isinstance(run, ta.Run) and tuned.evaluations["test"].videos == 2
    [seen] = tuned.predict("videos/walk/0.mp4", workers=0)  # type: ignore[misc]
    assert {guess.label for guess in seen.top} == {"walk", "jump"}
    assert tuned.evaluate(data, workers=0).videos == 2
