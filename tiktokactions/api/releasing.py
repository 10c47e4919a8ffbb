"""What leaves a dataset: exports, subsets, and datasets made again from their released ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.api.datasets import open_dataset, up_to_date_manifest
from tiktokactions.api.errors import UsageError, disk_errors, usage_errors

if TYPE_CHECKING:
    from tiktokactions.dataset.exports import Exported


def dataset_export(
    dataset: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    format: str,
    sides: Sequence[str] = (),
    labels: Sequence[str] = (),
    shard_mb: int = 256,
    frames: bool = False,
) -> Exported:
    """Write the accepted clips of a dataset in a form that other programs read; the same dataset gives the same bytes.

    Args:
        dataset: a folder made by :func:`curate`.
        output: a new or empty folder, or that of an earlier export in the same format, which is made anew.
        format: ``kinetics``, ``videomae``, ``webdataset``, ``huggingface``, ``parquet``, ``coco``, ``fiftyone``,
            ``labelstudio`` or ``ids``.
        sides: only clips on these sides.
        labels: only clips with one of these labels.
        shard_mb: largest size of a WebDataset shard; Parquet files hold four times as much.
        frames: for ``coco``, also the sampled frames as pictures, from the sources that are still there.

    Raises:
        UsageError: not a dataset folder, an unknown format, nothing to export, or a folder that holds something else.
    """
    from tiktokactions.dataset.export_rows import Export
    from tiktokactions.dataset.exports import export_dataset
    from tiktokactions.files import dataset_lock

    if shard_mb < 1:
        raise UsageError(f"--shard-mb: got {shard_mb}, expected 1 or more")
    folder, info, settings = open_dataset(dataset)
    with dataset_lock(folder), disk_errors(folder), usage_errors():
        up_to_date_manifest(folder, info, settings)
        return export_dataset(Export(folder, tuple(sides), tuple(labels), shard_mb, frames), format, Path(output))
