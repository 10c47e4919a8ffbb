"""Check every record and every clip of a dataset."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset

if TYPE_CHECKING:
    from tiktokactions.verdicts.verify import Verification


def dataset_verify(dataset: str | os.PathLike[str], *, repair: bool = False) -> Verification:
    """Check every record, clip and file of a dataset; with ``repair`` cut again or remove what is wrong.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.verdicts.verify import repair_dataset, verify_dataset

    with Dataset.whole(dataset).editing("verify") as edit:
        found = verify_dataset(edit.folder)
        if repair and (found.problems or not edit.was_settled):
            found = repair_dataset(edit, found)
        return found
