"""Places: files and folders of a disk or of an object store. What differs between the two is decided here and in the
files beside this one; everywhere else a place is a :class:`Place`."""

from __future__ import annotations

import contextlib
import itertools
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, Literal, Protocol, Self, TextIO, overload

from tiktokactions.files import objects
from tiktokactions.files.objects import ObjectPath, SteadyFile, is_address
from tiktokactions.machine import scratch_folder


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

    @overload
    def open(
        self,
        mode: Literal["r"] = "r",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> TextIO: ...

    @overload
    def open(self, mode: Literal["rb"]) -> BinaryIO: ...


def located(place: str | os.PathLike[str] | Place) -> Path:
    """The place that a path, a ``file://`` address or the address of an object store names.

    Raises:
        UsageError: an address without a bucket.
    """
    text = os.fspath(place) if isinstance(place, str | os.PathLike) else str(place)
    if text.lower().startswith("file://"):
        return Path(text[len("file://") :])
    # The rooms that still say Path for any place are being brought to say Place; then so will this function.
    return ObjectPath(text) if is_address(text) else Path(text)  # type: ignore[return-value]


def local_path(place: Place) -> Path | None:
    """The place as a path of this machine; None where it lies on an object store."""
    return place if isinstance(place, Path) else None


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


def what_is_there(folder: Place) -> Callable[[str], bool]:
    """Tells of paths below ``folder`` whether they are files: asked of the disk; a store's folders are listed once each."""
    if local_path(folder) is not None:
        return lambda relative: (folder / relative).is_file()
    listed: dict[str, set[str]] = {}

    def is_there(relative: str) -> bool:
        parent, _, name = relative.rpartition("/")
        if parent not in listed:
            listed[parent] = {file.name for file in listing(folder / parent)[0]}
        return name in listed[parent]

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
    """What tells without reading whether a file is still the same: size and modification time (ns), or ETag.

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
    folder = scratch_folder()
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{uuid.uuid4().hex}{PurePosixPath(str(path)).suffix[:8]}"
    try:
        try:
            objects.download(str(place), copy)
        except (FileNotFoundError, PermissionError) as error:
            raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def readable(place: Place, block_bytes: int = 4 << 20) -> Path | SteadyFile:
    """What pyarrow can open: a local path, or a seekable file over an object, read in blocks."""
    return local_path(place) or objects.opened(stored_path(place), block_bytes)
