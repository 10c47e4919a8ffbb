"""Exports and releases that are killed (SIGKILL, at any moment): the same command makes what an undisturbed one made."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.releases.test_release import WHO
from tiktokactions.releases.formats import NAMES

KILLED = """
import json, os, random, shutil, signal, sys, time
from tiktokactions import cli
import tiktokactions.releases.export, tiktokactions.releases.release, tiktokactions.releases.card

data, folder, seed, times, *words = sys.argv[1:]
draw, counts = random.Random(int(seed)), {"killed": 0, "clips nobody knows of": 0}

def run(seconds=None):
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(cli.main(words))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

begun = time.perf_counter()
code = run()  # 1 where clips are left out
assert code in (0, 1)
took = time.perf_counter() - begun
shutil.move(f"{folder}/out", f"{folder}/whole")
remembered = "releases.json" if words[0] == "release" else "exports.json"
for round in range(int(times)):
    os.unlink(f"{data}/{remembered}")
    for again in range(draw.choice((1, 1, 2))):  # the second time it dies in going on
        counts["killed"] += run(draw.uniform(0.02, 1) * took) == -signal.SIGKILL
    known = os.path.exists(f"{data}/{remembered}") and f"{folder}/out" in open(f"{data}/{remembered}").read()
    there = [name for _, _, names in os.walk(f"{folder}/out") for name in names if name.endswith((".mp4", ".tar", ".jpg"))]
    counts["clips nobody knows of"] += bool(there) and not known
    assert run() == code
    shutil.move(f"{folder}/out", f"{folder}/{round}")
print(json.dumps(counts))
"""


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


EXPORT = ["dataset", "export"]
RELEASE = ["release", *(word for name, value in WHO.items() for word in (f"--{name}", value))]
CASES = [
    (RELEASE, 12),
    *(([*EXPORT, "--format", name, *(["--frames"] if name == "coco" else [])], 6) for name in NAMES),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "times"), CASES, ids=["release", *NAMES])
def test_a_killed_one_ends_as_an_undisturbed_one(
    five_clips: Path, tmp_path: Path, words: list[str], times: int
) -> None:
    shutil.copytree(five_clips, tmp_path / "data", ignore=shutil.ignore_patterns("exports.json", "releases.json"))
    typed = [*words, str(tmp_path / "data"), "-o", str(tmp_path / "out")]
    seed = str(len(words) + times)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(tmp_path), seed, str(times), *typed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["killed"] >= times / 2 and not counts["clips nobody knows of"]
    whole = tree(tmp_path / "whole")
    assert len(whole) > 3
    for round in range(times):
        assert tree(tmp_path / str(round)) == whole, round
