"""Count a dataset and draw its figures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import disk_errors
from tiktokactions.dataset.opened import open_dataset
from tiktokactions.dataset.tables import up_to_date_manifest, write_statistics

if TYPE_CHECKING:
    from tiktokactions.dataset.statistics import Statistics


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
