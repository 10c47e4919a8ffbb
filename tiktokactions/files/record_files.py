"""The records of a dataset as files.

On a disk every video has its JSON, which is the checkpoint and the public format. On an object store, where every file costs
a request, that holds only for what is in flight (``records/ab/ID.json``): the closing of every change folds it into
``records/ab.jsonl.gz``, one object for each of 256 ranges of ids, its lines sorted like the files. What is in flight is newer
than its line. It is deleted only after the range was written, so a run that is killed in between leaves it twice and never
not at all. A dataset that was copied between the two is read in either form, and takes on its own at its next closing.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import heapq
import io
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tiktokactions.errors import UsageError
from tiktokactions.files.changes import (
    SETTLED,
    delete,
    delete_empty,
    delete_together,
    staging_folder,
    write_atomic,
)
from tiktokactions.files.layout import AnyPlace, record_path, record_range, shard
from tiktokactions.files.places import Place, listing, local_path, read_together, readable, readable_files
from tiktokactions.records import VideoRecord, decode_record, encode_record

RANGE_SUFFIX = ".jsonl.gz"
RANGES_AHEAD = 4
"""Ranges that are fetched while an earlier one is read."""
COMPRESSION = 3
"""Of gzip: a range of 4,000 records takes 0.3 s and is a tenth larger than with the slowest."""


class RangeError(UsageError):
    """A file with the records of a range of ids that cannot be read."""


class _Named(msgspec.Struct):
    video_id: str


_ID = msgspec.json.Decoder(_Named)
Line = tuple[str, bytes]
"""The name of a record's file, by which the lines of a range are sorted, and its JSON."""


# --- reading --------------------------------------------------------------------------------------------------------


def read_record(path: Place) -> VideoRecord:
    """Raises ``UsageError`` naming the file where it is not a valid record, ``FileNotFoundError`` where it is absent."""
    return decode_record(path.read_bytes(), where=str(path))


def record_files(dataset: Place) -> Iterator[tuple[Place, bytes]]:
    """Every record with the path that its own file has or would have, by range, then by name: the same order everywhere.

    On a disk one directory listing for each range; on a store one request for each. A range that cannot be unpacked is given
    as it is, so that whoever decodes it says so.
    """
    ranges, folders = _layout(dataset)
    if not ranges:  # a disk, or a store as earlier versions filled it: many small files, fetched side by side
        yield from read_together(path for name in sorted(folders) for path in _in_flight(folders[name]))
        return
    for name, copy in _fetched_ahead(ranges, sorted(ranges.keys() | folders.keys())):
        # In flight first: what is folded meanwhile is in the range before it is gone from here.
        newer = {path.name: data for path, data in _read_in_flight(folders.get(name))}
        try:
            for file, data in _merged(_lines(copy(), record_range(dataset, name)), newer):
                yield dataset / "records" / name / file, data
        except RangeError as error:
            yield record_range(dataset, name), str(error).encode()


def has_records(dataset: Place) -> bool:
    """Whether there is any record, which one listing tells as a rule."""
    ranges, folders = _layout(dataset)
    return bool(ranges) or any(_in_flight(folder) for folder in folders.values())


def all_records(dataset: Place) -> Iterator[VideoRecord]:
    """Every record, streamed, in the order of :func:`record_files`."""
    for path, data in record_files(dataset):
        yield decode_record(data, where=str(path))


def record_of(dataset: Place, video_id: str, settled: bool = False) -> VideoRecord:
    """Raises ``FileNotFoundError`` where there is no such video, ``UsageError`` where its record is not valid.

    ``settled``: as it was in the version that is kept while a run changes the dataset.
    """
    if settled:
        for record in records_of(dataset, [video_id], settled):
            return record
    path = record_path(dataset, video_id)
    try:
        return read_record(path)
    except FileNotFoundError:
        for file, data in _from_range(dataset, shard(video_id), {path.name}):
            return decode_record(data, where=str(path.with_name(file)))
        raise


def records_of(dataset: Place, video_ids: Iterable[str], settled: bool = False) -> Iterator[VideoRecord]:
    """The records of these videos, in the order of :func:`record_files`; those that are not there are left out.

    ``settled``: see :func:`record_of`.
    """
    for path, data in record_files_of(dataset, video_ids, settled):
        yield decode_record(data, where=str(path))


