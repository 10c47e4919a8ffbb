"""Why a hashtag was chosen or left out."""

from __future__ import annotations

import os

from tiktokactions.commands.errors import on_disk


def hashtags_explain(hashtag: str, decisions: str | os.PathLike[str]) -> list[str]:
    """The story of one hashtag, from what :func:`hashtags_select` wrote."""
    from tiktokactions.hashtags import stories

    return stories.explain(hashtag, on_disk(decisions, "`decisions`"))
