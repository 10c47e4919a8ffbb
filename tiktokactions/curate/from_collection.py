"""The videos of a collection as things to curate: downloaded files with their hashtags, creator, sound and the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tiktokactions.collect.download import described_row, media_files
from tiktokactions.collect.store import Collection
from tiktokactions.curate.sources import ListedVideo, describe


def list_collection(folder: Path) -> Iterator[ListedVideo]:
    """Every file that ``download`` brought or picked up and that is still there, by id.

    Labels are the collection's own hashtags that the video carries.
    """
    with Collection(folder) as collection:
        for arrived in media_files(collection):
            if arrived.path.is_file():
                yield listed_video(collection, arrived.video_id, arrived.path)


def listed_video(collection: Collection, video_id: str, path: Path) -> ListedVideo:
    """One downloaded file with everything that the collection knows of it."""
    row = collection.database.execute("SELECT raw FROM videos WHERE video_id=?", (video_id,)).fetchone()
    raw = json.loads(row[0]) if row is not None else {}
    return describe(str(path), described_row(collection, video_id, raw) if row is not None else {"id": video_id})
