"""WebDataset: numbered tar files whose members are a video and a JSON of the same name, on a disk or an object store.

A tar file is looked through once; where its members lie is remembered (name, offset, size), so that clips are read in any
order, as training wants them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import IO, Any

import msgspec

from tiktokactions.clips.clip import Clip, ClipSet, DataError, Request, Stored, labels_in_order
from tiktokactions.clips.readers.media import is_video_name
from tiktokactions.files import Place, absolute, fingerprint, opened, write_atomic
from tiktokactions.machine import cache_folder

SHARDS_AT_A_TIME = 8
FORMAT = 2


class Member(msgspec.Struct, frozen=True):
    """One video of a tar file."""

    name: str
    offset: int
    size_bytes: int
    labels: tuple[str, ...] = ()
    split: str | None = None
    answers: tuple[tuple[str, str], ...] | None = None


class ShardIndex(msgspec.Struct, frozen=True):
    """What is remembered of a tar file."""

    file: str
    fingerprint: tuple[int, int | str]
    members: tuple[Member, ...]
    format: int = FORMAT


def is_here(path: Place) -> bool:
    return path.suffix == ".tar" or (not path.is_file() and next(shards_of(path), None) is not None)


def shards_of(path: Place) -> Iterator[Place]:
    """The tar files in a folder, sorted; of an export into sides (``train/`` ...) those below."""
    if path.suffix == ".tar":
        yield path
        return
    for folder in (path, path / "train", path / "val", path / "test"):
        yield from sorted(folder.glob("*.tar"))


def has_side(path: Place, side: str) -> bool:
    return any(member.split == side for index in indices(path) for member in index.members)


def read(request: Request) -> ClipSet:
    """Clips by their side; the label is the first. Exports without sides are taken whole, whatever is asked for."""
    found = [(index, member) for index in indices(request.path) for member in index.members]
    known = sorted({member.split for _, member in found if member.split in ("train", "val", "test")})
    if known:
        request.expect_side(known)
    clips = []
    for index, member in found:
        if request.side != "all" and known and member.split != request.side:
            continue
        stored = Stored(index.file, str(index.fingerprint), member.offset, member.size_bytes)
        label = member.labels[0] if member.labels else None
        name, every = PurePosixPath(member.name).stem, member.labels or None
        every = () if every is None and member.answers is not None else every
        clips.append(Clip(f"{index.file}/{member.name}", label, None, None, name, stored, every, member.answers))
    labels = labels_in_order([member.labels[0] for _, member in found if member.labels])
    return ClipSet(str(request.path), "webdataset", tuple(clips), labels)


# --- where the members lie -------------------------------------------------------------------------------------------


def indices(path: Place) -> list[ShardIndex]:
    """The index of every tar file, in their order; those not looked through yet are, several at a time.

    Raises:
        DataError: a tar file that is damaged or holds no video.
    """
    with ThreadPoolExecutor(SHARDS_AT_A_TIME) as threads:
        return list(threads.map(index_of, shards_of(path)))


def index_of(shard: Place) -> ShardIndex:
    name = absolute(str(shard))
    now = fingerprint(name)
    kept = cache_folder("shards") / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        index = msgspec.json.decode(kept.read_bytes(), type=ShardIndex)
        if (index.file, index.fingerprint, index.format) == (name, now, FORMAT):
            return index
    # In small blocks: of an object only the headers and the JSON are fetched, not the videos between them.
    with opened(shard, 1 << 16) as file:
        members = tuple(look_through(file, name))
    index = ShardIndex(name, now, members)
    write_atomic(kept, msgspec.json.encode(index))
    return index


def look_through(file: IO[bytes], where: str) -> Iterator[Member]:
    """The videos of an uncompressed tar file, with what the JSON beside each says."""
    videos: dict[str, tarfile.TarInfo] = {}
    said: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if not member.isfile():
                    continue
                if is_video_name(name):
                    videos[os.path.splitext(member.name)[0]] = member
                elif name.endswith(".json"):
                    opened = tar.extractfile(member)
                    assert opened is not None
                    said[member.name.removesuffix(".json")] = _object(opened.read(), f"{where}/{member.name}")
    except tarfile.TarError as error:
        raise DataError(f"{where}: not an uncompressed tar file ({error}); export it again") from error
    if not videos:
        raise DataError(f"{where}: holds no video; expected members such as <video_id>.mp4 and <video_id>.json")
    for stem, member in videos.items():
        about = said.get(stem, {})
        labels = about.get("labels") or ([about["label"]] if about.get("label") else [])
        split = about.get("split")
        answers = None if about.get("answers") is None else tuple((str(x), str(said)) for x, said in about["answers"])
        yield Member(member.name, member.offset_data, member.size, tuple(map(str, labels)), split, answers)


def _object(data: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise DataError(f"{where}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(found).__name__}")
    return found
