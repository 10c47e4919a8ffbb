"""Small made worlds of videos, and a collection run against a server that holds one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tiktokactions.collection.client import ResearchClient
from tiktokactions.collection.health import StoppedError
from tiktokactions.collection.ledger import Ledger
from tiktokactions.collection.run import Run, Wanted, begin
from tiktokactions.collection.sandbox import SANDBOX_CREDENTIALS, Faults, ResearchServer, serve
from tiktokactions.collection.store import Collection
from tiktokactions.machine import JumpingClock, utc_day

TODAY = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class ListedWorld:
    """A world that is a list of videos."""

    videos: Sequence[dict[str, Any]]

    def candidates(self, hashtags: Sequence[str], start: date, end: date) -> list[dict[str, Any]]:
        return [video for video in self.videos if start <= utc_day(video["create_time"]) <= end]


def video(number: int, day: date, *hashtags: str, **more: Any) -> dict[str, Any]:
    """A video of that day whose id holds its time, as real ones do."""
    created = int(datetime(day.year, day.month, day.day, number % 24, tzinfo=UTC).timestamp())
    named = {"username": f"maker{number}", "video_description": "@friend hi"}
    return {"id": (created << 32) + number, "create_time": created, "hashtag_names": list(hashtags), **named, **more}


def wanted(per_hashtag: int, start: date, end: date, **more: Any) -> Wanted:
    settings: dict[str, Any] = {"regions": (), "random": False, "windows": None, "seed": 0, "hash_creators": False}
    return Wanted(per_hashtag, start, end, **settings | more)


@contextlib.contextmanager
def client_of(
    server: ResearchServer, folder: Path, requests_a_day: int = 1000, collection: Collection | None = None, **more: Any
) -> Iterator[ResearchClient]:
    assert isinstance(server.clock, JumpingClock)
    with serve(server) as address:
        ledger = Ledger(folder / "quota.sqlite", SANDBOX_CREDENTIALS.account("test"), server.clock, requests_a_day)
        if collection is not None:
            more["on_call"] = collection.log_call
        client = ResearchClient(SANDBOX_CREDENTIALS, address, ledger, server.clock, **more)
        try:
            yield client
        finally:
            client.close()


def server_of(videos: Sequence[dict[str, Any]], faults: Faults | None = None, seed: int = 0) -> ResearchServer:
    return ResearchServer(ListedWorld(videos), JumpingClock(TODAY), faults, seed=seed)


def collect(
    server: ResearchServer, folder: Path, hashtags: list[str], what: Wanted, *, wait: bool = True, **more: Any
) -> tuple[dict[str, set[str]], str, list[str]]:
    """(ids by hashtag, why it stopped, notes) after one run."""
    notes: list[str] = []
    stopped = ""
    with (
        Collection(folder, create=True) as collection,
        client_of(server, folder, collection=collection, **more) as client,
    ):
        begin(collection, hashtags, what)
        run = Run(collection, client, what, server.clock, wait=wait, report=notes.append, note=notes.append)
        try:
            run.run()
        except StoppedError as error:
            stopped = str(error)
        return found(collection), stopped, notes


def found(collection: Collection) -> dict[str, set[str]]:
    sets: dict[str, set[str]] = {}
    for hashtag, video_id in collection.database.execute("SELECT hashtag, video_id FROM found"):
        sets.setdefault(hashtag, set()).add(video_id)
    return sets


def booked(ledger: Path, account: str) -> list[int]:
    """Requests by day."""
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        rows = database.execute("SELECT sent FROM calls WHERE account=? ORDER BY day", (account,))
        return [row[0] for row in rows]
