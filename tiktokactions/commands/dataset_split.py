"""Give every clip a side for training or testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.dataset_check_against import dataset_check_against
from tiktokactions.commands.options import AnyPath, takes
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.options import checked_options
from tiktokactions.splits.options import SplitOptions

if TYPE_CHECKING:
    from tiktokactions.splits.report import SplitReport


@takes(SplitOptions)
def dataset_split(
    dataset: AnyPath, *, check_against: Sequence[str] = (), media: AnyPath | None = None, **options: object
) -> SplitReport:
    """Give every accepted clip a side for training or testing, free of leaks; sides once given never change.

    Args:
        dataset: a folder made by 'curate'.
        check_against: look for what is trained on among these foreign videos or lists, for example the test clips of a
            benchmark.
        media: for ``check_against``: the folder of the videos that a list names.
        **options: any field of :class:`tiktokactions.splits.options.SplitOptions`.

    Raises:
        UsageError: not a dataset folder, no clips, or shares that do not fit.
        DatasetBusyError: a run is writing to it.

    Example:
        tiktokactions dataset split data/
        tiktokactions dataset split data/ --val 0.15 --test 0.15
    """
    from tiktokactions.splits.sides import split_dataset

    given = checked_options(SplitOptions, options)
    with Dataset.whole(dataset).editing("split") as edit:
        if not edit.was_settled:  # sides are given by the manifest
            edit.begin()
            write_manifest(edit.folder, edit.dataset.records(), edit.options)
        report = split_dataset(edit, given)
    if check_against:
        report = replace(report, check_against=dataset_check_against(dataset, check_against, media=media))
    return report
