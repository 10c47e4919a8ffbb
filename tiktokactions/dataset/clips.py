"""Labelled clips, whatever they come from: our datasets, folders, lists, and the official splits of four benchmarks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tiktokactions.files import ObjectPath, located

Side = Literal["train", "val", "test", "all"]
SIDES: tuple[Side, ...] = get_args(Side)
MOST_NAMED = 5


class DataError(ValueError):
    """Data that cannot be read as asked; the message says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class Stored:
    """Where the bytes of a clip lie that is no file of its own on a disk: in an object, in a tar file, or both."""

    file: str
    """The file or the object."""
    version: str
    """Changes with the contents; what a cache keeps is told apart by it."""
    offset: int | None = None
    """Where it begins in ``file``, in bytes; None: it is the whole of it."""
    size_bytes: int | None = None


@dataclass(frozen=True)
class Clip:
    """One video, or a part of one, to train or test on."""

    path: str
    """Absolute path of the file; of one in a tar file the tar's, a slash, and its name there."""
    label: str | None
    """Class name; None where unlabelled."""
    start_s: float | None = None
    """Where the part begins, in seconds of the file; None: the whole file."""
    end_s: float | None = None
    video_id: str | None = None
    stored: Stored | None = None
    """None: an ordinary file."""


@dataclass(frozen=True)
class ClipSet:
    """One side of some data."""

    source: str
    """What was read, for messages."""
    kind: str
    """``dataset``, ``webdataset``, ``folder``, ``list``, ``kinetics``, ``ucf101``, ``hmdb51`` or ``ssv2``."""
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    """Class names of all sides in the order of their numbers; empty where unlabelled."""
    flip: bool = True
    """False where left and right carry meaning (Something-Something)."""
    missing: tuple[str, ...] = ()
    """Listed files that were not found, where that was allowed."""
    looked_in: str = ""
    """The folder that listed files were looked for in."""


@dataclass(frozen=True)
class Request:
    """What a reader is asked for."""

    path: Path
    side: Side
    media: Path | None
    """Folder of the videos, where it is not the list's own."""
    fold: int

    @property
    def sides(self) -> tuple[str, ...]:
        return ("train", "val", "test") if self.side == "all" else (self.side,)


Reader = Callable[[Request], ClipSet]


def read_clips(
    data: str | os.PathLike[str],
    *,
    side: Side,
    media: str | os.PathLike[str] | None = None,
    fold: int = 1,
    allow_missing: bool = False,
) -> ClipSet:
    """The clips of one side of some data; docs/formats.md lists what can be read.

    Args:
        data: a dataset or a WebDataset export (also ``s3://``), a folder of class folders, a list, or a folder of official
            splits.
        side: which side; data without sides are taken whole, whatever is asked for.
        media: folder of the videos that a list or a split names.
        fold: which official split, or fold of a dataset.
        allow_missing: put listed files that are not there into ``missing`` instead of raising.

    Raises:
        DataError: nothing that can be read there, a side that it does not have, or listed files that are not there.
    """
    path = located(data)
    if side not in SIDES:
        raise DataError(f"side: got {side!r}, expected one of {', '.join(SIDES)}")
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; expected data to train or test on")
    request = Request(path, side, None if media is None else Path(media), fold)
    if request.media is not None and not request.media.is_dir():
        raise DataError(f"--media {request.media}: expected a folder of videos")
    found = _reader_of(path)(request)
    if found.missing and not allow_missing:
        raise DataError(
            f"{path}: {len(found.missing)} of {len(found.missing) + len(found.clips)} listed videos are not in"
            f" {found.looked_in}"
            f" (for example {', '.join(found.missing[:MOST_NAMED])}); name their folder with --media,"
            " or take them out of the list"
        )
    return found


def has_side(data: str | os.PathLike[str], side: Side) -> bool:
    """Whether data tell this side from the others: a split dataset, official splits, folders or lists of sides.

    A side that Kinetics or Something-Something publish without labels is none to validate or test on: False.
    """
    from tiktokactions.dataset.readers import folders, hmdb51, kinetics, ours, ssv2, ucf101, videomae_lists, webdataset

    path = located(data)
    readers: dict[Reader, Callable[[Path, str], bool]] = {
        **{ours.read: ours.has_side, folders.read: folders.has_side, ucf101.read: ucf101.has_side},
        **{hmdb51.read: hmdb51.has_side, kinetics.read: kinetics.has_side, ssv2.read: ssv2.has_side},
        **{videomae_lists.read: videomae_lists.has_side, webdataset.read: webdataset.has_side},
    }
    return readers[_reader_of(path)](path, side)


def _reader_of(path: Path) -> Reader:
    """The reader of what lies at ``path``, told by the names and first lines of its files."""
    from tiktokactions.dataset.readers import folders, hmdb51, kinetics, ours, ssv2, ucf101, videomae_lists, webdataset

    if webdataset.is_here(path):
        return webdataset.read
    if isinstance(path, ObjectPath) and not (path / "dataset.json").is_file():
        raise DataError(f"{path}: expected a dataset made by 'curate' or a WebDataset export; found neither")
    if path.is_dir():
        if (path / "dataset.json").is_file():
            return ours.read
        for reader in (ucf101, hmdb51, ssv2, kinetics, videomae_lists, folders):
            if reader.is_here(path):
                return reader.read
        raise DataError(
            f"{path}: expected a dataset, class folders with videos, lists (train.csv ...) or official splits; found none"
        )
    for reader in (ssv2, kinetics, videomae_lists):
        if reader.is_here(path):
            return reader.read
    raise DataError(f"{path}: expected a list (.csv, .txt or .list) or Something-Something's .json")


def labels_in_order(labels: Sequence[str | None]) -> tuple[str, ...]:
    """The class names that occur, sorted."""
    return tuple(sorted({label for label in labels if label is not None}))


def no_such_side(path: Path, side: str, known: Sequence[str]) -> DataError:
    """The error for a side that some data do not have."""
    has = ", ".join(known) or "no sides"
    return DataError(f"{path}: no {side} side; it has {has}; name other data for it, or make a list of the clips")
