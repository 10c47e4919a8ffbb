"""Export clips in a format that other programs read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath
from tiktokactions.errors import UsageError
from tiktokactions.files import absolute, located
from tiktokactions.releases.formats import Format

if TYPE_CHECKING:
    from tiktokactions.releases.export import Exported


def dataset_export(
    dataset: AnyPath,
    output: AnyPath,
    *,
    format: Format,
    sides: Sequence[str] = (),
    labels: Sequence[str] = (),
    shard_mb: int = 256,
    frames: bool = False,
    root: AnyPath | None = None,
) -> Exported:
    """Export a dataset's accepted clips in a format of other programs; the same dataset gives the same bytes.

    Args:
        dataset: a folder made by 'curate'.
        output: a new folder, on a disk or a store, or that of an earlier export in the same format, which is made anew.
        format: the format to write; ``ids`` releases the list of ids from which 'dataset hydrate' makes the dataset again.
        sides: only clips on these sides, for example train val.
        labels: only clips with one of these labels.
        shard_mb: largest shard of ``webdataset`` in megabytes; Parquet files hold four times as much.
        frames: for ``coco``, also write the sampled frames as pictures, from the sources that are still there.
        root: for ``videomae``, ``kinetics`` and ``activitynet``: name the clips by paths relative to this folder,
            so that they may be moved together.

    Raises:
        UsageError: not a dataset folder, an unknown format, nothing to export, or a folder that holds something else.

    Example:
        tiktokactions dataset export data/ --format webdataset -o shards/
        tiktokactions dataset export data/ --format ids -o released/
    """
    from tiktokactions.releases.export import export_dataset
    from tiktokactions.releases.rows import Export

    if shard_mb < 1:
        raise UsageError(f"`shard_mb`: got {shard_mb}, expected 1 or more")
    out = located(output)
    data = Dataset(dataset)
    with data.reading():
        named_from = "" if root is None else absolute(os.fspath(root))
        export = Export(data, tuple(sides), tuple(labels), shard_mb, frames, root=named_from)
        return export_dataset(export, format, out)
