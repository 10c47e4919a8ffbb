"""One family of errors: what a person can put right is one line, anything else a bug with its traceback."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiktokactions
from tiktokactions import cli, errors
from tiktokactions.cli.words import with_dashes
from tiktokactions.errors import (
    ATTENTION,
    BUG,
    USAGE,
    AccessError,
    DiskFullError,
    NotFoundError,
    TiktokactionsError,
)
from tiktokactions.files import disk_errors

INTERNAL = {
    "SearchLostError",
    "TorchcodecError",
    "VisitorNeededError",
    "UnsatisfiableError",
    "BodyTooLargeError",
    "MisfitError",
}
"""Control flow between neighbours: no caller of a public function ever meets one, and their docstrings say so."""
NEEDS_ATTENTION = {
    "RepairError",
    "MissingError",
    "DiskFullError",
    "NonFiniteLossError",
    "ServerFailsError",
    "StoreError",
}


def exceptions_of_the_package() -> Iterator[type[Exception]]:
    for module in pkgutil.walk_packages(tiktokactions.__path__, "tiktokactions."):
        if not module.name.endswith("__main__"):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.name:
                    yield value


EXCEPTIONS = sorted(exceptions_of_the_package(), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__) for kind in EXCEPTIONS])
def test_every_exception_belongs_to_the_family(kind: type[Exception]) -> None:
    assert kind.__doc__
    if kind.__name__ in INTERNAL or kind.__name__.startswith("_"):
        assert not issubclass(kind, TiktokactionsError) and "Internal" in kind.__doc__
    else:
        assert issubclass(kind, TiktokactionsError)
        assert re.search(rf"\b{kind.__name__}\b", errors.__doc__ or ""), (
            "it is missing in the tree at the top of errors.py"
        )
        assert kind.exit_code == (ATTENTION if kind.__name__ in NEEDS_ATTENTION else USAGE)


def test_the_family_is_walked_to_its_end() -> None:
    assert len(EXCEPTIONS) > 45


def test_a_bug_keeps_its_traceback_and_asks_for_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    import tiktokactions

    def broken(*arguments: object, **options: object) -> None:
        np.zeros(3) + np.zeros(4)

    monkeypatch.setattr(tiktokactions, "curate", broken)
    assert cli.main(["curate", str(tmp_path), "-o", str(tmp_path / "data")]) == BUG == 70
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert said.out == ""
    assert lines[0] == "Traceback (most recent call last):"
    assert "could not be broadcast together" in lines[-2]
    assert "please report it with the lines above" in lines[-1]


A_FILE_FOR_A_RUN = ["pretrain", "synthetic:9", "-o", "{tmp}/text.txt", "--batch-size", "2", "--model", "tiny"]
MISTAKES = [
    pytest.param(["curate", "{tmp}/nowhere", "-o", "{tmp}/d", "--detector", "none"], "nowhere", id="no such videos"),
    pytest.param(["curate", "{tmp}", "-o", "{tmp}/d", "--samples", "0"], "--samples: got 0", id="an option out of range"),
    pytest.param(["curate", "{tmp}", "-o", "{tmp}/text.txt"], "expected a folder, got a file", id="a file for a folder"),
    pytest.param(A_FILE_FOR_A_RUN, "text.txt: File exists. Expected", id="a file for a run"),
    pytest.param(["curate", "x://bucket/a", "-o", "{tmp}/d", "--detector", "none"], "x://bucket/a", id="no such store"),
    pytest.param(["dataset", "stats", "{tmp}"], "{tmp}", id="a folder that is no dataset"),
    pytest.param(["dataset", "stats", "x" * 300], "xxx...: File name too long", id="a text for a path"),
    pytest.param(["dataset", "split", "{tmp}/nowhere"], "nowhere", id="a dataset that is not there"),
    pytest.param(["dataset", "export", "{tmp}", "-o", "{tmp}/o", "--format", "coco"], "{tmp}", id="nothing to export"),
    pytest.param(["hashtags", "select", "{tmp}/nowhere.csv", "-o", "{tmp}/o"], "nowhere.csv", id="a list that is not there"),
    pytest.param(["hashtags", "select", "{tmp}", "-o", "{tmp}/o"], "{tmp}", id="a folder for a list"),
    pytest.param(["collect", "run", "{tmp}/bytes.csv", "-o", "{tmp}/c", "--sandbox"], "bytes.csv", id="not UTF-8"),
    pytest.param(["collect", "status", "{tmp}"], "not a collection", id="a folder that is no collection"),
    pytest.param(["collect", "import", "{tmp}/text.txt", "-o", "{tmp}/c"], "text.txt", id="an import without a row"),
    pytest.param(["refresh", "{tmp}"], "expected a collection or a dataset", id="nothing to refresh"),
    pytest.param(["download", "{tmp}"], "not a collection", id="nothing to download for"),
    pytest.param(["extrapolate", "{tmp}/bytes.csv"], "bytes.csv", id="results that are no text"),
    pytest.param(["report", "{tmp}", "-o", "{tmp}/r.html"], "nothing known in it", id="nothing to report on"),
    pytest.param(["review", "status", "{tmp}"], "{tmp}", id="nothing to review"),
    pytest.param(["pretrain", "{tmp}/nowhere", "-o", "{tmp}/run"], "nowhere", id="clips that are not there"),
    pytest.param(["evaluate", "{tmp}", "{tmp}/nowhere"], "{tmp}", id="a run that is none"),
    pytest.param(["evaluate", "{tmp}", "{tmp}/loop"], "{tmp}", id="a link to itself"),
    pytest.param(["report", "{tmp}/loop"], "{tmp}/loop", id="a link to itself, for report"),
    pytest.param(["predict", "{tmp}", "{tmp}/text.txt"], "{tmp}", id="a run that is none, for predict"),
    pytest.param(["plan", "--measure", "{tmp}/nowhere"], "nowhere", id="a sample that is not there"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "told"), MISTAKES)
def test_a_mistake_is_one_line(
    command: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "bytes.csv").write_bytes(b"hashtag\n\xff\xfe\n")
    assert cli.main([word.format(tmp=tmp_path) for word in command]) == USAGE
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert said.err.count("error: ") == 1 and told.format(tmp=tmp_path) in said.err


def test_a_file_that_may_not_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tiktokactions as ta

    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", "/root/data")

    monkeypatch.setattr(ta, "curate", refused)
    assert cli.main(["curate", str(tmp_path), "-o", str(tmp_path / "data")]) == USAGE
    assert capsys.readouterr().err.startswith("error: /root/data: Permission denied.")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device", "/data/a"), DiskFullError),
        (OSError(122, "Disk quota exceeded"), DiskFullError),
        (PermissionError(13, "Permission denied", "/data/a"), AccessError),
        (OSError(30, "Read-only file system", "/data/a"), AccessError),
        (FileNotFoundError(2, "No such file or directory", "/data/a"), FileNotFoundError),
        (ValueError("a bug"), ValueError),
        (NotFoundError("a.parquet: no such file"), NotFoundError),
    ],
    ids=["disk full", "quota", "no permission", "read-only", "a file of ours that is gone", "a bug", "said already"],
)
def test_what_a_disk_refuses(error: Exception, kind: type[Exception], tmp_path: Path) -> None:
    (tmp_path / ".staging").mkdir()
    with pytest.raises(kind) as raised, disk_errors(tmp_path):
        raise error
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("`samples`: got 0, expected 1 or more", "--samples: got 0, expected 1 or more"),
        ("at most `max_clip_s` (10), or a `detector`.", "at most --max-clip-s (10), or a --detector."),
        ("`output` is missing", "-o is missing"),
        ("say so once with `entitled` (kept)", "say so once with --i-am-entitled (kept)"),
        ("/data/`samples`/a.mp4: no such file", "/data/`samples`/a.mp4: no such file"),
        ("got '`a b`' and `Salsa` and ``code``", "got '`a b`' and `Salsa` and ``code``"),
    ],
)
def test_the_command_line_adds_the_dashes(text: str, typed: str) -> None:
    assert with_dashes(text) == typed


STARTS_PROGRAMS = {
    "collection/fetch.py",  # speaks to yt-dlp as its command line does
    "curation/weights.py",
    "demonstration/browser.py",
    "commands/demo.py",
    "study/cost.py",
    "study/trials.py",
}
"""They start pip, a browser, or a command of ours as a process of its own, whose arguments are flags."""
SHOWS_COMMANDS = {
    "reporting/origins.py",
    "reporting/page.py",
    "reporting/runs.py",
    "reporting/studies.py",
    "verdicts/quarantine.py",
}
"""The report shows the commands that make its results again, a quarantine the one that empties it, to be pasted into a
shell."""
EXAMPLE = re.compile(r"\n    Example:\n(        .*\n)+")
"""The end of a command's docstring: how it is typed."""
FLAG = re.compile(r"(?<![\w-])--[a-z]|another -o\b|`-o`")


def test_only_the_command_line_knows_flags() -> None:
    package = Path(tiktokactions.__path__[0])
    found = []
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name.startswith(("cli/", "commands/signatures.py")) or name in STARTS_PROGRAMS | SHOWS_COMMANDS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and FLAG.search(EXAMPLE.sub("", node.value))
            ):
                found.append(f"{name}, line {node.lineno}: {node.value[:80]!r}")
    assert not found, "\n".join(["name the option as Python calls it, between backticks:", *found])
