"""What is done with a dataset once it is there: statistics, sides, card, verification."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.api.errors import UsageError, checked_options, disk_errors, usage_errors

if TYPE_CHECKING:
    from tiktokactions.curate.options import CurateOptions
    from tiktokactions.dataset.splits import SplitReport
    from tiktokactions.dataset.statistics import Statistics
    from tiktokactions.dataset.verify import Verification


def dataset_stats(dataset: str | os.PathLike[str]) -> Statistics:
    """Count a dataset and draw its figures: writes ``stats.json`` and ``figures/``, returns the numbers.

    Where a run was interrupted the manifest is written anew from the records first.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.dataset.settle import all_records
    from tiktokactions.files import dataset_lock

    folder, info, settings = open_dataset(dataset)
    with dataset_lock(folder), disk_errors(folder):
        if not info.settled or not (folder / "manifest.parquet").exists():
            write_manifest(folder, all_records(folder), settings)
        return write_statistics(folder, settings)


def dataset_split(dataset: str | os.PathLike[str], **options: Any) -> SplitReport:
    """Give every accepted clip a side for training or testing, free of leaks; sides once given never change.

    Args:
        dataset: a folder made by :func:`curate`.
        **options: any field of :class:`tiktokactions.dataset.splits.SplitOptions`.

    Raises:
        UsageError: not a dataset folder, no clips, or shares that do not fit.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.dataset.settle import all_records
    from tiktokactions.dataset.split_options import SplitOptions
    from tiktokactions.dataset.splits import split_dataset
    from tiktokactions.files import dataset_lock

    given = checked_options(SplitOptions, options)
    folder, info, settings = open_dataset(dataset)
    with dataset_lock(folder), disk_errors(folder), usage_errors():
        if not info.settled or not (folder / "manifest.parquet").exists():
            write_manifest(folder, all_records(folder), settings)
        return split_dataset(folder, given, settings)


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
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.dataset.settle import all_records
    from tiktokactions.dataset.verify import repair_dataset, verify_dataset
    from tiktokactions.files import dataset_lock

    folder, info, settings = open_dataset(dataset)
    with dataset_lock(folder), disk_errors(folder):
        found = verify_dataset(folder)
        if not repair or not found.problems:
            return found
        repaired = repair_dataset(folder, found, settings)
        write_manifest(folder, all_records(folder), settings)
        write_card(folder, info, write_statistics(folder, settings))
        return repaired


def open_dataset(dataset: str | os.PathLike[str]) -> tuple[Path, Any, CurateOptions]:
    from tiktokactions.dataset.info import read_info, resolve_options
    from tiktokactions.files import located

    folder = located(dataset)
    info = read_info(folder)
    if info is None:
        raise UsageError(f"{folder}: no dataset.json there; expected a folder made by 'tiktokactions curate'")
    return folder, info, resolve_options(info, {})


def write_statistics(dataset: Path, settings: CurateOptions) -> Statistics:
    import msgspec

    from tiktokactions.dataset.figures import draw_figures
    from tiktokactions.dataset.statistics import dataset_statistics
    from tiktokactions.files import write_atomic

    stats = dataset_statistics(dataset / "manifest.parquet", settings.min_person_frames)
    data = msgspec.json.format(msgspec.json.encode(stats), indent=2) + b"\n"
    write_atomic(dataset / "stats.json", data)
    draw_figures(dataset, stats)
    return stats


def write_card(dataset: Path, info: Any, stats: Statistics) -> Path:
    from tiktokactions.dataset.card import dataset_card
    from tiktokactions.files import write_atomic
    from tiktokactions.records import to_builtins

    path = dataset / "README.md"
    write_atomic(path, dataset_card(stats, to_builtins(info)).encode())
    return path
