"""What marks a folder as a subset, and names the dataset that it, or an export, was taken from."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tiktokactions.files import Place, json_bytes, local_path, seen_from, write_atomic

MARK = "subset.json"
MADE_FROM = ".made_from.json"
"""In an export or a release: the dataset that it was made of, named as a subset names it."""


def as_seen_from(folder: Place, dataset: Place) -> str:
    """Relative to the folder, so that both may be moved together; by its address where one lies on a store."""
    if local_path(folder) is None or local_path(dataset) is None:
        return str(dataset.resolve())
    return Path(os.path.relpath(str(dataset.resolve()), str(folder.resolve()))).as_posix()


def write_origin(folder: Place, dataset: Place) -> None:
    write_atomic(folder / MADE_FROM, json_bytes(as_seen_from(folder, dataset)))


def is_subset(folder: Place) -> bool:
    return (folder / MARK).is_file()


def parent_of(folder: Place) -> Place:
    """The dataset that a subset was taken from; a dataset itself. Records lie there."""
    if not is_subset(folder):
        return folder
    return seen_from(folder, held_by(folder))


def held_by(subset: Place) -> str:
    """The dataset that holds the clips of a subset, as the subset names it: relative to its own folder, or by its address."""
    of: str = json.loads((subset / MARK).read_text(encoding="utf-8"))["of"]
    return of
