"""Say why a hashtag was chosen or left out."""

from __future__ import annotations

from typing import Annotated

from tiktokactions.commands.options import AnyPath, Typed, on_disk
from tiktokactions.hashtags import stories


def hashtags_explain(hashtag: str, decisions: Annotated[AnyPath, Typed("decisions")] = "decisions.csv") -> list[str]:
    """Why a hashtag was chosen or left out.

    Args:
        hashtag: the hashtag.
        decisions: ``decisions.csv`` written by 'hashtags select'.

    Example:
        tiktokactions hashtags explain playingpiano --decisions hashtags/decisions.csv
    """
    return stories.explain(hashtag, on_disk(decisions, "`decisions`"))
