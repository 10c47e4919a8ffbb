"""Metadata from a file, for everybody without a key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import on_disk

if TYPE_CHECKING:
    from tiktokactions.collection.session import Imported


def collect_import(
    file: str | os.PathLike[str], output: str | os.PathLike[str], *, hash_creators: bool = False
) -> Imported:
    """Metadata from JSON lines or CSV, so that everything after collecting works without a key."""
    from tiktokactions.collection import session

    return session.collect_import(on_disk(file, "metadata"), on_disk(output, "collection.sqlite"), hash_creators)
