"""Take metadata from files of other tools, without a key."""

from __future__ import annotations

from tiktokactions.collection import session
from tiktokactions.commands.options import AnyPath, on_disk


def collect_import(file: AnyPath, output: AnyPath, *, hash_creators: bool = False) -> session.Imported:
    """Take what you hold of videos, without a key; everything after collecting works with it.

    Args:
        file: what another tool wrote (docs/collect.md names them), a list of links, or a folder of downloads.
        output: the folder of the collection.
        hash_creators: store creators' names hashed with a local salt.

    Example:
        tiktokactions collect import videos.csv -o imported/
    """
    return session.collect_import(on_disk(file, "metadata"), on_disk(output, "collection.sqlite"), hash_creators)
