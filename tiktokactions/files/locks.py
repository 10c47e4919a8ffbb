"""One run at a time writes to a dataset."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import filelock

from tiktokactions.errors import TiktokactionsError
from tiktokactions.files.changes import clear_staging
from tiktokactions.files.lease import LeaseHeldError, held_lease
from tiktokactions.files.places import Place, local_path, stored_path


class DatasetBusyError(TiktokactionsError, RuntimeError):
    """Another run is writing to the same dataset folder."""


@contextlib.contextmanager
def dataset_lock(dataset: Place) -> Iterator[None]:
    """Hold the dataset's lock; the operating system releases it when the process ends, however it ends.

    On an object store the lock is a lease object (:mod:`tiktokactions.files.lease`).

    Raises:
        DatasetBusyError: another run holds it; the message says which.
    """
    folder = local_path(dataset)
    if folder is None:
        try:
            with held_lease(stored_path(dataset / ".lock")):
                yield
        except LeaseHeldError as error:
            raise _busy(dataset, str(error)) from error
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


def _busy(dataset: Place, who: str) -> DatasetBusyError:
    return DatasetBusyError(
        f"{dataset}: {who} is writing to this folder. Wait until it has ended, or write to another folder."
    )
