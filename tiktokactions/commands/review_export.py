"""Tasks for an outside platform, or what was decided."""

from __future__ import annotations

import os

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.errors import on_disk
from tiktokactions.files import disk_errors


def review_export(
    dataset: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    what: str = "tasks",
    queue: str = "review",
    media_url: str | None = None,
) -> int:
    """Write tasks for an outside platform, or what was decided. Returns the number written.

    Args:
        dataset: a folder made by :func:`curate`.
        output: a file; ``.json`` is Label Studio's format (its labelling configuration is written beside it as ``.xml``),
            ``.csv`` and ``.jsonl`` are plain tables.
        what: ``tasks`` (open videos of a queue) or ``decisions``.
        queue: ``review``, ``sample``, ``conflicts`` or ``label:<label>``.
        media_url: where the platform finds the clips: this, a slash, and the clip's path in the dataset. None: the path
            as Label Studio's local storage serves it.

    Raises:
        UsageError: not a dataset folder, or a file name of no known kind.
    """
    from tiktokactions.reviews.desk import open_desk
    from tiktokactions.reviews.tasks import export_decisions, export_tasks

    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    with disk_errors():
        desk = open_desk(data.folder, data.options)
        try:
            if what == "decisions":
                return export_decisions(desk, on_disk(output, "an export"))
            return export_tasks(desk, on_disk(output, "an export"), queue, media_url)
        finally:
            desk.close()
