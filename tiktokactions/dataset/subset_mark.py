"""What marks a folder as a subset, and names the dataset that it was taken from."""

from __future__ import annotations

import json

from tiktokactions.files import Place, seen_from

MARK = "subset.json"


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
