"""Agreement against figures computed by hand, and what several people's decisions come to."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import crowdkit.aggregation
import numpy as np
import pytest

from tests.reviews.worlds import says
from tiktokactions.intervals import wilson_interval
from tiktokactions.reviews import ledger, people
from tiktokactions.reviews.aggregate import ANSWERS_AT_MOST, SECONDS_PER_ANSWER, aggregate, most_probable
from tiktokactions.reviews.agreement import cohen_kappa, krippendorff_alpha, pair_agreements, review_report
from tiktokactions.reviews.consensus import consensus
from tiktokactions.reviews.decisions import Decision, Gold
from tiktokactions.reviews.options import METHODS, Method
from tiktokactions.reviews.store import Store, set_setting


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path)) as opened:
        yield opened


# --- coefficients --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([], None),
        ([("y", "y")] * 5, None),
        ([("y", "n")] * 5, 0.0),
        # observed 0.7; expected 0.5 * 0.6 + 0.5 * 0.4 = 0.5; (0.7 - 0.5) / 0.5
        ([("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15, 0.4),
        ([("y", "n"), ("n", "y")], -1.0),
        ([("y", "y"), ("n", "n")], 1.0),
        # observed 5/6 = 30/36; expected (3*2 + 2*3 + 1*1) / 36 = 13/36; (30 - 13) / (36 - 13)
        ([(1, 1), (1, 1), (1, 2), (2, 2), (2, 2), (3, 3)], 17 / 23),
    ],
    ids=["none", "one value only", "never", "the textbook's", "opposite", "always", "three values"],
)
def test_cohens_kappa(pairs: list[Any], kappa: float | None) -> None:
    assert cohen_kappa(pairs)[0] == (kappa if kappa is None else pytest.approx(kappa))


MISSING = "."


def units(*observers: str) -> list[list[str]]:
    """What was said of each unit, from a line per observer."""
    return [[value for value in column if value != MISSING] for column in zip(*observers, strict=True)]


@pytest.mark.parametrize(
    ("said", "alpha"),
    [
        ([], None),
        ([["a"], ["b"]], None),
        ([["a", "a"], ["a", "a"]], None),
        ([["a", "a"], ["b", "b"]], 1.0),
        # two pairs differ, out of two a and two b: 1 - 4 / ((16 - 4 - 4) / 3)
        ([["a", "b"], ["a", "b"]], -0.5),
        # One unit without a second value is left out: 3 a and 4 b remain. Observed 4/2 + 2/1 + 0 = 4 of 7, expected
        # (49 - 9 - 16) / 6 = 4 of 7: no better than chance.
        ([["a", "a", "b"], ["a", "b"], ["b"], ["b", "b"]], 0.0),
        # Everybody is in a tie with somebody: observed (4 - 2) / 1 twice and (16 - 8) / 3, expected (64 - 32) / 7.
        ([["a", "b"], ["b", "a"], ["a", "a", "b", "b"]], 1 - (4 + 8 / 3) / (32 / 7)),
        # Three values, one of them said once: observed 2 + 2 + 0 + 0, 5 a, 2 b and 1 c: expected (64 - 25 - 4 - 1) / 7.
        ([["a", "b"], ["b", "c"], ["a", "a"], ["c"], [], ["a", "a"]], 1 - 4 / (34 / 7)),
        # K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: four observers, 0.743
        (units("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
        # the same author's three coders and fifteen units, 0.691 for nominal data
        (units(".....34121133.3", "1.213343.......", "..21344.21133.4"), 0.691),
    ],
)  # fmt: skip
def test_krippendorffs_alpha(said: list[list[str]], alpha: float | None) -> None:
    found = krippendorff_alpha(said)
    assert found == (alpha if alpha is None else pytest.approx(alpha, abs=0.0005))


def test_kappa_of_pairs_counts_only_what_both_have_judged() -> None:
    """ann and ben share v1 to v4: observed 3/4, expected 3/4 * 2/4 + 1/4 * 2/4 = 1/2. cid shares one video with each, where
    chance alone would do."""
    table = {"v1": "aa.", "v2": "aa.", "v3": "rr.", "v4": "ar.", "v5": "a.a", "v6": ".rr", "v7": "..a", "v8": "a.."}
    units = {
        video_id: [
            said(person, {"a": "accept", "r": "reject"}[letter])
            for person, letter in zip(("ann", "ben", "cid"), row, strict=True)
            if letter != MISSING
        ]
        for video_id, row in table.items()
    }
    said_of = [[(d.reviewer, d.verdict) for d in decisions] for decisions in units.values()]
    pairs = {(p.a, p.b): (p.videos, p.agreed, p.kappa) for p in pair_agreements(said_of)}
    assert pairs == {
        ("ann", "ben"): (4, 3, pytest.approx(0.5)),
        ("ann", "cid"): (1, 1, None),
        ("ben", "cid"): (1, 1, None),
    }


# --- consensus -----------------------------------------------------------------------------------------------------


def said(reviewer: str, verdict: str = "accept", **more: Any) -> Decision:
    return Decision("key-00000000", "v", verdict, reviewer=reviewer, id=hash(reviewer) % 1000, **more)


def votes(text: str) -> list[Decision]:
    """``aru``: three people who accept, reject and are unsure; ``s``: a skip."""
    verdicts = {"a": "accept", "r": "reject", "u": "unsure", "s": "skip"}
    return [said(f"p{n}", verdicts[letter]) for n, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("text", "k", "verdict", "conflict"),
    [
        ("", 1, None, None),
        ("a", 1, "accept", None),
        ("s", 1, None, None),
        ("a", 2, None, None),
        ("as", 2, None, None),
        ("aa", 2, "accept", None),
        ("ar", 2, None, "verdict"),
        ("u", 1, None, "unsure"),
        ("au", 2, None, "unsure"),
        ("aau", 3, "accept", None),
        ("rra", 3, "reject", None),
        ("aru", 3, None, "verdict"),
        ("aar", 2, "accept", None),
    ],
)
def test_the_majority_decides(text: str, k: int, verdict: str | None, conflict: str | None) -> None:
    found = consensus(votes(text), k)
    assert (found.verdict, found.conflict) == (verdict, conflict)
    assert found.judged == sum(letter != "s" for letter in text)


def test_the_last_word_and_known_answers_stand_above_votes() -> None:
    last_word = said("owner", "reject", adjudication=True, no_action=True)
    found = consensus([*votes("aaa"), last_word], 3)
    assert found.said is not None
    assert (found.verdict, found.said.no_action, found.is_final, found.judged) == ("reject", True, True, 3)
    known = consensus([*votes("rrr"), last_word], 3, Gold("v", "accept", ("waltz",)))
    assert (known.verdict, known.labels, known.is_final) == ("accept", ("waltz",), True)


@pytest.mark.parametrize(
    ("labels", "agreed", "conflict"),
    [
        ([None, None, None], (), None),
        ([("a",), None, None], ("a",), None),
        ([("a", "b"), ("a",), ("a", "c")], ("a",), None),
        ([("a", "b"), ("b", "a")], ("a", "b"), None),
        ([("a",), ("b",)], (), "labels"),
        ([("a",), (), ()], (), "labels"),
        ([(), ()], (), None),
    ],
)
def test_labels_need_more_than_half(labels: list[Any], agreed: tuple[str, ...], conflict: str | None) -> None:
    found = consensus([said(f"p{n}", labels=names) for n, names in enumerate(labels)], len(labels))
    assert (found.verdict, set(found.labels), found.conflict) == ("accept", set(agreed), conflict)


@pytest.mark.parametrize(
    ("marked", "kept", "conflict"),
    [
        pytest.param(["", "", ""], [], None, id="nobody marked anything"),
        pytest.param(["1-3 spin"], [(1, 3, ["spin"])], None, id="one person"),
        pytest.param(["1-3 spin", "1-3 spin", ""], [(1, 3, ["spin"])], None, id="more than half"),
        pytest.param(["1-3 spin", ""], [], "segments", id="as many marked it as did not"),
        pytest.param(["1-3 spin", "", ""], [], None, id="one of three"),
        pytest.param(["1-3 spin", "1-3 jump"], [], "segments", id="the same time, other labels"),
        pytest.param(["1-3 spin", "2.5-6 spin"], [], "segments", id="hardly the same time"),
        pytest.param(["1-3 spin", "1-4 spin", "1-5 spin"], [(1, 4, ["spin"])], None, id="the one in the middle"),
        pytest.param(
            ["1-3 spin, 6-8 spin, 1-3 jump", "1-3 jump, 6-8 spin, 1-3 spin", ""],
            [(1, 3, ["spin", "jump"]), (6, 8, ["spin"])],
            None,
            id="several, whatever their order",
        ),
        pytest.param(["1-3 spin, 1-3 spin", ""], [], "segments", id="one person twice is one person"),
    ],
)
def test_parts_that_people_mark(marked, kept, conflict):
    decisions = []
    for n, text in enumerate(marked):
        spans = [
            (*map(float, span.split("-")), [label]) for span, label in map(str.split, filter(None, text.split(", ")))
        ]
        parts = tuple({"start_s": a, "end_s": b, "labels": names} for a, b, names in spans)
        decisions.append(replace(said(f"p{n}", segments=parts), id=n + 1))
    found = consensus(decisions, len(marked))
    assert found.said is not None
    assert [(part["start_s"], part["end_s"], part["labels"]) for part in found.said.segments] == kept
    assert found.conflict == conflict


@pytest.mark.parametrize(
    ("segments", "chosen"),
    [
        ([None], None),
        ([(1.0, 5.0)], (1.0, 5.0)),
        ([(1.0, 5.0), None, None], None),
        ([(1.0, 5.0), None], (1.0, 5.0)),
        ([(0.0, 4.0), (1.0, 5.0), (2.0, 6.0)], (1.0, 5.0)),
        ([(20.0, 24.0), (1.0, 5.0), (1.1, 5.1)], (1.0, 5.0)),
    ],
)
def test_the_segment_nearest_to_the_others_is_taken(segments: list[Any], chosen: Any) -> None:
    decisions = [
        Decision(
            "key-00000000", "v", "accept", reviewer=f"p{n}", id=n, scene=s and 0, start_s=s and s[0], end_s=s and s[1]
        )
        for n, s in enumerate(segments)
    ]
    found = consensus(decisions, 1)
    assert found.said is not None
    assert (found.said.start_s, found.said.end_s) == (chosen or (None, None))


# --- models of people ----------------------------------------------------------------------------------------------


def crowd(store: Store) -> dict[str, str]:
    """40 videos; ann and ben judge all rightly, cid says 'accept' to everything; of the last ten ben has judged none."""
    truth = {f"v{n:02}": "accept" if n % 2 else "reject" for n in range(40)}
    decisions = []
    for n, (video_id, right) in enumerate(truth.items()):
        labels = ("waltz",) if n % 4 == 1 else ("tango",)
        for person in ("ann", "cid") if n >= 30 else ("ann", "ben", "cid"):
            verdict = "accept" if person == "cid" else right
            named = (("polka",) if person == "cid" else labels) if verdict == "accept" else None
            decisions.append((person, says(video_id, verdict, labels=named), "2026-01-01T00:00:00.000+00:00"))
    ledger.add_decisions(store, decisions)
    set_setting(store, "reviewers_per_video", 2)
    return truth


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small a crowd is understood after a few steps."""
    monkeypatch.setattr("tiktokactions.reviews.aggregate.ITERATIONS", 4)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_methods_of_aggregation_with_all_their_steps(method: Method, store: Store) -> None:
    test_methods_of_aggregation(method, store, None)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "glad"])
