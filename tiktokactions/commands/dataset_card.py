"""Write the dataset card."""

from __future__ import annotations

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath
from tiktokactions.dataset.tables import write_card, write_statistics
from tiktokactions.files import Place, noted_changes, update_sums


def dataset_card(dataset: AnyPath) -> Place:
    """Write the dataset card (README.md in the dataset) from newly counted numbers; returns its path.

    Args:
        dataset: a folder made by 'curate'.

    Example:
        tiktokactions dataset card data/
    """
    data = Dataset(dataset)
    with data.reading(), noted_changes(data.folder) as notes:
        card = write_card(data, data.info, write_statistics(data))
        update_sums(data.folder, notes.sha256)
    return card
