"""Collections and the datasets that were made of them know each other, so that a take-down reaches both."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tiktokactions.collection.store import Collection, is_collection
from tiktokactions.files import Place, json_bytes, located, write_listed
from tiktokactions.takedowns.derived import derived_of
from tiktokactions.takedowns.folders import is_dataset_folder
from tiktokactions.takedowns.originals import LINKS


def link_collections(inputs: Iterable[str], dataset: Place) -> None:
    """Remember which collections a dataset is made of, on both sides, so that a take-down reaches both."""
    from tiktokactions.collection.session import collections_of

    before = linked_collections(dataset)
    found = collections_of(inputs)
    for collection_folder in found:
        with Collection(collection_folder) as collection:
            known = collection.setting("datasets") or []
            if str(dataset.absolute()) not in known:
                collection.set_setting("datasets", [*known, str(dataset.absolute())])
    if new := [str(path) for path in found if str(path) not in before]:
        write_listed(dataset, LINKS, json_bytes([*before, *new]))


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
