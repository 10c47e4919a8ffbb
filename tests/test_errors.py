"""One family of errors: what a person can put right is one line, anything else a bug with its traceback."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiktokactions
from tiktokactions import cli
from tiktokactions.errors import ATTENTION, BUG, USAGE, TiktokactionsError

INTERNAL = {
    "LeaseHeldError",
    "SearchLostError",
    "TorchcodecError",
    "VisitorNeededError",
    "UnsatisfiableError",
    "BodyTooLargeError",
}
"""Control flow between neighbours: no caller of a public function ever meets one, and their docstrings say so."""
NEEDS_ATTENTION = {"DiskFullError", "NonFiniteLossError", "ServerFailsError", "StoreError"}


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
