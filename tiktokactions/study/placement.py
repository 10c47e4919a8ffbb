"""Trials on a Ray cluster: each is placed where a GPU is free, or enough CPUs if the cluster has no GPUs."""

from __future__ import annotations

import os
import queue
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.options import checked_options

if TYPE_CHECKING:
    from tiktokactions.study.trials import Trial, TrialResult

    Ended = tuple[TrialResult | None, str]
    """The result of a trial, or None and the last lines it printed."""
    RunTrial = Callable[..., Ended]
    """Runs one trial on this machine: trial, study, GPU slots, running processes."""

NODE_DEATHS = 5
"""How often a trial is placed again if its machine dies; it continues from its last checkpoint."""


@contextmanager
def on_cluster(study: Path, run_trial: RunTrial) -> Iterator[Callable[[Trial], Future[Ended]]]:
    """Gives a function that starts a trial on the cluster. Every machine must see the study's folder and the data.

    Raises:
        EngineError: no ray, no cluster.
    """
    from tiktokactions.curation.engine_ray import connect, session

    with session():
        ray = connect()
        has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
        run = ray.remote(max_retries=NODE_DEATHS)(_run_here)
        here = os.getcwd()

        def start(trial: Trial) -> Future[Ended]:
            needs = resources(trial, has_gpus)
            found: Future[Ended] = run.options(**needs).remote(run_trial, trial, study.resolve(), here).future()
            return found

        yield start


def resources(trial: Trial, has_gpus: bool) -> dict[str, int]:
    """What a trial needs from a machine: a GPU and CPUs for decoding, or CPUs for model and decoding."""
    before = checked_options(PretrainOptions, trial.pretrain_options)
    after = checked_options(FinetuneOptions, trial.finetune_options)
    threads, workers = max(before.threads or 1, after.threads or 1), max(before.workers or 0, after.workers or 0)
    return {"num_gpus": int(has_gpus), "num_cpus": max(1 if has_gpus else threads, workers)}


def _run_here(run_trial: RunTrial, trial: Trial, study: Path, folder: str) -> Ended:
    """On a machine of the cluster. Ray has set CUDA_VISIBLE_DEVICES to the GPU that this trial may use."""
    if not (study / "trials").is_dir() or not os.path.isdir(folder):
        return (
            None,
            f"{socket.gethostname()} does not see {study} or {folder}; a study needs a disk that all machines mount",
        )
    os.chdir(folder)  # data may have been named relative to where the study was started
    slots: queue.Queue[str | None] = queue.Queue()
    slots.put(None)
    return run_trial(trial, study, slots, set())
