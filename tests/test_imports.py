"""Imports go one way down the list of rooms, never in a circle, and a name with an underscore stays in its file."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = "tiktokactions"
ROOMS = [
    *(
        "errors",
        "options",
        "records",
        "machine",
        "text",
        "files",
        "metadata",
        "intervals",
        "video",
        "plots",
        "hashtags",
        "collection",
    ),
    *("curation", "dataset", "copies", "clips", "splits", "reviews", "verdicts", "releases", "takedowns", "model"),
    *("study", "reporting", "projects", "demonstration", "commands", "api", "cli", "__main__"),
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
        ("tiktokactions.curation.scenes", "from tiktokactions.curation.people import x", False),
        ("tiktokactions.curation.scenes", "from . import people", False),
        ("tiktokactions.curation.scenes", "from ..dataset import manifest", True),
        ("tiktokactions.dataset.cards", "from ..curation.options import CurateOptions", False),
        ("tiktokactions.commands", "from tiktokactions.cli import main", True),
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


def for_type_checking(tree: ast.AST) -> set[ast.AST]:
    """Everything below ``if TYPE_CHECKING``: imports there never run."""
    guards = (n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))
    return {node for guard in guards for statement in guard.body for node in ast.walk(statement)}


def runtime_imports(source: str, modules: set[str]) -> set[str]:
    """The files of the package that a file imports when it runs, in functions too."""
    tree = ast.parse(source)
    left_out = for_type_checking(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else node.module)
    return found & modules


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Every group of files that import each other, however far round (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(file: str) -> None:
        number[file] = low[file] = len(number)
        stack.append(file)
        for other in graph[file]:
            if other not in number:
                visit(other)
            if other in stack:
                low[file] = min(low[file], low[other])
        if low[file] == number[file]:
            group = stack[stack.index(file) :]
            del stack[stack.index(file) :]
            if len(group) > 1 or file in graph[file]:
                found.append(sorted(group))

    for file in sorted(graph):
        if file not in number:
            visit(file)
    return found


def foreign_private_names(source: str, module: str, modules: set[str]) -> Iterator[str]:
    """Names with one underscore that a file takes from another one, by import or as an attribute of it."""
    tree = ast.parse(source)
    ours = set(modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            ours |= {alias.asname for alias in node.names if alias.asname and alias.name in modules}
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                if alias.name.startswith("_") and not alias.name.startswith("__"):
                    yield f"{module}, line {node.lineno}: {node.module}.{alias.name}"
                if f"{node.module}.{alias.name}" in modules:
                    ours.add(alias.asname or alias.name)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value) in ours
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
        ):
            yield f"{module}, line {node.lineno}: {ast.unparse(node.value)}.{node.attr}"


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        pytest.param({"a": set(), "b": {"a"}}, [], id="a line"),
        pytest.param({"a": {"b"}, "b": {"a"}}, [["a", "b"]], id="two"),
        pytest.param({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]], id="three, and one beside"),
        pytest.param({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}, [], id="two ways to one file"),
    ],
)
def test_the_circle_rule_itself(graph, expected):
    assert circles(graph) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("from tiktokactions.files import located", 0, id="public"),
        pytest.param("from tiktokactions.files import _steady", 1, id="imported"),
        pytest.param("from tiktokactions import files\nfiles._steady()", 1, id="as an attribute"),
        pytest.param("import tiktokactions.files as room\nroom._steady()", 1, id="under another name"),
        pytest.param("import tiktokactions.files\ntiktokactions.files._steady()", 1, id="by its whole name"),
        pytest.param("from tiktokactions import __version__", 0, id="dunder"),
        pytest.param("from os import _exit", 0, id="another package's"),
    ],
)
def test_the_rule_of_private_names_itself(source, expected):
    assert len(list(foreign_private_names(source, "x", {"tiktokactions.files"}))) == expected


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    repository = Path(__file__).parents[1]
    return {module_name(path, repository): path.read_text(encoding="utf-8") for path in source_files(repository)}


def test_no_file_imports_itself_by_way_of_others(sources):
    modules = set(sources)
    assert not circles({module: runtime_imports(source, modules) for module, source in sources.items()})


def test_imports_name_the_whole_path(sources):
    """The rules above read whole names; ``from . import x`` would pass them by."""
    found = [
        f"{module}, line {node.lineno}: {ast.unparse(node)}"
        for module, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not found, "\n".join(found)


def test_private_names_stay_in_their_files(sources):
    modules = set(sources)
    found = [line for module, source in sources.items() for line in foreign_private_names(source, module, modules)]
    assert not found, "\n".join(found)


def calls_left_to_files(source: str, module: str) -> Iterator[str]:
    """Calls that tell a disk from a store, or that change a file, which is what ``files/`` is for."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), [ast.unparse(argument) for argument in node.args]
        tells = called == "isinstance" and "ObjectPath" in given[1]
        pretends = called in ("cast", "typing.cast") and "Path" in given[0]
        moves = called in ("os.replace", "os.rename", "os.link", "tempfile.mkstemp")
        if tells or pretends or moves or called.endswith((".write_bytes", ".write_text")):
            yield f"{module}, line {node.lineno}: {ast.unparse(node)[:80]}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("isinstance(path, ObjectPath)", 1, id="asked what it is"),
        pytest.param("isinstance(path, (Path, files.ObjectPath))", 1, id="asked among others"),
        pytest.param("cast(Path, ObjectPath(url))", 1, id="an untruth"),
        pytest.param("cast('Iterator[Path]', found)", 1, id="an untruth in quotes"),
        pytest.param("os.replace(staged, target)", 1, id="moved past files/"),
        pytest.param("target.write_text('x')", 1, id="written past files/"),
        pytest.param("isinstance(path, str) and local_path(path)\nwrite_atomic(path, b'x')", 0, id="as it should be"),
    ],
)
def test_the_rule_of_files_itself(source, expected):
    assert len(list(calls_left_to_files(source, "x"))) == expected


def test_only_files_tells_disks_from_stores_and_changes_files(sources):
    # A cache of clips that is nobody's data, and the page that the docs build writes.
    allowed = ("tiktokactions.files", "tiktokactions.clips.cache", "tiktokactions.cli.reference")
    found = [
        line
        for module, source in sources.items()
        if not module.startswith(allowed)
        for line in calls_left_to_files(source, module)
    ]
    assert not found, "\n".join(found)


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
