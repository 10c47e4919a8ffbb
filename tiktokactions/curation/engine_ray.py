"""The Ray engine: one actor per CPU of a cluster decodes, one per GPU looks for people, and one bad video costs only itself.

These are actors rather than tasks so that the driver knows when a video began: it can end one that hangs and tell which one
killed its worker. A worker has one video at a time, so nothing piles up, and a dead worker costs one video, which is tried
again elsewhere. Nothing is kept on the machines; results are stored with the dataset.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import os
import random
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from tiktokactions import __version__
from tiktokactions.curation.engine_local import EngineError, Outcome
from tiktokactions.curation.people import ResolvedDetector, open_detector
from tiktokactions.curation.resume import Fetched
from tiktokactions.files import local_file, sha256_file, write_atomic
from tiktokactions.machine import scratch_folder
from tiktokactions.records import JsonObject

Job = TypeVar("Job")
Result = TypeVar("Result")

TRIES = 2
"""A video that has killed its worker this often is rejected (``worker_crashed``)."""
NODE_TRIES = 4
"""The same if the whole machine went away, which says less about the video: spot machines do that."""
NODE_DEATH_SEEN_S = 45.0
"""By then Ray's health check has noticed that a machine is gone (3 s, five times, and a connection that times out)."""
FAILED_STARTS = 3
"""The run ends after this many workers in a row could not be started."""
SHARED_BYTES = 1 << 30
"""Larger objects are not passed on within the cluster: whoever decodes one reads it from the store again."""
LOOK_AGAIN_S = 5.0
"""How often the cluster is asked for its size, since machines may join during a run."""
GPU_BATCH = 128
"""Most pictures (about thirteen videos) that a GPU actor takes at a time."""
GPU_ANSWER_S = 120.0
"""A GPU actor that takes longer to answer is passed over; the last resort is the worker's own CPU."""


# --- the driver ------------------------------------------------------------------------------------------------------


def connect() -> Any:
    """The module ``ray``, connected: to ``RAY_ADDRESS``, else to a cluster that runs here, else to one started for this run.

    A cluster may ask for a token (``~/.ray/auth_token``, ``RAY_AUTH_TOKEN`` or ``RAY_AUTH_TOKEN_PATH``). ``RAY_AUTH_MODE``
    is obeyed where it is set; without it a token is shown where the cluster asks for one.

    Raises:
        EngineError: the package is missing, no cluster at the address, or it does not accept the token.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers about every run
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # CPU workers see no GPU
    try:
        import ray
    except ImportError as error:
        raise EngineError("the `engine` ray needs the package ray: pip install 'tiktokactions[ray]'") from error
    if ray.is_initialized():
        return ray
    address = os.environ.get("RAY_ADDRESS")
    if address and "://" not in address:
        _show_token_if_asked(address)
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        if address:
            raise EngineError(f"RAY_ADDRESS={address}: no Ray cluster answers there") from error
        # A cluster for this run alone. Ray would leave a new token in the user's home, where every later cluster takes it.
        if not os.environ.keys() & {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    return ray


def _show_token_if_asked(address: str) -> None:
    """Ray shows a token by itself only to a cluster that it finds on this machine, never to one at ``RAY_ADDRESS``.

    A token that nobody asks for does harm: the workers could not reach the driver.
    """
    try:
        from ray._raylet import AuthenticationTokenLoader, Config, GcsClient  # type: ignore[attr-defined]
        from ray.exceptions import AuthenticationError, RpcError
    except ImportError:  # an older Ray: no tokens
        return
    has_token = AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode != "token" or has_token:
        try:
            GcsClient(address=address)
            return
        except RpcError as error:
            raise EngineError(f"RAY_ADDRESS={address}: no Ray cluster answers there") from error
        except AuthenticationError:
            if mode is None and has_token:
                os.environ["RAY_AUTH_MODE"] = "token"
                Config.initialize("")  # which reads the environment again
                return _show_token_if_asked(address)
    raise EngineError(
        f"RAY_ADDRESS={address}: the Ray cluster asks for a token and got none that it accepts; put the cluster's token into"
        " ~/.ray/auth_token or RAY_AUTH_TOKEN, or its path into RAY_AUTH_TOKEN_PATH (with RAY_AUTH_MODE unset or 'token')"
    )


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Stay connected as long as the block lasts. Ray's messages go to standard error; standard output is for the result."""
    with contextlib.redirect_stdout(sys.stderr):
        ray = connect()
        try:
            yield
        finally:
            ray.shutdown()


