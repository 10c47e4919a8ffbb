"""``dataset.json``: what a dataset is called, the settings it was made with, and whether its tables are up to date."""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from tiktokactions import __version__
from tiktokactions.curation.options import CurateOptions
from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import Place, local_path, located, staging_folder, write_atomic
from tiktokactions.machine import utc_now
from tiktokactions.options import checked_options
from tiktokactions.records import DetectorInfo, JsonObject

FORMAT, FORMAT_ON_STORES = 1, 2
"""Where records lie in ranges of many, an earlier version of this program would see none and has to refuse."""


class NewerDatasetError(UsageError):
    """A dataset of a newer program: every command refuses it and leaves it as it is."""


@dataclass(frozen=True)
class DatasetInfo:
    """The contents of ``dataset.json``."""

    name: str
    version: int
    """Counts the runs that changed the dataset."""
    created: str
    updated: str
    settled: bool
    """False while a run is under way and after one was killed: verdicts and tables may not fit the records then."""
    options: JsonObject
    """The resolved options of ``curate``, by name; a later run takes from here what is not typed."""
    detector: DetectorInfo
    versions: dict[str, str]
    format: int = FORMAT
    under_way: str = ""
    """While not settled: the command that changes the dataset or was killed while it did; empty if unknown."""
    checksums: bool = False
    """Whether ``SHA256SUMS`` was written with it."""
    id: str = ""
    """Tells a dataset from all others, its copies included; given by its first closing."""
    place: str = ""
    """Where it lay when it was last closed, from the root."""


def info_path(dataset: Place) -> Place:
    return dataset / "dataset.json"


def read_info(dataset: Place) -> DatasetInfo | None:
    """None where the folder is not a dataset yet.

    Raises:
        ValueError: ``dataset.json`` is damaged or newer than this program.
    """
    path = info_path(dataset)
    if not path.exists():
        return None
    refuse_newer(dataset)
    return _decoded(path, DatasetInfo)


def refuse_newer(dataset: Place) -> None:
    """Of a newer format nothing else in ``dataset.json`` need have the type that it has here.

    Raises:
        NewerDatasetError: a newer program made the dataset.
        UsageError: ``dataset.json`` is damaged.
    """
    path = info_path(dataset)
    if (number := _decoded(path, _Format).format) > FORMAT_ON_STORES:
        raise NewerDatasetError(
            f"{path}: format {number}, this program reads up to {FORMAT_ON_STORES}: update tiktokactions"
        )


class _Format(msgspec.Struct):
    format: int = 1


Decoded = TypeVar("Decoded")


def _decoded(path: Place, kind: type[Decoded]) -> Decoded:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a valid dataset.json: {error}") from error


def format_of(dataset: Place) -> int:
    """The format that a dataset has at this place once it is settled."""
    return FORMAT if local_path(dataset) is not None else FORMAT_ON_STORES


def write_info(dataset: Place, info: DatasetInfo) -> None:
    write_atomic(info_path(dataset), info_bytes(info), staging=staging_folder(dataset))


def info_bytes(info: DatasetInfo) -> bytes:
    """``dataset.json``."""
    return msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n"


def new_info(dataset: Place, options: CurateOptions, detector: DetectorInfo) -> DatasetInfo:
    from tiktokactions.video import library_versions

    return DatasetInfo(
        name=dataset.resolve().name,
        version=0,
        created=utc_now(),
        updated=utc_now(),
        settled=False,
        options=saved_options(options),
        detector=detector,
        versions={"tiktokactions": __version__} | library_versions(),
    )


def original_of(folder: Place, info: DatasetInfo) -> Place | None:
    """The dataset that this one is a copy of: another one with its id lies where it was last closed. None for one that lies
    there itself, and for one that was moved."""
    original = located(info.place or str(folder))
    if not info.id or info.place == str(folder.resolve()):
        return None
    try:
        other = read_info(original)
        if other is None or other.id != info.id or _is_same_file(info_path(folder), info_path(original)):
            return None
    except (TiktokactionsError, OSError):  # there, and not to be read: what is its own stays its own
        pass
    return original


def _is_same_file(one: Place, two: Place) -> bool:
    """One file seen through two mounts has another device each time, but nothing else."""
    here, there = local_path(one), local_path(two)
    if here is None or there is None:
        return one == two
    a, b = here.stat(), there.stat()
    return (a.st_ino, a.st_mtime_ns, a.st_size) == (b.st_ino, b.st_mtime_ns, b.st_size)


def identified(folder: Place, info: DatasetInfo) -> DatasetInfo:
    """The same with its id, a new one for a copy, and the place where it lies."""
    is_new = not info.id or original_of(folder, info) is not None
    return replace(info, id=secrets.token_hex(8) if is_new else info.id, place=str(folder.resolve()))


def saved_options(options: CurateOptions) -> JsonObject:
    """The options that belong to the dataset; how a run was carried out (workers ...) does not."""
    return options.group("evidence", "decision", "clip", "labels")


def resolve_options(info: DatasetInfo | None, typed: JsonObject) -> CurateOptions:
    """What was typed, else what the dataset was made with, else the defaults.

    Raises:
        ValueError: an unknown option, or a value out of range.
    """
    names = {f.name for f in dataclasses.fields(CurateOptions)}
    # A dataset that was begun before there was a second look stays without.
    before = {"second_look": False} if info else {}
    saved = before | {name: value for name, value in (info.options if info else {}).items() if name in names}
    return checked_options(CurateOptions, saved | typed)
