"""Make what people decided part of the dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, Kept, nothing, on_disk
from tiktokactions.curation.resume import Checkpoint
from tiktokactions.dataset import dataset as noun
from tiktokactions.dataset.editing import Edit
from tiktokactions.errors import UsageError
from tiktokactions.files import DatasetBusyError, Place, records_of
from tiktokactions.records import REASONS, JsonObject
from tiktokactions.reviews.decisions import RELEASED, Verdict
from tiktokactions.reviews.options import METHODS, Method
from tiktokactions.reviews.store import Store, set_setting, setting, store_path

if TYPE_CHECKING:
    from tiktokactions.verdicts.settle import Settled


@dataclass(frozen=True)
class ReviewApplied:
    """What applying the decisions did; counts by status are of the whole dataset."""

    dataset: str
    method: str
    verdicts: int = 0
    """Videos on which people came to a verdict."""
    changed: int = 0
    """Of them, new or other than when it was last applied; those taken back count too."""
    conflicts: int = 0
    """Videos over which people disagree: nothing was done with them."""
    accepted: int = 0
    needs_review: int = 0
    rejected: int = 0
    cut: int = 0
    """Clips cut anew."""
    removed: int = 0
    """Clips of rejected videos that were deleted; they can be cut again from their sources."""
    problems: dict[str, str] = field(default_factory=dict)
    """Videos that people accepted and that could not be: why."""
    seconds: float = 0.0


def review_apply(
    dataset: AnyPath, *, aggregate: Method | None = None, watch: bool = False, report: Kept = nothing
) -> ReviewApplied:
    """Turn what people decided into statuses, labels and clips.

    Where nothing new was decided, nothing is written.

    Args:
        dataset: a folder made by 'curate'.
        aggregate: how several judgements become one (default: as the last time, at first ``majority``).
        watch: go on applying new decisions until interrupted.
        report: told what happens.

    Raises:
        UsageError: not a dataset folder, or an unknown method.
        DatasetBusyError: a run is writing to it.
        DiskFullError: no space left; the same command continues.

    Example:
        tiktokactions review apply data/
    """
    if watch:
        watch_reviews(dataset, aggregate, report=report)
    began = time.perf_counter()
    if aggregate is not None and aggregate not in METHODS:
        raise UsageError(f"`aggregate`: got {aggregate!r}, expected one of {', '.join(METHODS)}")
    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    method: Method = aggregate or "majority"
    if not store_path(data.folder).exists():
        if not data.manifest.exists():
            raise UsageError(f"{data.folder}: no manifest.parquet there; run 'curate' to its end first")
        return ReviewApplied(str(data.folder), method, **data.counts, problems={}, seconds=_since(began))
    with data.editing("review apply") as edit, closing(Store(data.folder)) as store:
        method = aggregate if aggregate is not None else setting(store, "aggregate", method)
        if aggregate is not None:
            set_setting(store, "aggregate", aggregate)
        applied = _apply(edit, store, method, report)
    return replace(applied, seconds=_since(began))


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)


def watch_reviews(
    dataset: AnyPath, aggregate: Method | None = None, *, every_s: float = 10.0, report: Kept = nothing
) -> NoReturn:
    """Apply decisions whenever there are new ones, until interrupted."""
    report("watching for decisions; Ctrl-C ends it")
    while True:
        try:
            done = review_apply(dataset, aggregate=aggregate, report=report)
            if done.changed:
                report(f"{done.changed} verdicts applied, {done.cut} clips cut, {done.conflicts} conflicts open")
        except DatasetBusyError as error:
            report(f"waiting: {error}")
        time.sleep(every_s)


def _apply(edit: Edit, store: Store, method: Method, report: Callable[[str], None]) -> ReviewApplied:
    from tiktokactions.reviews.aggregate import aggregate
    from tiktokactions.verdicts.decided import applied_verdicts
    from tiktokactions.verdicts.settle import Settled

    folder = edit.folder
    before = applied_verdicts(folder)
    found = aggregate(store, method, report, before)
    verdicts = found.verdicts
    changed = {i: verdict for i, verdict in verdicts.items() if verdict != before.get(i)}
    # Nobody here has judged those of a release: there is nothing to take back.
    gone = sorted(i for i in set(before) - set(verdicts) if before[i].method != RELEASED)
    removed = 0
    if changed or gone or not edit.was_settled or _sources_came_back(edit.dataset, verdicts):
        report(f"{len(changed) + len(gone)} verdicts are new")
        clips = _clips(folder, [*changed, *gone])
        settled = _settle(edit, store, changed, gone, report)
        removed = sum(path is not None and not (folder / path).exists() for path in clips.values())
    else:
        settled = Settled(edit.dataset.counts, 0, {})
    return ReviewApplied(
        dataset=str(folder),
        method=method,
        verdicts=len(verdicts),
        changed=len(changed) + len(gone),
        conflicts=len(found.conflicts),
        **settled.counts,
        cut=settled.cut,
        removed=removed,
        problems=_not_accepted(edit.dataset, verdicts) | dict(settled.uncut),
    )


def _settle(
    edit: Edit, store: Store, changed: Mapping[str, Verdict], gone: Sequence[str], report: Callable[[str], None]
) -> Settled:
    """Put the verdicts in force and settle the videos they are about; all videos if a run was interrupted before."""
    from tiktokactions.verdicts.decided import write_verdicts
    from tiktokactions.verdicts.settle import settle, settle_videos

    edit.begin()
    write_verdicts(store, changed, gone)
    report("settling what people decided, cutting clips")
    ids = [*changed, *gone]
    settled = settle_videos(edit, ids) if ids and edit.was_settled else settle(edit, Checkpoint())
    report("writing statistics, figures and card")
    return settled


def _clips(folder: Place, video_ids: Sequence[str]) -> dict[str, str | None]:
    records = list(records_of(folder, video_ids))
    return {record.video_id: record.clip.path if record.clip is not None else None for record in records}


def _not_accepted(data: noun.Dataset, verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Videos that people accepted and that are not, with what stands in the way."""
    wanted = {i for i, verdict in verdicts.items() if verdict.verdict == "accept"}
    problems = {}
    for row in _rows_of(data, wanted):
        wanted.discard(row["video_id"])
        if row["status"] != "accepted":
            reasons = [f"{reason}: {REASONS[reason.partition(':')[0]]}" for reason in row["reasons"]]
            problems[row["video_id"]] = f"people accepted it, but it stays {row['status']} ({'; '.join(reasons)})"
    return problems | dict.fromkeys(wanted, "people accepted it, but it is not in the dataset")


def _sources_came_back(data: noun.Dataset, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether a clip that could not be cut for want of its source can be cut now."""
    from tiktokactions.verdicts.settle import unchanged_source

    return any(
        "source_missing" in row["reasons"] and unchanged_source(data.record(row["video_id"])) is not None
        for row in _rows_of(data, set(verdicts))
    )


def _rows_of(data: noun.Dataset, video_ids: set[str]) -> Iterator[JsonObject]:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(video_ids), pa.string())
    for batch in data.batches(["video_id", "status", "reasons"]) if video_ids and data.manifest.exists() else ():
        yield from batch.filter(pc.is_in(batch["video_id"], value_set=wanted)).to_pylist()
