"""Count a dataset and draw its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath
from tiktokactions.dataset.tables import write_statistics

if TYPE_CHECKING:
    from tiktokactions.dataset.statistics import Statistics


def dataset_stats(dataset: AnyPath) -> Statistics:
    """Count a dataset and draw its figures: writes stats.json and figures/, returns the numbers.

    While a run changes the dataset, or after one was interrupted, its last settled version is counted and nothing is written.

    Args:
        dataset: a folder made by 'curate'.

    Raises:
        UsageError: not a dataset folder, or no version of it is settled yet.

    Example:
        tiktokactions dataset stats data/
    """
    from tiktokactions.dataset.statistics import dataset_statistics

    data = Dataset(dataset)
    with data.reading():
        stats = dataset_statistics(data.manifest, data.options.min_person_frames)
        data.offer(f"{data.folder}: stats.json and figures", lambda: write_statistics(data, stats))
    return stats
