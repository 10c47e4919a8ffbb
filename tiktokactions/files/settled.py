"""The last settled version of a dataset, kept while a run changes it: others read on without a lock.

``.settled/`` holds the tables as they were, and what a run has changed since of records, clips and thumbnails
(:func:`~tiktokactions.files.changes.keeping`); what is not there is as it was at its own place. Its ``dataset.json`` comes
last and goes first: without it nothing there counts.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from tiktokactions.files.changes import SETTLED, about_to_change, copy_whole, delete, delete_together
from tiktokactions.files.places import Place, listing, local_path

MARKS = ("dataset.json", "SHA256SUMS")
"""Tell one version from another."""


def keep_version(dataset: Place, tables: Iterable[str], is_settled: bool) -> None:
    """Keep the version that is there now, before anything of it changes; one that is kept already stays.

    Args:
        tables: its tables, by relative path.
        is_settled: whether ``dataset.json`` says so now; if not, what is kept is the version before.
    """
    kept = dataset / SETTLED
    if (kept / "dataset.json").is_file() and (not is_settled or all(_same(dataset / n, kept / n) for n in MARKS)):
        return
    drop_version(dataset)
    for name in (*(name for name in tables if name != "dataset.json"), "dataset.json"):
        copy_whole(dataset / name, kept / name)


def drop_version(dataset: Place) -> None:
    """What is kept goes: the version that is there now is settled, or something of the other must not be read any more."""
    kept = dataset / SETTLED
    delete(kept / "dataset.json")
    local = local_path(kept)
    if local is None:
        delete_together(_below(kept))
    elif local.is_dir():
        about_to_change(kept)
        shutil.rmtree(local)


def settled_file(dataset: Place, name: str) -> Place:
    """Where a file lies as it was in the version that is kept."""
    kept = dataset / SETTLED / name
    return kept if kept.is_file() else dataset / name


def _same(one: Place, two: Place) -> bool:
    if not one.is_file() or not two.is_file():
        return one.is_file() == two.is_file()
    return one.read_bytes() == two.read_bytes()


def _below(folder: Place) -> list[Place]:
    files, folders = listing(folder)
    return [*files, *(file for inner in folders for file in _below(inner))]
