"""What is done with a dataset once it is there: statistics, sides, card, verification."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.errors import checked_options, disk_errors, on_disk, usage_errors
from tiktokactions.dataset.tables import up_to_date_manifest, write_card, write_statistics
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.dataset.statistics import Statistics
    from tiktokactions.splits.foreign import ForeignCheck
    from tiktokactions.splits.sides import SplitReport
    from tiktokactions.verdicts.verify import Verification


def dataset_stats(dataset: str | os.PathLike[str]) -> Statistics:
    """Count a dataset and draw its figures: writes ``stats.json`` and ``figures/``, returns the numbers.

    Where a run was interrupted the manifest is written anew from the records first.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.files import dataset_lock

    folder, info, settings = open_dataset(dataset)
    with dataset_lock(folder), disk_errors(folder):
        up_to_date_manifest(folder, info, settings)
        return write_statistics(folder, settings)


def dataset_split(dataset: str | os.PathLike[str], **options: Any) -> SplitReport:
    """Give every accepted clip a side for training or testing, free of leaks; sides once given never change.

    Args:
        dataset: a folder made by :func:`curate`.
        **options: any field of :class:`tiktokactions.splits.sides.SplitOptions`.

    Raises:
        UsageError: not a dataset folder, no clips, or shares that do not fit.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.files import dataset_lock
    from tiktokactions.splits.options import SplitOptions
    from tiktokactions.splits.sides import split_dataset

    given = checked_options(SplitOptions, options)
    folder, info, settings = open_dataset(dataset, whole=True)
    with dataset_lock(folder), disk_errors(folder), usage_errors():
        up_to_date_manifest(folder, info, settings)
        report = split_dataset(folder, given, settings)
        write_card(folder, info, write_statistics(folder, settings))  # both tell the sides
        return report


def dataset_check_against(
    dataset: str | os.PathLike[str], foreign: Sequence[str], *, media: str | os.PathLike[str] | None = None
) -> ForeignCheck:
    """Look for what a split dataset trains on among foreign videos, for example the test clips of UCF101.

    Args:
        dataset: a folder made by :func:`curate`, split.
        foreign: files, folders, globs, or lists of paths: ``.txt`` (UCF101's ``testlist01.txt`` too) and ``.csv``.
        media: folder of the videos that lists name (default: the list's own, or UCF101's beside it).

    Raises:
        UsageError: not a dataset folder, not split, or no videos.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.assignments import read_assignments
    from tiktokactions.files import dataset_lock
    from tiktokactions.splits.foreign import check_against

    folder, _, settings = open_dataset(dataset, whole=True)
    sides = {video_id: given.side for video_id, given in read_assignments(folder).items()}
    if not sides:
        raise UsageError(f"{folder}: not split yet, so it has no train side; run: tiktokactions dataset split {folder}")
    with dataset_lock(folder), disk_errors(folder), usage_errors():
        return check_against(
            folder, list(foreign), sides, settings, None if media is None else on_disk(media, "--media")
        )


def dataset_card(dataset: str | os.PathLike[str]) -> Path:
    """Write the dataset card (``README.md`` in the dataset folder) from the same numbers; returns its path."""
    folder, info, _ = open_dataset(dataset)
    return write_card(folder, info, dataset_stats(folder))


def dataset_verify(dataset: str | os.PathLike[str], *, repair: bool = False) -> Verification:
    """Check every record, clip and file of a dataset; with ``repair`` cut again or remove what is wrong.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.history import next_version
    from tiktokactions.dataset.info import write_info
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.files import all_records, dataset_lock
    from tiktokactions.verdicts.verify import repair_dataset, verify_dataset

    folder, info, settings = open_dataset(dataset, whole=True)
    with dataset_lock(folder), disk_errors(folder):
        found = verify_dataset(folder)
        if not repair or not found.problems:
            return found
        repaired = repair_dataset(folder, found, settings)
        write_manifest(folder, all_records(folder), settings)
        info = next_version(folder, info)
        write_card(folder, info, write_statistics(folder, settings))
        write_info(folder, info)
        return repaired


def open_dataset(dataset: str | os.PathLike[str], *, whole: bool = False) -> tuple[Path, Any, CurateOptions]:
    """Folder, ``dataset.json`` and settings of a dataset or, unless it must be a ``whole`` one, a subset."""
    from tiktokactions.dataset.info import read_info, resolve_options
    from tiktokactions.files import located

    folder = located(dataset)
    info = read_info(folder)
    if info is None:
        raise UsageError(f"{folder}: no dataset.json there; expected a folder made by 'tiktokactions curate'")
    if whole:
        refuse_subset(folder)
    return folder, info, resolve_options(info, {})


def refuse_subset(folder: Path) -> None:
    from tiktokactions.dataset.subset_mark import is_subset, parent_of

    if is_subset(folder):
        raise UsageError(
            f"{folder}: is a subset, whose clips and records belong to {parent_of(folder).resolve()};"
            " give that dataset, and take the subset again"
        )
