"""One run at a time writes to a dataset, or several shards of one.

On an object store the lock is a lease object that its holder renews. Once nobody renews it, others may take it over. The
clocks of two machines are never compared: a run that finds a lease watches whether it changes. A shard has a lease on a disk
as well: whoever wants the dataset's lock looks for leases afterwards, and a shard looks for the lock after it has its lease,
so at least one of the two sees the other.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock

from tiktokactions.errors import TiktokactionsError
from tiktokactions.files.changes import clear_staging, link_or_copy
from tiktokactions.files.places import Place, listing, local_path, stored_path
from tiktokactions.files.stores import StoreError
from tiktokactions.machine import is_alive, utc_now
from tiktokactions.records import JsonObject

SHARDS = ".shards"
"""The folder in a dataset where shards at work leave their leases and say how far they are."""
LEASE_S = 60.0
"""A lease that has not been renewed for this long belongs to nobody."""
RENEWALS = 4
"""Times that a lease is renewed within ``LEASE_S``."""
PROBED_S = 0.2
"""Who looks whether a lock is held holds it for an instant: a run waits this long before it calls a dataset busy."""
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems without locks say."""


class DatasetBusyError(TiktokactionsError, RuntimeError):
    """Another run is writing to the same dataset folder."""


@dataclass(frozen=True)
class AtWork:
    """Who changes a dataset."""

    owner: str
    """``process 12 on laptop``, or the shard."""
    host: str
    process: int
    since: str
    """UTC; empty where an earlier version of this program is at work."""
    is_sure: bool = True
    """False for a lease of another machine: whether its holder is alive, only watching it would tell."""

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        return f"{self.owner}{since}{'' if self.is_sure else ', as far as its lease tells'}"


def who_is_at_work(dataset: Place) -> AtWork | None:
    """Who holds the lock of a dataset now, or a shard of it. Nothing is written, and nobody has to wait.

    A lock on a disk is told by the operating system, for other machines that share the disk too.
    """
    folder = local_path(dataset)
    if folder is not None and _is_locked(folder):
        return _at_work(_holder(folder / ".lock-owner") or {"owner": "another run"})
    leases = [path for path in listing(dataset / SHARDS)[0] if path.suffix == ".lease"]
    for path in leases if folder is not None else [dataset / ".lock", *leases]:
        holder = _holder(path)
        if holder and not (_is_from_here(holder) and not is_alive(holder["process"])):
            return _at_work(holder, is_sure=_is_from_here(holder))
    return None


def _at_work(holder: JsonObject, is_sure: bool = True) -> AtWork:
    owner, since = str(holder.get("owner", "another run")), str(holder.get("since", ""))
    return AtWork(owner, str(holder.get("host", "")), int(holder.get("process", 0)), since, is_sure)


def _is_locked(folder: Path) -> bool:
    """Whether a process of any machine holds the lock. Where the file system has no such locks, or the file may not be
    opened, the word of its owner has to do."""
    import fcntl

    try:
        with (folder / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, *NO_LOCKS):
            raise
        holder = _holder(folder / ".lock-owner")
        return bool(holder) and not (_is_from_here(holder) and not is_alive(holder["process"]))
    return False


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
            _refuse_shards(dataset)
            yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock", timeout=PROBED_S)
    owner = folder / ".lock-owner"
    try:
        lock.acquire(poll_interval=PROBED_S / 4)
    except filelock.Timeout:
        _refuse_shards(dataset)
        raise _busy(dataset, _told_owner(folder)) from None
    try:
        owner.write_bytes(_encoded(_told_of_me(), 0))
        _refuse_shards(dataset)
        clear_staging(dataset)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def shard_lock(dataset: Place, name: str, who: str) -> Iterator[None]:
    """Hold the lease of a shard: others of another name may hold theirs, but nobody the dataset's lock.

    Raises:
        DatasetBusyError: somebody changes the dataset, or this very shard is at work elsewhere.
    """
    folder, lease = local_path(dataset), dataset / SHARDS / f"{name}.lease"
    with contextlib.ExitStack() as held:
        if folder is not None:
            lease.parent.mkdir(parents=True, exist_ok=True)  # type: ignore[attr-defined]
            held.enter_context(_shared(folder))
        held.enter_context(held_lease(lease, dataset, f"{who} ({_me()})"))
        lock = dataset / ".lock"
        if folder is None and (holder := _holder(lock)) and not _is_left(lock, holder):
            raise _busy(dataset, str(holder.get("owner", "another run")))
        yield


