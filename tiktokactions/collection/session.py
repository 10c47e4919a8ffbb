"""The work of the commands ``collect run``, ``plan``, ``status``, ``import`` and ``export``."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from tiktokactions.collection.client import ResearchClient
from tiktokactions.collection.credentials import Credentials, CredentialsError, base_url, is_loopback, read_credentials
from tiktokactions.collection.design import design_text
from tiktokactions.collection.health import StoppedError
from tiktokactions.collection.imports import read_imports
from tiktokactions.collection.ledger import REQUESTS_A_DAY, Ledger, ledger_path
from tiktokactions.collection.options import CollectOptions
from tiktokactions.collection.plan import Estimate, estimate, period, read_hashtags
from tiktokactions.collection.rows import AiLabelled, ai_label, hash_creator, hashed_creators, is_left_out, read_row
from tiktokactions.collection.run import Run, Wanted, begin, shortfall
from tiktokactions.collection.store import DATABASE, Collection, CollectionError, is_collection, put_video
from tiktokactions.files import Place, dataset_lock, on_disk, write_atomic
from tiktokactions.machine import DAY_S, Clock, JumpingClock, utc_day, utc_text
from tiktokactions.records import JsonObject


@dataclass(frozen=True, slots=True)
class HashtagStatus:
    """One hashtag of a collection. ``state``: ``done`` (nothing more will be asked for it) or ``open``."""

    hashtag: str
    found: int
    wanted: int | None
    """None: every video of the period."""
    state: str
    shortfall: str
    """Why fewer were found than wanted; empty if there are enough."""
    in_period: int | None = None
    """How many videos of the period the server has: counted where windows were read to their end, else estimated."""


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """What a collection holds and what is left to do."""

    collection: str
    videos: int
    hashtags: tuple[HashtagStatus, ...]
    rejected: int
    """Answers without the hashtag that was asked for."""
    requests: int
    requests_left: int
    """An estimate from the requests that the finished windows took."""
    days_left: float
    removed: int
    ai_labelled: int
    """Videos that bear the platform's label for AI-generated content."""
    design: str
    """How the videos were sampled; empty where nothing was asked for."""
    refresh_due: str | None
    """The day (UTC) by which the ids must be checked again; None before anything was collected."""
    overdue: bool

    @property
    def is_complete(self) -> bool:
        return all(tag.state == "done" for tag in self.hashtags)


@dataclass(frozen=True, slots=True)
class CollectResult:
    """What a run has done. ``stopped`` says why it ended early; empty if it did not."""

    status: CollectionStatus
    requests: int
    stopped: str


def collect_plan(hashtags: Path, options: CollectOptions, today: date | None = None) -> tuple[Estimate, str]:
    """What a collection would cost, and how the period had to be changed. Sends nothing."""
    today = utc_day(Clock().now()) if today is None else today
    start, end, note = period(options.start, options.end, today)
    count = len(read_hashtags(hashtags))
    return estimate(count, start, end, options), note


def collect_run(
    hashtags: Path,
    output: Path,
    options: CollectOptions,
    report: Callable[[str], None] = lambda line: None,
    note: Callable[[str], None] = lambda line: None,
) -> CollectResult:
    """Collect metadata into the folder ``output``; the same call continues an interrupted run.

    Raises:
        PlanError, CollectionError, CredentialsError, ApiError, DatasetBusyError
    """
    tags = read_hashtags(hashtags)
    with _server(options, output, tags) as server, dataset_lock(output), Collection(output, create=True) as collection:
        before = collection.setting("server")
        if before is not None and "sandbox" in (before, server.name) and before != server.name:
            mixed = f"begun with {before}, now {server.name}: made-up and real videos do not mix"
            raise CollectionError(f"{output}: {mixed}. Use another folder")
        collection.set_setting("server", server.name)
        clock = server.clock
        wanted = _wanted(collection, options, clock, note)
        begin(collection, tags, wanted)
        stopped = ""
        with _client(server, options, output, collection, note) as client:
            try:
                Run(collection, client, wanted, clock, wait=options.wait, report=report, note=note).run()
            except StoppedError as error:
                stopped = str(error)
            finally:
                if collection.setting("checked_at") is None and collection.count_videos():
                    collection.set_setting("checked_at", clock.now())
        return CollectResult(status_of(collection, clock.now(), options.requests_a_day), client.sent, stopped)


