"""What a dataset trains on, searched for among foreign videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.splits.foreign import ForeignCheck


def dataset_check_against(dataset: AnyPath, foreign: Sequence[str], *, media: AnyPath | None = None) -> ForeignCheck:
    """Look for what a split dataset trains on among foreign videos, for example the test clips of UCF101.

    Args:
        dataset: a folder made by 'curate', split.
        foreign: files, folders, globs, or lists of paths: ``.txt`` (UCF101's ``testlist01.txt`` too) and ``.csv``.
        media: folder of the videos that lists name (default: the list's own, or UCF101's beside it).

    Raises:
        UsageError: not a dataset folder, not split, or no videos.
    """
    from tiktokactions.splits.foreign import check_against

    data = Dataset.whole(dataset)
    folder = data.folder
    if not data.sides:
        raise UsageError(f"{folder}: not split yet, so it has no train side; run: tiktokactions dataset split {folder}")
    with data.reading():
        return check_against(data, list(foreign), None if media is None else on_disk(media, "`media`"))
