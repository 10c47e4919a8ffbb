"""Show what a collection holds and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.commands.errors import on_disk
from tiktokactions.commands.options import AnyPath

if TYPE_CHECKING:
    from tiktokactions.collection.session import CollectionStatus


def collect_status(collection: AnyPath) -> CollectionStatus:
    """What a collection holds for each hashtag, what is missing and why, and when its refresh is due.

    Args:
        collection: a folder made by 'collect run' or 'collect import'.

    Example:
        tiktokactions collect status collection/
    """
    from tiktokactions.collection import session

    return session.collect_status(on_disk(collection, "collection.sqlite"))
