"""Make a dataset again from its released ids."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, Passing, nothing, on_disk
from tiktokactions.curation.takedowns import WITHHELD, Dead, read_takedowns
from tiktokactions.dataset.assignments import Assignment
from tiktokactions.dataset.editing import Edit
from tiktokactions.dataset.info import read_info, resolve_options
from tiktokactions.errors import UsageError
from tiktokactions.files import all_records, holds_something, recorded
from tiktokactions.machine import utc_now
from tiktokactions.takedowns.derived import register
from tiktokactions.takedowns.folders import take_down_everywhere

if TYPE_CHECKING:
    from tiktokactions.releases.hydrate import Found, Hydrated, Released
    from tiktokactions.releases.media import MediaIndex
    from tiktokactions.reviews.decisions import Verdict


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
    from tiktokactions.releases import hydrate
    from tiktokactions.releases.media import MediaIndex
    from tiktokactions.verdicts.settle import settle_videos

    began = time.perf_counter()
    listing, folder = on_disk(ids, "a released list"), on_disk(output, "what hydrate writes")
    videos = on_disk(media, "the media of hydrate")
    if not videos.is_dir():
        raise UsageError(f"`media` {media}: no such folder; expected the videos, or a collection with its media")
    told, seen_by = hydrate.read_info_of_release(listing)
    sides = {n.video_id: Assignment(n.side) for n in hydrate.read_names(listing) if n.side}
    folder.mkdir(parents=True, exist_ok=True)
    info = read_info(folder)
    if info is None and holds_something(folder):
        raise UsageError(f"{folder}: not empty and not a dataset; choose a new or an empty folder")
    fresh = hydrate.info_of(told, folder, utc_now(), seen_by, told["versions"])
    if info is not None and (info.options, info.detector) != (fresh.options, fresh.detector):
        raise UsageError(f"{folder}: is a dataset with other settings; choose a new folder")
    register([listing, videos], folder, "dataset")
    with Dataset.new(folder, info or fresh).editing("hydrate") as edit, contextlib.ExitStack() as stack:
        if info is not None:
            _take_down(edit, listing)
        index = stack.enter_context(MediaIndex(videos))
        edit.begin()
        options = resolve_options(edit.info, {} if workers is None else {"workers": workers})
        dead = hydrate.keep_out(folder, listing, index)
        if index.want((n.platform_id, n.video_id) for n in hydrate.read_names(listing)):
            progress(f"reading the files in {media} whose names are no ids")
            index.read_the_others()
        hydrate.take_over_verdicts(folder, hydrate.verdicts_of(listing, dead))
        run = _Run(listing, index, dead)
        for item, outcome in hydrate.hydrate_all(run.found(), folder, options, seen_by.name):
            run.note(item, outcome)
            progress(f"{sum(run.counts.values())} of {run.listed} videos")
        hydrate.take_over_verdicts(folder, run.released)
        hydrate.write_sides(folder, {i: side for i, side in sides.items() if i not in dead})
        hydrate.write_missing(folder, run.missing)
        if run.to_settle:
            settle_videos(edit, run.to_settle)
            edit.manifest_fits = False  # of an earlier run's manifest it wrote only their rows again
    counts, seconds = run.counts, round(time.perf_counter() - began, 3)
    return hydrate.Hydrated(
        dataset=str(folder),
        listed=run.listed,
        rebuilt=counts["rebuilt"],
        curated_anew=counts["anew"],
        missing=len(run.missing),
        finished_before=counts["finished"],
        seconds=seconds,
        taken_down=run.taken_down,
    )


class _Run:
    """What became of every listed video."""

    def __init__(self, listing: Path, index: MediaIndex, dead: set[str]) -> None:
        self.listing, self.index, self.dead = listing, index, dead
        self.listed = self.taken_down = 0
        self.counts = {"rebuilt": 0, "anew": 0, "finished": 0}
        self.missing: list[tuple[str, str, str]] = []
        self.to_settle: list[str] = []
        """Videos whose evidence alone does not come to the verdict of the release."""
        self.released: list[Verdict] = []

    def found(self) -> Iterator[Found]:
        """Released videos with their files, one by one."""
        from tiktokactions.releases.hydrate import Found, read_ids

        for released in read_ids(self.listing):
            self.listed += 1
            name = released.named
            if self.dead & name.names:
                self.taken_down += 1
                continue
            path = self.index.named(name.platform_id, name.video_id) or self.index.with_bytes(name.sha256)
            if path is None:
                self._miss(released, "no file with its id or its bytes")
            else:
                yield Found(released, path)

    def note(self, item: Found, outcome: str) -> None:
        from tiktokactions.releases.hydrate import TO_SETTLE, released_verdict

        kind = outcome.removesuffix(TO_SETTLE)
        if kind not in self.counts:
            self._miss(item.released, outcome)
            return
        self.counts[kind] += 1
        if kind != outcome:
            record = item.released.record
            self.to_settle.append(record.video_id)
            if not item.released.is_decided and (verdict := released_verdict(record)) is not None:
                self.released.append(verdict)

    def _miss(self, released: Released, why: str) -> None:
        self.missing.append((released.named.video_id, released.record.status, why))


def _take_down(edit: Edit, listing: Path) -> None:
    """Take down what this dataset still holds of the publisher's take-downs."""
    dead = Dead(read_takedowns(listing.parent).values())
    held = set(recorded(edit.folder, dead.plain))
    if dead.sealed:
        held |= dead.among(
            name for record in all_records(edit.folder) for name in (record.video_id, record.source.id or "")
        )
    if held:
        take_down_everywhere(edit.folder, edit, [edit.folder.absolute()], sorted(held), WITHHELD)
