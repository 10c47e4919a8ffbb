"""What marks a folder as a subset, and names the dataset that it was taken from; and where exports came from."""

from __future__ import annotations

import json
import os

from tiktokactions.files import Place, seen_from, write_atomic
from tiktokactions.machine import cache_folder

MARK = "subset.json"


def write_origin(made_id: str, dataset: Place) -> None:
    """Remember on this machine where the dataset lies whose exports or release bear an id: they themselves go to others."""
    if made_id:
        write_atomic(cache_folder("made_from") / made_id, os.fsencode(str(dataset.resolve())))


def origin_of(made_id: str) -> str:
    """The dataset of an export or a release; empty where this machine does not know it."""
    path = cache_folder("made_from") / made_id
    return os.fsdecode(path.read_bytes()) if made_id and path.is_file() else ""


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