class _Server(NamedTuple):
    clock: Clock
    address: str
    credentials: Credentials
    name: str
    """What a collection remembers it by: ``sandbox``, whose port differs from run to run, or the address."""


@contextlib.contextmanager
def _server(options: CollectOptions, output: Path, tags: Sequence[str], gone_share: float = 0.0) -> Iterator[_Server]:
    """The server that the options mean; the sandbox runs as long as the block."""
    if not options.sandbox:
        address = base_url()
        if options.speed != 1 and not is_loopback(address):
            raise CredentialsError(f"`speed` {options.speed:g}: only for a server on this machine, not for {address}")
        yield _Server(Clock(options.speed), address, read_credentials(options.credentials), address)
        return
    from tiktokactions.collection.sandbox import REHEARSAL, SANDBOX_CREDENTIALS, GeneratedWorld, ResearchServer, serve

    clock = JumpingClock(Clock().now())
    if (output / "collection.sqlite").is_file():
        with Collection(output) as collection:
            clock = JumpingClock(max(clock.now(), collection.setting("sandbox_now") or 0.0))
    faults = replace(REHEARSAL, gone_share=gone_share)
    with serve(ResearchServer(GeneratedWorld(tuple(tags), options.seed), clock, faults)) as address:
        yield _Server(clock, address, SANDBOX_CREDENTIALS, "sandbox")


@contextlib.contextmanager
def _client(
    server: _Server, options: CollectOptions, output: Path, collection: Collection | None, note: Callable[[str], None]
) -> Iterator[ResearchClient]:
    """A client of the server that books its requests in the ledger and logs them in the collection, where there is one."""
    state = output / "sandbox-quota.sqlite" if options.sandbox else ledger_path()
    ledger = Ledger(state, server.credentials.account(server.name), server.clock, options.requests_a_day)
    client = ResearchClient(
        server.credentials,
        server.address,
        ledger,
        server.clock,
        budget=options.budget,
        safe_fields=collection is not None and bool(collection.setting("safe_fields")),
        on_call=(lambda call: None) if collection is None else collection.log_call,
        on_note=note,
    )
    try:
        yield client
    finally:
        client.close()
        if collection is not None and options.sandbox:
            collection.set_setting("sandbox_now", server.clock.now())


def _wanted(collection: Collection, options: CollectOptions, clock: Clock, note: Callable[[str], None]) -> Wanted:
    """What the options mean today. A collection that was begun keeps its period unless another is asked for."""
    before = collection.setting("wanted")
    if before and options.start is None and options.end is None:
        start, end = date.fromisoformat(before["from"]), date.fromisoformat(before["to"])
    else:
        start, end, changed = period(options.start, options.end, utc_day(clock.now()))
        if before and options.end is not None and before["to"] < end.isoformat() <= options.end.isoformat():
            # On the day it was begun, the end was cut to what could be found.
            end = date.fromisoformat(before["to"])
        if changed:
            note(changed)
    return Wanted(
        options.per_hashtag,
        start,
        end,
        tuple(options.region),
        _is_random(before, options),
        options.windows,
        options.seed,
        options.hash_creators,
        options.everything,
    )


def _is_random(before: JsonObject | None, options: CollectOptions) -> bool:
    """Whether windows are drawn from: as is asked for, else as the collection was begun."""
    if options.everything or options.random is not None:
        return bool(options.random)
    return True if before is None else bool(before["random"])


# --- status --------------------------------------------------------------------------------------------------------


