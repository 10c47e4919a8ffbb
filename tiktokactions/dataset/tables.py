"""What a dataset says of itself: statistics, figures, card and Croissant, written from its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.files import Place

if TYPE_CHECKING:
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.dataset.dataset import Dataset
    from tiktokactions.dataset.info import DatasetInfo
    from tiktokactions.dataset.statistics import Statistics


def write_statistics(dataset: Dataset, settings: CurateOptions | None = None) -> Statistics:
    """``stats.json`` and ``figures/``; ``settings``: other ones than those that the dataset was made with until now."""
    import msgspec

    from tiktokactions.dataset.figures import draw_figures
    from tiktokactions.dataset.statistics import dataset_statistics
    from tiktokactions.files import write_atomic

    stats = dataset_statistics(dataset.manifest, (settings or dataset.options).min_person_frames)
    data = msgspec.json.format(msgspec.json.encode(stats), indent=2) + b"\n"
    write_atomic(dataset.folder / "stats.json", data)
    draw_figures(dataset.folder, stats)
    return stats


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
