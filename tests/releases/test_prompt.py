"""What ``release`` asks on a real terminal: once, kept, and nothing of it when it is interrupted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiktokactions.dataset.publisher import PUBLISHER, Publisher, read_publisher

ANSWERS = {"Who publishes": 'Müller "Lab"', "licence": "CC-BY-4.0", "write to": "a@b.org", "cited": ""}
INTERRUPT = "\x03"


class Terminal:
    """A command on a terminal of its own, which turns Ctrl-C into a signal as a real one does."""

    def __init__(self, words: list[str]) -> None:
        self.master, slave = os.openpty()

        def take() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests in the background ignores it
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        command = [sys.executable, "-m", "tiktokactions", *words]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=take
        )
        os.close(slave)
        self.said = ""

    def read_until(self, text: str = "") -> str:
        """What it said up to this text, or up to its end."""
        until = time.monotonic() + 120
        while not (text and text in self.said) and time.monotonic() < until:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.said += os.read(self.master, 4096).decode(errors="replace")
                except OSError:  # it closed the terminal
                    break
        assert text in self.said, self.said
        said, self.said = self.said, ""
        return said

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@contextlib.contextmanager
def terminal(*words: str) -> Iterator[Terminal]:
    opened = Terminal(list(words))
    try:
        yield opened
    finally:
        opened.process.kill()
        opened.process.wait()
        os.close(opened.master)


@pytest.fixture
def data(five_clips: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(five_clips, tmp_path / "data", ignore=shutil.ignore_patterns("*s.json")))


def test_it_asks_once_and_keeps_what_was_said(data: Path, tmp_path: Path) -> None:
    words = ("release", str(data), "-o", str(tmp_path / "out"))
    with terminal(*words) as asked:
        for question, answer in ANSWERS.items():
            asked.read_until(question)
            assert not (data / PUBLISHER).exists(), "written when all is said"
            asked.type(f"{answer}\n")
        assert "5 clips" in asked.read_until() and asked.process.wait() == 0
    assert read_publisher(data) == Publisher('Müller "Lab"', "CC-BY-4.0", "a@b.org")
    assert "Müller" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    with terminal(*words) as again:
        said = again.read_until()
        assert again.process.wait() == 0 and "?" not in said, said


@pytest.mark.parametrize("at", [0, 2])
def test_an_interrupted_prompt_leaves_nothing(data: Path, tmp_path: Path, at: int) -> None:
    with terminal("release", str(data), "-o", str(tmp_path / "out")) as asked:
        for question, answer in list(ANSWERS.items())[:at]:
            asked.read_until(question)
            asked.type(f"{answer}\n")
        asked.read_until(list(ANSWERS)[at])
        asked.type(f"half an answer{INTERRUPT}")
        said = asked.read_until()
        assert asked.process.wait() == 130 and "Traceback" not in said
    assert not (data / PUBLISHER).exists() and not (tmp_path / "out").exists()
    assert not [path for path in data.rglob("*") if path.name.startswith(".writing")]


def test_without_a_terminal_one_line_says_which_file_to_fill_in(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tiktokactions", "release", str(data), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    [line] = done.stderr.splitlines()
    assert done.returncode == 2 and str(data / PUBLISHER) in line and "fill it in there" in line
    assert read_publisher(data) == Publisher()
