"""A folder that ``datasets.load_dataset(folder)`` opens, and the hub's viewer with it: clips, tables, card and Croissant."""

from __future__ import annotations

from tiktokactions.dataset.publisher import read_publisher
from tiktokactions.files import AnyPlace
from tiktokactions.releases.card import write_card
from tiktokactions.releases.clip_folders import write_data
from tiktokactions.releases.rows import Export


def write(export: Export, out: AnyPlace) -> list[AnyPlace]:
    """``data/``, ``manifest.parquet``, ``figures/``, ``README.md`` and ``croissant.json``, as 'release' writes them."""
    return write_data(export, out) + write_card(export, out, read_publisher(export.dataset.parent.folder))
