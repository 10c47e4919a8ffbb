"""The local engine: a process pool in which one bad video costs only that video.

``pebble`` adds what the standard pool lacks: a time limit per task, and a worker that dies takes only its own task with it.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Generic, TypeVar

import pebble

from tiktokactions.errors import UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD_PER_WORKER = 2
"""Jobs handed out beyond the running ones: enough that no worker waits for the listing, few enough that nothing piles up."""


class EngineError(UsageError):
    """The workers or the cluster cannot be used as asked; the message says what to do."""


@dataclass(frozen=True)
class Outcome(Generic[Job, Result]):
    """The ``result`` of a job, or why there is none: ``worker_crashed`` or ``timeout`` (see ``records.FAILURES``)."""

    job: Job
    result: Result | None
    failure: str | None = None
    detail: str | None = None


def run_jobs(
    jobs: Iterable[Job], work: Callable[[Job], Result], workers: int, timeout_s: float
) -> Generator[Outcome[Job, Result], None, None]:
    """Run ``work(job)`` in worker processes; gives outcomes as they come, in any order.

    ``work`` and the jobs are sent to other processes: a module-level function (or a partial of one) and plain data. Jobs
    are drawn from ``jobs`` only as workers become free. An error in ``work`` is raised here and ends the run, as does a
    KeyboardInterrupt; what is in flight is then discarded.

    Raises:
        EngineError: no worker can start, as in a script that calls this outside ``if __name__ == "__main__":``.
    """
    context = multiprocessing.get_context("spawn")
    pool = pebble.ProcessPool(max_workers=workers, context=context, initializer=_start_worker, initargs=(os.getpid(),))
    waiting: dict[concurrent.futures.Future[Result], Job] = {}
    source = iter(jobs)
    try:
        while True:
            for job in itertools.islice(source, workers * (1 + AHEAD_PER_WORKER) - len(waiting)):
                waiting[pool.schedule(work, args=(job,), timeout=timeout_s)] = job
            if not waiting:
                break
            done, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield _outcome(waiting.pop(future), future, timeout_s)
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()


def _outcome(job: Job, future: concurrent.futures.Future[Result], timeout_s: float) -> Outcome[Job, Result]:
    try:
        return Outcome(job, future.result())
    except concurrent.futures.TimeoutError:
        return Outcome(job, None, "timeout", f"not done after {timeout_s:g} s")
    except pebble.ProcessExpired as error:
        return Outcome(job, None, "worker_crashed", f"the worker process ended with exit code {error.exitcode}")
    except BrokenProcessPool as error:
        raise EngineError(
            "no worker process could start (what one of them says stands above). Workers import your script again: keep its"
            " calls under 'if __name__ == \"__main__\":'"
        ) from error


def _start_worker(parent: int) -> None:
    """Use one thread, leave Ctrl-C to the parent, and do not outlive a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