def collect_status(folder: Place, requests_a_day: int = REQUESTS_A_DAY) -> CollectionStatus:
    with Collection(folder) as collection:
        now = collection.setting("sandbox_now") or Clock().now()
        return status_of(collection, now, requests_a_day)


def status_of(collection: Collection, now: float, requests_a_day: int) -> CollectionStatus:
    settings = collection.setting("wanted") or {}
    wanted = sys.maxsize if settings.get("everything") else settings.get("per_hashtag", 0)
    rows = collection.database.execute(
        "SELECT hashtag, count(video_id), state,"
        " (SELECT sum(size) FROM windows w WHERE w.hashtag=hashtags.hashtag AND w.state<>'split')"
        " FROM hashtags LEFT JOIN found USING(hashtag) GROUP BY hashtag ORDER BY position"
    ).fetchall()
    requests = collection.number("SELECT count(*) FROM calls")
    finished = collection.number("SELECT count(*) FROM windows WHERE state<>'open'")
    unasked = collection.number(
        "SELECT count(*) FROM windows w JOIN hashtags h USING(hashtag) WHERE w.state='open' AND h.state='open'"
    )
    left = math.ceil(unasked * max(1.0, requests / finished if finished else 1.0))
    due = due_at(collection)
    return CollectionStatus(
        collection=str(collection.folder),
        videos=collection.count_videos(),
        hashtags=tuple(
            HashtagStatus(
                tag,
                count,
                None if wanted == sys.maxsize else wanted,
                state,
                shortfall(collection, tag, count, wanted),
                None if size is None else round(size),
            )
            for tag, count, state, size in rows
        ),
        rejected=collection.number("SELECT count(*) FROM rejected"),
        requests=requests,
        requests_left=left,
        days_left=round(left / requests_a_day, 2),
        removed=collection.number("SELECT count(*) FROM removed"),
        ai_labelled=sum(
            ai_label(json.loads(row[0])) is not None
            for row in collection.database.execute("SELECT raw FROM videos WHERE raw LIKE '%\"video_tag\"%'")
        ),
        design=design_text(settings),
        refresh_due=None if due is None else utc_text(due)[:10],
        overdue=due is not None and now > due,
    )


def due_at(collection: Collection) -> float | None:
    """Unix time by which the ids must be checked again (every 15 days by the terms, see docs/collect.md)."""
    checked = collection.setting("checked_at")
    return None if checked is None else float(checked) + float(collection.setting("every_days") or 15) * DAY_S


def refresh_warning(folder: Path) -> str:
    """The warning of every command that reads a collection whose refresh is overdue; empty if it is not, or if the folder is
    no collection."""
    if not is_collection(folder):
        return ""
    with Collection(folder) as collection:
        now = max(Clock().now(), collection.setting("sandbox_now") or 0.0)
        due = due_at(collection)
    if due is None or now <= due:
        return ""
    return refresh_text(folder, due)


def refresh_text(folder: Place, due: float) -> str:
    return (
        f"{folder}: its refresh was due on {utc_text(due)[:10]}: videos deleted on the platform must be deleted here too."
        f" Run: tiktokactions refresh {folder}"
    )


