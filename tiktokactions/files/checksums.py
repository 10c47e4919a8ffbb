"""``SHA256SUMS``: the checksums of a folder's files, as ``sha256sum -c`` reads them; the last line seals the others.

A file may have two lines while it is being changed outside of an edit: what it was, and what it becomes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import filelock

from tiktokactions.errors import UsageError
from tiktokactions.files.changes import delete, write_atomic
from tiktokactions.files.places import Place, local_path, sha256_file

SUMS = "SHA256SUMS"
SEAL = "# sha256 of the lines above: "
WAIT_S = 60.0
"""How long a writer waits for another one; each needs milliseconds."""


class ChecksumsError(UsageError):
    """A ``SHA256SUMS`` that is not what was written; the message says so."""


def read_sums(folder: Place) -> dict[str, tuple[str, ...]] | None:
    """The SHA-256 that each file may have, by relative path; None where there is no ``SHA256SUMS``.

    Raises:
        ChecksumsError: it was damaged.
    """
    path = folder / SUMS
    if not path.is_file():
        return None
    said, _, seal = path.read_bytes().rpartition(SEAL.encode())
    if seal != f"{hashlib.sha256(said).hexdigest()}\n".encode():
        raise ChecksumsError(f"{path}: was changed since it was written: its last line does not fit the others")
    found: dict[str, tuple[str, ...]] = {}
    for line in said.decode().splitlines():
        sha256, _, name = line.partition("  ")
        found[name] = (*found.get(name, ()), sha256)
    return found


def write_sums(folder: Place, sums: Mapping[str, tuple[str, ...]], staging: Path | None = None) -> None:
    said = "".join(f"{sha256}  {name}\n" for name, known in sorted(sums.items()) for sha256 in known)
    seal = hashlib.sha256(said.encode()).hexdigest()
    write_atomic(folder / SUMS, f"{said}{SEAL}{seal}\n".encode(), staging)


def sum_files(folder: Place, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The checksums of those files that are there, read now."""
    return {name: (sha256_file(folder / name),) for name in names if (folder / name).is_file()}


@contextlib.contextmanager
def listing_lock(folder: Place) -> Iterator[None]:
    """Held for as long as a file that several may write is read and written again together with ``SHA256SUMS``: exports are
    remembered while a run has the dataset's lock. May be taken again within. On a store there is none."""
    local = local_path(folder)
    if local is None or not local.is_dir():
        yield
        return
    with filelock.FileLock(local / ".listing-lock", timeout=WAIT_S, is_singleton=True):
        yield


def update_sums(folder: Place, changed: Mapping[str, str]) -> None:
    """Put new checksums in ``SHA256SUMS``, if there is one; an empty one takes the line away."""
    if not changed:
        return
    with listing_lock(folder):
        if (sums := _known(folder)) is not None:
            now = {name: (sha256,) for name, sha256 in changed.items() if sha256}
            write_sums(folder, {name: known for name, known in sums.items() if name not in changed} | now)


def write_listed(folder: Place, name: str, data: bytes | None) -> None:
    """Write a file that ``SHA256SUMS`` lists (None: delete it). A kill on the way leaves lines that fit."""
    # Not in the dataset's folder for half-written files: whoever takes its lock empties that.
    sha256 = hashlib.sha256(data).hexdigest() if data is not None else ""
    with listing_lock(folder):
        sums, path = _known(folder), folder / name
        if sums is not None and data is not None:
            write_sums(folder, sums | {name: (*sums.get(name, ()), sha256)})
        if data is None:
            delete(path)
        else:
            write_atomic(path, data)
        update_sums(folder, {name: sha256})


def _known(folder: Place) -> dict[str, tuple[str, ...]] | None:
    # A damaged list is for 'dataset verify' to tell of, and is left as it is until then.
    with contextlib.suppress(ChecksumsError):
        return read_sums(folder)
    return None


def wrong_sums(folder: Place, sums: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The files that are not as they were written: "missing", or the SHA-256 that they have now."""
    found = {name: sha256_file(folder / name) if (folder / name).is_file() else "missing" for name in sums}
    return {name: now for name, now in found.items() if now not in sums[name]}
