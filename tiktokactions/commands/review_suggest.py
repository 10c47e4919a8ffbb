"""Rank clips whose hashtag is likely wrong, or of which a model knows least."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.dataset.manifest import labels_of
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors
from tiktokactions.splits.sides import linked_dataset

if TYPE_CHECKING:
    from tiktokactions.reviews.suggestions import Suggested

By = Literal["errors", "uncertainty"]
COLUMNS = ("video_id", "status", "labels", "human_labels", "human_answers", "clip_path", "motion")


def review_suggest(
    dataset: AnyPath,
    *,
    by: By = "errors",
    features: AnyPath | None = None,
    predictions: AnyPath | None = None,
    folds: int = 5,
    seed: int = 0,
    top: int = 20,
) -> Suggested:
    """Rank clips by how likely one of their labels is wrong, and find which clips look alike.

    A model learns the labels from features and is asked about clips that it has not seen; copies, sources, creators and
    sounds are never on both sides. 'review' with `suggested` shows the clips in this order.

    Args:
        dataset: a folder made by 'curate'.
        by: ``errors`` (confident learning), or ``uncertainty``: the clips of which a model knows least.
        features: a file of features that 'predict' wrote (default: perceptual hashes, colours and motion).
        predictions: with ``uncertainty``: a classifier's own predictions instead, the JSON of 'predict' or the
            predictions.parquet of 'evaluate'.
        folds: parts of which each is judged by a model of the others; a label needs as many groups of clips.
        seed: seed of the folds.
        top: clips to print; the queue and the JSON have all.

    Raises:
        UsageError: not a dataset folder, a file that is none of these, or nothing that could be judged.

    Example:
        tiktokactions review suggest data/ --folds 2
    """
    from tiktokactions.releases.subset import features_in, features_of_looks
    from tiktokactions.reviews import suggestions
    from tiktokactions.reviews.agreement import unprimed_outcomes
    from tiktokactions.reviews.desk import open_desk
    from tiktokactions.reviews.suspects import Labelled, doubts, look_alikes

    if by not in get_args(By):
        raise UsageError(f"`by`: got {by!r}, expected one of {', '.join(get_args(By))}")
    if predictions is not None and by != "uncertainty":
        raise UsageError("`predictions` say what a classifier is unsure of: they need `by` uncertainty")
    if not 2 <= folds <= 100:
        raise UsageError(f"`folds`: got {folds}, expected 2 to 100")
    margin_of = None if predictions is None else suggestions.predicted_margins(on_disk(predictions, "predictions"))
    stored = None if features is None else features_in(on_disk(features, "features"))
    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    with disk_errors(), closing(open_desk(data)) as desk, data.reading():
        rows = [row for batch in data.batches(COLUMNS) for row in batch.to_pylist() if row["clip_path"]]
        outcomes = unprimed_outcomes(desk.store, together=True)
        said = {row["video_id"]: suggestions.settled_labels(row, outcomes.get(row["video_id"])) for row in rows}
        kept = [row for row in rows if row["status"] != "rejected" and said[row["video_id"]] is not None]
        used = [row for row in kept if stored is None or row["video_id"] in stored[0]]
        if not used:
            raise UsageError(f"{features or data.folder}: no clip of {data.folder} to judge, or none with a feature")
        ids = [row["video_id"] for row in used]
        looks = features_of_looks(data, used) if stored is None else stored[1][[stored[0][i] for i in ids]]
        clips = Labelled(looks, _groups(data, ids), [labels_of(row) for row in used], [said[i] or {} for i in ids])
        found = doubts(clips, folds, seed)
        margin = None if by == "errors" else found.margin
        if margin_of is not None:
            margin = np.array([margin_of.get(i, np.nan) for i in ids])
        order = suggestions.ranked(used, clips, found, margin)
        wrong = {i: 1 - float(score) for i, score in zip(ids, found.score, strict=True) if not np.isnan(score)}
        alike = [(ids[a], ids[b], apart) for a, b, apart in look_alikes(looks, seed)]
        suggestions.keep_suggestions(desk.index, [suspect.video_id for suspect in order], wrong, alike)
    return suggestions.Suggested(
        dataset=str(data.folder),
        by=by,
        clips=len(order),
        likely_wrong=sum(suspect.likely_wrong for suspect in order),
        settled=sum(suggestions.is_settled(clips, place) for place in range(len(used))),
        without_features=len(kept) - len(used),
        too_small=found.too_small,
        look_alikes=len({a for a, _, _ in alike}),
        suspects=order,
    )


def _groups(data: Dataset, ids: list[str]) -> np.ndarray:
    """Of each video the number of its group, as ``dataset split`` keeps them: copies, sources, creators, sounds."""
    linked = linked_dataset(data.folder, data.options)
    number = dict(zip(linked.ids, linked.groups().tolist(), strict=True))
    return np.array([number[video_id] for video_id in ids])
