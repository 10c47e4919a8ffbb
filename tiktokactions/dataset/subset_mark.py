"""What marks a folder as a subset, and names the dataset that it was taken from; where exports came from, and by when the
ids of a dataset have to be checked again."""

from __future__ import annotations

import json
import os

from tiktokactions.collection.session import due_at as collection_due_at
from tiktokactions.collection.store import Collection, is_collection
from tiktokactions.files import Place, located, read_json, seen_from, write_atomic
from tiktokactions.machine import DAY_S, cache_folder

MARK = "subset.json"
LINKS = "collections.json"
"""In a dataset: the collections that it was made of."""
CHECKED = "refresh.json"
"""In a dataset: when its ids were checked, and how often they have to be."""
EVERY_DAYS = 15
"""What early versions of the terms ask for; docs/collect.md."""


def linked_collections(dataset: Place) -> list[str]:
    return list(read_json(dataset / LINKS, []))


def due_at(dataset: Place) -> float | None:
    """Unix time by which a dataset's own check of its ids has to be done again; None where there was none."""
    said = read_json(dataset / CHECKED, {})
    return said["checked_at"] + said.get("every_days", EVERY_DAYS) * DAY_S if "checked_at" in said else None


def first_due_at(dataset: Place) -> float | None:
    """The same with the checks of the collections that it was made of, whichever is first."""
    times = [due_at(dataset)]
    for folder in filter(is_collection, map(located, linked_collections(dataset))):
        with Collection(folder) as collection:
            times.append(collection_due_at(collection))
    return min((at for at in times if at is not None), default=None)


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
