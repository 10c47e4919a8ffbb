"""Trials: ordinary runs of ``pretrain`` and ``finetune``, each in its own folder, finished when ``result.json`` is there."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from tiktokactions.files import DatasetBusyError, dataset_lock, delete, write_atomic, write_json
from tiktokactions.model.run import Run, read_record
from tiktokactions.study.child import PARENT
from tiktokactions.study.placement import on_cluster

Report = Callable[[str], None]
TAIL_LINES = 15
LAST_STEP_S = 120.0
"""How long a trial waits for a run folder that another process still holds."""


class Facts(TypedDict):
    """What is known of a trial before it runs; its ``result.json`` repeats it."""

    size: int
    repeat: int
    seed: int
    source: str
    pretrain_epochs: NotRequired[int]


@dataclass(frozen=True)
class Trial:
    """One pre-training (or none), one fine-tuning, one test."""

    name: str
    facts: Facts
    pretrain_on: Path | None
    """A list of clips; None: from scratch."""
    pretrain_options: Mapping[str, object]
    finetune_on: str
    finetune_options: Mapping[str, object]
    begin_with: Path | None = None
    """The pre-training of a smaller size, which has to be finished."""


@dataclass(frozen=True)
class TrialResult:
    """The contents of a trial's ``result.json``; accuracies are fractions."""

    trial: str
    size: int
    """Videos pre-trained on; 0: from scratch."""
    repeat: int
    seed: int
    finetune_steps: int
    finetune_loss: float | None
    top1: float
    top5: float
    mean_class_accuracy: float
    videos: int
    """Videos tested on."""
    views: int
    """Views of each video."""
    source: str = ""
    """Name of the source, in a comparison of sources."""
    pretrain_epochs: int = 0
    pretrain_steps: int = 0
    pretrain_loss: float | None = None
    seconds_of_last_start: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """``results`` of all finished trials; ``failed``: the crashed ones by name, with the last lines that each printed."""

    results: list[TrialResult]
    failed: dict[str, str]


def run_trials(
    trials: Sequence[Trial],
    study: Path,
    *,
    jobs: int = 1,
    retry: bool = False,
    report: Report = lambda line: None,
    engine: Literal["local", "ray"] = "local",
) -> Outcome:
    """Run the unfinished trials, ``jobs`` at a time, each on its own GPU if there are several; with the engine ``ray``, as
    many at a time as fit on the cluster.

    A trial that was interrupted goes on from its last checkpoint. One that crashed before is only run with ``retry``.
    """
    results, failed = ended_before(trials, study, retry)
    waiting_trials = [trial for trial in trials if trial.name not in {*results, *failed}]
    report(
        f"{len(trials)} trials: {len(results)} finished before, {len(failed)} crashed before, {len(waiting_trials)} to run"
    )
    slots: queue.Queue[str | None] = queue.Queue()
    gpus = visible_gpus()
    for job in range(jobs):
        slots.put(gpus[job % len(gpus)] if gpus and jobs > 1 else None)
    running: set[subprocess.Popen[bytes]] = set()
    began, done = time.monotonic(), 0
    (study / "trials").mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if engine == "ray":
            start = stack.enter_context(on_cluster(study, _run_one))
        else:
            pool = stack.enter_context(ThreadPoolExecutor(jobs))
            run = functools.partial(_run_one, study=study, slots=slots, running=running)
            start = functools.partial(pool.submit, run)
        waiting = {start(trial): trial for trial in waiting_trials}
        try:
            for future in as_completed(waiting):
                trial, done = waiting[future], done + 1
                result, error = future.result()
                left = (time.monotonic() - began) / done * (len(waiting_trials) - done)
                if result is not None:
                    results[trial.name] = result
                    told = f"top-1 {100 * result.top1:.1f} %"
                else:
                    failed[trial.name] = error
                    told = "CRASHED: " + (error.strip().splitlines() or ["no output"])[-1]
                report(f"{trial.name}: {told} ({done} of {len(waiting_trials)}, about {left / 60:.0f} min left)")
        except BaseException:
            for future in waiting:
                future.cancel()
            for process in list(running):
                process.terminate()
            raise
    return Outcome([results[t.name] for t in trials if t.name in results], failed)


