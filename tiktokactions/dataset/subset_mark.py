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
    of: str = json.loads((folder / MARK).read_text(encoding="utf-8"))["of"]
    return seen_from(folder, of)
