"""Which clips came, went and changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.release.diff import Difference


def dataset_diff(
    dataset: str | os.PathLike[str], other: str | os.PathLike[str] | None = None, *, since: int | None = None
) -> Difference:
    """Which clips came, went and changed: from a dataset to another, or since a version of its own.

    Args:
        dataset: a folder made by :func:`curate`, or a subset; with ``other`` the earlier of the two.
        other: the later one.
        since: a version (``dataset.json``) of ``dataset``, instead of ``other``.

    Raises:
        UsageError: not a dataset folder, neither or both of ``other`` and ``since``, or a version not in the history.
    """
    from tiktokactions.release.diff import changes_since, compare_datasets

    if (other is None) == (since is None):
        raise UsageError("dataset diff: expected another dataset, or `since`, a version; got neither or both")
    data = Dataset(dataset)
    data.require_settled()
    if since is not None:
        return changes_since(data, since)
    assert other is not None
    later = Dataset(other)
    later.require_settled()
    return compare_datasets(data, later)
