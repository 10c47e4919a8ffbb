import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CURATE = """
[[step]]
command = "curate"
videos = "videos"
output = "data"
detector = "none"
min_person_frames = 0
workers = 1
min_clip_s = 1.0
static = "keep"
second_look = false
"""
SPLIT = """
[[step]]
command = "dataset split"
dataset = "data"
test = 0.5
"""
SUBSET = """
[[step]]
command = "dataset subset"
dataset = "data"
size = 1
output = "subset"
"""
REPORT = """
[[step]]
command = "report"
inputs = ["hashtags"]
output = "report.html"
"""
TAGS = """
[[step]]
command = "hashtags propose"
sources = ["actions.txt"]
output = "candidates.csv"

[[step]]
command = "hashtags select"
candidates = "candidates.csv"
views = "views.csv"
min_views = 10
output = "hashtags"
"""
TINY = "batch_size = 2\nnum_samples = 2\nepochs = 1\nworkers = 0\nthreads = 1\ndevice = 'cpu'\n"
LEARN = f"""
[[step]]
command = "pretrain"
data = "data"
output = "runs/pretrained"
model = "tiny"
frames = 4
{TINY}
[[step]]
command = "finetune"
data = "data"
init = "runs/pretrained"
output = "runs/finetuned"
segments = 1
crops = 1
{TINY}
"""
WEEKLY = f"{CURATE}{SPLIT.replace('test = 0.5', 'val = 0.0' + chr(10) + 'test = 0.4')}{LEARN}"


def written(folder: Path, text: str) -> Path:
    """A project's file with this text."""
    path = folder / "project.toml"
    path.write_text(text)
    return path


def killed_until_done(
    command: list[str],
    folder: Path,
    most: int,
    between_s: tuple[float, float],
    after: Callable[[], None] = lambda: None,
    **alike: Any,
) -> int:
    """Begin a command again and again, and kill it after a random time, ``most`` times at most; gives how often that was.

    ``after`` looks at what each kill has left.
    """
    chance, kills = random.Random(f"{command}{most}"), 0
    while True:
        process = subprocess.Popen(command, cwd=folder, **alike)
        try:
            assert process.wait(chance.uniform(*between_s) if kills < most else 3000) == 0
            return kills
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            after()
            time.sleep(0.2)
