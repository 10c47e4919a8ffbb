"""What a collection will take, before anything is sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import on_disk

if TYPE_CHECKING:
    from tiktokactions.collection.plan import Estimate
    from tiktokactions.collection.session import CollectOptions


def collect_plan(hashtags: str | os.PathLike[str], options: CollectOptions) -> tuple[Estimate, str]:
    """Requests, days and records of a collection, and what had to be changed about its period. Nothing is sent."""
    from tiktokactions.collection import session

    return session.collect_plan(on_disk(hashtags, "the list of hashtags"), options)
