"""Take in judgements given elsewhere."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.files import disk_errors
from tiktokactions.takedowns.derived import register_given

if TYPE_CHECKING:
    from tiktokactions.reviews.answers import TasksImported


def review_import(dataset: AnyPath, answers: AnyPath, *, gold: bool = False) -> TasksImported:
    """Take in answers given elsewhere: Label Studio's export, or a table.

    Importing a file again changes nothing. Rows that make no sense are listed and left out.

    Args:
        dataset: a folder made by 'curate'.
        answers: a ``.json``, ``.csv`` or ``.jsonl`` file.
        gold: these answers are known to be right: make the videos gold items instead of decisions.

    Raises:
        UsageError: not a dataset folder, or a file that cannot be read.

    Example:
        tiktokactions review import data/ answers.csv
    """
    from tiktokactions.reviews.answers import import_answers
    from tiktokactions.reviews.desk import open_desk

    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    register_given([answers], data.folder)
    with disk_errors(), closing(open_desk(data)) as desk:
        return import_answers(desk, Path(answers), gold)
