"""Choose some of the clips."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.collection.rows import AiLabelled
from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, nothing
from tiktokactions.commands.predict import predict
from tiktokactions.dataset.subset_mark import is_subset
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, holds_something, located, unfinished
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.records import JsonObject
from tiktokactions.releases.subset_options import BY_FEATURES, By, Choice

if TYPE_CHECKING:
    import numpy as np

    from tiktokactions.releases.subset import Subset


def dataset_subset(
    dataset: AnyPath,
    output: AnyPath,
    *,
    by: By = "random",
    size: int | None = None,
    seed: int = 0,
    labels: Sequence[str] = (),
    cap: int | None = None,
    sides: Sequence[str] = (),
    ai_labelled: AiLabelled = "keep",
    since: int | None = None,
    until: int | None = None,
    features: AnyPath | None = None,
    progress: Callable[[TrainingProgress], None] = nothing,
) -> Subset:
    """Choose some of a dataset's clips; the subset is read like a dataset and copies no clip.

    Args:
        dataset: a folder made by 'curate'.
        output: a new folder, or an earlier subset of the same dataset, which is made anew.
        by: ``random`` (seeded, nested), ``balanced`` (one of each label in turn), ``labels`` (all clips of these),
            ``quality`` (weights: ``tiktokactions.releases.subset.QUALITY_WEIGHTS``), ``diverse`` (greedy k-center),
            ``balanced-clusters`` (evenly over a hierarchy of clusters) or ``prune`` (without semantic near-duplicates).
        size: number of clips; may be left out with ``labels``, ``since`` or ``until``, which then choose all of them.
        seed: seed of the random order, which also decides between equals.
        labels: only clips with one of these labels.
        cap: at most so many clips of one label.
        sides: only clips on these sides of a split dataset, for example train.
        ai_labelled: keep or drop clips with the platform's label for AI-generated content, or take only them.
        since: only clips that came or changed after this version of the dataset.
        until: only clips that are as they were in this version.
        features: for the last three ways: a file of features that 'predict' wrote, or a run, whose features are computed
            now (default: perceptual hashes, colours and motion).
        progress: receives the progress of computing features.

    Raises:
        UsageError: not a dataset, options that do not fit, or nothing to choose from.

    Example:
        tiktokactions dataset subset data/ --size 2 --by balanced -o subset/
    """
    from tiktokactions.releases import subset as subsets
    from tiktokactions.releases.rows import unmatched

    out = located(output)
    data = Dataset.whole(dataset)
    folder = data.folder
    with data.reading():
        choice = Choice(by, size, seed, tuple(labels), cap, tuple(sides), ai_labelled, since, until)
        if out.exists() and not is_subset(out) and (not out.is_dir() or holds_something(out)):
            raise UsageError(f"{out}: not empty and not a subset; choose a new or an empty folder")
        if features is not None and by not in BY_FEATURES:
            raise UsageError(f"`features`: only `by` {', '.join(BY_FEATURES)} look at features, got {by!r}")
        rows = subsets.candidates_of(data, choice)
        if by in ("quality", *BY_FEATURES):
            rows = subsets.without_copies(data, rows)
        if not rows:
            raise UsageError(f"{folder}: no accepted clip fits; 'dataset stats' says what there is")
        compared = _features(data, rows, features, out, progress) if by in BY_FEATURES else None
        chosen = subsets.choose(rows, choice, compared)
        subsets.write_subset(data, chosen, choice, out)
    counts = Counter(subsets.label_of(row, choice.labels) for row in chosen)
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    notes = unmatched(choice.sides, {row["split"] for row in rows}, "`sides`")
    notes += unmatched(choice.labels, {name for row in rows for name in row["names"]}, "`labels`")
    if size is not None and len(chosen) < size:
        notes.append(f"only {len(chosen):,} clips fit, {size:,} were asked for")
    return subsets.Subset(str(out), str(folder), by, len(chosen), len(rows), ordered, tuple(notes))


def _features(
    data: Dataset,
    rows: list[JsonObject],
    features: str | os.PathLike[str] | None,
    output: Place,
    progress: Callable[[TrainingProgress], None],
) -> np.ndarray:
    """What clips are compared by: looks, features in a file, or those of a run, computed now and kept in the subset."""
    from tiktokactions.releases import subset as subsets

    if features is None:
        return subsets.features_of_looks(data, rows)
    path = run = Path(features)
    if (run / "run.json").is_file():
        with unfinished(output / "features.parquet") as path:
            predict(run, [str(data.file(row["clip_path"])) for row in rows], features=path, progress=progress)
            return subsets.features_from_file(path, rows)
    if not path.is_file():
        raise UsageError(f"`features` {features}: expected a run, or a file that 'predict' wrote with `features`")
    return subsets.features_from_file(path, rows)
