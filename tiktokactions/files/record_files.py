"""The records of a dataset as files: one JSON per video."""

from __future__ import annotations

from collections.abc import Iterator

from tiktokactions.files.changes import staging_folder, write_atomic
from tiktokactions.files.layout import AnyPlace, record_path
from tiktokactions.files.places import Place, listing, read_together
from tiktokactions.records import VideoRecord, decode_record, encode_record


def read_record(path: Place) -> VideoRecord:
    """Raises ``UsageError`` naming the file where it is not a valid record, ``FileNotFoundError`` where it is absent."""
    return decode_record(path.read_bytes(), where=str(path))


def write_record(dataset: AnyPlace, record: VideoRecord) -> AnyPlace:
    path = record_path(dataset, record.video_id)
    write_atomic(path, encode_record(record), staging=staging_folder(dataset))
    return path


def record_paths(dataset: Place) -> Iterator[Place]:
    """Every record file, by shard, then by id: the same order on every machine, one directory listing per shard."""
    for folder in listing(dataset / "records")[1]:
        yield from (file for file in listing(folder)[0] if file.suffix == ".json")


def record_files(dataset: Place) -> Iterator[tuple[Place, bytes]]:
    """Every record file with its bytes, in the order of :func:`record_paths`; of a store many are fetched at once."""
    return read_together(record_paths(dataset))


def all_records(dataset: Place) -> Iterator[VideoRecord]:
    """Every record, streamed, in the order of their files."""
    for path, data in record_files(dataset):
        yield decode_record(data, where=str(path))
