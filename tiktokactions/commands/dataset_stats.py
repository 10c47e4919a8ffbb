"""Count a dataset and draw its figures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.dataset.tables import write_statistics

if TYPE_CHECKING:
    from tiktokactions.dataset.statistics import Statistics


def dataset_stats(dataset: str | os.PathLike[str]) -> Statistics:
    """Count a dataset and draw its figures: writes ``stats.json`` and ``figures/``, returns the numbers.

    Where a run was interrupted the manifest is written anew from the records first.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    data = Dataset(dataset)
    with data.reading():
        return write_statistics(data)
