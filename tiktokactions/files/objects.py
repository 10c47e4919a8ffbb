"""Objects: what lies on an object store (``s3://``, ``gs://`` ...), answering to the part of ``pathlib.Path`` that a dataset
needs (:class:`~tiktokactions.files.places.Place`). An object is written by one PUT, so it is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import io
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, TextIO

from tiktokactions.errors import UsageError
from tiktokactions.files.stores import GCS, S3, filesystem, steady
from tiktokactions.machine import scratch_file, scratch_folder
from tiktokactions.records import JsonObject

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
READ_TOGETHER = 128
"""Small objects (records) fetched at a time."""
DELETED_TOGETHER = 1000
KEPT_BYTES = 8 << 30
"""Copies of tables and records that a process keeps: more than a million records need (about 2 GB)."""


class Entry(NamedTuple):
    """One object of a listing. ``etag`` changes with the content."""

    url: str
    size_bytes: int
    etag: str


def is_address(text: str | os.PathLike[str]) -> bool:
    """Whether ``text`` names an object store rather than a local path."""
    # Asked of every path several times: what has no '://' is told without the pattern.
    if not isinstance(text, str) or "://" not in text:
        return False
    return _ADDRESS.fullmatch(text) is not None and not text.lower().startswith("file://")


@dataclass(frozen=True, order=True, slots=True)
class ObjectPath:
    """An address on an object store, with the methods of ``pathlib.Path`` that datasets use. A folder is only a prefix: it
    comes and goes with the objects in it."""

    url: str

    def __post_init__(self) -> None:
        match = _ADDRESS.fullmatch(self.url)
        if match is None or not match[2].strip("/"):
            raise UsageError(f"{self.url}: expected an address such as s3://bucket/folder")
        # Nothing inside is tidied up: to a store s3://bucket//a and s3://bucket/a are two objects.
        object.__setattr__(self, "url", f"{match[1].lower()}://{match[2].rstrip('/')}")

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, part: str) -> ObjectPath:
        return ObjectPath(f"{self.url}/{part}")

    @property
    def key(self) -> str:
        """The address without its protocol."""
        return self.url.partition("://")[2]

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> ObjectPath:
        return ObjectPath(self.url.rsplit("/", 1)[0]) if "/" in self.key else self

    def with_name(self, name: str) -> ObjectPath:
        return self.parent / name

    def resolve(self) -> ObjectPath:
        return self

    def absolute(self) -> ObjectPath:
        return self

    def as_posix(self) -> str:
        return self.url

    def relative_to(self, other: ObjectPath) -> PurePosixPath:
        if not self.url.startswith(other.url + "/"):
            raise ValueError(f"{self} does not lie in {other}")
        return PurePosixPath(self.url[len(other.url) + 1 :])

    def is_file(self) -> bool:
        # Not fsspec's isfile, to which every failure means no: a store that is away would look like an empty one.
        try:
            return bool(steady(str(self), lambda: filesystem(self.url).info(self.key))["type"] == "file")
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        return next(self._listed(), None) is not None

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def read_bytes(self) -> bytes:
        return bytes(steady(self.url, lambda: filesystem(self.url).cat_file(self.key)))

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def write_bytes(self, data: bytes) -> int:
        steady(str(self), lambda: filesystem(self.url).pipe_file(self.key, data))
        return len(data)

    def create(self, data: bytes) -> None:
        """Write only where nothing is there yet, decided by the store. Raises ``FileExistsError``."""
        steady(str(self), lambda: filesystem(self.url).pipe_file(self.key, data, mode="create"))

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            steady(str(self), lambda: filesystem(self.url).rm_file(self.key))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def open(self, *, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> TextIO:
        """The whole object, for reading."""
        return io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding or "utf-8", errors, newline)

    def iterdir(self) -> Iterator[ObjectPath]:
        return self.glob("*")

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """Objects by a pattern of names, one for each level (``*.csv``, ``*/*``)."""
        first, _, rest = pattern.partition("/")
        for info in self._listed():
            name = info["name"].rstrip("/").rsplit("/", 1)[-1]
            if not fnmatch.fnmatchcase(name, first):
                continue
            if not rest:
                yield self / name
            elif info["type"] == "directory":
                yield from (self / name).glob(rest)

    def entries(self) -> tuple[list[Entry], list[str]]:
        """One level, listed once: its objects, and the addresses of the folders in it; both sorted."""
        objects, folders = [], []
        for info in self._listed():
            # A name may hold '//' or '#', which only the raw key keeps apart.
            url = f"{self.url.partition('://')[0]}://{info['name']}"
            if info["type"] == "directory":
                folders.append(url.rstrip("/"))
            elif not url.endswith("/"):  # the empty object that some browsers make for a folder
                objects.append(entry_of(url, info))
        return sorted(objects), sorted(folders)

    def behind_nothing(self) -> list[Entry]:
        """Every object whose name has another ``/`` right behind this one; no listing by levels shows them. Sorted."""
        if self.url.partition("://")[0] not in S3 + GCS:
            return []
        try:
            found = steady(str(self), lambda: filesystem(self.url).find(self.key, prefix="/", detail=True))
        except FileNotFoundError:
            return []
        named = ((f"{self.url.partition('://')[0]}://{name}", info) for name, info in found.items())
        return sorted(entry_of(url, info) for url, info in named if url.startswith(f"{self.url}//") and url[-1] != "/")

    def entry(self) -> Entry:
        """Raises ``FileNotFoundError``, ``PermissionError``."""
        return entry_of(self.url, steady(str(self), lambda: filesystem(self.url).info(self.key)))

    def _listed(self) -> Iterator[JsonObject]:
        try:
            found = steady(str(self), lambda: filesystem(self.url).ls(self.key, detail=True))
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from (info for info in found if info["name"].rstrip("/") != self.key)


def entry_of(url: str, info: JsonObject) -> Entry:
    """``etag`` is the store's; where there is none (not S3, not GCS) the time of the last change stands for it."""
    etag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("mtime") or info.get("created") or ""
    return Entry(url, int(info.get("size") or 0), str(etag).strip('"'))


def find_objects(pattern: str) -> list[str]:
    """Addresses that match a glob, sorted."""
    protocol, _, key = pattern.partition("://")
    try:
        found = steady(pattern, lambda: filesystem(pattern).glob(key))
    except FileNotFoundError:  # no such bucket: gcsfs says so, s3fs finds nothing
        return []
    return sorted(f"{protocol}://{name}" for name in found)


def read_together(paths: Iterable[ObjectPath]) -> Iterator[tuple[ObjectPath, bytes]]:
    """The bytes of many small objects in the order given, fetched side by side; those that are gone are left out."""
    waiting = iter(paths)
    while batch := list(itertools.islice(waiting, READ_TOGETHER)):
        yield from _read_batch(batch)


def _read_batch(batch: list[ObjectPath]) -> Iterator[tuple[ObjectPath, bytes]]:
    keys = [path.key for path in batch]
    got = steady(str(batch[0].parent), lambda: filesystem(batch[0].url).cat(keys, on_error="return"))
    if not isinstance(got, dict):
        got = {keys[0]: got}
    for path in batch:
        data = got.get(path.key)
        with contextlib.suppress(FileNotFoundError):
            yield path, data if isinstance(data, bytes) else path.read_bytes()  # those that failed, on their own


def delete_together(paths: Sequence[ObjectPath]) -> None:
    """At most ``DELETED_TOGETHER`` objects of one store, some of which may be gone; one request where the store can."""
    with contextlib.suppress(FileNotFoundError):
        store = filesystem(paths[0].url)
        steady(paths[0].url, lambda: store.rm([path.key for path in paths]))


def kept_copy(path: ObjectPath, entry: Entry | None = None) -> Path:
    """A local copy of an object as it is now, kept for as long as this process lives, so that the next reading of the same
    contents fetches nothing. Of many the oldest give way: all together hold at most ``KEPT_BYTES``, or one object.

    ``entry``: what a listing says of it, so that the store is not asked again.

    Raises:
        FileNotFoundError: there is no such object.
        OSError: no room for the copy.
    """
    entry = entry or path.entry()
    named = hashlib.sha256(f"{path.url}\0{entry.etag}\0{entry.size_bytes}".encode()).hexdigest()[:32]
    folder = scratch_folder() / "kept"
    folder.mkdir(exist_ok=True)
    copy = folder / f"{named}{path.suffix}"
    if entry.etag and copy.is_file():
        os.utime(copy)
        return copy
    _make_room(folder, entry.size_bytes)
    with scratch_file(path.name) as fetched:
        _fetch(path, fetched, entry.size_bytes)
        os.replace(fetched, copy)
    return copy


def _make_room(folder: Path, size_bytes: int) -> None:
    kept = sorted((file.stat().st_mtime_ns, file.stat().st_size, file.path) for file in os.scandir(folder))
    held = size_bytes + sum(size for _, size, _ in kept)
    for _, size, name in kept:
        if held <= KEPT_BYTES:
            return
        held -= size
        os.unlink(name)


def upload(source: Path, target: ObjectPath) -> None:
    """A finished local file to where it belongs: there whole or not at all."""
    steady(str(target), lambda: filesystem(target.url).put_file(str(source), target.key))


def copy(source: ObjectPath, target: ObjectPath) -> None:
    steady(str(target), lambda: filesystem(source.url).cp_file(source.key, target.key))


def move(source: ObjectPath, target: ObjectPath) -> None:
    """Copy, then delete. A run that ends in between leaves both, and the next one finds the old one unclaimed."""
    copy(source, target)
    source.unlink(missing_ok=True)


def download(url: str, target: Path) -> None:
    """An object as a local file, checked for its length. Raises as :func:`steady`."""
    path = ObjectPath(url)
    _fetch(path, target, path.entry().size_bytes)


def _fetch(path: ObjectPath, target: Path, size_bytes: int) -> None:
    """``size_bytes``: what the store said a moment ago; it is asked again where something else arrives."""

    def fetch() -> None:
        filesystem(path.url).get_file(path.key, str(target))
        got = target.stat().st_size
        if got != size_bytes and got != (now := path.entry().size_bytes):
            raise ConnectionError(f"got {got} of {now} bytes")

    steady(path.url, fetch)


def read_range(path: ObjectPath, offset: int, size_bytes: int) -> bytes:
    """A part of an object. Raises as :func:`steady`."""

    def fetch() -> bytes:
        data: bytes = filesystem(path.url).cat_file(path.key, start=offset, end=offset + size_bytes)
        if len(data) != size_bytes:
            raise ConnectionError(f"got {len(data)} of {size_bytes} bytes")
        return data

    return steady(str(path), fetch)


def opened(path: ObjectPath, block_bytes: int = 4 << 20) -> SteadyFile:
    """A seekable file over an object, read in blocks."""
    file = steady(str(path), lambda: filesystem(path.url).open(path.key, "rb", block_size=block_bytes))
    return SteadyFile(path, file)


class SteadyFile(io.RawIOBase, BinaryIO):
    """An open object, each read of which is tried again as everything else is. Raises as :func:`steady`."""

    def __init__(self, path: ObjectPath, file: BinaryIO) -> None:
        self._path, self._file = path, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()

        def fetch() -> bytes:
            self._file.seek(start)
            return self._file.read(-1 if size is None else size)

        return steady(str(self._path), fetch)

    def close(self) -> None:
        self._file.close()
        super().close()
