"""Doubts about labels on made features: what is wrong comes first, what was settled is not doubted, groups stay whole."""

from __future__ import annotations

import numpy as np
import pytest

from tiktokactions.reviews.suspects import Labelled, doubts, folds_of, look_alikes, margins, out_of_fold

LABELS = ("bend", "jump", "wave")


def made(each: int = 20, wrong: tuple[int, ...] = (), settled=None, groups=None) -> tuple[Labelled, list[str]]:
    """Three labels in turn, each around a corner of its own; those of ``wrong`` are given the next one. And the truth."""
    rng = np.random.default_rng(0)
    truth = [LABELS[n % 3] for n in range(3 * each)]
    features = np.eye(3, 6)[np.arange(3 * each) % 3] * 3 + rng.normal(0, 1, (3 * each, 6))
    given = [[LABELS[(n + (n in wrong)) % 3]] for n in range(3 * each)]
    numbers = np.arange(3 * each) if groups is None else np.array(groups)
    known = [(settled or {}).get(n, {}) for n in range(3 * each)]
    return Labelled(features.astype(np.float32), numbers, given, known), truth


def test_wrong_labels_come_first_and_what_they_show_is_named():
    wrong = (4, 17, 33, 51)
    clips, truth = made(wrong=wrong)
    found = doubts(clips)
    order = np.argsort(found.score)
    assert set(order[:4]) == set(wrong)
    assert [found.instead[n] for n in wrong] == [truth[n] for n in wrong]
    assert found.likely_wrong[list(wrong)].all() and found.likely_wrong.sum() <= 8
    assert found.label == [given[0] for given in clips.given] and found.too_small == {}


def test_the_score_is_that_of_confident_learning():
    """Its definition (Northcutt et al. 2021, with thresholds taken off), written out."""
    clips, _ = made(wrong=(4, 17))
    has = {name: np.array([name in given for given in clips.given]) for name in LABELS}
    said = out_of_fold(clips, has, 5, 0)
    found = doubts(clips)
    for number, name in enumerate(LABELS):
        p, y = said[:, number].astype(float), has[name]
        thresholds = np.array([(1 - p[~y]).mean(), p[y].mean()])
        adjusted = np.stack([1 - p, p], 1) - thresholds + thresholds.max()
        quality = (adjusted / adjusted.sum(1, keepdims=True))[y, 1]
        np.testing.assert_allclose(found.score[y], quality, atol=1e-6)


def test_what_people_settled_is_learned_from_and_not_doubted():
    settled = {4: {"wave": False}, 17: {"bend": True, "wave": False}, 6: {"bend": True}}
    clips, _ = made(wrong=(4, 17), settled=settled)
    found = doubts(clips)
    assert np.isnan(found.score[[4, 6, 17]]).all() and found.label[4] == found.label[6] == found.label[17] == ""
    assert np.isfinite(np.delete(found.score, [4, 6, 17])).all()
    clips, truth = made(wrong=(4,), settled={4: {"jump": False}})
    assert truth[4] == "jump" and doubts(clips).instead[4] == "", "what people said no to is not suggested"


def test_of_several_labels_the_most_doubtful_one_is_named():
    clips, truth = made()
    both = [
        given if n % 12 else [*given, "wave"] for n, given in enumerate(clips.given)
    ]  # every fourth "bend" has both
    found = doubts(Labelled(clips.features, clips.groups, both, clips.settled))
    assert {found.label[n] for n in range(0, 60, 12)} == {"wave"}
    first = np.argsort(found.score)[:5]
    assert len(set(first) & set(range(0, 60, 12))) >= 4 and truth[first[0]] == "bend"


@pytest.mark.parametrize(
    ("each", "groups", "too_small"),
    [
        pytest.param(4, None, {"bend": 4, "jump": 4, "wave": 4}, id="fewer clips of each than folds"),
        pytest.param(20, [0] * 60, {"bend": 1, "jump": 1, "wave": 1}, id="all of one source"),
        pytest.param(20, [n // 30 for n in range(60)], {"bend": 2, "jump": 2, "wave": 2}, id="of two sources"),
        pytest.param(0, None, {}, id="nothing"),
    ],
)
def test_what_is_too_small_is_said_and_not_judged(each, groups, too_small):
    clips, _ = made(each, groups=groups)
    found = doubts(clips)
    assert found.too_small == too_small
    assert np.isnan(found.score).all() and np.isnan(found.margin).all()


def test_one_label_alone_cannot_be_doubted():
    clips, _ = made()
    found = doubts(Labelled(clips.features, clips.groups, [["bend"]] * 60, clips.settled))
    assert found.too_small == {"bend": 60} and np.isnan(found.score).all()


def test_a_group_is_never_on_both_sides_and_labels_are_dealt_out():
    clips, _ = made(groups=[n // 6 for n in range(60)])
    fold = folds_of(clips, 5, 3)
    assert all(len(set(fold[n : n + 6])) == 1 for n in range(0, 60, 6))
    assert set(np.bincount(fold)) == {12}, "ten groups of six clips"
    alone = folds_of(made()[0], 5, 0)
    assert all(set(np.bincount(alone[start::3])) == {4} for start in range(3)), "each label evenly"


def test_a_copy_does_not_vouch_for_its_twin():
    """Two copies of a wrong clip: apart they teach each other's error, in one group they do not."""
    clips, _ = made(wrong=(4,))
    features = np.concatenate([clips.features, np.repeat(clips.features[4:5], 6, 0)])
    given, settled = [*clips.given, *[clips.given[4]] * 6], [*clips.settled, *[{}] * 6]
    apart = doubts(Labelled(features, np.arange(66), given, settled)).score[4]
    together = doubts(Labelled(features, np.array([*range(60), *[4] * 6]), given, settled)).score[4]
    assert together < apart


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        pytest.param([[0.9, 0.1, 0.2]], [0.7], id="the two largest"),
        pytest.param([[0.5, np.nan, 0.5]], [0.0], id="unknown ones do not count"),
        pytest.param([[0.5, np.nan, np.nan]], [np.nan], id="one known"),
        pytest.param([[0.5]], [np.nan], id="one label"),
    ],
)
def test_margins(probabilities, expected):
    np.testing.assert_allclose(margins(np.array(probabilities, np.float32)), expected, atol=1e-6)


def test_look_alikes_are_near_and_not_the_clip_itself():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (300, 8)).astype(np.float32)
    features[7] = features[3] + 1e-3
    found = {(a, b): distance for a, b, distance in look_alikes(features)}
    assert found[3, 7] < 0.01 and found[7, 3] < 0.01
    assert all(a != b for a, b in found)
    assert all(found[pair] >= found[3, 7] - 1e-4 for pair in found) and len(found) < 0.02 * 300**2
    assert look_alikes(features[:1]) == []
