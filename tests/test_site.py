"""The documentation as a site: built strictly, nothing from elsewhere, and the command reference as the program is now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tiktokactions
from benchmarks.numbers import facts, filled, pages
from tiktokactions.cli.reference import command_reference


def test_the_command_reference_is_fresh(repository: Path) -> None:
    written = (repository / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == command_reference(), "the commands have changed: run make docs and commit docs/commands.md"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_measured_numbers_are_those_of_the_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == filled(text), "the results have changed: run python -m benchmarks.numbers"
    # Half a mark would be skipped silently.
    marks = set(re.findall(r"<!-- ([a-z]\w*\.\w+) -->", text))
    assert marks <= facts().keys()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1<!-- curate.ratio --> of it", r"0\.\d<!-- curate.ratio --> of it"),
        ("0<!-- curate.videos -->", r"\d+<!-- curate.videos -->"),
        ("9<!-- curate.two_workers -->", r"\d,\d{3}<!-- curate.two_workers -->"),
        ("2000-01-01<!-- curate.date -->", r"20[2-9]\d-\d\d-\d\d<!-- curate.date -->"),
        ("0.35 <!-- a note -->", r"0\.35 <!-- a note -->"),
    ],
    ids=["decimals", "whole", "thousands", "date", "not marked"],
)
def test_numbers_are_filled_in_as_they_stand(text: str, expected: str) -> None:
    assert re.fullmatch(expected, filled(text))


def test_an_unknown_number_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"curate\.nonsense"):
        filled("0.35<!-- curate.nonsense -->")


def test_the_python_reference_has_every_public_name(repository: Path) -> None:
    shown = re.findall(
        r"^::: tiktokactions\.(\w+)$", (repository / "docs" / "python.md").read_text(), flags=re.MULTILINE
    )
    assert sorted(shown) == sorted(tiktokactions.__all__)


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
