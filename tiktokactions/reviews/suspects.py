"""Which labels are likely wrong, and of which clips a model knows least.

Logistic regressions on features, a label against the rest, are asked about clips that they have not seen. Over what they say
cleanlab does confident learning (Northcutt et al. 2021, arXiv 1911.00068). Pure arrays: nothing here reads a dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STRENGTH = 0.01
"""Of the regression, scikit-learn's ``C``: features are many and clips few, and some of the labels are wrong."""
NEAREST = 11
SELDOM = 0.01
"""Clips look alike if they are nearer than this share of all pairs."""
PAIRS = 20_000
"""Random ones, that tell how far apart clips are."""


@dataclass(frozen=True)
class Labelled:
    """Clips (N) with the labels that they were given and what people said of them since, in columns."""

    features: np.ndarray
    """(N, D) float32, finite."""
    groups: np.ndarray
    """(N,) int: clips of one number show the same, and are never on both sides of a fold."""
    given: Sequence[Sequence[str]]
    """Of each clip the labels in force."""
    settled: Sequence[Mapping[str, bool]]
    """Of each clip the labels that people answered, yes or no; they are learned from and not doubted."""


@dataclass(frozen=True)
class Doubts:
    """What is doubtful about each clip (N)."""

    score: np.ndarray
    """(N,) 0 to 1, cleanlab's label quality of its most doubtful label; nan where none can be judged or all are settled."""
    label: list[str]
    """That label; empty with nan."""
    likely_wrong: np.ndarray
    """(N,) bool: by confident learning."""
    instead: list[str]
    """The label that fits best among those it does not have, where it fits as well as to the clips that have it."""
    margin: np.ndarray
    """(N,) 0 to 1: the two most probable labels apart. nan where fewer than two labels can be judged."""
    too_small: dict[str, int]
    """Labels that cannot be judged: how many groups have them. Fewer than folds, or all others are too few."""


def doubts(clips: Labelled, folds: int = 5, seed: int = 0) -> Doubts:
    """Doubt every label that nobody has settled."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    count = len(clips.given)
    has, too_small = _columns(clips, folds)
    names = list(has)
    said = out_of_fold(clips, has, folds, seed)
    score, label = np.full(count, np.nan), [""] * count
    wrong, fits = np.zeros(count, bool), np.full((count, len(names)), -np.inf, np.float32)
    for number, name in enumerate(names):
        known = np.flatnonzero(~np.isnan(said[:, number]))
        is_there = has[name][known].astype(int)
        if len(set(is_there.tolist())) < 2:
            continue
        both = np.stack([1 - said[known, number], said[known, number]], 1).astype(float)
        quality = get_label_quality_scores(is_there, both, method="self_confidence", adjust_pred_probs=True)
        issues = find_label_issues(is_there, both, filter_by="both", n_jobs=1)
        fits[known, number] = np.where(is_there, -np.inf, said[known, number] - both[is_there == 1, 1].mean())
        for place, own, is_wrong in zip(known.tolist(), quality, issues, strict=True):
            if name in clips.settled[place]:
                fits[place, number] = -np.inf
            elif name in clips.given[place] and not score[place] <= own:
                score[place], label[place], wrong[place] = own, name, is_wrong
    best = fits.argmax(1) if names else np.zeros(count, int)
    instead = [names[b] if label[i] and fits[i, b] > 0 else "" for i, b in enumerate(best)]
    return Doubts(score, label, wrong, instead, margins(said), too_small)


def margins(probabilities: np.ndarray) -> np.ndarray:
    """(N,): how far the two most probable of (N, K) are apart; nan where fewer than two are known."""
    if probabilities.shape[1] < 2:
        return np.full(len(probabilities), np.nan)
    first, second = -np.partition(-np.nan_to_num(probabilities, nan=-1.0), 1, axis=1)[:, :2].T
    return np.where(second < 0, np.nan, first - second)


def _columns(clips: Labelled, folds: int) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """By label that can be judged, which clips (N,) have it; and the others."""
    members: dict[str, list[int]] = {}
    for place, (given, settled) in enumerate(zip(clips.given, clips.settled, strict=True)):
        names = [name for name in given if settled.get(name, True)] + [name for name, yes in settled.items() if yes]
        for name in dict.fromkeys(names):
            members.setdefault(name, []).append(place)
    has, too_small = dict[str, np.ndarray](), dict[str, int]()
    for name, places in sorted(members.items()):
        column = np.zeros(len(clips.given), bool)
        column[places] = True
        held = len(set(clips.groups[column]))
        if min(held, len(set(clips.groups[~column]))) >= folds:
            has[name] = column
        else:
            too_small[name] = held
    return has, too_small


def out_of_fold(clips: Labelled, has: Mapping[str, np.ndarray], folds: int, seed: int) -> np.ndarray:
    """float32 (N, K): how probable each label is by models that saw neither the clip nor any other of its group; nan where
    all examples of a label lie in one fold."""
    from sklearn.linear_model import LogisticRegression

    if not has:
        return np.empty((len(clips.given), 0), np.float32)
    spread = clips.features.std(0)
    points = (clips.features - clips.features.mean(0)) / np.where(spread > 1e-6, spread, 1)
    fold = folds_of(clips, folds, seed)
    said = np.full((len(points), len(has)), np.nan, np.float32)
    for number in range(folds):
        held = fold == number
        train, asked = points[~held], points[held]
        for place, column in enumerate(has.values()):
            if held.any() and 0 < column[~held].sum() < len(train):
                model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(train, column[~held])
                said[held, place] = model.predict_proba(asked)[:, 1]
    return said


def folds_of(clips: Labelled, folds: int, seed: int) -> np.ndarray:
    """(N,) int: the fold of each clip. Groups stay whole, and the groups of a label (the first of their first clip) are dealt
    out in turn, in a random order."""
    groups, first, place = np.unique(clips.groups, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    dealt = sorted(shuffled.tolist(), key=lambda group: next(iter(clips.given[int(first[group])]), ""))
    turn = np.empty(len(groups), int)
    turn[dealt] = np.arange(len(groups)) % folds
    return np.asarray(turn[place])


def look_alikes(features: np.ndarray, seed: int = 0) -> list[tuple[int, int, float]]:
    """(clip, other, distance): of every clip at most :data:`NEAREST` others, as near as :data:`SELDOM` of all pairs."""
    from sklearn.neighbors import NearestNeighbors

    count = len(features)
    if count < 2:
        return []
    one, other = np.random.default_rng(seed).integers(0, count, (2, PAIRS))
    apart = np.linalg.norm(features[one] - features[other], axis=1)[one != other]
    fitted = NearestNeighbors(n_neighbors=min(NEAREST, count - 1), algorithm="brute").fit(features)
    distances, others = fitted.kneighbors()  # nobody is their own neighbour
    near = zip(*np.nonzero(distances <= np.quantile(apart, SELDOM)), strict=True)
    return [(int(row), int(others[row, n]), float(distances[row, n])) for row, n in near]
