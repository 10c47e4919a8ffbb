"""Show what a collection holds and what is missing."""

from __future__ import annotations

from tiktokactions.collection import session
from tiktokactions.commands.options import AnyPath, on_disk


def collect_status(collection: AnyPath) -> session.CollectionStatus:
    """What a collection holds for each hashtag, what is missing and why, and when its refresh is due.

    Args:
        collection: a folder made by 'collect run' or 'collect import'.

    Example:
        tiktokactions collect status collection/
    """
    return session.collect_status(on_disk(collection, "collection.sqlite"))
