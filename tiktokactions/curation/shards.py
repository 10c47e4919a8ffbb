"""Shards (``curate`` with ``shard``): several machines share the videos of one dataset over a disk or a store.

``.shards/i-of-n.json`` in the dataset says what settings a shard has and whether it has finished; ``.shards/i-of-n.lease``
is renewed while it runs. Both are gone once all is settled.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from tiktokactions.curation.listed import ListedVideo, printable_path
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, delete, is_address, listing, staging_folder, write_json
from tiktokactions.files.locks import SHARDS, first_living

TAIL_BYTES = 64 << 10


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``of`` parts, from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        return f"{self.number}-of-{self.of}"


class _State(msgspec.Struct):
    shard: str
    settings: str
    """A hash of the settings; all shards need the same."""
    done: bool = False


def parse_shard(text: str) -> Shard:
    """Raises :class:`UsageError` for what is not ``i/n`` with 1 <= i <= n."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"`shard`: got {text!r}, expected i/n, such as 2/8 for the second of eight parts")
    return Shard(int(match[1]), int(match[2]))


# --- whose video is it? ----------------------------------------------------------------------------------------------


def part_of(listed: Sequence[ListedVideo], shard: Shard) -> list[ListedVideo]:
    """The videos of a shard, in the order given. Every shard reckons this by itself, from sizes and ids.

    Identical files have one size, so they fall into one shard, which makes one video of them as a run without shards does;
    files that claim one id go together as well. On a disk the last bytes tell files of one size apart.
    """
    sizes = [_size_of(video) for video in listed]
    often = {size for size, count in Counter(sizes).items() if count > 1}
    keys = [_with_tail(video, size) if size in often else size for video, size in zip(listed, sizes, strict=True)]
    together = _together((key, video.about.id) for key, video in zip(keys, listed, strict=True) if video.about.id)
    return [v for v, key in zip(listed, keys, strict=True) if _number(together.get(key, key), shard.of) == shard.number]


def _size_of(video: ListedVideo) -> str:
    try:
        return str(video.fingerprint[0] if video.fingerprint else os.stat(video.path).st_size)
    except OSError:
        return printable_path(video.path)


def _with_tail(video: ListedVideo, size: str) -> str:
    if is_address(video.path):  # that would be a request for each
        return size
    try:
        with open(video.path, "rb") as file:
            file.seek(max(0, int(size) - TAIL_BYTES))
            return f"{size} {hashlib.sha256(file.read(TAIL_BYTES)).hexdigest()}"
    except (OSError, ValueError):
        return printable_path(video.path)


def _together(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Keys that an id joins, each with the first (by name) of those that it is joined with, directly or by way of others."""
    first_of: dict[str, str] = {}
    key_of: dict[str, str] = {}

    def first(key: str) -> str:
        while key in first_of:
            key = first_of[key]
        return key

    for key, video_id in pairs:
        one, other = sorted((first(key), first(key_of.setdefault(video_id, key))))
        if one != other:
            first_of[other] = one
    return {key: first(key) for key in first_of}


def _number(key: str, of: int) -> int:
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % of + 1


# --- how far the shards are -------------------------------------------------------------------------------------------


def join(dataset: Place, shard: Shard, settings: str) -> None:
    """Say that this shard is at work; called with its lock held.

    Raises:
        UsageError: others at work have other settings, or share the videos among another number.
    """
    for name, state in _states(dataset).items():
        is_of_another_number = name.rpartition("-")[2] != str(shard.of)
        if name == shard.name or not (is_of_another_number or state.settings != settings):
            continue
        if first_living([dataset / SHARDS / f"{name}.lease"]) is None:
            delete(dataset / SHARDS / f"{name}.json")  # of a round that nobody finishes any more
        elif is_of_another_number:
            raise UsageError(f"{dataset}: shard {state.shard} is at work; its videos are not shared among {shard.of}")
        else:
            raise UsageError(
                f"{dataset}: shard {state.shard} has other settings than {shard}; give all shards the same options"
                " (and one person detector: `detector` auto may find another on another machine)"
            )
    _write(dataset, shard, _State(str(shard), settings))


def finish(dataset: Place, shard: Shard, settings: str) -> list[str]:
    """Say that this shard has done its part; gives those that have not."""
    _write(dataset, shard, _State(str(shard), settings, done=True))
    return waited_for(dataset, shard.of)


def waited_for(dataset: Place, of: int) -> list[str]:
    """The shards that have not finished."""
    done = {state.shard for state in _states(dataset).values() if state.done}
    return [str(shard) for i in range(of) if str(shard := Shard(i + 1, of)) not in done]


def forget(dataset: Place) -> None:
    """Once all is settled; called with the dataset's lock held, so that no shard is at work."""
    for path in listing(dataset / SHARDS)[0]:
        delete(path)


def _write(dataset: Place, shard: Shard, state: _State) -> None:
    write_json(dataset / SHARDS / f"{shard.name}.json", msgspec.to_builtins(state), staging_folder(dataset))


def _states(dataset: Place) -> dict[str, _State]:
    found = {}
    for path in listing(dataset / SHARDS)[0]:
        if path.suffix == ".json":
            try:
                found[path.stem] = msgspec.json.decode(path.read_bytes(), type=_State)
            except FileNotFoundError:  # settled and gone meanwhile
                continue
    return found
