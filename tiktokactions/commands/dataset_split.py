"""Sides for training and testing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.dataset import Dataset
from tiktokactions.options import checked_options

if TYPE_CHECKING:
    from tiktokactions.splits.sides import SplitReport


def dataset_split(dataset: str | os.PathLike[str], **options: Any) -> SplitReport:
    """Give every accepted clip a side for training or testing, free of leaks; sides once given never change.

    Args:
        dataset: a folder made by :func:`curate`.
        **options: any field of :class:`tiktokactions.splits.sides.SplitOptions`.

    Raises:
        UsageError: not a dataset folder, no clips, or shares that do not fit.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.editing import bring_manifest_up_to_date
    from tiktokactions.splits.options import SplitOptions
    from tiktokactions.splits.sides import split_dataset

    given = checked_options(SplitOptions, options)
    with Dataset.whole(dataset).editing("split") as edit:
        bring_manifest_up_to_date(edit.dataset)
        return split_dataset(edit, given)
