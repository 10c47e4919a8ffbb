"""Show the pages where people judge clips."""

from __future__ import annotations

from contextlib import closing

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, Kept, nothing, on_disk, takes
from tiktokactions.commands.review_apply import ReviewApplied, review_apply
from tiktokactions.files import DatasetBusyError, disk_errors
from tiktokactions.options import checked_options
from tiktokactions.reviews.options import ReviewOptions
from tiktokactions.takedowns.derived import register_given


@takes(ReviewOptions)
def review(dataset: AnyPath, *, report: Kept = nothing, **options: object) -> ReviewApplied:
    """Show the pages where people judge and label clips, until interrupted; then apply what they decided.

    A dataset that has the name of a part is given as a path: tiktokactions review ./apply

    Args:
        dataset: a folder made by 'curate'.
        report: told where the pages are, and what happens.
        **options: any field of :class:`tiktokactions.reviews.options.ReviewOptions`.

    Raises:
        UsageError: not a dataset folder, options that make no sense, or a port that is taken.

    Example:
        tiktokactions review data/
    """
    from tiktokactions.reviews.desk import open_desk
    from tiktokactions.reviews.web import serve

    given = checked_options(ReviewOptions, options)
    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    register_given([given.label_list] if given.label_list else [], data.folder)
    with (
        disk_errors(),
        closing(open_desk(data, given, lambda videos: report(f"reading the dataset: {videos} videos"))) as desk,
    ):
        serve(desk, report)
    report("applying what was decided")
    try:
        return review_apply(data, report=report)
    except DatasetBusyError as error:
        afterwards = f"run 'tiktokactions review apply {data.folder}' afterwards"
        raise DatasetBusyError(f"{error} Every decision is kept; {afterwards}.") from None
