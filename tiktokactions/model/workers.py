"""The processes that read clips: how they start, and that they end with the training that asked for them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from functools import partial
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Protocol

import cv2
import torch

STOPPED_AFTER_S = 30.0
"""How long a worker that is told to stop goes on: until then the training ends its step and lets its workers go."""
LOOKS_EVERY_S = 1.0


class Start(Protocol):
    """The first call in a worker, with or without its number."""

    def __call__(self, number: int = 0) -> None: ...


def worker_context() -> SpawnContext | ForkServerContext:
    """Workers are forked from a fresh process, never from this one, whose threads would not survive it."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tiktokactions.model.loader"])
    # torchrun and Slurm send SIGTERM to the server too, without which its workers end; it inherits what is blocked here.
    # Whoever starts Python's tracker, as the server would, blocks nothing any more.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def worker_start() -> Start:
    """For workers of this process. Their environment is that of now: the server that they are forked from may be older."""
    return partial(_start, environment=dict(os.environ), trainer=os.getpid())


def _start(number: int = 0, *, environment: dict[str, str], trainer: int) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    if sys.platform == "linux":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(trainer,), daemon=True).start()


def _end_with(trainer: int) -> None:
    """End this process soon after the trainer. Its parent is the server, and the two would keep each other alive.

    Ctrl-C, torchrun and Slurm signal the workers too, while the training still needs them for the step that it ends with.
    """
    told_at = None
    while _is_alive(trainer) and (told_at is None or time.monotonic() - told_at < STOPPED_AFTER_S):
        if signal.sigtimedwait({signal.SIGTERM}, LOOKS_EVERY_S) and told_at is None:
            told_at = time.monotonic()
    os._exit(1)


def _is_alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")  # a zombie has ended
    except (FileNotFoundError, ProcessLookupError):
        return False
