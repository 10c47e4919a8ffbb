"""What a collection holds, and what is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import on_disk

if TYPE_CHECKING:
    from tiktokactions.collection.session import CollectionStatus


def collect_status(collection: str | os.PathLike[str]) -> CollectionStatus:
    """What a collection holds, what is missing and why, and when its refresh is due."""
    from tiktokactions.collection import session

    return session.collect_status(on_disk(collection, "collection.sqlite"))
