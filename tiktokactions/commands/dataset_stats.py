"""Count a dataset and draw its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath
from tiktokactions.dataset.tables import write_statistics
from tiktokactions.files import noted_changes, update_sums

if TYPE_CHECKING:
    from tiktokactions.dataset.statistics import Statistics


def dataset_stats(dataset: AnyPath) -> Statistics:
    """Count a dataset and draw its figures: writes stats.json and figures/, returns the numbers.

    Where a run was interrupted, the manifest is first written again from the records.

    Args:
        dataset: a folder made by 'curate'.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.

    Example:
        tiktokactions dataset stats data/
    """
    data = Dataset(dataset)
    with data.reading(), noted_changes(data.folder) as notes:
        stats = write_statistics(data)
        update_sums(data.folder, notes.sha256)
    return stats
