"""Check every record and every clip of a dataset."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import disk_errors
from tiktokactions.dataset.opened import open_dataset
from tiktokactions.dataset.tables import write_card, write_statistics

if TYPE_CHECKING:
    from tiktokactions.verdicts.verify import Verification


def dataset_verify(dataset: str | os.PathLike[str], *, repair: bool = False) -> Verification:
    """Check every record, clip and file of a dataset; with ``repair`` cut again or remove what is wrong.

    Raises:
        UsageError: not a dataset folder.
        DatasetBusyError: a run is writing to it.
    """
    from tiktokactions.dataset.history import next_version
    from tiktokactions.dataset.info import write_info
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.files import all_records, dataset_lock
    from tiktokactions.verdicts.verify import repair_dataset, verify_dataset

    folder, info, settings = open_dataset(dataset, whole=True)
    with dataset_lock(folder), disk_errors(folder):
        found = verify_dataset(folder)
        if not repair or not found.problems:
            return found
        repaired = repair_dataset(folder, found, settings)
        write_manifest(folder, all_records(folder), settings)
        info = next_version(folder, info)
        write_card(folder, info, write_statistics(folder, settings))
        write_info(folder, info)
        return repaired
