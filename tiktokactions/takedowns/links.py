"""Collections and the datasets that were made of them know each other, so that a take-down reaches both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tiktokactions.collection.session import collections_of, refresh_text, refresh_warning
from tiktokactions.collection.store import Collection, is_collection
from tiktokactions.dataset.subset_mark import LINKS, due_at, linked_collections, parent_of
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, is_address, json_bytes, located, read_json, write_listed
from tiktokactions.machine import Clock, utc_text
from tiktokactions.takedowns.derived import around, derived_of, made_from, register_given
from tiktokactions.takedowns.folders import is_dataset_folder


def link_collections(inputs: Iterable[str], dataset: Place) -> None:
    """Remember which collections a dataset is made of, on both sides, so that a take-down reaches both; and which lists."""
    before, inputs = linked_collections(dataset), list(inputs)
    found = collections_of(path for path in inputs if not is_address(path))
    register_given((path for path in inputs if path != "-" and not collections_of([path])), dataset)
    for collection_folder in found:
        with Collection(collection_folder) as collection:
            known = collection.setting("datasets") or []
            if str(dataset.absolute()) not in known:
                collection.set_setting("datasets", [*known, str(dataset.absolute())])
    if new := [str(path) for path in found if str(path) not in before]:
        write_listed(dataset, LINKS, json_bytes([*before, *new]))


def overdue(paths: Sequence[str]) -> list[str]:
    """A warning for each collection and dataset whose ids have to be checked again, among these paths, around them, or that
    what lies there was made of: a dataset, a subset, a merge, an export, a run.

    What is damaged, or cannot be reached, is for the command to tell if it needs it.
    """
    try:
        return _overdue(paths)
    except (UsageError, ValueError, OSError):
        return []


def _overdue(paths: Sequence[str]) -> list[str]:
    collections = dict.fromkeys(map(str, collections_of(path for path in paths if not is_address(path))))
    warnings, waiting = [], [*filter(None, map(around, paths))]
    for folder in waiting:
        origins = [parent_of(folder).absolute(), *filter(None, map(around, made_from(folder)))]
        waiting += [origin for origin in origins if origin not in waiting]
        if is_dataset_folder(folder):
            collections |= dict.fromkeys(linked_collections(folder))
            due = due_at(folder)
            if due is not None and Clock().now() > due:
                warnings.append(refresh_text(folder, due))
        elif is_collection(folder):
            collections[str(folder)] = None
        elif not origins[1:]:  # an export or a release that came from elsewhere, or whose dataset was moved
            marks = (read_json(folder / name, {}) for name in ("export.json", "release.json"))
            times = [said["refresh_due"] for said in marks if said.get("refresh_due")]
            if times and Clock().now() > min(times):
                warnings.append(
                    f"{folder}: made of a dataset whose refresh was due on {utc_text(min(times))[:10]}: videos deleted on the"
                    " platform must be deleted here too. Get it anew from who made it, or make it again"
                )
    return [*filter(None, (refresh_warning(Path(name)) for name in collections)), *dict.fromkeys(warnings)]


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
        names = [
            *names,
            *(one.path for one, _ in derived_of(path) if one.kind == "dataset"),
            *read_json(path / "merge.json", {}).get("of", ()),
        ]
        for name in map(located, names):
            if name in group:
                continue
            if is_collection(name) or is_dataset_folder(name):
                group.append(name)
            elif str(name) not in missing:
                missing.append(str(name))
    return group, [f"{name}: linked with {folder}, but not there; refresh it where it lies now" for name in missing]
