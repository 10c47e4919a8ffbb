"""Export metadata: a collection as JSON lines."""

from __future__ import annotations

from tiktokactions.collection import session
from tiktokactions.collection.rows import AiLabelled
from tiktokactions.commands.options import AnyPath, on_disk


def collect_export(
    collection: AnyPath, output: AnyPath, *, plain_creators: bool = False, ai_labelled: AiLabelled = "keep"
) -> int:
    """Export a collection as JSON lines, creators hashed; returns the number of videos.

    Args:
        collection: a folder made by 'collect run' or 'collect import'.
        output: the file to write.
        plain_creators: write creators' names as they are stored instead of hashing them.
        ai_labelled: keep or drop videos with the platform's label for AI-generated content, or take only them.

    Example:
        tiktokactions collect export collection/ -o videos.jsonl
    """
    folder = on_disk(collection, "collection.sqlite")
    return session.collect_export(folder, on_disk(output, "an export"), plain_creators, ai_labelled)
