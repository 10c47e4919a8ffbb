"""The dataset card."""

from __future__ import annotations

import os
from pathlib import Path

from tiktokactions.commands.dataset_stats import dataset_stats
from tiktokactions.dataset.opened import open_dataset
from tiktokactions.dataset.tables import write_card


def dataset_card(dataset: str | os.PathLike[str]) -> Path:
    """Write the dataset card (``README.md`` in the dataset folder) from the same numbers; returns its path."""
    folder, info, _ = open_dataset(dataset)
    return write_card(folder, info, dataset_stats(folder))
