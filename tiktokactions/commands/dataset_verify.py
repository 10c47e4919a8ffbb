"""Check every record and every file of a dataset; repair without losing anything."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath
from tiktokactions.dataset.info import NewerDatasetError
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, located

if TYPE_CHECKING:
    from tiktokactions.verdicts.verify import Verification


def dataset_verify(
    dataset: AnyPath, *, repair: bool = False, yes: bool = False, restore: str | None = None
) -> Verification:
    """Check every record, clip and file of a dataset, and the exports and releases that were made of it.

    Without ``repair`` and ``restore`` nothing is written, and while a run is at work its last settled version is checked.

    Args:
        dataset: a folder made by 'curate'; or a release or an export, whose files are compared with its checksums.
        repair: move files back to their places, make again what can be made again, and move the rest to
            DATASET/quarantine; nothing is deleted.
        yes: with ``repair``: go on even if more than a twentieth of the files would move to quarantine, or most clips are
            missing.
        restore: a folder of DATASET/quarantine (for example quarantine/2026-11-30) whose files are brought back first.

    Raises:
        UsageError: not a dataset folder, or no such quarantine.
        RepairError: the repair would do more than expected; nothing was changed.
        DatasetBusyError: with ``repair`` or ``restore``, a run is writing to it.

    Example:
        tiktokactions dataset verify data/
    """
    from tiktokactions.releases import export, release
    from tiktokactions.verdicts.quarantine import restore as bring_back
    from tiktokactions.verdicts.repair import repair_dataset
    from tiktokactions.verdicts.verify import Problem, unreadable_dataset, verify_dataset, verify_export

    alone = located(dataset)
    if not (alone / "dataset.json").is_file() and any(
        (alone / f"{kind}.json").is_file() for kind in ("release", "export")
    ):
        if repair or restore is not None:
            raise UsageError(f"{dataset}: is a release or an export, which is made again and not repaired")
        return verify_export(alone)
    try:
        data = Dataset.whole(dataset)
    except NewerDatasetError:
        raise
    except UsageError as error:
        folder = located(dataset)
        if repair or restore or not ((folder / "records").is_dir() or (folder / "manifest.parquet").is_file()):
            raise
        return unreadable_dataset(folder, error)
    back: list[str] = []
    left: dict[str, str] = {}
    if restore is not None:
        with data.editing("verify") as edit:
            edit.begin()
            back, left = bring_back(edit.folder, restore)
    exports: list[Place] = []
    with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):  # damaged: told of below
        for made in (export, release):
            exports += [located(entry["path"]) for entry in made.remembered(data.folder)]
    if repair:
        with data.editing("verify") as edit:
            found = verify_dataset(data, exports, is_editing=True)
            if found.problems:
                found = repair_dataset(edit, found, yes)
    else:
        found = verify_dataset(data, exports)
        if found.problems and (found.going_on or data.has_changed):
            data.reload()  # a run has begun or ended meanwhile, perhaps: what differs may be of two versions
            found = verify_dataset(data, exports)
    missed = tuple(Problem("not_restored", name, "", why) for name, why in left.items())
    return replace(found, restored=len(back), problems=(*found.problems, *missed))
