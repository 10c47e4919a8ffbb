"""Labelled clips, whatever they come from: our datasets, folders, lists, and the official splits of four benchmarks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tiktokactions.clips.clip import MOST_NAMED, SIDES, ClipSet, DataError, Request, Side
from tiktokactions.clips.readers import (
    folders,
    hmdb51,
    kinetics,
    ours,
    releases,
    ssv2,
    ucf101,
    videomae_lists,
    webdataset,
)
from tiktokactions.files import SUMS, Place, local_path, located, on_disk


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
        data: a dataset, a release, or an export as webdataset or huggingface (also ``s3://``), a folder of class folders, a
            list, or a folder of official splits.
        side: which side; data without sides are read whole.
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
        raise DataError(f"`media` {request.media}: expected a folder of videos")
    found: ClipSet = _reader_of(path).read(request)
    if found.missing and not allow_missing:
        raise DataError(
            f"{path}: {len(found.missing)} of {len(found.missing) + len(found.clips)} listed videos are not in"
            f" {found.looked_in} (for example {', '.join(found.missing[:MOST_NAMED])}); name their folder with `media`,"
            " or take them out of the list"
        )
    return found


def has_side(data: str | os.PathLike[str], side: Side) -> bool:
    """Whether data have this side: a split dataset, official splits, folders or lists of sides.

    False for a side that Kinetics or Something-Something publish without labels, since it cannot be tested on.
    """
    path = located(data)
    reader = _reader_of(path)
    if reader in (webdataset, ours, releases):
        return bool(reader.has_side(path, side))
    return bool(reader.has_side(on_disk(path, "data of this kind"), side))


def _reader_of(path: Place) -> Any:
    """The module that reads ``path``, chosen by the names and first lines of its files."""
    if webdataset.is_here(path):
        return webdataset
    if (path / "dataset.json").is_file():
        return ours
    if releases.is_here(path):
        return releases
    local = local_path(path)
    if local is None:
        raise DataError(f"{path}: expected a dataset, a release or a WebDataset export; found none")
    lists = (ssv2, kinetics, videomae_lists)
    for reader in (ucf101, hmdb51, *lists, folders) if local.is_dir() else lists:
        if reader.is_here(local):
            if reader is folders and (local / "export.json").is_file() and (local / SUMS).is_file():
                raise DataError(
                    f"{path}: an export for other tools; train on the dataset, a release, or another export"
                )
            return reader
    if local.is_dir():
        raise DataError(
            f"{path}: expected a dataset, class folders with videos, lists (train.csv ...) or official splits; found none"
        )
    raise DataError(f"{path}: expected a list (.csv, .txt or .list) or Something-Something's .json")
