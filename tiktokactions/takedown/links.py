"""Collections and the datasets that were made of them know each other, so that a removal reaches both."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tiktokactions.files import Place
from tiktokactions.takedown.folders import is_collection_folder

LINKS = "collections.json"


def link_collections(inputs: Iterable[str], dataset: Place) -> None:
    """Remember which collections a dataset is made of, on both sides, so that a removal reaches both."""
    from tiktokactions.collection.session import collections_of
    from tiktokactions.collection.store import Collection
    from tiktokactions.files import staging_folder, write_json

    before = linked_collections(dataset)
    found = collections_of(inputs)
    for collection_folder in found:
        with Collection(collection_folder) as collection:
            known = collection.setting("datasets") or []
            if str(dataset.absolute()) not in known:
                collection.set_setting("datasets", [*known, str(dataset.absolute())])
    if new := [str(path) for path in found if str(path) not in before]:
        write_json(dataset / LINKS, [*before, *new], staging_folder(dataset))


def linked_collections(dataset: Place) -> list[str]:
    path = dataset / LINKS
    return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass")) if path.is_file() else []


def link_merged(datasets: Iterable[Place], merged: Place) -> None:
    """The collections that some datasets are made of know the dataset that was made of these, too."""
    from tiktokactions.files import located

    there = [
        name for dataset in datasets for name in linked_collections(dataset) if is_collection_folder(located(name))
    ]
    link_collections(there, merged)
