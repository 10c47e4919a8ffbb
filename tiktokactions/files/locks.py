"""One run at a time writes to a dataset.

On an object store the lock is a lease object that its holder renews. Once nobody renews it, others may take it over. The
clocks of two machines are never compared: a run that finds a lease watches whether it changes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import filelock

from tiktokactions.errors import TiktokactionsError
from tiktokactions.files.changes import clear_staging
from tiktokactions.files.objects import ObjectPath
from tiktokactions.files.places import Place, local_path, stored_path
from tiktokactions.files.stores import StoreError
from tiktokactions.machine import is_alive

LEASE_S = 60.0
"""A lease that has not been renewed for this long belongs to nobody."""
RENEWALS = 4
"""Times that a lease is renewed within ``LEASE_S``."""


class DatasetBusyError(TiktokactionsError, RuntimeError):
    """Another run is writing to the same dataset folder."""


def _busy(dataset: Place, who: str) -> DatasetBusyError:
    return DatasetBusyError(
        f"{dataset}: {who} is writing to this folder. Wait until it has ended, or write to another folder."
    )


@contextlib.contextmanager
def dataset_lock(dataset: Place) -> Iterator[None]:
    """Hold the dataset's lock; the operating system releases it when the process ends, however it ends.

    Raises:
        DatasetBusyError: another run holds it; the message says which.
    """
    folder = local_path(dataset)
    if folder is None:
        with held_lease(stored_path(dataset / ".lock")):
            yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    owner = folder / ".lock-owner"
    try:
        lock.acquire()
    except filelock.Timeout:
        who = owner.read_text().strip() if owner.exists() else "another run"
        raise _busy(dataset, who) from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        clear_staging(dataset)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def held_lease(path: ObjectPath) -> Iterator[None]:
    """Hold the lease object ``path`` of a dataset.

    Raises:
        DatasetBusyError: a living run holds it, or took it over because ours could not be renewed in time.
    """
    host, process = socket.gethostname(), os.getpid()
    owner = f"process {process} on {host}"
    mine = {"owner": owner, "host": host, "process": process, "token": uuid.uuid4().hex}
    _acquire(path, mine)
    ended, lost = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_renew, args=(path, mine, ended, lost), daemon=True)
    keeper.start()
    try:
        yield
        if lost.is_set():
            raise _busy(path.parent, "another run took over, as this one could not reach the store for a while,")
    finally:
        ended.set()
        keeper.join()
        with contextlib.suppress(StoreError):
            if not lost.is_set() and _holder(path).get("token") == mine["token"]:
                path.unlink(missing_ok=True)


def _acquire(path: ObjectPath, mine: dict[str, Any]) -> None:
    while True:
        try:
            path.create(_encoded(mine, 0))
        except FileExistsError:
            pass
        except FileNotFoundError as error:
            raise StoreError(f"{path.parent}: cannot be written to: {error}. Does the bucket exist?") from error
        holder = _holder(path)
        if holder.get("token") == mine["token"]:
            return
        if not holder:
            continue
        if not _is_left(path, holder):
            raise _busy(path.parent, str(holder.get("owner", "another run")))
        # Two that take over at once: the store lets one of them create the lease, the other finds it held.
        if _holder(path).get("token") == holder.get("token"):
            path.unlink(missing_ok=True)


def _is_left(path: ObjectPath, holder: dict[str, Any]) -> bool:
    if holder.get("host") == socket.gethostname() and isinstance(holder.get("process"), int):
        return holder["process"] != os.getpid() and not is_alive(holder["process"])
    print(f"{path}: held by {holder.get('owner')}; watching whether it is alive", file=sys.stderr, flush=True)
    until = time.monotonic() + LEASE_S
    while time.monotonic() < until:
        time.sleep(LEASE_S / RENEWALS / 4)
        if _holder(path) != holder:
            return not _holder(path)
    return True


def _renew(path: ObjectPath, mine: dict[str, Any], ended: threading.Event, lost: threading.Event) -> None:
    for beat in itertools.count(1):
        if ended.wait(LEASE_S / RENEWALS):
            return
        try:
            if _holder(path).get("token") != mine["token"]:
                lost.set()
                return
            path.write_bytes(_encoded(mine, beat))
        except (StoreError, OSError):
            continue  # tried again with the next beat; whoever waits sees no change and takes over


def _holder(path: ObjectPath) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"owner": "an unreadable lease", "token": "?"}


def _encoded(mine: dict[str, Any], beat: int) -> bytes:
    return json.dumps(mine | {"beat": beat}).encode()
