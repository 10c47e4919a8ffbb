"""Take-downs and compliance: what is gone from the platform, or was asked to go, goes from everything that we hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Artefact:
    """One kind of thing that is kept of videos. ``remove(folder, ids)`` takes it away and says how much there was.

    It must do nothing where nothing is left, raise :class:`tiktokactions.curate.removed.NotRemovedError` for files that it
    could not take away, and may be killed anywhere: it is called again.
    """

    name: str
    remove: Callable[[Path, frozenset[str]], int]


def dataset_artefacts() -> tuple[Artefact, ...]:
    """In the order in which they go: what needs a video's record before the records. A new kind is one line here."""
    from tiktokactions.dataset import removal

    return (
        Artefact("media", removal.remove_media),
        Artefact("clips", removal.remove_clips),
        Artefact("thumbnails", removal.remove_thumbnails),
        Artefact("splits", removal.remove_from_splits),
        Artefact("records", removal.remove_records),
        Artefact("manifest rows", removal.remove_rows),
    )