def ended_before(
    trials: Sequence[Trial], study: Path, retry: bool = False
) -> tuple[dict[str, TrialResult], dict[str, str]]:
    """Results of the trials that are finished, and the last lines of those that crashed and are not to be run again."""
    results: dict[str, TrialResult] = {}
    failed: dict[str, str] = {}
    for trial in trials:
        folder = study / "trials" / trial.name
        if (folder / "result.json").is_file():
            results[trial.name] = read_record(folder / "result.json", TrialResult)
        elif (folder / "failed.json").is_file() and not retry:
            failed[trial.name] = json.loads((folder / "failed.json").read_text(encoding="utf-8"))["last_lines"]
    return results, failed


def visible_gpus() -> list[str]:
    """Numbers of the CUDA devices that this process may use, found without importing torch."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [d for d in told.split(",") if d.strip() and d.strip() != "-1"]
    known = Path("/proc/driver/nvidia/gpus")
    return [str(i) for i in range(len(list(known.iterdir())))] if known.is_dir() else []


def _run_one(
    trial: Trial, study: Path, slots: queue.Queue[str | None], running: set[subprocess.Popen[bytes]]
) -> tuple[TrialResult | None, str]:
    folder = study / "trials" / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    delete(folder / "failed.json")
    gpu = slots.get()
    only = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    began = time.monotonic()
    try:
        for command in commands(trial, folder):
            wait_until_free(Path(command[command.index("-o") + 1]))
            with (folder / "output.txt").open("ab") as output:
                output.write(f"$ tiktokactions {' '.join(command)}\n".encode())
                output.flush()
                process = subprocess.Popen(
                    [sys.executable, "-m", "tiktokactions.study.child", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | {PARENT: str(os.getpid())} | only,
                )
            running.add(process)
            code = process.wait()
            running.discard(process)
            if code != 0:
                lines = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").splitlines()
                last = "\n".join(lines[-TAIL_LINES:])
                if code not in (130, -2, -9, -15):  # killed from outside: not the trial's fault; it continues next time
                    write_json(folder / "failed.json", {"exit_code": code, "command": command, "last_lines": last})
                return None, last or f"exit code {code}"
        result = collect(trial, folder, round(time.monotonic() - began, 1))
        write_json(folder / "result.json", dataclasses.asdict(result))
        return result, ""
    finally:
        slots.put(gpu)


def wait_until_free(run: Path, patience_s: float = LAST_STEP_S) -> None:
    """Wait for a training that a killed study left behind: it ends after its current step, with a checkpoint."""
    begun = time.monotonic()
    while True:
        try:
            with dataset_lock(run):
                return
        except DatasetBusyError:
            if time.monotonic() - begun > patience_s:
                return  # the trial itself will say who holds it
            time.sleep(0.1)


def commands(trial: Trial, folder: Path) -> list[list[str]]:
    """The trial's commands as a person would type them; their options are in TOML files beside them."""
    found, init = [], []
    if trial.pretrain_on is not None:
        config = write_toml(folder / "pretrain.toml", trial.pretrain_options)
        run = str(folder / "pretrained")
        weights = [] if trial.begin_with is None else ["--init", str(trial.begin_with)]
        found.append(["pretrain", str(trial.pretrain_on), "-o", run, *weights, "--config", str(config)])
        init = ["--init", run]
    config = write_toml(folder / "finetune.toml", trial.finetune_options)
    found.append(["finetune", trial.finetune_on, "-o", str(folder / "finetuned"), *init, "--config", str(config)])
    return found


def collect(trial: Trial, folder: Path, seconds: float) -> TrialResult:
    """The result of a trial from those of its runs."""
    tuned = Run(folder / "finetuned")
    tested = tuned.evaluations["test"]
    before = None if trial.pretrain_on is None else Run(folder / "pretrained").result
    return TrialResult(
        trial=trial.name,
        **trial.facts,
        finetune_steps=tuned.result.steps,
        finetune_loss=tuned.result.loss,
        top1=tested.top1,
        top5=tested.top5,
        mean_class_accuracy=tested.mean_class_accuracy,
        videos=tested.videos,
        views=tested.views,
        pretrain_steps=0 if before is None else before.steps,
        pretrain_loss=None if before is None else before.loss,
        seconds_of_last_start=seconds,
    )


def write_toml(path: Path, options: Mapping[str, object]) -> Path:
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in sorted(options.items()) if value is not None]
    write_atomic(path, "".join(lines).encode())
    return path
