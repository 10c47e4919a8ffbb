"""Write the dataset card."""

from __future__ import annotations

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath
from tiktokactions.dataset.tables import write_card, write_statistics
from tiktokactions.files import Place


def dataset_card(dataset: AnyPath) -> Place:
    """Write the dataset card (README.md in the dataset) from newly counted numbers; returns its path.

    Args:
        dataset: a folder made by 'curate'.

    Example:
        tiktokactions dataset card data/
    """
    from tiktokactions.dataset.statistics import dataset_statistics

    data = Dataset(dataset)
    with data.reading():
        stats = dataset_statistics(data.manifest, data.options.min_person_frames)

        def write() -> None:
            write_statistics(data, stats)
            write_card(data, data.info, stats)

        data.offer(f"{data.folder}: README.md", write)
    return data.folder / "README.md"
