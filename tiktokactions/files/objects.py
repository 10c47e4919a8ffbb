"""Objects: what lies on an object store (``s3://``, ``gs://`` ...), answering to the part of ``pathlib.Path`` that a dataset
needs. Everything goes through fsspec, which is imported with the first address that is not a local path.

An object is written by one PUT, so it is there whole or not at all. What fails for a while (503 SlowDown, a connection that
breaks) is tried again; what stays away ends the run with :class:`StoreError`, never as a verdict on a video.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import io
import logging
import os
import random
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from tiktokactions.errors import ATTENTION, TiktokactionsError, UsageError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
S3, GCS = ("s3", "s3a"), ("gs", "gcs")
EXTRAS = dict.fromkeys(S3, "s3") | dict.fromkeys(GCS, "gcs")
TRIES, GCS_TRIES = 6, 3
"""How often an operation is begun; s3fs and gcsfs try again on their own within each, gcsfs for half a minute."""
FIRST_WAIT_S = 0.5
READ_TOGETHER = 128
"""Small objects (records) fetched at a time."""

Result = TypeVar("Result")


class StoreError(TiktokactionsError, RuntimeError):
    """An object store that cannot be used: it does not answer, refuses the key, or its package is missing."""

    exit_code = ATTENTION


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


class ObjectPath:
    """An address on an object store, with the methods of ``pathlib.Path`` that datasets use. Folders are only prefixes."""

    __slots__ = ("url",)

    def __init__(self, url: str) -> None:
        match = _ADDRESS.fullmatch(url)
        if match is None or not match[2].strip("/"):
            raise UsageError(f"{url}: expected an address such as s3://bucket/folder")
        # Nothing inside is tidied up: to a store s3://bucket//a and s3://bucket/a are two objects.
        self.url = f"{match[1].lower()}://{match[2].rstrip('/')}"

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"ObjectPath({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __lt__(self, other: ObjectPath) -> bool:
        return self.url < other.url

    def __truediv__(self, part: str) -> ObjectPath:
        return ObjectPath(f"{self.url}/{part}")

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectPath, (self.url,)

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

    # Folders come into being with what lies in them, and go with it.
    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        del mode, parents, exist_ok

    def rmdir(self) -> None:
        pass

    def is_file(self) -> bool:
        # Not fsspec's isfile, to which every failure means no: a store that is away would look like an empty one.
        try:
            return bool(_steady(str(self), lambda: _filesystem(self.url).info(self.key))["type"] == "file")
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        return next(self._listed(), None) is not None

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def read_bytes(self) -> bytes:
        data: bytes = _steady(str(self), lambda: _filesystem(self.url).cat_file(self.key))
        return data

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.read_bytes().decode(encoding, errors)

    def write_bytes(self, data: bytes) -> int:
        _steady(str(self), lambda: _filesystem(self.url).pipe_file(self.key, data))
        return len(data)

    def create(self, data: bytes) -> None:
        """Write only where nothing is there yet, decided by the store. Raises ``FileExistsError``."""
        _steady(str(self), lambda: _filesystem(self.url).pipe_file(self.key, data, mode="create"))

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            _steady(str(self), lambda: _filesystem(self.url).rm_file(self.key))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def open(
        self, mode: str = "r", encoding: str | None = None, errors: str = "strict", newline: str | None = None
    ) -> Any:
        """The whole object, for reading."""
        if mode not in ("r", "rb"):
            raise ValueError(f"{self}: opened with mode {mode!r}, expected 'r' or 'rb'; write with write_atomic")
        data = io.BytesIO(self.read_bytes())
        return data if mode == "rb" else io.TextIOWrapper(data, encoding or "utf-8", errors, newline)

    def iterdir(self) -> Iterator[ObjectPath]:
        for info in self._listed():
            yield ObjectPath(f"{self.url}/{info['name'].rstrip('/').rsplit('/', 1)[-1]}")

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
        """Every object whose name goes on with another ``/`` from here, which no listing by levels tells of; sorted."""
        if self.url.partition("://")[0] not in S3 + GCS:
            return []
        try:
            found = _steady(str(self), lambda: _filesystem(self.url).find(self.key, prefix="/", detail=True))
        except FileNotFoundError:
            return []
        named = ((f"{self.url.partition('://')[0]}://{name}", info) for name, info in found.items())
        return sorted(entry_of(url, info) for url, info in named if url.startswith(f"{self.url}//") and url[-1] != "/")

    def entry(self) -> Entry:
        """Raises ``FileNotFoundError``, ``PermissionError``."""
        return entry_of(self.url, _steady(str(self), lambda: _filesystem(self.url).info(self.key)))

    def _listed(self) -> Iterator[dict[str, Any]]:
        try:
            found = _steady(str(self), lambda: _filesystem(self.url).ls(self.key, detail=True))
        except (FileNotFoundError, NotADirectoryError):
            return
        for info in found:
            if info["name"].rstrip("/") != self.key:
                yield info


def entry_of(url: str, info: dict[str, Any]) -> Entry:
    """``etag`` is the store's; where there is none (not S3, not GCS) the time of the last change stands for it."""
    etag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("mtime") or info.get("created") or ""
    return Entry(url, int(info.get("size") or 0), str(etag).strip('"'))


