"""What a dataset says of itself: manifest, statistics, figures, card and Croissant, written from its records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.dataset.statistics import Statistics


def up_to_date_manifest(folder: Path, info: Any, settings: CurateOptions) -> None:
    """Where a run was interrupted the manifest is written anew from the records."""
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.files import all_records

    if not info.settled or not (folder / "manifest.parquet").exists():
        write_manifest(folder, all_records(folder), settings)


def write_statistics(dataset: Path, settings: CurateOptions) -> Statistics:
    import msgspec

    from tiktokactions.dataset.figures import draw_figures
    from tiktokactions.dataset.statistics import dataset_statistics
    from tiktokactions.files import write_atomic

    stats = dataset_statistics(dataset / "manifest.parquet", settings.min_person_frames)
    data = msgspec.json.format(msgspec.json.encode(stats), indent=2) + b"\n"
    write_atomic(dataset / "stats.json", data)
    draw_figures(dataset, stats)
    return stats


def write_card(dataset: Path, info: Any, stats: Statistics) -> Path:
    """``README.md`` for people and ``croissant.json`` for machines, from the same numbers; returns the first."""
    from tiktokactions.dataset.card import dataset_card
    from tiktokactions.dataset.croissant import croissant_text
    from tiktokactions.files import write_atomic
    from tiktokactions.records import to_builtins

    path = dataset / "README.md"
    write_atomic(path, dataset_card(stats, to_builtins(info)).encode())
    write_atomic(dataset / "croissant.json", croissant_text(dataset, info, stats).encode())
    return path
