"""Check every record and every clip of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath

if TYPE_CHECKING:
    from tiktokactions.verdicts.verify import Verification


def dataset_verify(dataset: AnyPath, *, repair: bool = False) -> Verification:
    """Check every record, clip and file of a dataset.

    Args:
        dataset: a folder made by 'curate'.
        repair: cut missing and broken clips again, remove what nothing claims.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.

    Example:
        tiktokactions dataset verify data/
    """
    from tiktokactions.verdicts.verify import repair_dataset, verify_dataset

    with Dataset.whole(dataset).editing("verify") as edit:
        found = verify_dataset(edit.folder)
        if repair and (found.problems or not edit.was_settled):
            found = repair_dataset(edit, found)
        return found
