"""The one closing, proven: whatever ends a command, before whichever of its changes, the dataset says so and is healed.

Each command is ended before its k-th change of a file (:mod:`tests.dataset.killing`). Then the dataset is either what it was,
or what it was to become, or says that it is not settled; those who only read see the last settled version, to the byte, and
write nothing; and the same command given again ends as if nothing had happened. What a command leaves verifies clean.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.killing import COMMANDS

LEAST_CHANGES = {
    "curate": 18,
    "curate, grown": 12,
    "redecide": 12,
    "verify, repair": 12,
    "split": 10,
    "merge": 20,
    "hydrate": 15,
    "review apply": 10,
    "shards": 20,
    "take-down": 20,
}
"""Fewer would mean that some no longer pass through ``files/changes.py``."""


def killed(folder: Path, repository: Path, how_many: str, *names: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.dataset.killing", str(folder), how_many, *names],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {one["command"]: one for one in found}


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, dict[str, Any]]:
    return killed(tmp_path_factory.mktemp("killed"), repository, "some")


@pytest.mark.parametrize("name", COMMANDS)
def test_ended_before_some_of_its_changes_a_command_is_healed_by_itself(
    some: dict[str, dict[str, Any]], name: str
) -> None:
    assert some[name]["problems"] == []
    assert some[name]["changes"] >= LEAST_CHANGES[name]
    assert some[name]["ended_before"] == [some[name]["changes"] // 2, some[name]["changes"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_ended_before_any_of_its_changes_a_command_is_healed_by_itself(
    tmp_path: Path, repository: Path, name: str
) -> None:
    found = killed(tmp_path, repository, "all", name)[name]
    assert found["problems"] == []
    assert found["ended_before"] == list(range(1, found["changes"] + 1))
