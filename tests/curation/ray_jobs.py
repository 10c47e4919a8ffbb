"""Run beside a Ray cluster, in a process of its own (Ray looks for this machine's address, which tests may not):
``python -m tests.curation.ray_jobs SCENARIO`` prints what came out as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tiktokactions.curation.engine_ray import EngineError, connect, run_jobs, session
from tiktokactions.curation.people import ResolvedDetector
from tiktokactions.records import DetectorInfo


def work(job: str, detector: Any = None, detect: Any = None) -> str:
    kind, _, argument = job.partition(":")
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "hang":
        time.sleep(600)
    if kind == "raise":
        raise OSError(28, "No space left on device")
    if kind == "slow":
        time.sleep(0.3)
    if kind == "once":  # kills its worker the first time only
        if not os.path.exists(argument):
            Path(argument).write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return "second"
    if kind == "detect":
        import numpy as np

        boxes = detect([np.full((64, 64, 3), 9, np.uint8)] * 10)
        return f"{len(boxes)} {sum(map(len, boxes))} {Path(detector.path).is_file()}"
    return kind.upper()


def outcomes(jobs: list[str], **settings: Any) -> dict[str, Any]:
    return {o.job: [o.result, o.failure] for o in run_jobs(jobs, work, timeout_s=4.0, **{"workers": None} | settings)}


def together(folder: str) -> dict[str, Any]:
    """Crashes, hangs, an error, endless jobs, what machines must see."""
    jobs = ["a", "crash", "b", "hang", "c", f"once:{folder}/once", *"defgh"]
    found: dict[str, Any] = {"outcomes": outcomes(jobs)}
    try:
        outcomes(["a", "raise"])
    except OSError as error:
        found["raised"] = [type(error).__name__, error.errno]
    drawn = []

    def endless() -> Any:
        for i in range(10**9):
            drawn.append(i)
            yield str(i)

    running = run_jobs(endless(), work, None, 60.0)
    for _ in range(5):
        next(running)
    running.close()
    found["drawn"] = len(drawn)
    found["none"] = outcomes([])
    try:
        outcomes(["a"], sees=[f"{folder}/not there"])
    except EngineError as error:
        found["unseen"] = str(error)
    found["sees"] = outcomes(["a"], sees=[folder])
    return found


def detecting(weights: str) -> dict[str, Any]:
    detector = ResolvedDetector(DetectorInfo("tiny", "", 0.5), Path(weights), 416)
    ray = connect()
    return {
        "gpus": ray.cluster_resources().get("GPU", 0),
        "outcomes": outcomes(["detect:1", "detect:2"], detector=detector),
    }


if __name__ == "__main__":
    scenarios = {"together": together, "detecting": detecting}
    with session():
        result = scenarios[sys.argv[1]](sys.argv[2])
    print(json.dumps(result))
