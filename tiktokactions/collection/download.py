"""Which videos of a collection are downloaded, in what order, and when a run must stop. Every outcome is a row.

In the table ``downloads``, ``state`` is ``done`` (the file is there), ``curated`` (it has a record; the file may have been
deleted on purpose), ``permanent`` (never tried again) or ``retry``; ``class`` says why.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiktokactions.collection.design import design_text
from tiktokactions.collection.failures import Failure, classify
from tiktokactions.collection.fetch import Fetched, Fetcher, FetchError
from tiktokactions.collection.options import DownloadOptions
from tiktokactions.collection.rows import AiLabelled, ai_label, is_left_out
from tiktokactions.collection.store import MEDIA, Collection, carried
from tiktokactions.files import write_json
from tiktokactions.machine import Clock, utc_text
from tiktokactions.metadata.names import id_in_name, rank
from tiktokactions.metadata.sidecars import read_sidecar
from tiktokactions.metadata.tables import read_post
from tiktokactions.records import JsonObject

MOST_ATTEMPTS = 3
"""For one video in one run; the next run tries again."""
MOST_RUNS = 3
"""A doubtful video is given up after so many tries, each while other downloads succeeded."""
BREAKER = 10
"""A run stops after failures of this many videos in a row."""
SLOWEST = 64
"""How many times longer the pauses become, at most, while the server asks us to be slower."""


@dataclass(frozen=True)
class Arrived:
    """A file that is there now."""

    video_id: str
    path: Path


@dataclass
class Tally:
    """What a run has done so far."""

    downloaded: int = 0
    picked_up: int = 0
    permanent: int = 0
    retry: int = 0
    bytes: int = 0
    stopped: str = ""
    """Why it ended early; empty if it did not."""
    kinds: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """yt-dlp's own, each once."""


def pick_up(
    collection: Collection, tally: Tally, folder: Path | None = None, ai_labelled: AiLabelled = "keep"
) -> Iterator[Arrived]:
    """Register files that are there already and whose name or sidecar has the id: in ``folder``, else in the collection's
    own media (where a run may have been killed between a file and its row)."""
    wanted = set(_open_ids(collection, ai_labelled))
    root = folder if folder is not None else collection.folder / MEDIA
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        usable = path.is_file() and not rank(path.name) and ".unfinished" not in path.parts
        video_id = next((i for i in ids_of_file(path) if i in wanted), "") if usable and path.stat().st_size else ""
        if video_id:
            wanted.discard(video_id)
            row = path.absolute() if folder is not None else path.relative_to(collection.folder)
            _put(collection, video_id, "done", "", "picked up", Fetched(row, path.stat().st_size, ""))
            if folder is None:  # a file that lies elsewhere keeps the sidecars that it has there
                write_sidecar(collection, video_id)
            tally.picked_up += 1
            yield Arrived(video_id, path.absolute())


def ids_of_file(path: Path) -> Iterator[str]:
    """What a file's video may be called: by its name up to the first dot, by the id in its name, by its sidecar."""
    yield path.name.partition(".")[0]
    yield id_in_name(str(path)) or ""
    yield read_post(read_sidecar(path)[0]).id or ""


def download_all(
    collection: Collection, options: DownloadOptions, tally: Tally, report: Callable[[], None]
) -> Iterator[Arrived]:
    """Download what is missing, ``options.workers`` at a time; gives files as they arrive.

    Stops early, with a sentence in ``tally.stopped``, at the limit or the disk cap, after a series of blocks, or if the
    set-up does not work. Doubtful failures count only while other downloads succeed. Pauses grow when the server says 429.
    """
    run = _Run(collection, options, tally, collection.folder / MEDIA, iter(_open_ids(collection, options.ai_labelled)))
    run.folder.mkdir(exist_ok=True)
    _clean(run.folder)
    run.used_bytes = sum(p.stat().st_size for p in run.folder.rglob("*") if p.is_file())
    durations_s = _durations(collection)
    fetcher = Fetcher(run.folder, options, tally.warnings.append)
    with contextlib.closing(fetcher), ThreadPoolExecutor(options.workers) as pool:
        running: dict[Future[Fetched], str] = {}
        try:
            while True:
                while len(running) < options.workers and (video_id := run.next_id()) is not None:
                    task = pool.submit(fetcher.fetch, video_id, durations_s.get(video_id), run.pause_s)
                    running[task] = video_id
                if not running:
                    break
                for task in wait(running, return_when=FIRST_COMPLETED).done:
                    video_id = running.pop(task)
                    try:
                        got = task.result()
                    except FetchError as error:
                        run.failed(video_id, str(error))
                    else:
                        run.arrived(video_id, got)
                        yield Arrived(video_id, got.path.absolute())
                    report()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    _clean(run.folder)
    run.end()
    report()


