"""The numbered examples, run in order in one folder, as a reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.curation.tiny_onnx import write_constant_model
from tests.made_videos import numbered_frames, write_video

SCRIPTS = sorted((REPOSITORY / "examples").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four videos, and a detector that sees a person in every picture."""
    folder = tmp_path_factory.mktemp("examples")
    for number in range(4):
        path = folder / "work" / "videos" / ("walking", "jumping")[number % 2] / f"{number}.mp4"
        write_video(path, numbered_frames(50 + 10 * number, 96, 160, first=1000 * number, cuts=(5,)), fps=10)
    answer = np.zeros((1, 52 * 52 + 26 * 26 + 13 * 13, 85), np.float32)
    answer[0, 1000, 2:6] = (2.5, 2.5, 0.9, 1.0)
    (folder / "models").mkdir()
    write_constant_model(folder / "models" / "yolox_nano.onnx", (1, 3, 416, 416), answer)
    return folder


def test_they_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:2]) for path in SCRIPTS] == list(range(1, len(SCRIPTS) + 1)) and len(SCRIPTS) >= 8


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_each_runs_after_the_one_before(script: Path, work: Path) -> None:
    if "train" in script.name:
        pytest.importorskip("torch")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "TIKTOKACTIONS_MODELS": str(work / "models")}
    done = subprocess.run(
        [sys.executable, str(script), str(work / "work")],
        env=environment,
        cwd=work,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