def find_objects(pattern: str) -> list[str]:
    """Addresses that match a glob, sorted."""
    protocol, _, key = pattern.partition("://")
    try:
        found = _steady(pattern, lambda: _filesystem(pattern).glob(key))
    except FileNotFoundError:  # no such bucket: gcsfs says so, s3fs finds nothing
        return []
    return sorted(f"{protocol}://{name}" for name in found)


def read_together(paths: Iterable[ObjectPath]) -> Iterator[tuple[ObjectPath, bytes]]:
    """The bytes of many small objects in the order given, fetched side by side; those that are gone are left out."""
    batch: list[ObjectPath] = []
    for path in paths:
        batch.append(path)
        if len(batch) == READ_TOGETHER:
            yield from _read_batch(batch)
            batch = []
    yield from _read_batch(batch)


def _read_batch(batch: list[ObjectPath]) -> Iterator[tuple[ObjectPath, bytes]]:
    if not batch:
        return
    keys = [path.key for path in batch]
    got = _steady(str(batch[0].parent), lambda: _filesystem(batch[0].url).cat(keys, on_error="return"))
    if not isinstance(got, dict):
        got = {keys[0]: got}
    for path in batch:
        data = got.get(path.key)
        if isinstance(data, bytes):
            yield path, data
            continue
        with contextlib.suppress(FileNotFoundError):
            yield path, path.read_bytes()  # this one failed: tried again on its own


def upload(source: Path, target: ObjectPath) -> None:
    """A finished local file to where it belongs: there whole or not at all."""
    _steady(str(target), lambda: _filesystem(target.url).put_file(str(source), target.key))


def move(source: ObjectPath, target: ObjectPath) -> None:
    """Copy, then delete: cut in between, both are there and the next run finds the old one unclaimed."""
    _steady(str(target), lambda: _filesystem(source.url).cp_file(source.key, target.key))
    source.unlink(missing_ok=True)


def download(url: str, target: Path) -> None:
    """An object as a local file, checked for its length. Raises as :func:`_steady`."""
    path = ObjectPath(url)

    def fetch() -> None:
        size_bytes = path.entry().size_bytes
        _filesystem(url).get_file(path.key, str(target))
        got = target.stat().st_size
        if got != size_bytes:
            raise ConnectionError(f"got {got} of {size_bytes} bytes")

    _steady(url, fetch)


def read_range(path: ObjectPath, offset: int, size_bytes: int) -> bytes:
    """A part of an object. Raises as :func:`_steady`."""

    def fetch() -> bytes:
        data: bytes = _filesystem(path.url).cat_file(path.key, start=offset, end=offset + size_bytes)
        if len(data) != size_bytes:
            raise ConnectionError(f"got {len(data)} of {size_bytes} bytes")
        return data

    return _steady(str(path), fetch)


# --- what a machine keeps of a store for a moment --------------------------------------------------------------------


def scratch_folder() -> Path:
    """This process's folder for copies that live for one video. What killed processes left is removed."""
    return _scratch_folder(os.getpid())


