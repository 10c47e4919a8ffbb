"""A take-down in a dataset's reviews: nothing of the videos is left in what the review keeps."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from tiktokactions.curation.options import CurateOptions
from tiktokactions.files import Place, local_path
from tiktokactions.reviews.guide import guide_of
from tiktokactions.reviews.index import forget, index_path, open_index
from tiktokactions.reviews.store import Store, store_path


def take_down_reviews(place: Place, ids: Iterable[str]) -> int:
    """Forget videos: every row about them, overwritten on disk. Returns how many videos had any.

    The derived index forgets them too. A dataset without reviews is left without.
    """
    dataset = local_path(place)
    if dataset is None:  # reviews live on a disk
        return 0
    wanted = sorted(set(ids))
    _forget_in_index(dataset, wanted)
    if not store_path(dataset).exists():
        return 0
    removed: set[str] = set()
    with closing(Store(dataset)) as store:
        with store.database.write() as connection:
            for video_id in wanted:
                # Undo rows point at the rows they take back, and are about the same video.
                for table in ("decisions", "gold", "sampled", "verdicts", "flags"):
                    if connection.execute(f"DELETE FROM {table} WHERE video_id=?", (video_id,)).rowcount:
                        removed.add(video_id)
        guide_of(store, None, None, lambda video_id: video_id not in wanted)
        with store.database.connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(removed)


def _forget_in_index(dataset: Path, video_ids: Sequence[str]) -> None:
    """Take videos out of the index of a dataset, where it has one; and every proxy, whose names do not tell of which video
    they are."""
    shutil.rmtree(dataset / ".review" / "proxies", ignore_errors=True)
    if not index_path(dataset).exists():
        return
    with closing(open_index(dataset, CurateOptions())) as index, index.database.connection() as connection:
        forget(index, video_ids)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
