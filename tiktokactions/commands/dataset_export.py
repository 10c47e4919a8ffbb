"""Export clips in a format that other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.errors import UsageError
from tiktokactions.release.formats import Format

if TYPE_CHECKING:
    from tiktokactions.release.export import Exported


def dataset_export(
    dataset: AnyPath,
    output: AnyPath,
    *,
    format: Format,
    sides: Sequence[str] = (),
    labels: Sequence[str] = (),
    shard_mb: int = 256,
    frames: bool = False,
) -> Exported:
    """Export a dataset's accepted clips in a format of other programs; the same dataset gives the same bytes.

    Args:
        dataset: a folder made by 'curate'.
        output: a new folder, or that of an earlier export in the same format, which is made anew.
        format: the format to write; ``ids`` releases the list of ids from which 'dataset hydrate' makes the dataset again.
        sides: only clips on these sides, for example train val.
        labels: only clips with one of these labels.
        shard_mb: largest shard of ``webdataset`` in megabytes; Parquet files hold four times as much.
        frames: for ``coco``, also write the sampled frames as pictures, from the sources that are still there.

    Raises:
        UsageError: not a dataset folder, an unknown format, nothing to export, or a folder that holds something else.

    Example:
        tiktokactions dataset export data/ --format webdataset -o shards/
        tiktokactions dataset export data/ --format ids -o released/
    """
    from tiktokactions.release.export import export_dataset
    from tiktokactions.release.rows import Export

    if shard_mb < 1:
        raise UsageError(f"`shard_mb`: got {shard_mb}, expected 1 or more")
    out = on_disk(output, "an export")
    data = Dataset(dataset)
    with data.reading():
        return export_dataset(Export(data, tuple(sides), tuple(labels), shard_mb, frames), format, out)
