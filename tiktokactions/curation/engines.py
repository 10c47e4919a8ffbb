"""The engine that maps the videos: processes of this machine, or a Ray cluster. Both give the same outcomes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tiktokactions.curation import engine_local
from tiktokactions.curation.engine_local import Outcome
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector
from tiktokactions.curation.resume import Fetch, discard
from tiktokactions.files import Place, local_file, local_path, located
from tiktokactions.files.places import local_bytes

Run = Callable[[Iterable[Any], Callable[..., Any]], Generator[Outcome[Any, Any], None, None]]
"""From jobs and the work to do on each, to outcomes as they come."""


def session(options: CurateOptions) -> contextlib.AbstractContextManager[None]:
    """Stay connected to what the engine needs for as long as the block lasts."""
    if options.engine == "local":
        return contextlib.nullcontext()
    from tiktokactions.curation import engine_ray

    return engine_ray.session()


def runner(options: CurateOptions, detector: ResolvedDetector | None = None, sees: Sequence[str] = ()) -> Run:
    """The engine that ``options`` name. ``detector`` and ``sees`` are for Ray alone."""
    if options.engine == "local":
        return lambda jobs, work: engine_local.run_jobs(jobs, work, options.worker_count, options.timeout_s)
    from tiktokactions.curation import engine_ray

    return lambda jobs, work: engine_ray.run_jobs(jobs, work, options.workers, options.timeout_s, detector, sees)


def fetcher(options: CurateOptions) -> Fetch | None:
    """Where objects are read; None means in threads of this process."""
    if options.engine == "local":
        return None
    from tiktokactions.curation import engine_ray

    return engine_ray.fetch_on_cluster


@contextlib.contextmanager
def copy_here(path: str, copy: object) -> Iterator[Path]:
    """In a worker: the file of a job on this machine, gone afterwards where it is a copy. Errors as ``files.local_file``."""
    if isinstance(copy, str) and os.path.exists(copy):
        yield Path(copy)
        discard(copy)
        return
    if copy is not None and not isinstance(copy, str):
        from tiktokactions.curation import engine_ray

        if (data := engine_ray.contents(copy)) is not None:
            with local_bytes(data, path) as local:
                yield local
            return
    with local_file(path) as local:
        yield local


def sees(dataset: Place, videos: Sequence[str]) -> list[str]:
    """The local paths that every machine of a cluster must see: the dataset's (where its lock is now) and the videos'."""
    places = [dataset.resolve() / ".lock-owner", *map(located, videos)]
    return [str(path) for path in filter(None, map(local_path, places)) if os.path.lexists(path)]
