"""Sides for training and testing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.errors import disk_errors, usage_errors
from tiktokactions.dataset.opened import open_dataset
from tiktokactions.dataset.tables import up_to_date_manifest, write_card, write_statistics
from tiktokactions.options import checked_options

if TYPE_CHECKING:
    from tiktokactions.splits.sides import SplitReport


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
