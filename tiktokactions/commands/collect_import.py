"""Take metadata from files of other tools, without a key."""

from __future__ import annotations

from tiktokactions.collection import session
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.takedowns.derived import register_given


def collect_import(file: AnyPath, output: AnyPath, *, hash_creators: bool = False) -> session.Imported:
    """Take what you hold of videos, without a key; everything after collecting works with it.

    Args:
        file: what another tool wrote (docs/collect.md names them), a list of links, or a folder of downloads.
        output: the folder of the collection.
        hash_creators: store creators' names hashed with a local salt.

    Example:
        tiktokactions collect import videos.csv -o imported/
    """
    given, folder = on_disk(file, "metadata"), on_disk(output, "collection.sqlite")
    found = session.collect_import(given, folder, hash_creators)
    register_given([given], folder, by_content=True)
    return found