@contextlib.contextmanager
def _shared(folder: Path) -> Iterator[None]:
    """The lock file, held together with other shards; where the file system has no such locks, leases alone have to do."""
    import fcntl

    with (folder / ".lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(folder, _told_owner(folder)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


def _told_owner(folder: Path) -> str:
    return str(_holder(folder / ".lock-owner").get("owner", "another run"))


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _told_of_me(owner: str = "") -> JsonObject:
    return {"owner": owner or _me(), "host": socket.gethostname(), "process": os.getpid(), "since": utc_now()}


def _refuse_shards(dataset: Place) -> None:
    """Raises :class:`DatasetBusyError` where a shard is at work; leases of shards that have died are removed."""
    leases = [path for path in listing(dataset / SHARDS)[0] if path.suffix == ".lease"]
    if (living := first_living(leases)) is not None:
        raise _busy(dataset, living)
    for path in leases:
        _unlink(path)


def first_living(leases: Sequence[Place]) -> str | None:
    """Who holds one of these leases, if anybody does. Those of other machines are watched until one is renewed."""
    held = {path: holder for path in leases if (holder := _holder(path))}
    elsewhere = {path: holder for path, holder in held.items() if not _is_from_here(holder)}
    for path, holder in held.items():
        if path not in elsewhere and is_alive(holder["process"]):
            return str(holder["owner"])
    if elsewhere:
        first = next(iter(elsewhere.values()))
        print(f"held by {first.get('owner')}; watching whether it is alive", file=sys.stderr, flush=True)
    until = time.monotonic() + LEASE_S
    while elsewhere and time.monotonic() < until:
        time.sleep(LEASE_S / RENEWALS / 4)
        for path, holder in list(elsewhere.items()):
            now = _holder(path)
            if now and now != holder:
                return str(now.get("owner", "another run"))
            if not now:
                del elsewhere[path]
    return None


def _is_from_here(holder: JsonObject) -> bool:
    return holder.get("host") == socket.gethostname() and isinstance(holder.get("process"), int)


@contextlib.contextmanager
def held_lease(path: Place, dataset: Place | None = None, owner: str = "") -> Iterator[None]:
    """Hold the lease ``path`` of a dataset (default: the folder that it lies in); ``owner``: who we are, for others to read.

    Raises:
        DatasetBusyError: a living run holds it, or took it over because ours could not be renewed in time.
    """
    dataset = dataset or path.parent
    mine = _told_of_me(owner) | {"token": uuid.uuid4().hex}
    _acquire(path, dataset, mine)
    ended, lost = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_renew, args=(path, mine, ended, lost), daemon=True)
    keeper.start()
    try:
        yield
        if lost.is_set():
            raise _busy(dataset, "another run took over, as this one could not reach the store for a while,")
    finally:
        ended.set()
        keeper.join()
        with contextlib.suppress(StoreError):
            if not lost.is_set() and _holder(path).get("token") == mine["token"]:
                _unlink(path)


def _acquire(path: Place, dataset: Place, mine: JsonObject) -> None:
    while True:
        try:
            _create(path, _encoded(mine, 0))
        except FileExistsError:
            pass
        except FileNotFoundError as error:
            raise StoreError(f"{dataset}: cannot be written to: {error}. Does the bucket exist?") from error
        holder = _holder(path)
        if holder.get("token") == mine["token"]:
            return
        if not holder:
            continue
        if not _is_left(path, holder):
            raise _busy(dataset, str(holder.get("owner", "another run")))
        # Two that take over at once: the store lets one of them create the lease, the other finds it held.
        if _holder(path).get("token") == holder.get("token"):
            _unlink(path)


def _is_left(path: Place, holder: JsonObject) -> bool:
    if _is_from_here(holder):
        return holder["process"] != os.getpid() and not is_alive(holder["process"])
    print(f"{path}: held by {holder.get('owner')}; watching whether it is alive", file=sys.stderr, flush=True)
    until = time.monotonic() + LEASE_S
    while time.monotonic() < until:
        time.sleep(LEASE_S / RENEWALS / 4)
        if _holder(path) != holder:
            return not _holder(path)
    return True


def _renew(path: Place, mine: JsonObject, ended: threading.Event, lost: threading.Event) -> None:
    for beat in itertools.count(1):
        if ended.wait(LEASE_S / RENEWALS):
            return
        try:
            if _holder(path).get("token") != mine["token"]:
                lost.set()
                return
            _write(path, _encoded(mine, beat))
        except (StoreError, OSError):
            continue  # tried again with the next beat; whoever waits sees no change and takes over


def _holder(path: Place) -> JsonObject:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"owner": "an unreadable lease", "token": "?"}


def _create(path: Place, data: bytes) -> None:
    """Raises ``FileExistsError`` where there is one already."""
    local = local_path(path)
    if local is None:
        stored_path(path).create(data)
        return
    written = local.with_name(f"{local.name}-{uuid.uuid4().hex}")
    written.write_bytes(data)
    try:
        link_or_copy(written, local)  # there with its contents or not at all, on a network's disk as well
    finally:
        written.unlink()


def _write(path: Place, data: bytes) -> None:
    local = local_path(path)
    if local is None:
        stored_path(path).write_bytes(data)
        return
    written = local.with_name(f"{local.name}-{uuid.uuid4().hex}")
    written.write_bytes(data)
    os.replace(written, local)


def _unlink(path: Place) -> None:
    (local_path(path) or stored_path(path)).unlink(missing_ok=True)


def _encoded(mine: JsonObject, beat: int) -> bytes:
    return json.dumps(mine | {"beat": beat}).encode()
