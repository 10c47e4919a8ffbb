"""The process pool: one bad job costs one job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY
from tiktokactions.curation.engine_local import run_jobs

pytestmark = pytest.mark.usefixtures("processes")


def work(job: str) -> str:
    if job == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job == "exit":
        os._exit(3)
    if job == "hang":
        time.sleep(600)
    if job == "raise":
        raise OSError(28, "No space left on device")
    return job.upper()


def test_crashes_and_hangs_cost_themselves_only() -> None:
    jobs = ["a", "crash", "b", "hang", "c", "exit", "d", "e"]
    outcomes = {o.job: (o.result, o.failure) for o in run_jobs(jobs, work, workers=2, timeout_s=5.0)}
    assert outcomes == {
        **{job: (job.upper(), None) for job in "abcde"},
        "crash": (None, "worker_crashed"),
        "exit": (None, "worker_crashed"),
        "hang": (None, "timeout"),
    }


def test_an_error_of_the_work_ends_the_run() -> None:
    with pytest.raises(OSError, match="No space left"):
        list(run_jobs(["a", "raise", "b"], work, workers=1, timeout_s=60))


def test_jobs_are_drawn_only_as_they_are_needed() -> None:
    drawn = []

    def endless():
        for i in range(10**9):
            drawn.append(i)
            yield str(i)

    outcomes = run_jobs(endless(), work, workers=1, timeout_s=60)
    for _ in range(5):
        next(outcomes)
    outcomes.close()
    assert len(drawn) < 15


def test_no_jobs() -> None:
    assert list(run_jobs([], work, workers=2, timeout_s=1)) == []


def test_a_script_that_workers_cannot_import_is_told_what_to_do(tmp_path) -> None:
    script = "from tiktokactions.curation.engine_local import run_jobs\nlist(run_jobs(['a'], str, workers=1, timeout_s=60))\n"
    (tmp_path / "mine.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (
        done.returncode == 1 and "keep its calls under 'if __name__ == \"__main__\":'" in done.stderr.splitlines()[-1]
    )
