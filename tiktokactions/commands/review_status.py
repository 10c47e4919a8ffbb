"""Show who decided how much, and how far people agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.errors import on_disk
from tiktokactions.commands.options import AnyPath
from tiktokactions.files import disk_errors

if TYPE_CHECKING:
    from tiktokactions.reviews.agreement import ReviewReport


def review_status(dataset: AnyPath) -> ReviewReport:
    """Who decided how much, how far people agree, and how precise each hashtag is.

    Args:
        dataset: a folder made by 'curate'.

    Raises:
        UsageError: not a dataset folder.

    Example:
        tiktokactions review status data/
    """
    from tiktokactions.reviews.agreement import review_report
    from tiktokactions.reviews.store import Store

    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    with disk_errors():
        store = Store(data.folder)
        try:
            return review_report(store)
        finally:
            store.close()