def fetch_on_cluster(path: str) -> Callable[[], Fetched]:
    """Read an object somewhere on the cluster, beside the workers: it waits for the network, not for a CPU. Its bytes stay
    in Ray's object store, from where the worker has them, on whatever machine."""
    import ray

    task: Any = ray.remote(num_cpus=0, num_returns=2, scheduling_strategy="SPREAD")(_read)
    sha256, data = task.remote(path)

    def fetched() -> Fetched:
        digest, is_there = ray.get(sha256)
        return Fetched(digest, data if is_there else None)

    return fetched


def _read(path: str) -> tuple[tuple[str, bool], bytes]:
    with local_file(path) as local:
        fits = local.stat().st_size <= SHARED_BYTES
        return (sha256_file(local), fits), local.read_bytes() if fits else b""


def contents(reference: Any) -> bytes | None:
    """In a worker: the bytes that :func:`fetch_on_cluster` read; None where they went away with their machine."""
    import ray

    try:
        data: bytes = ray.get(reference)
    except ray.exceptions.ObjectLostError:
        return None
    return data


Deaths = tuple[tuple[str, float], ...]
"""On which machines workers died on a job, and when."""


@dataclass
class _Task(Generic[Job]):
    """A job with a worker, or one whose worker died: it is tried again or rejected once it is clear what else died."""

    job: Job
    worker: Any = None
    began: float = 0.0
    deaths: Deaths = ()
    why: str = ""
    """What Ray said of the last death."""


def run_jobs(
    jobs: Iterable[Job],
    work: Callable[..., Result],
    workers: int | None,
    timeout_s: float,
    detector: ResolvedDetector | None = None,
    sees: Sequence[str] = (),
) -> Generator[Outcome[Job, Result], None, None]:
    """Run ``work(job)`` on the cluster; gives outcomes as they come, in any order, like ``engine_local.run_jobs``.

    Args:
        jobs: drawn only as workers become free.
        work: is sent to other machines: a module-level function or a partial of one.
        workers: at most this many at a time (None: one for each CPU of the cluster, also of machines that join later).
        timeout_s: a job that takes longer gives ``timeout``.
        detector: where given, ``work`` is called with ``detector=`` (its weights lie on that machine) and ``detect=``
            (a function that asks the GPUs of the cluster; None where it has none).
        sees: local paths that every machine must see.

    Raises:
        EngineError: no ray, no cluster, workers that do not start, a machine that does not see ``sees``.
    """
    ray = connect()
    weights, transnet = [
        ray.put(path.read_bytes()) if path is not None else None
        for path in ((detector.path, detector.transnet) if detector is not None else (None, None))
    ]
    gpus = _start_detectors(ray, detector, weights)
    worker = ray.remote(num_cpus=1, max_restarts=0)(_Worker)
    crew = _Crew(ray, functools.partial(worker.remote, work, detector, weights, transnet, gpus, tuple(sees)), workers)
    busy: dict[Any, _Task[Job]] = {}
    again: deque[_Task[Job]] = deque()
    doubtful: list[_Task[Job]] = []
    source = iter(jobs)
    exhausted = False
    try:
        while True:
            crew.fill()
            while crew.idle:
                if not again and (job := next(source, None)) is not None:
                    again.append(_Task(job))
                if not again:
                    exhausted = True
                    break
                task = again.popleft()
                task.worker, task.began = crew.idle.pop(), time.monotonic()
                busy[task.worker.run.remote(task.job)] = task
            if not busy and exhausted and not again and not doubtful:
                break
            for ref in _wait(ray, [*busy, *crew.starting], busy.values(), timeout_s):
                if ref in crew.starting:
                    crew.started(ref)
                else:
                    yield from _ended(ray, ref, busy.pop(ref), crew, doubtful)
            yield from _judged(crew, doubtful, again)
            for ref, task in [(r, t) for r, t in busy.items() if time.monotonic() - t.began > timeout_s]:
                del busy[ref]
                crew.dismiss(task.worker)
                yield Outcome(task.job, None, "timeout", f"not done after {timeout_s:g} s")
    finally:
        crew.close()
        for actor in gpus:
            ray.kill(actor)


