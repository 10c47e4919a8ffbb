"""How long a study will take, measured by making a few steps of one of its trials."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.study.contents import StudyError
from tiktokactions.study.settings import SHAPE
from tiktokactions.study.trials import Trial, commands


@dataclass(frozen=True)
class Cost:
    """What a trial costs: steps, from a dry run, and seconds per step, measured over a few steps."""

    steps: dict[str, int]
    """By command: ``pretrain`` and ``finetune``."""
    seconds_per_step: dict[str, float]


def measured_cost(trial: Trial, steps: int = 4) -> Cost:
    """Run a few steps of the trial's pre-training and fine-tuning on its own data, in a folder that is removed afterwards.

    Raises:
        StudyError: a command of the trial does not run.
    """
    total: dict[str, int] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for command in commands(trial, Path(scratch)):
            if "--init" in command:  # the weights do not exist yet, and make no difference to the cost
                at = command.index("--init")
                shape = {k: v for k, v in trial.pretrain_options.items() if k in SHAPE and v is not None}
                told = [word for k, v in shape.items() for word in ("--" + k.replace("_", "-"), str(v))]
                command = [*command[:at], *command[at + 2 :], *told]
            name, run = command[0], Path(command[command.index("-o") + 1])
            total[name] = int(json.loads(_output([*command, "--dry-run", "--json"]))["steps"])
            few = max(1, min(steps, total[name] - 1))  # never to the end, where testing begins
            _output([*command, "--stop-after-steps", str(few), "--log-steps", "1"])
            log = [json.loads(line)["seconds"] for line in (run / "log.jsonl").read_text().splitlines()]
            # The first step warms up; the others are typical.
            seconds[name] = statistics.median(log[1:] or log)
    return Cost(total, seconds)


def _output(command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tiktokactions.study.child", *command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise StudyError(f"'tiktokactions {' '.join(command)}' fails: {last}")
    return done.stdout
