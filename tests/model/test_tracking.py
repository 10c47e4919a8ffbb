"""What is called, and with what, is written down by stand-ins. The packages themselves, which are not installed here, took
the same calls by hand: tensorboard 2.21.0, trackio 0.43.0, wandb 0.31.0 (offline) and mlflow 3.17.2 in November 2026."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from tiktokactions.commands.options import need_torch
from tiktokactions.errors import UsageError
from tiktokactions.model.tracking import track


class Recorded(types.ModuleType):
    """A module whose every function writes down how it was called."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.exceptions = types.SimpleNamespace(MlflowException=ConnectionError)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*given: Any, **named: Any) -> Any:
            print(f"{self.__name__}: {name}")
            self.calls.append((name, given, named))
            if named.get("run_id") == "elsewhere":
                raise self.exceptions.MlflowException
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r7"))

        return call


@pytest.fixture
def recorded(monkeypatch, request):
    module = Recorded(request.param)
    monkeypatch.setitem(sys.modules, request.param, module)
    return module


def follow(kind, run, step=0):
    send, close = track(kind, run, {"seed": 3}, step)
    send({"loss": 0.5}, step + 1)
    close()


@pytest.mark.parametrize("recorded", ["wandb", "trackio"], indirect=True)
def test_wandb_and_trackio(recorded, tmp_path, capsys):
    run = tmp_path / "run"
    follow(recorded.__name__, run)
    follow(recorded.__name__, run, step=1)
    (first, _, begun), logged, finished, (_, _, again), *_ = recorded.calls
    assert (first, begun["project"], begun["config"]) == ("init", "tiktokactions", {"seed": 3})
    assert begun == again and begun["resume"] == "allow", "a run that goes on is the same there"
    assert logged == ("log", ({"loss": 0.5},), {"step": 1}) and finished == ("finish", (), {})
    assert begun["name"] == "run" or (recorded.__name__ == "trackio" and begun["name"].startswith("run-"))
    follow(recorded.__name__, tmp_path / "other" / "run")
    other = recorded.calls[-3][2]
    assert [other.get(key) for key in ("id", "name")] != [begun.get(key) for key in ("id", "name")], "not the same run"
    assert "init" not in capsys.readouterr().out, "the standard output is for results"


@pytest.mark.parametrize("recorded", ["mlflow"], indirect=True)
def test_mlflow(recorded, tmp_path):
    follow("mlflow", tmp_path)
    follow("mlflow", tmp_path, step=1)
    assert [name for name, _, _ in recorded.calls] == [
        *("set_experiment", "start_run", "log_params", "log_metrics", "end_run"),
        *("set_experiment", "start_run", "log_metrics", "end_run"),
    ]
    begun = [named for name, _, named in recorded.calls if name == "start_run"]
    assert [named["run_id"] for named in begun] == [None, "r7"]
    assert ("log_metrics", ({"loss": 0.5},), {"step": 2}) in recorded.calls
    (tmp_path / "mlflow.txt").write_text("elsewhere")
    follow("mlflow", tmp_path, step=2)
    assert [named.get("run_id") for _, _, named in recorded.calls[-5:-2]] == ["elsewhere", None, None]
    assert (tmp_path / "mlflow.txt").read_text() == "r7", "of a store that is not there the run begins anew"


@pytest.mark.parametrize("tracker", ["tensorboard", "trackio", "wandb", "mlflow"])
def test_what_is_not_installed_is_told_in_a_line(monkeypatch, tracker):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == tracker else object())
    with pytest.raises(UsageError, match=f"`track` {tracker}: it is not installed; pip install {tracker}") as told:
        need_torch("pyav", tracker)
    assert "\n" not in str(told.value)


def test_without_a_tracker_nobody_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    follow(None, tmp_path)
    assert not list(tmp_path.iterdir())
