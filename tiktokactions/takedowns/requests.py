"""Which videos are to go: the ids of a request, or everything of a creator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tiktokactions.collection.store import is_collection
from tiktokactions.dataset.info import read_info
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, safe_video_id
from tiktokactions.metadata.documents import column_names, table_rows, text_of
from tiktokactions.metadata.names import id_in_address, id_in_name, rank
from tiktokactions.takedowns import collection as of_collection

_COLUMNS = ("video_id", "id", "url", "link", "tiktok_url", "video_url")


def read_ids(names: Sequence[str]) -> list[str]:
    """Ids out of ids, addresses of videos, names of files that hold one, and files with one of these a line (or in a column
    ``video_id``, ``id``, ``url`` or ``link``).

    Raises:
        UsageError: something else.
    """
    found: dict[str, None] = {}
    for name in names:
        path = Path(name)
        if not path.is_file() or (id_in_name(name) and not rank(name)):
            found[_read_id(name, name)] = None
            continue
        try:
            rows = table_rows(text_of(path.read_bytes(), str(path)))
        except OSError as error:
            raise UsageError(f"{path}: expected a list of ids ({error})") from None
        header = column_names(rows[0]) if rows else []
        column = next((header.index(title) for title in _COLUMNS if title in header), None)
        for number, row in enumerate(rows, start=1):
            if number > 1 or column is None:
                place = column or 0
                found[_read_id(row[place] if place < len(row) else "", f"{path}, line {number}")] = None
    return list(found)


def _read_id(text: str, where: str) -> str:
    text = text.strip()
    elsewhere = re.search(r"/(?:video|photo)/(\d+)", text)
    video_id = (
        id_in_address(text) or (elsewhere and elsewhere[1]) or (id_in_name(text) if "." in text else None) or text
    )
    if not video_id or safe_video_id(video_id) != video_id:
        raise UsageError(f"{where}: expected an id, the address of a video, or a file that lists them, got {text!r}")
    return video_id


def ids_of_creator(group: Sequence[Place], creator: str) -> set[str]:
    """What the folders of a group hold of a creator, stored by name or hashed."""
    from tiktokactions.takedowns import dataset as of_dataset

    plain = frozenset({creator.strip().lstrip("@").lower()})
    names = plain.union(*(of_collection.creator_names(path, creator) for path in group if is_collection(path)))
    found: set[str] = set()
    for path in group:
        if is_collection(path):
            found |= of_collection.ids_of_creator(path, creator)
        else:
            info = read_info(path)
            found |= of_dataset.ids_of_creator(path, names, info is not None and info.settled)
    return found


def copies_in(folder: Place, ids: set[str]) -> list[str]:
    """Videos of a dataset that show the same footage as these."""
    from tiktokactions.takedowns import dataset as of_dataset

    return [] if is_collection(folder) or not ids else of_dataset.copies_of(folder, frozenset(ids))