def record_files_of(dataset: Place, video_ids: Iterable[str], settled: bool = False) -> Iterator[tuple[Place, bytes]]:
    """The same, not decoded."""
    for name, files in _by_range(video_ids):
        found = (_settled_in if settled else _found_in)(dataset, name, files)
        for file in sorted(found):
            yield dataset / "records" / name / file, found[file]


def recorded(dataset: Place, video_ids: Iterable[str]) -> set[str]:
    """Those of the videos that have a record, readable or not."""
    if local_path(dataset) is not None and not _layout(dataset)[0]:
        return {video_id for video_id in video_ids if record_path(dataset, video_id).is_file()}
    groups = _by_range(video_ids)
    return {file.removesuffix(".json") for name, files in groups for file in _found_in(dataset, name, files)}


def _by_range(video_ids: Iterable[str]) -> list[tuple[str, set[str]]]:
    """Names of files by range."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for video_id in video_ids:
        groups[shard(video_id)].add(f"{video_id}.json")
    return sorted(groups.items())


def _found_in(dataset: Place, name: str, files: set[str]) -> dict[str, bytes]:
    """The JSON of those of a range's files that are there."""
    folder = dataset / "records" / name
    if local_path(dataset) is None:
        paths = (path for path in _in_flight(folder) if path.name in files)
    else:
        paths = (path for file in sorted(files) if (path := folder / file).is_file())
    found = {path.name: data for path, data in read_together(paths)}
    return dict(_from_range(dataset, name, files - found.keys())) | found


def _settled_in(dataset: Place, name: str, files: set[str]) -> dict[str, bytes]:
    """The same of the version that is kept. What a run has in flight beside a range is newer and does not count; what it
    replaced is kept by then, so that is looked at last."""
    found = dict(_from_range(dataset, name, files))
    for place in (dataset, dataset / SETTLED):
        for file in sorted(files - found.keys() if place is dataset else files):
            with contextlib.suppress(FileNotFoundError):
                found[file] = (place / "records" / name / file).read_bytes()
    return found | dict(_from_range(dataset / SETTLED, name, files))


def _layout(dataset: Place) -> tuple[dict[str, Callable[[], Path]], dict[str, Place]]:
    """What gives a local copy of each range, and the folders of what is in flight, by the two digits of their names; one
    request."""
    files, folders = readable_files(dataset / "records")
    ranges = {n.removesuffix(RANGE_SUFFIX): copy for n, copy in files.items() if n.endswith(RANGE_SUFFIX)}
    return ranges, {folder.name: folder for folder in folders}


def _in_flight(folder: Place | None) -> list[Place]:
    return [] if folder is None else [path for path in listing(folder)[0] if path.suffix == ".json"]


def _read_in_flight(folder: Place | None) -> Iterator[tuple[Place, bytes]]:
    return read_together(_in_flight(folder))


def _from_range(dataset: Place, name: str, files: set[str]) -> Iterator[Line]:
    range_file = record_range(dataset, name)
    if files and range_file.is_file():
        yield from (line for line in _lines(readable(range_file), range_file) if line[0] in files)


def _fetched_ahead(
    ranges: Mapping[str, Callable[[], Path]], names: list[str]
) -> Iterator[tuple[str, Callable[[], Path | None]]]:
    """Names of ranges with what gives a local copy of each (None where only files are in flight)."""
    with ThreadPoolExecutor(RANGES_AHEAD) as threads:

        def fetch(name: str) -> Callable[[], Path | None]:
            return threads.submit(ranges[name]).result if name in ranges else lambda: None

        coming = [fetch(name) for name in names[:RANGES_AHEAD]]
        for position, name in enumerate(names):
            if position + RANGES_AHEAD < len(names):
                coming.append(fetch(names[position + RANGES_AHEAD]))
            yield name, coming[position]
            coming[position] = lambda: None


