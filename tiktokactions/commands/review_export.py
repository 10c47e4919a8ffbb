"""Export review tasks for an outside platform, or what was decided."""

from __future__ import annotations

from contextlib import closing

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.files import disk_errors
from tiktokactions.takedowns.derived import register


def review_export(
    dataset: AnyPath, output: AnyPath, *, decisions: bool = False, queue: str = "review", media_url: str | None = None
) -> int:
    """Export tasks for an outside platform such as Label Studio, or what was decided; returns their number.

    Args:
        dataset: a folder made by 'curate'.
        output: a file: ``.json`` is Label Studio's format (its labelling configuration is written beside it as ``.xml``),
            ``.csv`` and ``.jsonl`` are plain tables.
        decisions: write what was decided, instead of tasks.
        queue: the open videos to write: ``review``, ``sample``, ``suggested``, ``conflicts`` or ``label:LABEL``.
        media_url: where the platform finds the clips: this, a slash, and the clip's path in the dataset (default: as Label
            Studio's local storage serves it).

    Raises:
        UsageError: not a dataset folder, or a file name of no known kind.

    Example:
        tiktokactions review export data/ -o tasks.json
    """
    from tiktokactions.reviews.desk import open_desk
    from tiktokactions.reviews.tasks import export_decisions, export_tasks

    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    register([data], output, "review export")
    with disk_errors(), closing(open_desk(data)) as desk:
        if decisions:
            return export_decisions(desk, on_disk(output, "an export"))
        return export_tasks(desk, on_disk(output, "an export"), queue, media_url)
