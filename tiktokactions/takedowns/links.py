"""Collections and the datasets that were made of them know each other, so that a take-down reaches both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tiktokactions.collection.session import collections_of, refresh_text, refresh_warning
from tiktokactions.collection.store import Collection, is_collection
from tiktokactions.dataset.subset_mark import parent_of
from tiktokactions.files import Place, is_address, json_bytes, located, write_listed
from tiktokactions.machine import DAY_S, Clock
from tiktokactions.takedowns.derived import derived_of
from tiktokactions.takedowns.folders import is_dataset_folder
from tiktokactions.takedowns.originals import LINKS

CHECKED = "refresh.json"
"""In a dataset: when its ids were checked, and how often they have to be."""
EVERY_DAYS = 15
"""What early versions of the terms ask for; docs/collect.md."""


def link_collections(inputs: Iterable[str], dataset: Place) -> None:
    """Remember which collections a dataset is made of, on both sides, so that a take-down reaches both."""
    before = linked_collections(dataset)
    found = collections_of(inputs)
    for collection_folder in found:
        with Collection(collection_folder) as collection:
            known = collection.setting("datasets") or []
            if str(dataset.absolute()) not in known:
                collection.set_setting("datasets", [*known, str(dataset.absolute())])
    if new := [str(path) for path in found if str(path) not in before]:
        write_listed(dataset, LINKS, json_bytes([*before, *new]))


def due_at(dataset: Place) -> float | None:
    """Unix time by which a dataset's own check of its ids has to be done again; None where there was none."""
    path = dataset / CHECKED
    said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return said["checked_at"] + said.get("every_days", EVERY_DAYS) * DAY_S if "checked_at" in said else None


def overdue(paths: Sequence[str]) -> list[str]:
    """A warning for each collection and dataset whose ids have to be checked again, among these paths, around them, or that
    a dataset there was made of."""
    collections = dict.fromkeys(map(str, collections_of(path for path in paths if not is_address(path))))
    warnings = []
    for dataset in dict.fromkeys(filter(None, map(_dataset_around, paths))):
        collections |= dict.fromkeys(linked_collections(dataset))
        due = due_at(dataset)
        if due is not None and Clock().now() > due:
            warnings.append(refresh_text(dataset, due))
    return [*filter(None, (refresh_warning(Path(name)) for name in collections)), *warnings]


def _dataset_around(path: str) -> Place | None:
    """The dataset at a path or around it; of a subset the one that it was taken of."""
    place = located(path).absolute()
    around = (place, *(place.parents if isinstance(place, Path) else ()))
    return next((parent_of(folder).absolute() for folder in around if is_dataset_folder(folder)), None)


def linked_collections(dataset: Place) -> list[str]:
    path = dataset / LINKS
    return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass")) if path.is_file() else []


def link_merged(datasets: Iterable[Place], merged: Place) -> None:
    """The collections that some datasets are made of know the dataset that was made of these, too."""
    names = [name for dataset in datasets for name in linked_collections(dataset)]
    link_collections([name for name in names if is_collection(located(name))], merged)


def linked_group(folder: Place) -> tuple[list[Place], list[str]]:
    """The folder first, then those that it is linked with; and what is said of linked ones that are not there."""
    group, missing = [folder.absolute()], []
    for path in group:
        if is_collection(path):
            with Collection(path) as collection:
                names = collection.setting("datasets") or []
        else:
            names = linked_collections(path)
        names = [*names, *(one.path for one, _ in derived_of(path) if one.kind == "dataset")]
        for name in map(located, names):
            if name in group:
                continue
            if is_collection(name) or is_dataset_folder(name):
                group.append(name)
            elif str(name) not in missing:
                missing.append(str(name))
    return group, [f"{name}: linked with {folder}, but not there; refresh it where it lies now" for name in missing]
