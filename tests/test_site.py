"""The documentation as a site: built strictly, nothing from elsewhere, and the command reference as the program is now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tiktokactions.cli.reference import command_reference


def test_the_command_reference_is_fresh(repository: Path) -> None:
    written = (repository / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == command_reference(), "the commands have changed: run make docs and commit docs/commands.md"


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra 'dev' is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(folder)],
        cwd=repository,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_and_loads_nothing_from_elsewhere(site: Path, repository: Path) -> None:
    pages = {path.stem for path in (repository / "docs").glob("*.md")} | {"index", "changelog", "contributing"}
    assert {path.stem for path in site.glob("*.html")} >= pages
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(https?://[^\s\">]+)", text)
        foreign = [address for address in loaded if "rel=canonical" not in address]
        assert not foreign, f"{path.name} loads {foreign}"
