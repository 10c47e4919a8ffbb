"""A dataset in a form that other programs read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.errors import on_disk
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.release.export import Exported


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
    from tiktokactions.release.export import export_dataset
    from tiktokactions.release.rows import Export

    if shard_mb < 1:
        raise UsageError(f"`shard_mb`: got {shard_mb}, expected 1 or more")
    out = on_disk(output, "an export")
    data = Dataset(dataset)
    with data.reading():
        return export_dataset(Export(data, tuple(sides), tuple(labels), shard_mb, frames), format, out)
