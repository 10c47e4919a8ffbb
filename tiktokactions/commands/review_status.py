"""Show who decided how much, and how far people agree."""

from __future__ import annotations

from contextlib import closing

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.files import disk_errors
from tiktokactions.reviews.agreement import ReviewReport, review_report
from tiktokactions.reviews.store import Store


def review_status(dataset: AnyPath) -> ReviewReport:
    """Who decided how much, how far people agree, and how precise each hashtag is.

    Args:
        dataset: a folder made by 'curate'.

    Raises:
        UsageError: not a dataset folder.

    Example:
        tiktokactions review status data/
    """
    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    with disk_errors(), closing(Store(data.folder)) as store:
        return review_report(store)
