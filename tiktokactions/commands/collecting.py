"""Metadata of videos by hashtag."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import on_disk

if TYPE_CHECKING:
    from tiktokactions.collection.plan import Estimate
    from tiktokactions.collection.session import CollectionStatus, CollectOptions, CollectResult, Imported


def collect_plan(hashtags: str | os.PathLike[str], options: CollectOptions) -> tuple[Estimate, str]:
    """Requests, days and records of a collection, and what had to be changed about its period. Nothing is sent."""
    from tiktokactions.collection import session

    return session.collect_plan(on_disk(hashtags, "the list of hashtags"), options)


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


def collect_status(collection: str | os.PathLike[str]) -> CollectionStatus:
    """What a collection holds, what is missing and why, and when its refresh is due."""
    from tiktokactions.collection import session

    return session.collect_status(on_disk(collection, "collection.sqlite"))


def collect_import(
    file: str | os.PathLike[str], output: str | os.PathLike[str], *, hash_creators: bool = False
) -> Imported:
    """Metadata from JSON lines or CSV, so that everything after collecting works without a key."""
    from tiktokactions.collection import session

    return session.collect_import(on_disk(file, "metadata"), on_disk(output, "collection.sqlite"), hash_creators)


def collect_export(
    collection: str | os.PathLike[str], output: str | os.PathLike[str], *, plain_creators: bool = False
) -> int:
    """The collection as JSON lines, creators hashed unless ``plain_creators``; how many videos."""
    from tiktokactions.collection import session

    return session.collect_export(
        on_disk(collection, "collection.sqlite"), on_disk(output, "an export"), plain_creators
    )
