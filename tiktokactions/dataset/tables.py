"""What a dataset says of itself: statistics, figures, card and Croissant, written from its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.files import Place

if TYPE_CHECKING:
    from tiktokactions.dataset.dataset import Dataset
    from tiktokactions.dataset.info import DatasetInfo
    from tiktokactions.dataset.statistics import Statistics


def write_statistics(dataset: Dataset, stats: Statistics) -> None:
    """``stats.json`` and ``figures/``."""
    import msgspec

    from tiktokactions.dataset.figures import draw_figures
    from tiktokactions.files import write_atomic

    data = msgspec.json.format(msgspec.json.encode(stats), indent=2) + b"\n"
    write_atomic(dataset.folder / "stats.json", data)
    draw_figures(dataset.folder, stats)


def write_card(dataset: Dataset, info: DatasetInfo, stats: Statistics) -> Place:
    """``README.md`` for people and ``croissant.json`` for machines, from the same numbers; returns the first."""
    from tiktokactions.dataset.card import dataset_card, leaks_section
    from tiktokactions.dataset.croissant import croissant_text
    from tiktokactions.dataset.publisher import read_publisher
    from tiktokactions.files import write_atomic

    path = dataset.folder / "README.md"
    leaks = leaks_section(dataset.folder)
    write_atomic(path, dataset_card(stats, info, read_publisher(dataset.folder), leaks).encode())
    write_atomic(dataset.folder / "croissant.json", croissant_text(dataset.folder, info, stats).encode())
    return path