def _lines(copy: Path | None, of: Place | None) -> Iterator[Line]:
    """The lines of a range, from a local copy of it. Raises :class:`RangeError`."""
    if copy is None:
        return
    try:
        with gzip.open(copy, "rb") as file:
            for line in file:
                yield f"{_ID.decode(line).video_id}.json", line
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise RangeError(
            f"{of}: a damaged file of records ({error}); put it back from a copy, or run 'dataset verify'"
        ) from error


def _merged(lines: Iterable[Line], newer: Mapping[str, bytes | None]) -> Iterator[Line]:
    """Both, in order; of a record that is in both the newer one, and nothing where that is None."""
    older = (line for line in lines if line[0] not in newer)
    changed = sorted((file, data) for file, data in newer.items() if data is not None)
    return heapq.merge(older, changed, key=lambda line: line[0])


# --- writing --------------------------------------------------------------------------------------------------------


def write_record(dataset: AnyPlace, record: VideoRecord) -> AnyPlace:
    path = record_path(dataset, record.video_id)
    write_atomic(path, encode_record(record), staging=staging_folder(dataset))
    return path


def delete_records(dataset: Place, video_ids: Iterable[str]) -> int:
    """Remove records; how many there were. On a store at most a handful of requests for each range."""
    gone = 0
    for name, files in _by_range(video_ids):
        found = _found_in(dataset, name, files)
        gone += len(found)
        if found and record_range(dataset, name).is_file():
            _rewrite(dataset, name, dict.fromkeys(found))
        for path in [dataset / "records" / name / file for file in sorted(found)]:
            delete(path)
    return gone


@contextlib.contextmanager
def writing_in_order(dataset: Place) -> Iterator[Callable[[VideoRecord], object]]:
    """Gives a function that writes records which come in the order of :func:`record_files`: on a disk each by itself, on a
    store range by range, one object for all records of a range that changed."""
    if local_path(dataset) is not None:
        yield functools.partial(write_record, dataset)
        return
    changed: dict[str, bytes | None] = {}
    current = ""

    def write(record: VideoRecord) -> None:
        nonlocal current
        if current != shard(record.video_id):
            flush()
            current = shard(record.video_id)
        changed[f"{record.video_id}.json"] = encode_record(record)

    def flush() -> None:
        if changed:
            _fold(dataset, current, dict(changed))
            changed.clear()

    yield write
    flush()


def settle_records(dataset: Place) -> None:
    """Bring the records into the form of their place: on a store what is in flight goes into the ranges, on a disk every
    record of a range becomes a file. Only call while holding the lock."""
    ranges, folders = _layout(dataset)
    if local_path(dataset) is None:
        for name in sorted(folders):
            _fold(dataset, name, {})
        return
    for name in sorted(ranges):
        range_file = record_range(dataset, name)
        for file, data in _lines(readable(range_file), range_file):
            path = dataset / "records" / name / file
            if not path.is_file():
                write_atomic(path, data, staging=staging_folder(dataset))
        delete(range_file)


def _fold(dataset: Place, name: str, changed: Mapping[str, bytes | None]) -> None:
    """Write a range with what is in flight, and ``changed`` over it; only then is that no longer in flight. A file that is
    no record stays, for ``verify`` to find."""
    folder = dataset / "records" / name
    newer = {path.name: data for path, data in _read_in_flight(folder) if _is_record(path.stem, data)}
    if newer or changed:
        _rewrite(dataset, name, {**newer, **changed})
        delete_together([folder / file for file in sorted(newer)])
        delete_empty(folder)


def _is_record(video_id: str, data: bytes) -> bool:
    try:
        return decode_record(data, where=video_id).video_id == video_id
    except UsageError:
        return False


def _rewrite(dataset: Place, name: str, newer: Mapping[str, bytes | None]) -> None:
    """Write a range anew; None takes a record out of it."""
    range_file = record_range(dataset, name)
    before = readable(range_file) if range_file.is_file() else None
    packed, count = io.BytesIO(), 0
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=COMPRESSION, mtime=0) as file:
        for _, data in _merged(_lines(before, range_file), newer):
            one_line = data.strip()
            file.write((msgspec.json.format(one_line, indent=-1) if b"\n" in one_line else one_line) + b"\n")
            count += 1
    if count:
        write_atomic(range_file, packed.getvalue(), staging=staging_folder(dataset))
    else:
        delete(range_file)
