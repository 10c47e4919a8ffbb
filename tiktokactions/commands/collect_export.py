"""A collection as JSON lines."""

from __future__ import annotations

import os

from tiktokactions.commands.errors import on_disk


def collect_export(
    collection: str | os.PathLike[str], output: str | os.PathLike[str], *, plain_creators: bool = False
) -> int:
    """The collection as JSON lines, creators hashed unless ``plain_creators``; how many videos."""
    from tiktokactions.collection import session

    return session.collect_export(
        on_disk(collection, "collection.sqlite"), on_disk(output, "an export"), plain_creators
    )
