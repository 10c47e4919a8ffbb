"""The dataset card."""

from __future__ import annotations

import os

from tiktokactions.commands.dataset import Dataset
from tiktokactions.dataset.tables import write_card, write_statistics
from tiktokactions.files import Place


def dataset_card(dataset: str | os.PathLike[str]) -> Place:
    """Write the dataset card (``README.md`` in the dataset folder) from the same numbers; returns its path."""
    data = Dataset(dataset)
    with data.reading():
        return write_card(data, data.info, write_statistics(data))
