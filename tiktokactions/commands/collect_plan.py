"""Say how many requests and days a collection takes; send nothing."""

from __future__ import annotations

from tiktokactions.collection import session
from tiktokactions.collection.options import CollectOptions
from tiktokactions.collection.plan import Estimate
from tiktokactions.commands.options import AnyPath, Kept, nothing, on_disk, takes
from tiktokactions.options import checked_options


@takes(CollectOptions, "per_hashtag", "start", "end", "random", "everything", "windows", "requests_a_day")
def collect_plan(hashtags: AnyPath, *, report: Kept = nothing, **options: object) -> Estimate:
    """Requests, days and records that a collection takes; sends nothing.

    Args:
        hashtags: CSV with a column ``hashtag``, or one hashtag a line.
        report: told what had to be changed about the period.
        **options: any field of :class:`tiktokactions.collection.options.CollectOptions`.

    Example:
        tiktokactions collect plan hashtags.csv --from 2023-01-01 --to 2024-06-30
    """
    settings = checked_options(CollectOptions, options)
    found, note = session.collect_plan(on_disk(hashtags, "the list of hashtags"), settings)
    if note:
        report(note)
    return found
