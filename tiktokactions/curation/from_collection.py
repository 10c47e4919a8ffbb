"""The videos of a collection, ready to be curated: downloaded files with hashtags, creator, sound and so on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tiktokactions.collection.download import described_row, media_files
from tiktokactions.collection.store import MEDIA, Collection
from tiktokactions.curation.listed import ListedVideo, describe
from tiktokactions.metadata.names import rank


def list_collection(folder: Path, files_below: Callable[[Path], Iterator[ListedVideo]]) -> Iterator[ListedVideo]:
    """Every file that ``download`` fetched or picked up, and every other file in ``media/``, named by its id.

    Labels are those of the collection's hashtags that the video carries. ``files_below`` lists a folder's files with what
    their sidecars say; for a file without a row in the collection nothing else is known.
    """
    with Collection(folder) as collection:
        listed: set[str] = set()
        for arrived in media_files(collection):
            if arrived.path.is_file():
                listed.add(str(arrived.path))
                yield listed_video(collection, arrived.video_id, arrived.path)
        for video in files_below(folder / MEDIA) if (folder / MEDIA).is_dir() else ():
            # What lies there beside no video belongs to one that was taken from elsewhere, or has been let go.
            if video.path not in listed and not rank(video.path):
                ids = dict.fromkeys((Path(video.path).name.partition(".")[0], video.about.id or ""))
                yield next(filter(None, (_from_row(collection, i, video.path) for i in ids)), video)


def _from_row(collection: Collection, video_id: str, path: str) -> ListedVideo | None:
    """A file with all that the collection knows about its video; None if that has no row."""
    row = collection.database.execute("SELECT raw FROM videos WHERE video_id=?", (video_id,)).fetchone()
    return describe(path, described_row(collection, video_id, json.loads(row[0]))) if row is not None else None


def listed_video(collection: Collection, video_id: str, path: Path) -> ListedVideo:
    """One downloaded file; of one without a row, only the id is known."""
    return _from_row(collection, video_id, str(path)) or describe(str(path), {"id": video_id})