@dataclass
class _Run:
    """The state of a run."""

    collection: Collection
    options: DownloadOptions
    tally: Tally
    folder: Path
    todo: Iterator[str]
    again: list[str] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    doubtful: list[str] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    """Videos that failed since the last one that the server answered for."""
    slower: int = 1
    """How many times longer the pauses are than was asked for."""
    used_bytes: int = 0

    @property
    def pause_s(self) -> float:
        """Seconds to wait before a download, besides the usual pause."""
        return 0.0 if self.slower == 1 else (self.slower - 1) * max(self.options.pause_s, 0.25)

    def next_id(self) -> str | None:
        """The next video to try; None if there is none or the run must end."""
        cap = self.options.max_gb
        if self.tally.stopped:
            return None
        if cap is not None and self.used_bytes >= cap * 1e9:
            self.tally.stopped = f"the media take {self.used_bytes / 1e9:.2f} GB, the cap is {cap:g} GB"
            return None
        video_id = self.again.pop(0) if self.again else next(self.todo, None)
        if video_id is None:
            return None
        tried = len(self.attempts)
        if self.options.limit is not None and tried >= self.options.limit and video_id not in self.attempts:
            self.tally.stopped = f"{tried} videos tried, the limit of this run ({video_id} would be next)"
            return None
        self.attempts[video_id] += 1
        return video_id

    def arrived(self, video_id: str, got: Fetched) -> None:
        self.blocked.clear()
        self.slower = max(1, self.slower // 2)
        self._settle_doubtful()
        self.used_bytes += got.bytes
        self.tally.downloaded += 1
        self.tally.bytes += got.bytes
        write_sidecar(self.collection, video_id)
        inside = replace(got, path=got.path.relative_to(self.collection.folder.absolute()))
        _put(self.collection, video_id, "done", "", "", inside)

    def failed(self, video_id: str, text: str) -> None:
        failure = classify(text)
        if failure.verdict == "permanent":
            self.blocked.clear()  # the server answered, and knows the video
            self._give_up(video_id, failure, text)
            return
        _put(self.collection, video_id, "retry", failure.kind, text)
        self.blocked.add(video_id)
        is_fast = failure.kind == "rate limit"
        self.slower = min(SLOWEST, 2 * self.slower) if is_fast else self.slower
        if failure.verdict == "doubtful":
            self.doubtful.append(video_id)
        elif (failure.verdict == "retry" or is_fast) and self.attempts[video_id] < MOST_ATTEMPTS:
            self.again.append(video_id)
        else:
            self._later(failure.kind)
        if failure.verdict == "stop":
            self.tally.stopped = self.tally.stopped or f"{failure.kind}: {text}"
        elif len(self.blocked) >= BREAKER and not self.tally.stopped:
            self.tally.stopped = (
                f"{len(self.blocked)} failures in a row that look like a block, a change of the site or a broken network (the"
                f" last: {text}); no video was given up. Wait some hours or update yt-dlp, then run the command again"
            )

    def end(self) -> None:
        """Settle what is still doubtful if other downloads succeeded; the rest is tried later."""
        if self.tally.downloaded and len(self.blocked) < BREAKER:
            self._settle_doubtful()
        for _ in self.doubtful:
            self._later("unavailable")
        for video_id in self.again:
            query = "SELECT class FROM downloads WHERE video_id=?"
            self._later(str(self.collection.database.execute(query, (video_id,)).fetchone()[0]))

    def _settle_doubtful(self) -> None:
        """Other downloads succeed, so we are not blocked altogether. Whether a video is gone for all, later runs tell."""
        for video_id in self.doubtful:
            query = "SELECT attempts FROM downloads WHERE video_id=?"
            if self.collection.number(query, video_id) >= MOST_RUNS:
                self._give_up(
                    video_id, Failure("permanent", "unavailable"), "could not be downloaded while others could"
                )
            else:
                self._later("unavailable")
        self.doubtful.clear()

    def _later(self, kind: str) -> None:
        self.tally.retry += 1
        self.tally.kinds[kind] = self.tally.kinds.get(kind, 0) + 1

    def _give_up(self, video_id: str, failure: Failure, text: str) -> None:
        _put(self.collection, video_id, "permanent", failure.kind, text)
        self.tally.permanent += 1
        self.tally.kinds[failure.kind] = self.tally.kinds.get(failure.kind, 0) + 1


def _clean(media: Path) -> None:
    """Remove temporary files, those that earlier versions left in nested folders as well."""
    for folder in list(media.rglob(".unfinished")):
        shutil.rmtree(folder, ignore_errors=True)
        while (folder := folder.parent) != media and not any(folder.iterdir()):
            folder.rmdir()


def mark_curated(collection: Collection, video_id: str) -> None:
    """Note that its record is written: the file may be deleted and is never downloaded again."""
    collection.database.execute("UPDATE downloads SET state='curated' WHERE video_id=?", (video_id,))


def media_files(collection: Collection) -> Iterator[Arrived]:
    """The files that are there, in the order of ids."""
    query = "SELECT video_id, path FROM downloads WHERE state='done' AND path IS NOT NULL ORDER BY video_id"
    for video_id, path in collection.database.execute(query).fetchall():
        yield Arrived(video_id, (collection.folder / path).absolute())


def counts(collection: Collection) -> dict[str, int]:
    """How many videos are in each state; ``waiting`` were never tried, permanent ones are counted by class."""
    query = "SELECT state, class, count(*) FROM downloads GROUP BY state, class ORDER BY state, class"
    rows = collection.database.execute(query)
    found = {f"{state}: {kind}" if kind else state: int(number) for state, kind, number in rows}
    waiting = collection.count_videos() - sum(found.values())
    return found | ({"waiting": waiting} if waiting > 0 else {})


def write_sidecar(collection: Collection, video_id: str) -> None:
    """Write ``media/<id>.json``: what the collection knows about a video, for programs that read a folder of videos."""
    found = collection.database.execute("SELECT raw FROM videos WHERE video_id=?", (video_id,)).fetchone()
    if found is not None:
        said = described_row(collection, video_id, json.loads(found[0]))
        write_json(collection.folder / MEDIA / f"{video_id}.json", said, indent=1)


def described_row(collection: Collection, video_id: str, raw: dict[str, object]) -> dict[str, object]:
    """A row with ``labels``: the collection's own hashtags that the video carries, not every tag of its creator."""
    query = "SELECT hashtags FROM videos WHERE video_id=?"
    labels = carried(collection.database.execute(query, (video_id,)).fetchone()[0], set(collection.hashtags()))
    told: JsonObject = {"id": video_id, "labels": labels, "ai_label": ai_label(raw)}
    told |= collection.probabilities(video_id).get(video_id, {})
    if "inclusion_probability" in told:
        told["sampling"] = design_text(collection.setting("wanted") or {})
    return told | {name: value for name, value in raw.items() if name != "id"}


def _open_ids(collection: Collection, ai_labelled: AiLabelled) -> list[str]:
    """Videos without a file that were not given up; those that were never tried come first."""
    rows = collection.database.execute(
        "SELECT v.video_id, d.state, d.path, v.raw FROM videos v LEFT JOIN downloads d USING(video_id)"
        " WHERE NOT EXISTS (SELECT 1 FROM removed r WHERE r.video_id=v.video_id)"
        " ORDER BY d.state IS NOT NULL, v.video_id"
    ).fetchall()
    return [
        video_id
        for video_id, state, path, raw in rows
        if not is_left_out(json.loads(raw), ai_labelled)
        and (state in (None, "retry") or (state == "done" and not (path and (collection.folder / path).exists())))
    ]


def _durations(collection: Collection) -> dict[str, float]:
    """Seconds by video id, as far as the metadata say."""
    found: dict[str, float] = {}
    for video_id, raw in collection.database.execute("SELECT video_id, raw FROM videos"):
        with contextlib.suppress(TypeError, ValueError):
            found[video_id] = float(json.loads(raw)["video_duration"]) if '"video_duration"' in raw else 0.0
    return found


def _put(collection: Collection, video_id: str, state: str, kind: str, text: str, got: Fetched | None = None) -> None:
    file = ("", None, None) if got is None else (got.tool, str(got.path), got.bytes)
    collection.database.execute(
        "INSERT INTO downloads VALUES(?,?,?,1,?,?,?,?,?) ON CONFLICT(video_id) DO UPDATE SET state=excluded.state,"
        " class=excluded.class, attempts=attempts+1, text=excluded.text, at=excluded.at, tool=excluded.tool,"
        " path=excluded.path, bytes=excluded.bytes",
        (video_id, state, kind, text[:500], utc_text(Clock().now()), *file),
    )
