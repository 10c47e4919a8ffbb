"""Open a dataset folder, or say why it cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.curation.options import CurateOptions


def open_dataset(dataset: str | os.PathLike[str], *, whole: bool = False) -> tuple[Path, Any, CurateOptions]:
    """Folder, ``dataset.json`` and settings of a dataset or, unless it must be a ``whole`` one, a subset."""
    from tiktokactions.dataset.info import read_info, resolve_options
    from tiktokactions.files import located

    folder = located(dataset)
    info = read_info(folder)
    if info is None:
        raise UsageError(f"{folder}: no dataset.json there; expected a folder made by 'tiktokactions curate'")
    if whole:
        refuse_subset(folder)
    return folder, info, resolve_options(info, {})


def refuse_subset(folder: Path) -> None:
    from tiktokactions.dataset.subset_mark import is_subset, parent_of

    if is_subset(folder):
        raise UsageError(
            f"{folder}: is a subset, whose clips and records belong to {parent_of(folder).resolve()};"
            " give that dataset, and take the subset again"
        )


def require_settled(folder: Path) -> None:
    from tiktokactions.dataset.info import read_info
    from tiktokactions.dataset.subset_mark import is_subset

    info = read_info(folder)
    if info is not None and not info.settled and not is_subset(folder):
        raise UsageError(f"{folder}: a run on it was interrupted; finish it first (run 'curate' again)")
