"""Metadata of videos by hashtag."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import on_disk

if TYPE_CHECKING:
    from tiktokactions.collection.session import CollectOptions, CollectResult


def collect_run(
    hashtags: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: CollectOptions,
    report: Callable[[str], None] = lambda line: None,
    note: Callable[[str], None] = lambda line: None,
) -> CollectResult:
    """Metadata of the videos of hashtags into the folder ``output`` (paper, section 3.3); continues what was interrupted.

    ``report`` gets a line for each finished hashtag, ``note`` one for each wait. Raises PlanError, CollectionError,
    CredentialsError (all ValueErrors), ApiError where the API refuses the key, DatasetBusyError.
    """
    from tiktokactions.collection import session

    return session.collect_run(
        on_disk(hashtags, "the list of hashtags"), on_disk(output, "collection.sqlite"), options, report, note
    )
