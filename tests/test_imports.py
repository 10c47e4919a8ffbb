"""Imports go one way: a file may import what stands above it in the list of rooms, never what stands below."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "tiktokactions"
ROOMS = [
    *("records", "files", "intervals", "video", "plots", "hashtags", "collect", "curate", "review", "dataset", "model"),
    *("study", "report", "demo", "api", "progress", "cli", "__main__"),
]
HEAVY = {"torch", "onnxruntime", "matplotlib", "cv2", "av", "scipy", "scenedetect", "ai_edge_litert", "ultralytics"}


def source_files(repository: Path) -> list[Path]:
    return sorted(p for p in (repository / PACKAGE).rglob("*.py"))


def module_name(path: Path, repository: Path) -> str:
    parts = path.relative_to(repository).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, module: str, is_package: bool) -> list[tuple[int, str]]:
    """(line, absolute dotted name) of every import anywhere in a file, in functions and for type checking too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: None if is_package and node.level == 1 else -(node.level - is_package)]
                base = ".".join(parents + ([node.module] if node.module else []))
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def room(module: str) -> str | None:
    """The room of a dotted name inside the package; None for the package itself and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def wrong_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    home = room(module)
    if home is None:
        return []
    wrong = []
    for line, name in imported_modules(source, module, is_package):
        target = room(name)
        if target in ROOMS and ROOMS.index(target) > ROOMS.index(home):
            wrong.append(f"{module}, line {line}: '{home}' imports '{name}', but '{target}' stands below '{home}'")
    return wrong


@pytest.mark.parametrize(
    ("module", "source", "is_wrong"),
    [
        ("tiktokactions.files", "import os", False),
        ("tiktokactions.files", "from tiktokactions.records import Scene", False),
        ("tiktokactions.files", "from tiktokactions import video", True),
        ("tiktokactions.records", "def f():\n    import tiktokactions.files", True),
        ("tiktokactions.curate.scenes", "from tiktokactions.curate.people import x", False),
        ("tiktokactions.curate.scenes", "from . import people", False),
        ("tiktokactions.curate.scenes", "from ..dataset import manifest", True),
        ("tiktokactions.dataset.cards", "from ..curate.options import CurateOptions", False),
        ("tiktokactions.api", "from tiktokactions.cli import main", True),
        ("tiktokactions.video", "from tiktokactions import __version__", False),
    ],
)
def test_the_rule_itself(module, source, is_wrong):
    assert bool(wrong_imports(source, module)) is is_wrong


def test_every_file_imports_only_what_stands_above(repository):
    wrong = []
    for path in source_files(repository):
        name = module_name(path, repository)
        wrong += wrong_imports(path.read_text(encoding="utf-8"), name, path.name == "__init__.py")
    assert not wrong, "\n".join(wrong)


def test_every_file_is_in_a_room(repository):
    strangers = {
        str(path.relative_to(repository))
        for path in source_files(repository)
        if room(module_name(path, repository)) not in {None, *ROOMS}
    }
    assert not strangers, f"give these a place in ROOMS (docs and design say where): {sorted(strangers)}"
    assert not [p for p in source_files(repository) if p.stem in ("utils", "helpers", "common", "misc")]


@pytest.mark.parametrize("arguments", [["--help"], ["curate", "--help"], ["--version"]], ids=" ".join)
def test_start_up_is_light(repository, arguments, tmp_path):
    """Help must come at once: none of the heavy packages may be imported for it."""
    script = (
        "import json, sys\n"
        "from tiktokactions.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        "print('LOADED', json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.rsplit("LOADED", 1)[1]))
    assert not loaded & HEAVY, f"tiktokactions {' '.join(arguments)} imports {sorted(loaded & HEAVY)}"