def _wait(ray: Any, refs: list[Any], busy: Iterable[_Task[Any]], timeout_s: float) -> list[Any]:
    if not refs:
        time.sleep(0.1)
        return []
    first = min((task.began for task in busy), default=time.monotonic())
    until_s = max(0.05, min(LOOK_AGAIN_S, first + timeout_s - time.monotonic() + 0.05))
    ready: list[Any] = ray.wait(refs, num_returns=1, timeout=until_s)[0]
    return ready


def _ended(
    ray: Any, ref: Any, task: _Task[Job], crew: _Crew, doubtful: list[_Task[Job]]
) -> Iterator[Outcome[Job, Any]]:
    try:
        result = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # what the work raised ends the run, as in the local engine
    except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.NodeDiedError) as error:
        node = crew.dismiss(task.worker, str(error))
        task.deaths = (*task.deaths, (node, time.monotonic()))
        task.why = " ".join(str(error).split())[:300]
        doubtful.append(task)
    else:
        crew.idle.append(task.worker)
        crew.seen[crew.nodes[task.worker]] = time.monotonic()
        yield Outcome(task.job, result)


def _judged(crew: _Crew, doubtful: list[_Task[Job]], again: deque[_Task[Job]]) -> Iterator[Outcome[Job, Any]]:
    """Reject jobs that killed their workers, try again those that went down with a machine, and keep the unclear ones."""
    for case in list(doubtful):
        fates = [crew.fate(node, when) for node, when in case.deaths]
        crashes, lost = fates.count("crashed"), fates.count("lost")
        if crashes >= TRIES or lost >= NODE_TRIES:
            what = f"{crashes} workers" + (f" and {lost} machines" if lost else "") + " died on it, the last one so: "
            yield Outcome(case.job, None, "worker_crashed", what + case.why)
        elif len(fates) - lost < TRIES:
            again.append(case)
        else:
            continue
        doubtful.remove(case)


class _Crew:
    """The workers: as many as the cluster has CPUs, replaced when they die."""

    def __init__(self, ray: Any, make: Callable[[], Any], most: int | None) -> None:
        self.ray, self.make, self.most = ray, make, most
        self.idle: list[Any] = []
        self.starting: dict[Any, Any] = {}
        self.nodes: dict[Any, str] = {}
        """The id of the machine of every living worker that has reported."""
        self.seen: dict[str, float] = {}
        """When each machine last gave a sign of life."""
        self.lost: set[str] = set()
        self.failed_starts = 0
        self.wanted, self.looked = 0, -LOOK_AGAIN_S

    def fill(self) -> None:
        if time.monotonic() - self.looked >= LOOK_AGAIN_S:
            self.looked = time.monotonic()
            cpus = max(1, int(self.ray.cluster_resources().get("CPU", 0)))
            self.wanted = cpus if self.most is None else min(cpus, self.most)
        while len(self.nodes) + len(self.starting) < self.wanted:
            worker = self.make()
            self.starting[worker.report.remote()] = worker

    def started(self, ref: Any) -> None:
        worker = self.starting.pop(ref)
        try:
            told = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            self.failed_starts += 1
            if self.failed_starts >= FAILED_STARTS:
                last = (str(error).strip().splitlines() or ["no message"])[-1]
                raise EngineError(
                    f"{FAILED_STARTS} workers in a row could not be started on the cluster, the last one: {last}."
                    " Is tiktokactions installed on its machines?"
                ) from error
            return
        self.failed_starts = 0
        if told["version"] != __version__:
            raise EngineError(f"{told['host']}: has tiktokactions {told['version']}, this machine {__version__}")
        if told["unseen"]:
            raise EngineError(
                f"{told['host']}: does not see {told['unseen'][0]}; the machines of a cluster need a disk that all of them"
                " mount at the same path, or videos and dataset on an object store (s3://bucket/data)"
            )
        self.nodes[worker] = told["node"]
        self.seen[told["node"]] = time.monotonic()
        self.idle.append(worker)

    def dismiss(self, worker: Any, why: str = "") -> str:
        """Remove a worker; returns the id of its machine."""
        node = self.nodes.pop(worker)
        self.ray.kill(worker)
        if "node has died" in why or "node was terminated" in why:
            self.lost.add(node)
        return node

    def fate(self, node: str, when: float) -> Literal["crashed", "lost", "unclear"]:
        """Why a worker died at ``when``: by itself, or with its machine, which Ray notices only after a while."""
        if node in self.lost:
            return "lost"
        if self.seen.get(node, 0.0) > when or node == self.ray.get_runtime_context().get_node_id():
            return "crashed"
        if not any(n["NodeID"] == node and n["Alive"] for n in self.ray.nodes()):
            self.lost.add(node)
            return "lost"
        return "crashed" if time.monotonic() - when > NODE_DEATH_SEEN_S else "unclear"

    def close(self) -> None:
        for worker in [*self.nodes, *self.starting.values()]:
            self.ray.kill(worker)


