"""``SHA256SUMS`` of a dataset: every file that is neither a record nor vouched for by one.

The closing of an edit puts in what the edit has written. What it has not written keeps its line, and is not read: damage
stays damage. Only where nothing says what a killed run wrote, or in a dataset of before, are the files read instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tiktokactions.files import (
    SUMS,
    ChecksumsError,
    Place,
    listing,
    listing_lock,
    read_sums,
    staging_folder,
    sum_files,
    take_notes,
    write_sums,
)

EDITED_BY_PEOPLE = ("README.md", "publisher.toml")
"""Files in which people may write. `dataset card` takes what they wrote as it is, or writes it anew."""
SHARED = (
    *("exports.json", "releases.json", "subsets.json", "collections.json", "derived.json", "creator-salt"),
    *("publisher.toml", "removed.csv", "removed_hashes.parquet"),
)
"""Of no version: written by those who only read, and true at once."""
ROOT = (
    *("dataset.json", "manifest.parquet", "history.csv", "stats.json", "croissant.json", "subset.json", "merge.json"),
    *("missing.csv", "features.parquet", *EDITED_BY_PEOPLE, *SHARED),
)
FOLDERS: dict[str, tuple[str, ...]] = {
    "splits": (".csv", ".json"),
    "splits/check_against": (".csv", ".parquet"),
    "figures": (".svg", ".png"),
    "copies": (".parquet",),
    "removals": (".json",),
}


def files_of_ours(folder: Place) -> Iterator[str]:
    """Names that this program writes, as far as they are there."""
    yield from (file.name for file in listing(folder)[0] if file.name in ROOT)
    for name, suffixes in FOLDERS.items():
        yield from (f"{name}/{file.name}" for file in listing(folder / name)[0] if file.suffix in suffixes)


def tables_of(folder: Place) -> Iterator[str]:
    """What a version of a dataset is, beside records, clips and thumbnails, and what can be made of it at any time."""
    for name in files_of_ours(folder):
        if name not in SHARED and not name.startswith(("figures/", "removals/", "splits/check_against/", "copies/")):
            yield name
    if (folder / SUMS).is_file():
        yield SUMS


def close_sums(folder: Place, info: bytes, is_whole: bool) -> None:
    """Write ``SHA256SUMS``, with ``dataset.json`` as it is about to be written.

    Args:
        info: the bytes of ``dataset.json``.
        is_whole: whether everything that was written since the last ``SHA256SUMS`` was noted.
    """
    with listing_lock(folder):
        _close_sums(folder, info, is_whole)


def _close_sums(folder: Place, info: bytes, is_whole: bool) -> None:
    written = take_notes(folder)
    try:
        known = read_sums(folder) if is_whole else None
    except ChecksumsError:
        known = None
    if known is None:
        known = sum_files(folder, (name for name in files_of_ours(folder) if name != "dataset.json"))
    kept = {name: sums for name, sums in known.items() if name not in written}
    now = {name: (sha256,) for name, sha256 in written.items() if sha256 and not name.startswith("reviews.sqlite")}
    now["dataset.json"] = (hashlib.sha256(info).hexdigest(),)
    assert SUMS not in kept
    write_sums(folder, kept | now, staging_folder(folder))
