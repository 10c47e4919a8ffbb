"""Choose among variants of hashtags, by views where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tiktokactions.collection.sample import view_samples
from tiktokactions.collection.store import Collection
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.errors import UsageError
from tiktokactions.hashtags import principles, select, stories
from tiktokactions.hashtags.estimate import ViewEstimate, estimate


def hashtags_select(
    candidates: AnyPath,
    output: AnyPath = ".",
    *,
    views: AnyPath | None = None,
    min_views: float = 5e6,
    target: int | None = None,
    knowledge: AnyPath | None = None,
    estimate_from: AnyPath | None = None,
    seed: int = 0,
) -> select.Selection:
    """Decide between the variants of hashtags, by views where they are known.

    Args:
        candidates: CSV with a column ``hashtag``, or the word starter for the list that comes with this program.
        output: folder for ``hashtags.csv``, ``decisions.csv`` and the picture of the flow.
        views: CSV with the columns ``hashtag`` and ``views``.
        min_views: least number of views (default: 5 million).
        target: keep at most so many, the most viewed; where views are unknown, a draw that is balanced over the categories.
        knowledge: your copy of ``knowledge.toml``: umbrellas, dances, challenges.
        estimate_from: a collection whose videos give estimates of the views, with an interval, where none are known.
        seed: seed of the draw among hashtags with unknown views.

    Example:
        tiktokactions hashtags select candidates.csv --views views.csv --target 386 -o hashtags/
    """
    if target is not None and target < 1:
        raise UsageError(f"`target` {target}: expected 1 or more")
    known = principles.read_knowledge(None if knowledge is None else on_disk(knowledge, "`knowledge`"))
    listed = select.read_candidates(on_disk(candidates, "a list of candidates"), known)
    given = {} if views is None else select.read_views(on_disk(views, "`views`"))
    sample = None if estimate_from is None else on_disk(estimate_from, "`estimate_from`")
    estimates, told = ({}, "") if sample is None else _estimates(sample, listed)
    found = select.select(listed, known, given, min_views, target, estimates, told, seed)
    stories.write_selection(found, on_disk(output, "a selection"))
    return found


def _estimates(collection: Path, candidates: Sequence[select.Candidate]) -> tuple[dict[str, ViewEstimate], str]:
    """Views of the candidates as far as the collection's videos tell, and what they were estimated from."""
    samples = view_samples(collection, [c.hashtag for c in candidates])
    guesses = {
        tag: estimate(tag, s.views, s.weights, s.is_complete, size_error=s.size_error) for tag, s in samples.items()
    }
    found = {tag: guess for tag, guess in guesses.items() if guess is not None}
    with Collection(collection) as held:
        wanted, videos = held.setting("wanted"), held.count_videos()
    period = f", created from {wanted['from']} to {wanted['to']}" if wanted else ""
    return found, f"from a sample of {videos} collected videos{period}"
