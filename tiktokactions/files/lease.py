"""The lock of a dataset on an object store: a lease object that its holder renews. Once nobody renews it, others may take it
over. The clocks of two machines are never compared: a run that finds a lease watches whether it changes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tiktokactions.files.objects import ObjectPath
from tiktokactions.files.stores import StoreError
from tiktokactions.machine import is_alive

LEASE_S = 60.0
"""A lease that has not been renewed for this long belongs to nobody."""
RENEWALS = 4
"""Times that a lease is renewed within ``LEASE_S``."""


class LeaseHeldError(RuntimeError):
    """Somebody else holds the lease; ``args[0]`` says who. Internal: ``dataset_lock`` makes it a ``DatasetBusyError``."""


@contextlib.contextmanager
def held_lease(path: ObjectPath) -> Iterator[None]:
    """Hold the lease object ``path``.

    Raises:
        LeaseHeldError: a living run holds it, or took it over because ours could not be renewed in time.
    """
    mine = {
        "owner": f"process {os.getpid()} on {socket.gethostname()}",
        "host": socket.gethostname(),
        "process": os.getpid(),
        "token": uuid.uuid4().hex,
    }
    _acquire(path, mine)
    ended, lost = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_renew, args=(path, mine, ended, lost), daemon=True)
    keeper.start()
    try:
        yield
        if lost.is_set():
            raise LeaseHeldError("another run took over, as this one could not reach the store for a while,")
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
            raise LeaseHeldError(str(holder.get("owner", "another run")))
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
    beat = 0
    while not ended.wait(LEASE_S / RENEWALS):
        beat += 1
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
        return {"owner": "an unreadable lease", "token": "?"}
    return found if isinstance(found, dict) else {"owner": "an unreadable lease", "token": "?"}


def _encoded(mine: dict[str, Any], beat: int) -> bytes:
    return json.dumps(mine | {"beat": beat}).encode()
