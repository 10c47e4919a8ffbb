"""Take metadata from a file, without a key."""

from __future__ import annotations

from tiktokactions.collection import session
from tiktokactions.commands.options import AnyPath, on_disk


def collect_import(file: AnyPath, output: AnyPath, *, hash_creators: bool = False) -> session.Imported:
    """Take metadata from JSON lines or CSV, without a key; everything after collecting works with it.

    Args:
        file: ``.jsonl``, ``.json`` or ``.csv`` with one video a row.
        output: the folder of the collection.
        hash_creators: store creators' names hashed with a local salt.

    Example:
        tiktokactions collect import videos.csv -o imported/
    """
    return session.collect_import(on_disk(file, "metadata"), on_disk(output, "collection.sqlite"), hash_creators)