def collections_of(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The collections that these paths are or lie in, each once."""
    absolute = [Path(os.path.abspath(path)) for path in paths]
    every = (folder for path in absolute for folder in (path, *path.parents) if is_collection(folder))
    return list(dict.fromkeys(every))


# --- refresh --------------------------------------------------------------------------------------------------------

SANDBOX_GONE = 0.03
"""The share of videos that are gone, as the sandbox has it, when a rehearsal is refreshed."""


@contextlib.contextmanager
def refresh_client(
    folder: Place, collection: Place | None, options: CollectOptions, note: Callable[[str], None]
) -> Iterator[tuple[ResearchClient, Clock]]:
    """A client for checking ids, and its clock. A ``collection`` knows whether it was a rehearsal, and logs the calls.

    Raises:
        CredentialsError: no key, or ``speed`` with a server that is not on this machine.
    """
    with contextlib.ExitStack() as stack:
        held = None if collection is None else stack.enter_context(Collection(collection))
        if held is not None and held.setting("server") == "sandbox":
            options = replace(options, sandbox=True)
        tags = [] if held is None else held.hashtags()
        output = on_disk(folder if collection is None else collection, "the log of a check")
        server = stack.enter_context(_server(options, output, tags or ["fyp"], SANDBOX_GONE))
        yield stack.enter_context(_client(server, options, output, held, note)), server.clock


# --- import and export ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imported:
    rows: int
    new: int
    rejected: tuple[str, ...]
    """``FILE, row N: why`` for every row that was not imported."""
    tools: dict[str, int] = field(default_factory=dict)
    """Rows by the tool that wrote them."""
    columns: dict[str, str] = field(default_factory=dict)
    """Which column became what."""
    misfits: tuple[str, ...] = ()
    """Columns with values that did not fit, each with the first place."""
    not_understood: dict[str, int] = field(default_factory=dict)
    """Rows by columns that no table understands."""
    unknown: tuple[str, ...] = ()
    """Of id, creator, date, caption, hashtags, sound, region and views those that no row says."""


def collect_import(file: Path, output: Path, hash_creators: bool = False) -> Imported:
    """Import what other tools wrote: files of any name, lists of links, folders of downloads (see docs/collect.md).

    A row never takes away what an earlier one said: it adds to it.

    Raises:
        CollectionError: a file that cannot be read, or says nothing of any video.
    """
    with contextlib.ExitStack() as stack:
        known = stack.enter_context(Collection(output)).setting("wanted") if (output / DATABASE).is_file() else None
    hashed = hash_creators or bool((known or {}).get("hash_creators"))
    found = read_imports(file)
    new = 0
    with dataset_lock(output), Collection(output, create=True) as collection:
        salt = collection.salt() if hashed else None
        now = Clock().now()
        with collection.transaction() as database:
            for where, said in found.rows:
                row = read_row(collection.imported(said["id"]) | said, salt)
                assert row is not None
                if collection.is_removed(row.video_id):
                    found.rejected.append(f"{where}: {row.video_id} was removed from this collection")
                else:
                    new += put_video(database, row, "import", utc_text(now))
        if collection.setting("checked_at") is None:
            collection.set_setting("checked_at", now)
    misfits = tuple(f"{column}: {told}" for column, told in found.misfits.items())
    return Imported(
        found.count,
        new,
        tuple(found.rejected),
        dict(found.tools),
        found.columns,
        misfits,
        dict(found.left_out),
        found.unknown,
    )


def collect_export(folder: Path, output: Path, plain_creators: bool = False, ai_labelled: AiLabelled = "keep") -> int:
    """Write one JSON object a line: the row as it came, ``labels``, and ``inclusion_probability`` by hashtag.

    Creators are hashed unless ``plain_creators``. ``ai_labelled``: what becomes of videos with the platform's AI label.

    Returns:
        How many lines.
    """
    lines = []
    with Collection(folder) as collection:
        salt = collection.salt()
        probabilities = collection.probabilities()
        for video_id, labels, creator, raw in collection.videos():
            row = raw if plain_creators else hashed_creators(raw, salt)
            row = {**row, "id": video_id, "labels": labels}
            row |= probabilities.get(video_id, {})
            if is_left_out(raw, ai_labelled):
                continue
            if creator:
                row["username"] = creator if plain_creators else hash_creator(creator, salt)
            lines.append(json.dumps(row, ensure_ascii=False))
        # Registered before the file exists, so that a take-down always finds it.
        known = collection.setting("exports") or []
        if str(output.absolute()) not in known:
            collection.set_setting("exports", [*known, str(output.absolute())])
    write_atomic(output, ("\n".join(lines) + "\n" if lines else "").encode())
    return len(lines)