def test_methods_of_aggregation(method: Method, store: Store, few_steps: None) -> None:
    truth = crowd(store)
    found = aggregate(store, method)
    assert aggregate(store, method) == found, "the same answers give the same result"
    verdicts = {video_id: verdict.verdict for video_id, verdict in found.verdicts.items()}
    tied = {f"v{n:02}" for n in range(30, 40, 2)}
    if method == "majority":
        assert {i for i, what in found.conflicts.items() if what == "verdict"} == tied
        assert verdicts == {i: right for i, right in truth.items() if i not in tied}
    else:
        assert verdicts == truth, "who can be trusted decides where votes are tied"
        assert not {i for i, what in found.conflicts.items() if what == "verdict"}
    assert found.verdicts["v01"].labels == ("waltz",) and found.verdicts["v03"].labels == ("tango",)


def test_what_takes_long_is_announced(store: Store, few_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(store)
    said: list[str] = []
    aggregate(store, "mace", said.append)
    assert said == [], "a hundred answers take no time"
    monkeypatch.setitem(SECONDS_PER_ANSWER, "mace", 0.1)
    aggregate(store, "mace", said.append)
    assert said == [
        "mace: weighing 110 verdicts of 3 people, takes about 11 s",
        "mace: weighing 225 answers about labels of 3 people, takes about 22 s",
    ]


@pytest.mark.parametrize("turned", [True, False], ids=["as we ask", "as crowd-kit would be asked"])
def test_where_no_is_usual_mace_trusts_no_lone_yes(turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not turned:
        monkeypatch.setattr("tiktokactions.reviews.aggregate.scramble", lambda text: "0")
    draw = random.Random(0)
    right: dict[tuple[str, str], str] = {}
    answers = []
    for video in range(60):
        labels = set(draw.sample(range(40), draw.choice([1, 1, 1, 2])))
        for who in draw.sample(range(6), 3):
            for label in range(40):
                is_right = draw.random() < 0.95
                task = (str(video), str(label))
                right[task] = "yes" if label in labels else "no"
                answers.append((task, f"p{who}", "yes" if (label in labels) == is_right else "no"))
    found = most_probable(answers, "mace")
    wrong = {task[0] for task, said in right.items() if found[task][0] != said}
    assert (60 - len(wrong)) / 60 == (0.8 if turned else 0.0)  # a majority: 0.8


@pytest.mark.parametrize(("method", "model"), [("dawid-skene", "DawidSkene"), ("mace", "MACE")])
def test_what_is_too_much_for_a_model_is_answered_by_what_it_found_of_people(
    method: Method, model: str, few_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody agrees on anything: ann is right, cid says yes to all, and dan, who says no, has answered every other one."""
    weighed: list[int] = []
    fit = getattr(crowdkit.aggregation, model).fit_predict_proba

    def counted(self: Any, table: Any, *more: Any, **settings: Any) -> Any:
        weighed.append(len(table))
        return fit(self, table, *more, **settings)

    monkeypatch.setattr(getattr(crowdkit.aggregation, model), "fit_predict_proba", counted)
    monkeypatch.setitem(ANSWERS_AT_MOST, method, 150)
    truth = {(f"v{n}", "spin"): "yes" if n % 3 == 0 else "no" for n in range(120)}
    answers = [(task, "ann", right) for task, right in truth.items()] + [(task, "cid", "yes") for task in truth]
    answers += [(task, "dan", "no") for n, task in enumerate(truth) if n % 2]
    found = most_probable(answers, method)
    assert {task: said for task, (said, _) in found.items()} == truth
    assert weighed and max(weighed) <= 150
    assert most_probable(answers[::-1], method) == found, "in whatever order they come"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("texts", [[], ["a"], ["aa", "aa"], ["ar"]], ids=["none", "one", "all alike", "one tie"])
def test_aggregation_of_very_little(method: Method, texts: list[str], store: Store, few_steps: None) -> None:
    for n, text in enumerate(texts):
        for decision in votes(text):
            ledger.add_decision(store, decision.reviewer, says(f"v{n}", decision.verdict))
    found = aggregate(store, method)
    assert set(found.verdicts) | set(found.conflicts) == {f"v{n}" for n in range(len(texts))}


# --- the owner's figures -------------------------------------------------------------------------------------------


def test_the_report(store: Store) -> None:
    set_setting(store, "reviewers_per_video", 2)
    table = ["yy"] * 20 + ["yn"] * 5 + ["ny"] * 10 + ["nn"] * 15
    for n, pair in enumerate(table):
        for person, answer in zip(("ann", "ben"), pair, strict=True):
            people.invite(store, person.title())
            verdict = "accept" if answer == "y" else "reject"
            ledger.add_decision(store, person, says(f"v{n}", verdict, seconds=2.0 if person == "ann" else 4.0))
    ledger.add_decision(store, "ann", says("v99", "skip"))
    ledger.add_decision(store, "ann", says("v98"))
    ledger.undo_last(store, "ann", "undo-0001")
    report = review_report(store, {"ann": 2})
    assert [(p.a, p.b, p.videos, p.agreed) for p in report.pairs] == [("ann", "ben", 50, 35)]
    assert report.pairs[0].kappa == pytest.approx(0.4)
    # 100 values, 55 y and 45 n; 15 pairs differ: 1 - 30 / ((10000 - 3025 - 2025) / 99) = 0.4
    assert report.alpha_verdict == pytest.approx(1 - 30 / (4950 / 99))
    assert (report.videos_judged, report.videos_decided, report.conflicts, report.decisions) == (50, 35, 15, 103)
    ann, ben = report.reviewers
    assert (ann.name, ann.judged, ann.accepted, ann.skipped, ann.undone, ann.leases) == ("Ann", 50, 25, 1, 1, 2)
    assert (ann.seconds_per_video, ben.seconds_per_video) == (2.0, 4.0)


def test_precision_of_a_hashtag_from_the_sample(store: Store) -> None:
    """Of fourteen clips drawn and judged: right are those where somebody said yes to the hashtag, wrong those with no and
    the rejected. Where nobody was asked, or could tell, nothing is counted."""
    yes, no = {"jump": "yes"}, {"jump": "no"}
    told: list[dict[str, Any]] = [
        *[{"answers": yes}] * 4, {"answers": no}, {"answers": no | {"dance": "yes"}}, {"labels": ("dance",)},
        {"verdict": "reject"}, {"verdict": "reject", "no_action": True, "labels": ()},
        {}, {"answers": {"jump": "cannot_tell"}}, {"answers": {"jump": "not_asked", "run": "yes"}},
        {"answers": yes, "prefilled": True}, {"labels": ()},
    ]  # fmt: skip
    with store.database.write() as connection:
        for n in range(len(told) + 1):
            labels = '["jump", "run"]' if n == 11 else '["jump"]'
            connection.execute("INSERT INTO sampled VALUES(?, 0, ?, ?, '', 1)", (f"v{n}", n, labels))
    for n, said in enumerate(told):
        ledger.add_decision(store, "ann", says(f"v{n}", **said))
    ledger.add_decision(store, "ann", says("not drawn", "reject"))
    report = review_report(store)
    jump, run = report.precision
    assert (jump.label, jump.judged, jump.right, jump.waiting) == ("jump", 10, 4, 1)
    assert (jump.not_asked, jump.cannot_tell) == (3, 1)
    assert (jump.precision, (jump.low, jump.high)) == (4 / 10, wilson_interval(4, 10))
    assert (run.label, run.judged, run.right) == ("run", 1, 1)
    assert report.precision_all is not None and (report.precision_all.judged, report.precision_all.right) == (11, 5)
    assert report.sample == sorted(f"v{n}" for n in range(15)) and jump.effective == 10


def test_in_a_stratified_sample_a_clip_counts_for_those_that_it_stands_for(store: Store) -> None:
    with store.database.write() as connection:
        for n, weight in enumerate((1, 1, 1, 1, 8)):
            connection.execute("INSERT INTO sampled VALUES(?, 0, ?, '[\"jump\"]', '', ?)", (f"v{n}", n, weight))
    for n in range(5):
        ledger.add_decision(store, "ann", says(f"v{n}", answers={"jump": "no" if n < 3 else "yes"}))
    [jump] = review_report(store).precision
    assert (jump.judged, jump.right, jump.precision) == (5, 2, pytest.approx(9 / 12))
    assert jump.effective == pytest.approx(12**2 / 68)
    assert (jump.low, jump.high) == pytest.approx(wilson_interval(0.75 * 144 / 68, 144 / 68))


def test_what_two_people_say_of_a_label(store: Store) -> None:
    """Two people with known errors on three hashtags: kappa and alpha label by label, and intervals as another bootstrap
    of the same videos draws them."""
    metrics = pytest.importorskip("sklearn.metrics")  # crowd-kit needs it
    rng = np.random.default_rng(1)
    truth = rng.random((60, 3)) < 0.4
    table = {who: np.where(rng.random((60, 3)) < wrong, ~truth, truth) for who, wrong in (("ann", 0.1), ("ben", 0.3))}
    told = [
        (who, says(f"v{n:02}", answers={f"l{i}": "yes" if value else "no" for i, value in enumerate(row)}), "2026")
        for who, said in table.items()
        for n, row in enumerate(said)
    ]
    ledger.add_decisions(store, told)
    again = [rng.integers(0, 60, 60) for _ in range(300)]
    for found in review_report(store).labels:
        one, other = (table[who][:, int(found.label[1])] for who in ("ann", "ben"))
        pair = found.pairs[0]
        alpha = krippendorff_alpha(list(zip(one, other, strict=True)))
        assert (found.videos, found.alpha) == (60, pytest.approx(alpha))
        assert pair.kappa == pytest.approx(metrics.cohen_kappa_score(one, other))
        alphas = [krippendorff_alpha(list(zip(one[rows], other[rows], strict=True))) for rows in again]
        kappas = [metrics.cohen_kappa_score(one[rows], other[rows]) for rows in again]
        for interval, drawn in (
            ((found.alpha_low, found.alpha_high), alphas),
            ((pair.kappa_low, pair.kappa_high), kappas),
        ):
            assert interval == pytest.approx(tuple(np.percentile(np.array(drawn, float), [2.5, 97.5])), abs=0.06)


@pytest.mark.parametrize(
    ("said", "labels", "come_to", "conflict"),
    [
        ([{"a": "yes", "b": "no"}], ("a",), {"a": "yes", "b": "no"}, None),
        ([{"a": "no"}], (), {"a": "no"}, None),
        ([{}], (), {}, None),
        ([{"a": "cannot_tell"}], None, {"a": "cannot_tell"}, None),
        ([{"a": "not_asked"}], None, {"a": "not_asked"}, None),
        ([{"a": "no", "b": "not_asked"}], (), {"a": "no", "b": "not_asked"}, None),
        ([{"a": "yes"}, {"a": "not_asked"}], ("a",), {"a": "yes"}, None),
        ([{"a": "yes"}, {"a": "no"}], None, {"a": "cannot_tell"}, "labels"),
        ([{"a": "yes", "b": "yes"}, {"a": "no", "b": "yes"}], ("b",), {"b": "yes", "a": "cannot_tell"}, "labels"),
        ([{"a": "yes"}, {"a": "yes"}, {"a": "cannot_tell"}], ("a",), {"a": "yes"}, None),
        ([{"a": "no", "new": "yes"}, {"a": "no"}, {"a": "no"}], None, {"a": "no", "new": "no"}, "labels"),
    ],
)
def test_every_label_is_a_question_of_its_own(
    said: list[dict[str, str]], labels: tuple[str, ...] | None, come_to: dict[str, str], conflict: str | None
) -> None:
    found = consensus(
        [Decision("key-00000000", "v", "accept", reviewer=f"p{n}", id=n, answers=a) for n, a in enumerate(said)], 1
    )
    assert found.said is not None and (found.said.labels, found.answers, found.conflict) == (labels, come_to, conflict)
