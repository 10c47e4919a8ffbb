"""Take in judgements given elsewhere."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors
from tiktokactions.takedowns.derived import register_given

if TYPE_CHECKING:
    from tiktokactions.reviews.answers import TasksImported


def review_import(dataset: AnyPath, answers: AnyPath, *, gold: bool = False) -> TasksImported:
    """Take in answers given elsewhere: Label Studio's export, a table, or all reviews of a copy of this dataset.

    Importing a file again changes nothing. Rows that make no sense are listed and left out.

    Args:
        dataset: a folder made by 'curate'.
        answers: a ``.json``, ``.csv`` or ``.jsonl`` file; or the ``reviews.sqlite`` of another curation of the same
            videos, whose people, decisions, samples, gold items and settings are taken over as they are.
        gold: these answers are known to be right: make the videos gold items instead of decisions.

    Raises:
        UsageError: not a dataset folder, or a file that cannot be read.

    Example:
        tiktokactions review import data/ answers.csv
    """
    from tiktokactions.reviews.answers import import_answers
    from tiktokactions.reviews.desk import open_desk

    data, path = Dataset(on_disk(dataset, "reviews.sqlite")), Path(answers)
    if path.suffix == ".sqlite":
        return _taken_over(data, path, gold)
    register_given([answers], data.folder)
    with disk_errors(), closing(open_desk(data)) as desk:
        return import_answers(desk, path, gold)


def _taken_over(data: Dataset, path: Path, gold: bool) -> TasksImported:
    from tiktokactions.reviews.answers import TasksImported
    from tiktokactions.reviews.merged import merge_reviews
    from tiktokactions.reviews.store import Store, store_path

    if gold or path != store_path(path.parent) or not path.is_file() or not data.manifest.is_file():
        wanted = "a file named reviews.sqlite, without `gold`, and a dataset whose 'curate' has ended"
        raise UsageError(f"{path} into {data.folder}: expected {wanted}")
    with disk_errors():
        with closing(Store(data.folder)) as store:
            before = store.database.rows("SELECT count(*) FROM decisions")[0][0]
        merged = merge_reviews([path.parent], data.folder, (), [{}], applied=False)
    added = merged.decisions - before
    with closing(Store(path.parent)) as store:
        known = store.database.rows("SELECT count(*) FROM decisions")[0][0] - added
    return TasksImported(added, known, [])
