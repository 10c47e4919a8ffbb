"""The wheel, built here and installed into a new environment outside the clone that holds what the base package asks for and
nothing else: no extras, no torch."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.network

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_NO_INDEX"))}
LARGEST_BYTES = 1_200_000
WITHOUT_TORCH = tuple(f"tiktokactions.model.{name}" for name in ("config", "masking", "options", "progress", "run"))
"""Of the room that needs the extra 'train', what the command line and the api need before they know that it is there."""


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def pip_options(repository, tmp_path_factory) -> list[str]:
    """Options of ``pip install``; skips where no package registry answers."""
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "-c", str(repository / "constraints.txt")]
    probe = ["--dry-run", "--ignore-installed", "--no-deps", "--retries", "0", "--timeout", "15", "mdurl"]
    done = run(sys.executable, "-m", "pip", "install", *options, *probe, cwd=tmp_path_factory.mktemp("probe"))
    if done.returncode:
        pytest.skip(f"no package registry: {done.stderr.strip().splitlines()[-1]}")
    return options


@pytest.fixture(scope="module")
def wheel(repository, pip_options, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pins = str(repository / "constraints.txt")
    done = run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, *pip_options, repository),
        cwd=folder,
        PIP_CONSTRAINT=pins,
        PIP_BUILD_CONSTRAINT=pins,
    )
    assert done.returncode == 0, done.stderr
    [path] = folder.glob("*.whl")
    return path


def asked_for(requirements: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """Of this environment, what these requirements need, and what that needs."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(Requirement(line), "") for line in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        key = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        is_new = key not in found
        found[key] = importlib.metadata.distribution(requirement.name)
        inner = [Requirement(line) for line in found[key].requires or ()]
        if is_new:
            waiting += [(each, "") for each in inner]
        waiting += [(each, name) for name in requirement.extras for each in inner if each.marker]
    return found


@pytest.fixture(scope="module")
def installed(wheel, pip_options, tmp_path_factory) -> Path:
    """``bin`` of a new environment that holds the base package and what it asks for, linked from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    [site] = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    needed = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    for distribution in asked_for(needed).values():
        tops = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    offline = ("--no-deps", "--no-index", "--no-compile", *pip_options)
    done = run(
        sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", *offline, wheel, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def installed_anew(wheel, pip_options, tmp_path_factory) -> Path:
    """``bin`` of a new environment into which pip has installed the wheel and what it asks for, all from the registry."""
    folder = tmp_path_factory.mktemp("new-environment")
    venv.create(folder, with_pip=True)
    done = run(folder / "bin" / "python", "-m", "pip", "install", "--no-compile", *pip_options, wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def torch_trap(tmp_path_factory) -> Path:
    """A folder with a ``torch`` that ends the program that imports it."""
    folder = tmp_path_factory.mktemp("trap")
    (folder / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    return folder


def test_the_wheel_holds_the_package_and_its_licence_only(wheel, repository):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    committed = {
        str(path.relative_to(repository))
        for path in (repository / "tiktokactions").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("tiktokactions/")} == committed, "code, pages, class lists: all"
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tiktokactions"}
    assert wheel.stat().st_size < LARGEST_BYTES


def test_the_base_install_has_neither_torch_nor_tools(installed, tmp_path):
    script = "import importlib.metadata as m, json; print(json.dumps([d.name.lower() for d in m.distributions()]))"
    names = set(json.loads(run(installed / "python", "-c", script, cwd=tmp_path).stdout))
    assert "tiktokactions" in names
    assert not names & {"torch", "torchvision", "ultralytics", "pytest", "mypy", "ruff", "imageio-ffmpeg"}


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["curate", "--help"], ["dataset", "stats", "--help"]], ids=" ".join
)
def test_commands_work_and_do_not_import_torch(installed, torch_trap, tmp_path, arguments):
    done = run(installed / "tiktokactions", *arguments, cwd=tmp_path, PYTHONPATH=str(torch_trap))
    assert (done.returncode, done.stderr) == (0, "")
    assert "tiktokactions" in done.stdout


def test_every_module_imports_without_extras(installed, torch_trap, tmp_path):
    script = (
        "import importlib, pkgutil, tiktokactions\n"
        "names = [m.name for m in pkgutil.walk_packages(tiktokactions.__path__, 'tiktokactions.')]\n"
        f"names = [n for n in names if not n.startswith('tiktokactions.model.') or n in {WITHOUT_TORCH}]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names), tiktokactions.__file__)\n"
    )
    done = run(installed / "python", "-c", script, cwd=tmp_path, PYTHONPATH=str(torch_trap))
    assert done.returncode == 0, done.stderr
    count, where = done.stdout.split(maxsplit=1)
    assert int(count) > 10
    assert where.startswith(str(installed.parent)), "the installed package, not the clone"


def test_training_without_the_extra_says_how_to_get_it(installed, tmp_path):
    (tmp_path / "videos").mkdir()
    done = run(installed / "tiktokactions", "pretrain", "videos", "-o", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'tiktokactions[train]'" in done.stderr


@pytest.mark.slow
def test_the_installed_wheel_runs_the_demo(installed_anew, tmp_path):
    done = run(installed_anew / "tiktokactions", "demo", "-o", tmp_path / "demo", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["videos"] == result["accepted"] + result["needs_review"] + result["rejected"] == 11
    assert min(result["accepted"], result["needs_review"], result["rejected"]) > 0
    assert (tmp_path / "demo" / "dataset" / "manifest.parquet").stat().st_size > 0
