"""Collect metadata of videos by hashtag."""

from __future__ import annotations

from tiktokactions.collection import session
from tiktokactions.collection.options import CollectOptions
from tiktokactions.commands.options import AnyPath, Kept, nothing, on_disk, takes
from tiktokactions.options import checked_options


@takes(CollectOptions)
def collect_run(
    hashtags: AnyPath, output: AnyPath, *, report: Kept = nothing, **options: object
) -> session.CollectResult:
    """Collect metadata of the videos of hashtags (paper, section 3.3); the same command continues.

    Args:
        hashtags: CSV with a column ``hashtag``, or one hashtag a line.
        output: the folder of the collection.
        report: receives a line for each finished hashtag and each wait.
        **options: any field of :class:`tiktokactions.collection.options.CollectOptions`.

    Raises:
        PlanError, CollectionError, CredentialsError: options, a folder or a key that cannot be used.
        ApiError: the API refuses the key.
        DatasetBusyError: another run writes to the collection.

    Example:
        tiktokactions collect run hashtags.csv -o collection/ --per-hashtag 20 --from 2024-01-01 --to 2024-03-31 --sandbox
    """
    listed, folder = on_disk(hashtags, "the list of hashtags"), on_disk(output, "collection.sqlite")
    settings = checked_options(CollectOptions, options)
    return session.collect_run(listed, folder, settings, report, lambda wait: report(f"  {wait}"))
