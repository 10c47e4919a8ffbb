"""A copied dataset is a dataset of its own: what the original has registered stays the original's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiktokactions.collection.store import Collection, is_collection
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.info import identified, info_bytes, original_of
from tiktokactions.dataset.subset_mark import LINKS, is_subset, parent_of
from tiktokactions.files import Place, absolute, json_bytes, listing_lock, located, read_json, write_listed
from tiktokactions.machine import tell
from tiktokactions.records import JsonObject


def part_from_original(data: Dataset) -> None:
    """Give a copy an id of its own, and forget in it what belongs to the original, which still lies where it lay; one line
    says so. Where a dataset was moved, all that was its own stays its own. The caller holds the lock."""
    folder, before = data.folder, data.info.place
    here = str(folder.resolve())
    if before in ("", here):
        return
    original, own = original_of(folder, data.info), ("exports.json", "releases.json", "derived.json")
    if original is None:
        for name in own:
            _change(folder, name, lambda entry: entry | {"dataset": absolute(str(folder))})
    else:
        for name in own:
            _change(folder, name, lambda entry: entry if _is_here(entry, folder) else None)
        _change(folder, "subsets.json", lambda path: path if _is_of(located(path), folder) else None)
        _change(folder, LINKS, lambda path: path if _knows(located(path), here) else None)
        tell(
            f"{folder}: a copy of {original}, and a dataset of its own from now on: what was exported, released or taken of"
            " that one is not touched, nor its collections. A take-down has to be given there as well."
        )
    write_listed(folder, "dataset.json", info_bytes(identified(folder, data.info)))
    data.reload()


def _change(folder: Place, name: str, change: Callable[[Any], Any]) -> None:
    with listing_lock(folder):
        known = read_json(folder / name, [])
        kept = [entry for entry in map(change, known) if entry is not None]
        if kept != known:
            write_listed(folder, name, json_bytes(kept, indent=1))


def _is_here(entry: JsonObject, folder: Place) -> bool:
    return "dataset" in entry and located(entry["dataset"]).resolve() == folder.resolve()


def _is_of(subset: Place, folder: Place) -> bool:
    return is_subset(subset) and parent_of(subset).resolve() == folder.resolve()


def _knows(collection: Place, dataset: str) -> bool:
    """Whether the dataset itself was curated from a collection, and not only the one that it is a copy of."""
    if not is_collection(collection):
        return False
    with Collection(collection) as opened:
        return dataset in (opened.setting("datasets") or [])
