"""The prose is run: every command and every Python block in README.md and docs/, and the examples of --help, in a folder that
has what they name.

A command that cannot be run here makes its test fail. Commands that need what no test machine has are in ``DRY_RUN``,
Python blocks in ``NOT_RUN``; what is not a command of this project must be listed in ``NOT_OURS``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.curation.tiny_onnx import write_constant_model
from tests.hub import Hub, running_hub
from tests.made_videos import numbered_frames, write_video
from tests.projects import WEEKLY
from tiktokactions import cli
from tiktokactions.cli import derive, parser
from tiktokactions.model.run import read_log
from tiktokactions.reviews.store import Store

DRY_RUN = ("--engine ray", "s3://", "gs://", "--device cuda", "torchrun ", "tiktokactions study ")
"""Need a cluster, credentials, a GPU or many minutes: run with --dry-run."""
NETWORK = ("tiktokactions demo",)
"""Need the package registry: run by make test-all."""
LONG = ("docs/paper.md", "docs/scale.md", "docs/study.md", "docs/training.md")
"""Pages that train and study for minutes: run by make test-all. README does all of it once in the quick tests."""
LONG_EXAMPLES = ("tiktokactions study ", "--method paper", "weekly.toml")
"""So are these of --help, which stand on those pages."""
ENDLESS = (
    r"tiktokactions review (?!suggest|apply|status|invite|export|import|-)",
    r"tiktokactions review apply .*--watch",
)
"""Run until they are interrupted: here as soon as they have said that they are ready."""
NOT_OURS = ("git clone ", "cd ", "pip install ", "python3 -m venv ", "python -m venv ", ". .venv/", "source .venv/")
"""First words of the lines that set up a machine: there to be read."""
NOT_RUN: dict[str, str] = {}
"""Python blocks that cannot be run here: their first line of code, and why."""
FENCES = ("bash", "sh", "shell", "console")
SECONDS_AT_MOST = 300


# --- what the prose says --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    document: str
    line: int
    text: str

    @property
    def is_ours(self) -> bool:
        return (
            re.search(
                r"(^|[|;&(=]\s*|\s)(tiktokactions|python3? -m (tiktokactions|benchmarks)\S*|make|torchrun)(\s|$)",
                self.text,
            )
            is not None
        )

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.text}"


def commands_in(document: str, text: str) -> Iterator[Command]:
    """The commands of the fenced blocks: every line of bash, the lines after ``$`` of console; ``\\`` joins lines."""
    language: str | None = None
    begun = ""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("```"):
            language = stripped[3:].strip().split(" ")[0] if language is None else None
            assert not begun, f"{document}:{number}: the block ends in the middle of a command"
        elif language in FENCES and stripped:
            if not begun and language == "console" and not stripped.startswith("$ "):
                continue  # output
            if not begun and stripped.startswith("#"):
                continue
            begun += stripped.removeprefix("$ ")
            if begun.endswith("\\"):
                begun = begun[:-1]
                continue
            yield Command(document, number, begun)
            begun = ""


@dataclass(frozen=True)
class PythonBlock:
    document: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def python_blocks_in(document: str, text: str) -> Iterator[PythonBlock]:
    """The fenced blocks of Python, wherever they are indented."""
    for found in re.finditer(r"^([ ]*)```python[^\n]*\n(.*?)^[ ]*```", text, flags=re.MULTILINE | re.DOTALL):
        yield PythonBlock(document, text[: found.start()].count("\n") + 1, textwrap.dedent(found[2]))


def all_python_blocks() -> list[PythonBlock]:
    return [block for name, text in documents().items() for block in python_blocks_in(name, text)]


def documents() -> dict[str, str]:
    paths = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("**/*.md"))]
    return {str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8") for path in paths if path.exists()}


def example_commands(example: str) -> list[Command]:
    return [Command("--help", 1, line) for line in example.splitlines() if line.startswith("tiktokactions ")]


def all_commands() -> list[Command]:
    prose = [command for name, text in documents().items() for command in commands_in(name, text)]
    examples = [command for typed in derive.all_commands() for command in example_commands(typed.example)]
    return prose + list(dict.fromkeys(examples))


def marks_of(part: Command | PythonBlock) -> list[pytest.MarkDecorator]:
    network = any(word in part.text for word in NETWORK)
    is_long = part.document in LONG or (part.document == "--help" and any(word in part.text for word in LONG_EXAMPLES))
    return [pytest.mark.slow] * (network or is_long) + [pytest.mark.network] * network


# --- a folder that has what the commands name -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def tools(tmp_path_factory) -> Path:
    """A folder with ``bin/tiktokactions`` and a person detector that sees a person in every picture."""
    root = tmp_path_factory.mktemp("tools")
    program = root / "bin" / "tiktokactions"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tiktokactions "$@"\n')
    program.chmod(0o755)
    torchrun = root / "bin" / "torchrun"
    torchrun.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m torch.distributed.run "$@"\n')
    torchrun.chmod(0o755)
    answer = np.zeros((1, 52 * 52 + 26 * 26 + 13 * 13, 85), np.float32)
    answer[0, 1000, 2:6] = (2.5, 2.5, 0.9, 1.0)  # width, height, is something, is a person
    (root / "models").mkdir()
    write_constant_model(root / "models" / "yolox_nano.onnx", (1, 3, 416, 416), answer)
    return root


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """The hub to which a page pushes, in the name that it uses."""
    with running_hub() as hub:
        hub.users = {"hf_lab": "a-lab"}
        yield hub


def environment_of(tools: Path) -> dict[str, str]:
    return os.environ | {
        "PATH": f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "TIKTOKACTIONS_MODELS": str(tools / "models"),
    }


def run_and_interrupt(text: str, folder: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    """A command that runs until Ctrl-C; its port is any that is free. What 130 stands for is success here."""
    free_port = "" if "--watch" in text else " --port 0"
    with subprocess.Popen(
        ["sh", "-c", f"exec {text}{free_port}"],
        cwd=folder,
        env=environment_of(tools),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        timer = threading.Timer(SECONDS_AT_MOST, process.kill)
        timer.start()
        said = ""
        for line in process.stderr:
            said += line
            if "http://" in line or "watching" in line:
                process.send_signal(signal.SIGINT)
                break
        said += process.stderr.read()
        out = process.stdout.read()
        timer.cancel()
    return subprocess.CompletedProcess(text, 0 if process.returncode == 130 else process.returncode, out, said)


def run_here(
    act: Callable[[], int | None], folder: Path, tools: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """What a command or a block does, in this process: it costs seconds less, and what a process of its own adds is tested
    elsewhere."""
    out, said = io.StringIO(), io.StringIO()
    ends = signal.getsignal(signal.SIGTERM)
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(said),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        for name, value in environment_of(tools).items():
            patch.setenv(name, value)
        try:
            code: int | str | None = act()
        except SystemExit as stop:
            code = stop.code
    signal.signal(signal.SIGTERM, ends)
    returned = code if isinstance(code, int) else int(code is not None)
    return subprocess.CompletedProcess([], returned, out.getvalue(), said.getvalue())


def can_run_here(text: str) -> bool:
    """Nothing in it is for a shell, and not huggingface_hub, which reads its settings once."""
    plain = re.sub(r"'[^']*'", "", text)
    return text.startswith("tiktokactions ") and not set(plain) & set("|&;<>$`*?~(") and "--push" not in text


@pytest.fixture(scope="session")
def run(tools, hub) -> Callable[[str, Path], subprocess.CompletedProcess[str]]:
    def run_in(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
        first, _, ours = text.rpartition(" | ")
        if can_run_here(ours):
            piped = subprocess.run(["sh", "-c", first or ":"], cwd=folder, capture_output=True, text=True, check=True)
            return run_here(lambda: cli.main(shlex.split(ours)[1:]), folder, tools, piped.stdout)
        try:
            return subprocess.run(
                ["sh", "-c", text],
                cwd=folder,
                env=environment_of(tools) | {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_lab"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS_AT_MOST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.fail(f"{text}: still running after {SECONDS_AT_MOST} s")

    return run_in


@pytest.fixture(scope="session")
def workspace(run, tmp_path_factory) -> Path:
    """One folder with the names that the documents use: a reader, too, goes from page to page in one folder."""
    folder = tmp_path_factory.mktemp("docs")
    prepare(folder, run)
    return folder


@pytest.fixture(scope="session")
def ran_before() -> dict[str, subprocess.CompletedProcess[str]]:
    """What stands on several pages is run once."""
    return {}


def prepare(folder: Path, run: Callable[[str, Path], subprocess.CompletedProcess[str]]) -> None:
    """To curate: ``videos/``, ``demo/videos/``, lists, ``*.toml``; done: ``collection/``, datasets (``data/`` ...)."""
    names = [f"{label}/{number}.mp4" for label in ("walking", "jumping") for number in ("one", "two", "three", "four")]
    for index, name in enumerate(names):
        frames = numbered_frames(50 + 10 * index, 96, 160, first=1000 * index, cuts=(5,))
        write_video(folder / "videos" / name, frames, fps=10)
    rows = [f"videos/{name},{name.split('/')[0]}" for name in names]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    (folder / "list.txt").write_text("\n".join(f"videos/{name}" for name in names) + "\n")
    (folder / "curate.toml").write_text("min_person_frames = 6\n")
    small = 'device = "cpu"\nworkers = 0\nthreads = 1\nbatch_size = 2\nepochs = 1\n'
    (folder / "pretrain.toml").write_text(f'model = "tiny"\nframes = 4\n{small}')
    (folder / "finetune.toml").write_text(small)
    points = ((1000, 0.741), (2000, 0.836), (3000, 0.894), (4000, 0.916), (5000, 0.909), (6000, 0.932))
    (folder / "results.csv").write_text("size,accuracy\n" + "".join(f"{s},{a}\n" for s, a in points))
    (folder / "runs.csv").write_text("num_videos,test/acc1\n" + "".join(f"{s},{a}\n" for s, a in points))
    (folder / "project.toml").write_text('[[step]]\ncommand = "hashtags propose"\nsources = ["ucf101"]\n')
    (folder / "weekly.toml").write_text(WEEKLY.replace('"data"', '"weekly/data"').replace("runs/", "weekly/runs/"))
    (folder / "hashtags.csv").write_text("hashtag\nwaltz\nshoerepair\n")
    (folder / "videos.csv").write_text("video_id,hashtags,username\n7300000000000000001,waltz,ann\n")
    (folder / "notice.txt").write_text("Remove https://www.tiktok.com/@ann/video/7300000000000000001\n")
    (folder / "views.csv").write_text("hashtag,views\npiano,44.4B\nplayingpiano,29.4M\n")
    for command in ("propose -o candidates.csv", "select candidates.csv -o hashtags/"):
        assert run(f"tiktokactions hashtags {command}", folder).returncode == 0
    period = "--per-hashtag 20 --from 2024-01-01 --to 2024-03-31"
    done = run(f"tiktokactions collect run hashtags.csv -o collection/ {period} --sandbox", folder)
    assert done.returncode == 0, f"the test's own collection could not be made: {done.stderr}"
    done = run("tiktokactions curate videos/ -o data", folder)
    assert done.returncode == 0, f"the test's own dataset could not be made: {done.stderr}"
    write_video(folder / "more_videos" / "walking" / "nine.mp4", numbered_frames(60, 96, 160, first=9000), fps=10)
    done = run("tiktokactions curate more_videos/ -o more", folder)
    assert done.returncode == 0, f"the test's second dataset could not be made: {done.stderr}"
    video_id = next(folder.glob("data/records/*/*.json")).stem
    for answers in ("answers.csv", "gold.csv"):
        (folder / answers).write_text(f"video_id,verdict,annotator\n{video_id},accept,Eve\n")
    Store(folder / "reviewed" / "data").close()
    shutil.copytree(folder / "videos", folder / "demo" / "videos")
    shutil.copytree(folder / "data", folder / "demo" / "dataset")


# --- tests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("tiktokactions doctor\n", []),
        ("```bash\ntiktokactions a\n\n# why\nmake b\n```", ["tiktokactions a", "make b"]),
        ("```console\n$ tiktokactions a\noutput\n$ make b\n```\ntiktokactions c", ["tiktokactions a", "make b"]),
        ("```bash\ntiktokactions a \\\n    -o b\n```", ["tiktokactions a -o b"]),
        ("```python\ntiktokactions a\n```", []),
        ("```\ntiktokactions a\n```\n```sh\ntiktokactions b\n```", ["tiktokactions b"]),
    ],
    ids=["nothing", "outside", "bash", "console", "continued", "python", "plain"],
)
def test_commands_are_found(text, expected):
    assert [command.text for command in commands_in("x.md", text)] == expected


@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        ("tiktokactions curate videos/ -o data/", True),
        ("TIKTOKACTIONS_OFFLINE=1 tiktokactions doctor", True),
        ("find videos -name '*.mp4' | tiktokactions curate - -o data/", True),
        ("make demo", True),
        ("pip install tiktokactions", True),  # looks like ours: NOT_OURS decides
        ("git clone https://example.org/cmake.git", False),
    ],
)
def test_our_commands_are_recognised(text, is_ours):
    assert Command("x.md", 1, text).is_ours is is_ours


def test_the_readme_shows_commands():
    assert "README.md" in documents(), "there is no README.md"
    assert [command for command in all_commands() if command.document == "README.md" and command.is_ours]


@pytest.mark.parametrize("command", [pytest.param(c, id=str(c), marks=marks_of(c)) for c in all_commands()])
def test_commands_in_the_docs_run(command, run, tools, workspace, ran_before):
    text = command.text
    if text.startswith(NOT_OURS):
        return
    assert command.is_ours, f"{command}\nis not a command of this project: run it here, or list it in NOT_OURS"
    done = ran_before.get(" ".join(text.split()))
    if done is not None:
        pass
    elif re.match(r"(\w+=\S* )*make( |$)", text):
        # Running 'make test' in a test would never end; make -n says whether every target exists and what it would do.
        done = run(text.replace("make", "make -n", 1), REPOSITORY)
    elif "-m benchmarks" in text:
        done = run(
            f"{text} --help".replace("python3 ", "python ").replace("python ", f"{shlex.quote(sys.executable)} "),
            REPOSITORY,
        )
    elif any(re.match(pattern, text) for pattern in ENDLESS):
        done = run_and_interrupt(text, workspace, tools)
    else:
        dry = " --dry-run" if any(word in text for word in DRY_RUN) and "--dry-run" not in text else ""
        done = run(text + dry, workspace)
    ran_before[" ".join(text.split())] = done
    # Eight clips are too few for both labels on every side, and a split says so.
    expected = 1 if "attention: val: wanted clips of all 2 labels" in done.stdout else 0
    assert done.returncode == expected, f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"


SMALL = {"pretrain": "--model tiny --num-samples 1 --pictures-epochs 0", "finetune": "--model tiny --num-samples 2"}
"""What makes a recipe of the docs one of seconds on two CPU processes, by its command."""


def torchrun_lines() -> list[Command]:
    """Every torchrun of the docs, those for several machines too, as it runs on this one: two processes, CPU, tiny."""
    found: list[Command] = []
    for name, text in documents().items():
        for line in re.finditer(r"^(?:srun )?torchrun (?:.*\\\n)*.*-m tiktokactions .*", text, flags=re.MULTILINE):
            typed = " ".join(line[0].removeprefix("srun ").replace("\\\n", " ").split())
            ours = typed.partition(" -m tiktokactions ")[2]
            ours = re.sub(r" (-o|--init) \S*/(\S+)", rf" \1 runs/{len(found)}-\2", ours)
            ours = re.sub(r" --(batch-size|workers) \S+", "", ours)
            small = SMALL[ours.split()[0]]
            small += " --epochs 1 --batch-size 1 --workers 0 --threads 1 --device cpu --save-steps 1"
            started = "torchrun --standalone --nproc-per-node 2 -m tiktokactions"
            found.append(Command(name, text[: line.start()].count("\n") + 1, f"{started} {ours} {small}"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("command", [pytest.param(c, id=str(c)) for c in torchrun_lines()])
def test_torchrun_in_the_docs_runs_to_its_end(command, run, workspace):
    done = run("tiktokactions dataset split data/; " + command.text, workspace)
    assert done.returncode == 0, f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert ": finished, " in done.stdout
    assert "finetune" not in command.text or "mean class accuracy" in done.stdout


@pytest.mark.slow
def test_processes_of_torchrun_do_what_one_does(run, workspace):
    """Train, test and predict together; one process with twice the batch finishes what two began; SIGTERM saves."""
    small = f"{SMALL['pretrain']} --epochs 4 --workers 1 --threads 1 --device cpu --log-steps 1"
    torchrun = "torchrun --standalone --nproc-per-node 2 -m tiktokactions"
    for text in (
        f"{torchrun} pretrain data/ -o runs/begun {small} --batch-size 1 --stop-after-steps 2",
        f"tiktokactions pretrain data/ -o runs/begun {small} --batch-size 2",
        f"{torchrun} pretrain data/ -o runs/two {small} --batch-size 1",
    ):
        done = run(text, workspace)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    losses = [[line["loss"] for line in read_log(workspace / "runs" / name)] for name in ("begun", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    quick = "--device cpu --workers 0 --segments 1 --crops 1"
    tuning = "--init runs/two --epochs 1 --batch-size 1 --mixup 0 --cutmix 0"
    for text in (
        f"{torchrun} finetune data/ -o runs/tuned {tuning} {quick}",
        f"{torchrun} evaluate runs/tuned data/ {quick}",
        f"{torchrun} predict runs/tuned videos/ {quick}",
    ):
        done = run(text, workspace)
        assert done.returncode == 0 and done.stdout, f"{text}\n{done.stdout}{done.stderr}"
    assert done.stdout.count(".mp4") == 8
    done = run(f"{torchrun} dataset stats data/", workspace)
    assert done.returncode == 1 and "error: torchrun starts pretrain, finetune, evaluate, predict" in done.stderr


@pytest.mark.slow
def test_a_signal_to_torchrun_saves(workspace, tools):
    options = f"{SMALL['pretrain']} --epochs 100000 --batch-size 1 --workers 1 --threads 1 --device cpu --log-steps 1"
    text = f"exec torchrun --standalone --nproc-per-node 2 -m tiktokactions pretrain data/ -o runs/signal {options}"
    with subprocess.Popen(
        ["sh", "-c", text], cwd=workspace, env=environment_of(tools), stderr=subprocess.DEVNULL
    ) as job:
        waits_until = time.monotonic() + SECONDS_AT_MOST
        while not read_log(workspace / "runs" / "signal"):
            assert job.poll() is None and time.monotonic() < waits_until
            time.sleep(0.5)
        job.terminate()
        job.wait(SECONDS_AT_MOST)
    [saved] = (workspace / "runs" / "signal" / "checkpoints").iterdir()
    assert int(saved.name.removeprefix("step-")) >= read_log(workspace / "runs" / "signal")[-1]["step"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("```bash\nls\n```", []),
        ("```python\nimport a\n\nb()\n```", ["import a\n\nb()\n"]),
        ("- so:\n  ```python\n  if a:\n      b()\n  ```", ["if a:\n    b()\n"]),
        ("```python\na\n```\ntext\n```python\nb\n```", ["a\n", "b\n"]),
    ],
    ids=["nothing", "shell", "one", "indented", "two"],
)
def test_python_blocks_are_found(text, expected):
    assert [block.text for block in python_blocks_in("x.md", text)] == expected


@pytest.mark.parametrize("block", [pytest.param(b, id=str(b), marks=marks_of(b)) for b in all_python_blocks()])
def test_python_in_the_docs_runs(block, run, tools, workspace):
    if block.text.splitlines()[0] in NOT_RUN:
        compile(block.text, str(block), "exec")
        return
    if block.document == "README.md":
        # It trains and tests; what it would import again costs more than that.
        done = run_here(lambda: exec(block.text, {"__name__": "__main__"}), workspace, tools)
        assert done.returncode == 0 and "95 %" in done.stdout, f"{block}\n{done.stdout}{done.stderr}"
        return
    # A file, as a reader would save it: worker processes import it again.
    script = workspace / f"block_{re.sub(r'[^a-z0-9]+', '_', str(block).lower())}.py"
    script.write_text(block.text)
    done = run(f"{shlex.quote(sys.executable)} {script.name}", workspace)
    assert done.returncode == 0, f"{block}\n{block.text}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"


def test_the_readme_shows_python_and_fits():
    readme = documents()["README.md"]
    assert list(python_blocks_in("README.md", readme)), "README.md has no Python"
    assert readme.count("\n") <= 160
    first_screen = readme.split("\n")[:20]
    assert any("pip install" in line for line in first_screen), "install must be found in the first screen"


@pytest.mark.parametrize("command", [pytest.param(c, id=c.typed) for c in derive.all_commands()])
def test_help_has_an_example(command, capsys):
    assert cli.main([*command.words, "--help"]) == 0
    shown = re.sub(r" \\\n +", " ", capsys.readouterr().out)
    assert f"Example:\n  {command.example.splitlines()[0]}\n" in shown
    assert example_commands(command.example), f"{command.typed}: no line of its example begins with 'tiktokactions '"


@pytest.mark.parametrize("command", [pytest.param(c, id=c.typed) for c in derive.all_commands()])
def test_docs_name_every_command_and_option(command):
    prose = "\n".join(documents().values())
    wanted = {command.typed, *(flag for option in command.options for flag in option.flags if flag.startswith("--"))}
    missing = sorted(name for name in wanted if not re.search(rf"{re.escape(name)}(?![\w-])", prose))
    assert not missing, f"not in README.md or docs/: {', '.join(missing)}"


OTHERS_FLAGS = set(
    "gallery every learn nproc-per-node nnodes standalone rdzv-backend rdzv-endpoint rdzv-id job-name nodes ntasks"
    " ntasks-per-node gpus-per-node cpus-per-task time requeue exclude array head address num-cpus block"
    " shutdown-timeout cdfs user now chdir dependency begin".split()
)
"""Of benchmarks, torchrun, Slurm, systemd and Ray."""
FLAG = re.compile(r"(?<![\w-])--([a-z][\w-]*)")


def unknown_flags(text: str) -> list[str]:
    """Flags in a text that no command of ours has."""
    options = [o for command in derive.all_commands() for o in (*command.options, parser.JSON, parser.CONFIG)]
    ours = {flag for option in options for flag in (*option.flags, option.negative)} | {"--help", "--version"}
    return [f"--{name}" for name in FLAG.findall(text) if name not in OTHERS_FLAGS and f"--{name}" not in ours]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("curate with `--min-clip-s 3` and `--json`", []),
        ("`--no-flip`, and `sbatch --time=1`", []),
        ("`--min-clip`", ["--min-clip"]),
        ("a -- b, ---", []),
    ],
    ids=["ours", "negative, and another program's", "none of ours", "dashes"],
)
def test_flags_are_recognised(text, expected):
    assert unknown_flags(text) == expected


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in documents() if name != "docs/log.md"])
def test_docs_name_no_option_that_is_not_there(name):
    """The log is about the past; everywhere else an option that is named can be typed."""
    assert not unknown_flags(documents()[name])
