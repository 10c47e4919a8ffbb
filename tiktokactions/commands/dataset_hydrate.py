"""Make a dataset again from its released ids."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, Passing, nothing, on_disk
from tiktokactions.dataset.info import read_info, resolve_options
from tiktokactions.errors import UsageError
from tiktokactions.machine import utc_now

if TYPE_CHECKING:
    from tiktokactions.release.hydrate import Hydrated


def dataset_hydrate(
    ids: AnyPath, output: AnyPath, *, media: AnyPath, workers: int | None = None, progress: Passing = nothing
) -> Hydrated:
    """Make a dataset again from its released ids, where its videos are at hand.

    Args:
        ids: ``ids.csv`` written by 'dataset export' in the format 'ids'; ``ids.json`` lies beside it.
        output: the dataset; the same command continues in it.
        media: a folder of videos, or a collection; files are found by the id in their name, else by their bytes.
        workers: processes (default: one per core).
        progress: receives a line now and then.

    Raises:
        UsageError: a list that cannot be read, no such folder, or an output that holds another dataset.

    Example:
        tiktokactions dataset hydrate released/ids.csv --media videos/ -o hydrated/
    """
    from tiktokactions.release import hydrate

    began = time.perf_counter()
    listing, folder = on_disk(ids, "a released list"), on_disk(output, "what hydrate writes")
    videos = on_disk(media, "the media of hydrate")
    if not videos.is_dir():
        raise UsageError(f"`media` {media}: no such folder; expected the videos, or a collection with its media")
    told, seen_by = hydrate.read_info_of_release(listing)
    released = list(hydrate.read_ids(listing))
    folder.mkdir(parents=True, exist_ok=True)
    info = read_info(folder)
    if info is None and any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise UsageError(f"{folder}: not empty and not a dataset; choose a new or an empty folder")
    fresh = hydrate.info_of(told, folder, utc_now(), seen_by, told["versions"])
    if info is not None and (info.options, info.detector) != (fresh.options, fresh.detector):
        raise UsageError(f"{folder}: is a dataset with other settings; choose a new folder")
    with Dataset.new(folder, info or fresh).editing("hydrate") as edit:
        edit.begin()
        options = resolve_options(edit.info, {} if workers is None else {"workers": workers})
        found, gone = hydrate.find_media(released, videos)
        progress(f"{len(found)} of {len(released)} videos found in {media}")
        counts = {"rebuilt": 0, "anew": 0, "finished": 0}
        missing = [(r.record.video_id, r.record.status, "no file with its id or its bytes") for r in gone]
        for item, outcome in hydrate.hydrate_all(found, folder, options, seen_by.name):
            if outcome in counts:
                counts[outcome] += 1
            else:
                missing.append((item.released.record.video_id, item.released.record.status, outcome))
            progress(f"{sum(counts.values())} of {len(found)} videos")
        hydrate.write_sides(folder, released)
        hydrate.write_missing(folder, missing)
    seconds, sums = round(time.perf_counter() - began, 3), (counts["rebuilt"], counts["anew"], len(missing))
    return hydrate.Hydrated(str(folder), len(released), *sums, counts["finished"], seconds)
