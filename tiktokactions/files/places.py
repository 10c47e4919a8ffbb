"""Places: files and folders of a disk or of an object store. What differs between the two is decided here and in the
files beside this one; everywhere else a place is a :class:`Place`."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol, Self, TextIO

from tiktokactions.errors import UsageError
from tiktokactions.files import objects
from tiktokactions.files.objects import ObjectPath, SteadyFile, is_address
from tiktokactions.machine import scratch_file


class Place(Protocol):
    """What ``pathlib.Path`` and :class:`~tiktokactions.files.objects.ObjectPath` both answer to, with the same meaning.

    A place is read by its own methods. It is changed by :mod:`tiktokactions.files.changes`.
    """

    @property
    def name(self) -> str: ...

    @property
    def stem(self) -> str: ...

    @property
    def suffix(self) -> str: ...

    @property
    def parent(self) -> Self: ...

    def __truediv__(self, part: str, /) -> Self: ...

    def __lt__(self, other: Self, /) -> bool: ...

    def with_name(self, name: str) -> Self: ...

    def absolute(self) -> Self: ...

    def resolve(self) -> Self: ...

    def as_posix(self) -> str: ...

    def relative_to(self, other: Self, /) -> PurePath: ...

    def exists(self) -> bool: ...

    def is_file(self) -> bool: ...

    def is_dir(self) -> bool: ...

    def iterdir(self) -> Iterator[Self]: ...

    def glob(self, pattern: str) -> Iterator[Self]: ...

    def read_bytes(self) -> bytes: ...

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str: ...

    def open(self, *, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> TextIO: ...


def located(place: str | os.PathLike[str] | Place) -> Place:
    """The place that a path, a ``file://`` address or the address of an object store names.

    Raises:
        UsageError: an address without a bucket.
    """
    text = os.fspath(place) if isinstance(place, str | os.PathLike) else str(place)
    if text.lower().startswith("file://"):
        return Path(text[len("file://") :])
    return ObjectPath(text) if is_address(text) else Path(text)


def local_path(place: Place) -> Path | None:
    """The place as a path of this machine; None where it lies on an object store."""
    return place if isinstance(place, Path) else None


def on_disk(place: str | os.PathLike[str] | Place, what: str) -> Path:
    """The place as a path of this machine; ``what`` names what cannot lie elsewhere ("reviews.sqlite").

    Raises:
        UsageError: it lies on an object store.
    """
    local = local_path(located(place))
    if local is None:
        raise UsageError(f"{place}: {what} cannot lie on an object store; name a place on a disk of this machine")
    return local


def stored_path(place: Place) -> ObjectPath:
    """The place as an object. Raises :class:`~tiktokactions.errors.UsageError` where it lies on a disk."""
    return place if isinstance(place, ObjectPath) else ObjectPath(str(place))


def listing(folder: Place) -> tuple[list[Place], list[Place]]:
    """The files and the folders in a folder, each sorted by name, from one listing; none where there is no such folder."""
    if local_path(folder) is None:
        entries, folders = stored_path(folder).entries()
        return [ObjectPath(entry.url) for entry in entries], [ObjectPath(url) for url in folders]
    try:
        with os.scandir(str(folder)) as found:
            named = sorted((entry.name, entry.is_dir()) for entry in found)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    return [folder / name for name, is_dir in named if not is_dir], [folder / name for name, is_dir in named if is_dir]


def holds_something(folder: Place) -> bool:
    """Whether a folder holds more than hidden files, such as a run leaves that was killed before it had written any."""
    return any(not place.name.startswith(".") for found in listing(folder) for place in found)


def file_sizes(folder: Place) -> dict[str, int]:
    """The files in a folder by name with their sizes in bytes, from one listing; empty where there is no such folder."""
    if local_path(folder) is None:
        return {ObjectPath(entry.url).name: entry.size_bytes for entry in stored_path(folder).entries()[0]}
    try:
        with os.scandir(str(folder)) as found:
            return {entry.name: entry.stat().st_size for entry in found if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def readable_files(folder: Place) -> tuple[dict[str, Callable[[], Path]], list[Place]]:
    """The files in a folder by name, each with what :func:`readable` does for it, and the folders, from one listing."""
    if local_path(folder) is None:
        entries, folders = stored_path(folder).entries()
        copies = {(path := ObjectPath(e.url)).name: functools.partial(objects.kept_copy, path, e) for e in entries}
        return dict(copies), [ObjectPath(url) for url in folders]
    files, subfolders = listing(folder)
    return {file.name: functools.partial(readable, file) for file in files}, subfolders


def seen_from(folder: Place, path: str) -> Place:
    """The place that a file in ``folder`` names: relative to the folder, or by its address on a store."""
    return located(path) if is_address(path) else folder / path


def what_is_there(folder: Place) -> Callable[[str], bool]:
    """A function that says whether there is a file where ``folder`` sees a path. A disk is asked each time; of a store each
    folder is listed once."""

    @functools.cache
    def names_in(parent: str) -> set[str]:
        return {file.name for file in listing(seen_from(folder, parent))[0]}

    def is_there(path: str) -> bool:
        place = seen_from(folder, path)
        return place.is_file() if local_path(place) is not None else place.name in names_in(path.rpartition("/")[0])

    return is_there


def read_together(places: Iterable[Place]) -> Iterator[tuple[Place, bytes]]:
    """The bytes of many small files of one disk or store in the order given. Of a store many are fetched at a time, and
    those that are gone are left out."""
    waiting = iter(places)
    for first in waiting:
        if local_path(first) is None:
            yield from objects.read_together(map(stored_path, itertools.chain([first], waiting)))
        else:
            yield first, first.read_bytes()


def fingerprint(path: str) -> tuple[int, int | str]:
    """What shows, without reading the file, whether it has changed: size and modification time (ns), or ETag.

    Raises:
        OSError: it is gone or may not be looked at.
    """
    if is_address(path):
        entry = ObjectPath(path).entry()
        return entry.size_bytes, entry.etag
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


@contextlib.contextmanager
def local_file(path: str | os.PathLike[str] | Place) -> Iterator[Path]:
    """A local path as it is; of an object a copy that is gone afterwards.

    Raises:
        FileNotFoundError, PermissionError: with ``path`` as their file name.
        OSError: no room for the copy.
    """
    place = located(path)
    local = local_path(place)
    if local is not None:
        yield local
        return
    with scratch_file(str(path)) as copy:
        try:
            objects.download(str(place), copy)
        except (FileNotFoundError, PermissionError) as error:
            raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
        yield copy


def fetched_copy(url: str, folder: Path) -> Path:
    """An object as a new file in a local folder, for the caller to remove. Raises as :func:`local_file`."""
    copy = folder / f"{uuid.uuid4().hex}{Path(url).suffix[:8]}"
    try:
        objects.download(url, copy)
    except BaseException as error:
        copy.unlink(missing_ok=True)
        if isinstance(error, FileNotFoundError | PermissionError):
            raise type(error)(error.errno, error.strerror or str(error), url) from error
        raise
    return copy


@contextlib.contextmanager
def local_bytes(data: bytes, like: str) -> Iterator[Path]:
    """Bytes as a local file with the suffix of ``like``, gone afterwards."""
    with scratch_file(like) as local:
        local.write_bytes(data)
        yield local


def sha256_file(path: str | os.PathLike[str] | Place) -> str:
    with local_file(path) as local, local.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def readable(place: Place) -> Path:
    """A table as a local file: a local path as it is, of an object a copy that this process keeps for its next reading.

    Raises:
        FileNotFoundError: there is none.
    """
    return local_path(place) or objects.kept_copy(stored_path(place))


def opened(place: Place, block_bytes: int) -> BinaryIO | SteadyFile:
    """An open, seekable file; of an object only the blocks that are read are fetched."""
    local = local_path(place)
    return local.open("rb") if local else objects.opened(stored_path(place), block_bytes)


def read_range(place: Place, offset: int, size_bytes: int) -> bytes:
    """A part of a file.

    Raises:
        OSError: a file on a disk that ends before it, or cannot be read.
        StoreError: as every reading of an object.
    """
    local = local_path(place)
    if local is None:
        return objects.read_range(stored_path(place), offset, size_bytes)
    with local.open("rb") as file:
        file.seek(offset)
        data = file.read(size_bytes)
    if len(data) < size_bytes:
        raise OSError(0, f"the file ends {size_bytes - len(data):,} bytes before the end of this part")
    return data


def real_path(path: str) -> str:
    """An address as it is; a path of this machine from its root, its links followed."""
    return path if is_address(path) else os.path.realpath(path)


def absolute(path: str) -> str:
    """An address as it is; a path of this machine from its root."""
    return path if is_address(path) else os.path.abspath(path)
