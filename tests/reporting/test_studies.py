"""The commands that the page prints for a study are those it was made with."""

from __future__ import annotations

import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

import tiktokactions
from tiktokactions import StudyPlan, cli
from tiktokactions.reporting.studies import study_sections
from tiktokactions.study.options import ScalingOptions, SourcesOptions
from tiktokactions.study.settings import Design

STUDIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sources": (
        "sources",
        {"size": 3, "sources": {"ours": "/far/our clips", "scratch": None, "synthetic": "synthetic:",
                                "cut": "synthetic:40:/far/our clips"}},
        {"sources": ["ours=our clips", "scratch", "synthetic", "cut=synthetic:40:our clips"], "size": 3},
    ),
    "scaling": ("scaling", {"data": "/far/pool", "sizes": [0, 2, 6]}, {"data": "pool", "sizes": ["0", "2", "6"]}),
    "warm scaling": (
        "scaling",
        {"data": "/far/pool", "sizes": [2, 6], "warm": True},
        {"data": "pool", "sizes": ["2", "6"], "warm": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_its_command_asks_for_the_same_study(name, tmp_path, monkeypatch):
    kind, more, asked = STUDIES[name]
    given: dict[str, Any] = {
        "evaluate_on": "/far/tested",
        "repeats": 2,
        "equal": "steps",
        "stratified": True,
        "seed": 7,
    }
    options = SourcesOptions(**given) if kind == "sources" else ScalingOptions(**given, warm="warm" in more)
    recipe = {"model": "tiny", "image_size": 32, "mask_ratio": 0.75}, {"epochs": 1, "device": "cpu"}
    Design(tmp_path / "the study", "/far/tested", options, *recipe).keep(kind, (), **more)
    [section] = study_sections(tmp_path / "the study")
    called: list[dict[str, Any]] = []

    def study(**kwargs: Any) -> StudyPlan:
        called.append(kwargs)
        return StudyPlan([], "epochs", 0.0, 1, {}, {})

    monkeypatch.setattr(tiktokactions, f"study_{kind}", study)
    monkeypatch.chdir(tmp_path)
    *files, command = section.commands
    for line in files:
        subprocess.run(["bash", "-c", line], check=True)
    assert cli.main(shlex.split(command)[1:]) == 0
    [told] = called
    expected = given | asked | {"evaluate_on": "tested", "output": "the study"}
    assert {name: told[name] for name in expected} == expected
    for config, options_ in zip(("pretrain_config", "finetune_config"), recipe, strict=True):
        assert tomllib.loads(Path(told[config]).read_text()) == options_