@functools.lru_cache(maxsize=1)
def _scratch_folder(process: int) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    root = Path(tempfile.gettempdir()) / f"tiktokactions-{user}"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in root.iterdir():
        if left.name.isdigit() and not is_alive(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    folder = root / str(process)
    folder.mkdir(exist_ok=True)
    return folder


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def local_file(path: str | os.PathLike[str] | ObjectPath) -> Iterator[Path]:
    """A local path as it is; of an object a copy that is gone afterwards.

    Raises:
        FileNotFoundError, PermissionError: with ``path`` as their file name.
        OSError: no room for the copy.
    """
    if not (isinstance(path, ObjectPath) or (isinstance(path, str) and is_address(path))):
        yield Path(path)
        return
    folder = scratch_folder()
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{uuid.uuid4().hex}{PurePosixPath(str(path)).suffix[:8]}"
    try:
        try:
            download(str(path), copy)
        except (FileNotFoundError, PermissionError) as error:
            raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def readable(path: Any, block_bytes: int = 4 << 20) -> Any:
    """What pyarrow can open: a local path, or a seekable file over an object, read in blocks."""
    if not isinstance(path, ObjectPath):
        return path
    return _SteadyFile(
        path, _steady(str(path), lambda: _filesystem(path.url).open(path.key, "rb", block_size=block_bytes))
    )


class _SteadyFile(io.RawIOBase):
    """An open object, each read of which is tried again as everything else is. Raises as :func:`_steady`."""

    def __init__(self, path: ObjectPath, file: Any) -> None:
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
            data: bytes = self._file.read(-1 if size is None else size)
            return data

        return _steady(str(self._path), fetch)

    def close(self) -> None:
        self._file.close()
        super().close()


# --- talking to a store ------------------------------------------------------------------------------------------------


def _filesystem(url: str) -> Any:
    """fsspec keeps one instance for each process and set of options."""
    protocol = url.partition("://")[0]
    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in S3:
        retries = {"mode": "standard", "max_attempts": 2}
        options["config_kwargs"] = {"connect_timeout": 10, "read_timeout": 60, "retries": retries}
    try:
        if protocol in GCS:
            return _google_filesystem(options)
        import fsspec

        return fsspec.filesystem(protocol, **options)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        how = f"pip install 'tiktokactions[{extra}]'" if extra else f"pip install the fsspec package for {protocol}://"
        raise StoreError(f"{url}: this needs a package that is missing ({error}): {how}") from error
    except ValueError as error:
        raise StoreError(f"{url}: no such kind of store ({error}); expected s3://, gs:// or a local path") from error


def _google_filesystem(options: dict[str, Any]) -> Any:
    # Not the class that fsspec knows as gs://, which asks by gRPC first what kind every bucket is.
    from aiohttp import ClientTimeout
    from fsspec.config import conf
    from gcsfs.core import GCSFileSystem

    _hush()
    # gcsfs itself would wait forever for a store that takes a connection and never answers.
    options["requests_timeout"] = ClientTimeout(total=None, sock_connect=10, sock_read=60)
    if not any("token" in conf.get(protocol, {}) for protocol in GCS):  # FSSPEC_GS_TOKEN=anon reads public buckets
        # Left to itself gcsfs asks the metadata server for minutes, and then goes on as nobody. Emulators know no one.
        emulated = os.environ.get("STORAGE_EMULATOR_HOST", "default") not in ("", "default")
        options["token"] = "anon" if emulated else "google_default"
    return GCSFileSystem(**options)


@functools.cache
def _hush() -> None:
    """What Google's packages log before they raise it is told once, by :class:`StoreError`, and without a traceback."""
    for name in ("gcsfs", "google.auth"):
        logging.getLogger(name).addHandler(logging.NullHandler())


def _steady(what: str, action: Callable[[], Result]) -> Result:
    """``action()``, begun again after a wait where the store failed in a way that passes.

    Raises:
        FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError: as the store said.
        OSError: the local disk is full.
        StoreError: it failed every time, or there are no credentials.
    """
    passing = _passing_errors(what)
    tries = min(TRIES, GCS_TRIES) if what.partition("://")[0] in GCS else TRIES
    for attempt in range(tries):
        try:
            return action()
        except (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError):
            raise
        except passing as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            lasting = _lasting(what, error)
            if lasting is not None:
                raise lasting from error
            if attempt == tries - 1:
                raise StoreError(
                    f"{what}: the store failed {tries} times, the last time with: {str(error) or type(error).__name__}."
                    " Everything finished is kept; run the same command again when it answers."
                ) from error
            time.sleep(FIRST_WAIT_S * 2**attempt * random.uniform(0.5, 1.0))
    raise AssertionError("unreachable")


def _lasting(what: str, error: BaseException) -> Exception | None:
    """What to raise at once, because trying again would not help; None if it may."""
    kind = type(error).__name__
    if kind in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"):
        return StoreError(
            f"{what}: no credentials for this store ({error}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " AWS_PROFILE, or the role of this machine"
        )
    if what.partition("://")[0] not in GCS:
        return None
    # gcsfs has classes of its own for little: codes and beginnings of messages are what tells its errors apart.
    code, said = str(getattr(error, "code", "")), " ".join(str(error).split())
    if kind in ("DefaultCredentialsError", "NonRetryableError", "MalformedError", "RefreshError") or code == "401":
        return StoreError(
            f"{what}: no credentials that this store takes ({said}); set GOOGLE_APPLICATION_CREDENTIALS to a key file,"
            " run 'gcloud auth application-default login', or use the service account of this machine;"
            " a public bucket is read with FSSPEC_GS_TOKEN=anon"
        )
    if type(error) is OSError and said.startswith("Forbidden"):
        return PermissionError(errno.EACCES, said, what)
    refused = said.startswith(("Bad Request", "Bucket is requester pays"))
    if refused or (kind == "HttpError" and code.startswith("4") and code not in ("408", "429")):
        return StoreError(f"{what}: the store refuses this ({said}); check the names of bucket and folder")
    return None


@functools.cache
def _passing_by_protocol(protocol: str) -> tuple[type[BaseException], ...]:
    errors: tuple[type[BaseException], ...] = (OSError, TimeoutError)
    if protocol in S3:
        with contextlib.suppress(ImportError):
            from botocore.exceptions import BotoCoreError, ClientError

            errors += (BotoCoreError, ClientError)
    if protocol in GCS:
        with contextlib.suppress(ImportError):
            from gcsfs.retry import HttpError as GoogleError
            from gcsfs.retry import NonRetryableError
            from google.auth.exceptions import GoogleAuthError

            errors += (GoogleError, NonRetryableError, GoogleAuthError, ValueError)  # ValueError: how it says 400
    with contextlib.suppress(ImportError):
        from aiohttp import ClientError as HttpError

        errors += (HttpError,)
    return errors


def _passing_errors(what: str) -> tuple[type[BaseException], ...]:
    return _passing_by_protocol(what.partition("://")[0])