# --- on the machines -------------------------------------------------------------------------------------------------


class _Worker:
    """Decodes: one video at a time on one CPU."""

    def __init__(
        self,
        work: Callable[..., Any],
        detector: ResolvedDetector | None,
        weights: bytes | None,
        transnet: bytes | None,
        gpus: Sequence[Any],
        sees: Sequence[str],
    ) -> None:
        import cv2

        cv2.setNumThreads(1)
        self.sees = sees
        self.work = work
        if detector is not None:
            here = with_weights_here(detector, weights, transnet)
            self.work = functools.partial(work, detector=here, detect=_detect_on(gpus, here) if gpus else None)

    def report(self) -> JsonObject:
        import ray

        return {
            "version": __version__,
            "host": socket.gethostname(),
            "node": ray.get_runtime_context().get_node_id(),
            "unseen": [path for path in self.sees if not os.path.lexists(path)],
        }

    def run(self, job: Any) -> Any:
        return self.work(job)


def with_weights_here(
    detector: ResolvedDetector, weights: bytes | None, transnet: bytes | None = None
) -> ResolvedDetector:
    """The detector with its weight files on this machine, whatever the driver's paths to them were."""
    return replace(detector, path=_here(detector.path, weights), transnet=_here(detector.transnet, transnet))


def _here(path: Path | None, data: bytes | None) -> Path | None:
    if path is None or data is None or (path.is_file() and sha256_file(path) == hashlib.sha256(data).hexdigest()):
        return path
    here = scratch_folder() / "weights" / path.name
    write_atomic(here, data)
    return here


# --- people, on the GPUs of the cluster --------------------------------------------------------------------------------


def _start_detectors(ray: Any, detector: ResolvedDetector | None, weights: Any) -> list[Any]:
    """One actor for each GPU; none where there is nothing to detect with."""
    count = int(ray.cluster_resources().get("GPU", 0))
    if weights is None or count == 0:
        return []
    actor = ray.remote(num_cpus=0, num_gpus=1, max_restarts=-1, max_task_retries=-1)(GpuDetector)
    return [actor.options(max_concurrency=1000).remote(detector, weights) for _ in range(count)]


class GpuDetector:
    """Looks for people with one model; what is asked while the GPU is busy makes up the next batch."""

    def __init__(self, detector: ResolvedDetector, weights: bytes | None) -> None:
        self.model = open_detector(with_weights_here(detector, weights))
        self.waiting: deque[tuple[Sequence[Any], asyncio.Future[Any]]] = deque()
        self.running: asyncio.Task[None] | None = None
        self.batches: list[int] = []
        """Pictures in each batch so far."""

    async def detect(self, pictures_bgr: Sequence[Any]) -> list[Any]:
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.waiting.append((pictures_bgr, answer))
        if self.running is None:
            self.running = asyncio.create_task(self._work_off())
        return await answer

    async def told(self) -> list[int]:
        return self.batches

    async def _work_off(self) -> None:
        while self.waiting:
            taken = [self.waiting.popleft()]
            while self.waiting and sum(len(p) for p, _ in taken) + len(self.waiting[0][0]) <= GPU_BATCH:
                taken.append(self.waiting.popleft())
            pictures = [picture for batch, _ in taken for picture in batch]
            self.batches.append(len(pictures))
            [people] = await asyncio.gather(asyncio.to_thread(self.model, pictures), return_exceptions=True)
            for batch, answer in taken:
                if isinstance(people, BaseException):  # whoever asked gets the error
                    answer.set_exception(people)
                else:
                    answer.set_result(people[: len(batch)])
                    people = people[len(batch) :]
        self.running = None


def _detect_on(gpus: Sequence[Any], detector: ResolvedDetector) -> Callable[[Sequence[Any]], Any]:
    def detect(pictures_bgr: Sequence[Any]) -> Any:
        import ray

        for actor in random.sample(list(gpus), len(gpus)):
            try:
                return ray.get(actor.detect.remote(list(pictures_bgr)), timeout=GPU_ANSWER_S)
            except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
                continue  # its machine is gone or stuck: the next one
        return open_detector(detector)(pictures_bgr)

    return detect
