"""What people decided becomes part of the dataset."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.errors import disk_errors, on_disk, usage_errors
from tiktokactions.dataset.opened import open_dataset
from tiktokactions.dataset.tables import write_card, write_statistics
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.reviews.aggregate import Verdict
    from tiktokactions.reviews.store import Store


Report = Callable[[str], None]


@dataclass(frozen=True)
class ReviewApplied:
    """What applying the decisions did; counts by status are of the whole dataset."""

    dataset: str
    method: str
    verdicts: int
    """Videos on which people came to a verdict."""
    changed: int
    """Of them, new or other than when it was last applied; those taken back count too."""
    conflicts: int
    """Videos over which people disagree: nothing was done with them."""
    accepted: int
    needs_review: int
    rejected: int
    cut: int
    """Clips cut anew."""
    removed: int
    """Clips of rejected videos that were deleted; they can be cut again from their sources."""
    problems: dict[str, str]
    """Videos that people accepted and that could not be: why."""
    seconds: float


def review_apply(
    dataset: str | os.PathLike[str], *, aggregate: str | None = None, report: Report = lambda text: None
) -> ReviewApplied:
    """Turn what people decided into statuses and labels, and cut the clips that this asks for. Idempotent: where nothing
    new was decided nothing is written.

    Args:
        dataset: a folder made by :func:`curate`.
        aggregate: ``majority``, ``dawid-skene``, ``mace`` or ``glad``; None: as the last time, at first majority.
        report: told what happens.

    Raises:
        UsageError: not a dataset folder, or an unknown method.
        DatasetBusyError: a run is writing to it.
        DiskFullError: no space left; the same command continues.
    """
    from tiktokactions.files import dataset_lock
    from tiktokactions.reviews.aggregate import METHODS
    from tiktokactions.reviews.store import Store, set_setting, setting, store_path

    began = time.perf_counter()
    if aggregate is not None and aggregate not in METHODS:
        raise UsageError(f"--aggregate: got {aggregate!r}, expected one of {', '.join(METHODS)}")
    folder, _, _ = open_dataset(on_disk(dataset, "reviews.sqlite"))
    if not store_path(folder).exists():
        return _nothing_decided(folder, aggregate or "majority", began)
    with usage_errors(), dataset_lock(folder), disk_errors(folder):
        store = Store(folder)
        try:
            method = aggregate or setting(store, "aggregate", "majority")
            if aggregate is not None:
                set_setting(store, "aggregate", aggregate)
            return _apply(folder, store, method, report, began)
        finally:
            store.close()


def _nothing_decided(folder: Path, method: str, began: float) -> ReviewApplied:
    from tiktokactions.dataset.manifest import count_by_status

    if not (folder / "manifest.parquet").exists():
        raise UsageError(f"{folder}: no manifest.parquet there; run 'curate' to its end first")
    counts = count_by_status(folder / "manifest.parquet")
    seconds = round(time.perf_counter() - began, 3)
    return ReviewApplied(str(folder), method, 0, 0, 0, **counts, cut=0, removed=0, problems={}, seconds=seconds)


def _apply(folder: Path, store: Store, method: Any, report: Report, began: float) -> ReviewApplied:
    from tiktokactions.dataset.manifest import count_by_status
    from tiktokactions.reviews.aggregate import aggregate
    from tiktokactions.verdicts.decided import applied_verdicts
    from tiktokactions.verdicts.settle import Settled

    # Read under the lock: another run may have settled the dataset in the meantime.
    _, info, settings = open_dataset(folder)
    found, before = aggregate(store, method, report), applied_verdicts(folder)
    verdicts = found.verdicts
    changed = {i: verdict for i, verdict in verdicts.items() if verdict != before.get(i)}
    gone = sorted(set(before) - set(verdicts))
    manifest = folder / "manifest.parquet"
    removed = 0
    if changed or gone or not info.settled or not manifest.exists() or _sources_came_back(folder, verdicts):
        report(f"{len(changed) + len(gone)} verdicts are new")
        clips = _clips(folder, [*changed, *gone])
        settled = _settle(folder, info, settings, store, changed, gone, report)
        removed = sum(path is not None and not (folder / path).exists() for path in clips.values())
    else:
        settled = Settled(count_by_status(manifest), 0, {})
    return ReviewApplied(
        dataset=str(folder),
        method=method,
        verdicts=len(verdicts),
        changed=len(changed) + len(gone),
        conflicts=len(found.conflicts),
        **settled.counts,
        cut=settled.cut,
        removed=removed,
        problems=_not_accepted(folder, verdicts) | dict(settled.uncut),
        seconds=round(time.perf_counter() - began, 3),
    )


def _settle(
    folder: Path,
    info: Any,
    settings: CurateOptions,
    store: Store,
    changed: Mapping[str, Verdict],
    gone: Sequence[str],
    report: Report,
) -> Any:
    """Put the verdicts in force, settle the videos they are about, and bring the tables up to date.

    ``dataset.json`` says ``settled: false`` meanwhile: whatever is interrupted is done in full by the next run.
    """
    from tiktokactions.curation.resume import Plan
    from tiktokactions.dataset.history import next_version
    from tiktokactions.dataset.info import now, write_info
    from tiktokactions.verdicts.decided import write_verdicts
    from tiktokactions.verdicts.settle import settle, settle_videos

    whole = not info.settled or not (folder / "manifest.parquet").exists() or not (changed or gone)
    info = replace(info, settled=False, updated=now())
    write_info(folder, info)
    write_verdicts(store, changed, gone)
    report("settling what people decided, cutting clips")
    settled = settle(folder, settings, Plan()) if whole else settle_videos(folder, settings, [*changed, *gone])
    report("writing statistics, figures and card")
    info = next_version(folder, info)
    write_card(folder, info, write_statistics(folder, settings))
    write_info(folder, replace(info, settled=True))
    return settled


def _clips(folder: Path, video_ids: Sequence[str]) -> dict[str, str | None]:
    from tiktokactions.files import read_record, record_path

    found: dict[str, str | None] = {}
    for path in (record_path(folder, video_id) for video_id in video_ids):
        if path.exists():
            record = read_record(path)
            found[record.video_id] = record.clip.path if record.clip is not None else None
    return found


def _not_accepted(folder: Path, verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Videos that people accepted and that are not, with what stands in the way."""
    from tiktokactions.records import REASONS

    wanted = {i for i, verdict in verdicts.items() if verdict.verdict == "accept"}
    problems = {}
    for row in _rows_of(folder, wanted):
        wanted.discard(row["video_id"])
        if row["status"] != "accepted":
            reasons = [f"{reason}: {REASONS[reason.partition(':')[0]]}" for reason in row["reasons"]]
            problems[row["video_id"]] = f"people accepted it, but it stays {row['status']} ({'; '.join(reasons)})"
    return problems | dict.fromkeys(wanted, "people accepted it, but it is not in the dataset")


def _sources_came_back(folder: Path, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether a clip that could not be cut for want of its source can be cut now."""
    from tiktokactions.files import read_record, record_path
    from tiktokactions.verdicts.settle import unchanged_source

    return any(
        "source_missing" in row["reasons"]
        and unchanged_source(read_record(record_path(folder, row["video_id"]))) is not None
        for row in _rows_of(folder, set(verdicts))
    )


def _rows_of(folder: Path, video_ids: set[str]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    manifest = folder / "manifest.parquet"
    if not video_ids or not manifest.exists():
        return []
    table = pq.read_table(manifest, columns=["video_id", "status", "reasons"])
    return table.filter(pc.is_in(table["video_id"], value_set=pa.array(sorted(video_ids)))).to_pylist()
