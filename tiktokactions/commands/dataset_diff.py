"""Show which clips came, went and changed."""

from __future__ import annotations

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.errors import UsageError
from tiktokactions.releases.diff import Difference, changes_since, compare_datasets, write_difference


def dataset_diff(
    dataset: AnyPath, other: AnyPath | None = None, output: AnyPath | None = None, *, since: int | None = None
) -> Difference:
    """Which clips came, went and changed: between two datasets, or since a version of one.

    Of a dataset that a run is changing, or where one was interrupted, this is the last settled version; one line says which
    of the two it is.

    Args:
        dataset: a dataset or a subset: the earlier of two, or the one to look back in.
        other: the later of two.
        output: a ``.csv`` file to write, with one row per clip and change.
        since: compare with this version of the dataset itself instead of another dataset.

    Raises:
        UsageError: not a dataset folder, neither or both of ``other`` and ``since``, or a version not in the history.

    Example:
        tiktokactions dataset diff data/ more/
        tiktokactions dataset diff data/ --since 1
    """
    written = None if output is None else on_disk(output, "a difference")
    data = Dataset(dataset)
    with data.reading():
        if since is not None and other is None:
            found = changes_since(data, since)
        elif other is not None and since is None:
            later = Dataset(other)
            with later.reading():
                found = compare_datasets(data, later)
        else:
            raise UsageError("dataset diff: expected another dataset, or `since`, a version; got neither or both")
    if written is not None:
        write_difference(found, written)
    return found
