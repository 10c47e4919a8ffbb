"""From many people's judgements to one verdict per video: majority, or models of who can be trusted (crowd-kit).

Labels are aggregated by binary relevance: whether a label fits a clip is one question with the answers yes and no. All
questions go into one model, so that what is known of a person from the frequent labels helps with the rare ones.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tiktokactions.reviews.consensus import Consensus, agreed, consensus
from tiktokactions.reviews.decisions import EVERY_OTHER, Decision, Gold, Verdict
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.ledger import in_force_by_video
from tiktokactions.reviews.options import Method
from tiktokactions.reviews.order import scramble
from tiktokactions.reviews.store import Store, reviewers_per_video

ITERATIONS = 50
"""How often a model estimates anew. MACE starts once: crowd-kit's restarts all begin with the same numbers, and with numbers
of their own they found nothing better."""
SECONDS_PER_ANSWER = {"dawid-skene": 1.1e-4, "mace": 2e-4, "glad": 1e-2}
"""Seconds for one answer to a question of two answers; measured on one core that others used too, with 2,700 answers."""
SAID_FROM_S = 5.0
"""Work that takes longer than this is announced."""
TIE = 1e-6
"""Two answers whose probabilities differ by less than this are a tie."""
ANSWERS_AT_MOST = {"dawid-skene": 500_000, "mace": 100_000, "glad": 3_000}
"""More than that would take more than a minute: then GLAD leaves out questions to which all gave the same answer, which says
what comes out, and the others take fewer questions about labels. What is still too much is answered by what
the model found of the people in the rest (:func:`_by_skill`)."""
ANCHORS = 5
"""MACE and GLAD take no known answers: this many people of whom the models know nothing give the right ones."""

Task = tuple[str, str]
"""A video and a label; the label is empty where the question is accept or reject."""
Answers = Sequence[tuple[Task, str, str]]
"""Of (task, worker, answer)."""


@dataclass(frozen=True)
class Aggregated:
    verdicts: dict[str, Verdict]
    """Verdicts of the videos that have their ``k`` judgements and no conflict over the verdict, and those that stand."""
    conflicts: dict[str, str]
    """Videos that somebody has to settle, and the kind of each conflict (as in ``Consensus``)."""


def aggregate(
    store: Store,
    method: Method = "majority",
    report: Callable[[str], None] = lambda text: None,
    before: Mapping[str, Verdict] | None = None,
) -> Aggregated:
    """The outcome for every video.

    ``majority`` needs more than half. The others estimate from all judgements together how reliable each person is, and
    weigh them: Dawid and Skene (1979) by a confusion matrix per person, MACE (Hovy et al., 2013) by how often a person
    guesses, GLAD (Whitehill et al., 2009) by ability and the video's difficulty. They decide where a majority cannot; an
    adjudication or a gold answer overrules them all, and gold answers tell them who is right. ``report`` receives a line
    before anything that takes long. ``before``: the verdicts in force. One of them stands while there is no new one (more
    judgements are wanted now, or people disagree) and somebody still says what it says.
    """
    k, answers = reviewers_per_video(store), gold(store)
    by_video = in_force_by_video(store)
    for video_id in answers:
        by_video.setdefault(video_id, [])
    outcomes = {i: consensus(decisions, k, answers.get(i)) for i, decisions in sorted(by_video.items())}
    if method != "majority":
        outcomes = _weighed(outcomes, by_video, k, method, answers, report)
    verdicts = {
        video_id: Verdict(
            video_id=video_id,
            **vars(outcome.said),
            judgements=outcome.judged,
            confidence=round(outcome.confidence, 6),
            method="settled" if outcome.is_final else method,
        )
        for video_id, outcome in outcomes.items()
        if outcome.said is not None
    }
    standing = {
        video_id: verdict
        for video_id, verdict in (before or {}).items()
        if video_id not in verdicts and _stands(verdict, by_video.get(video_id, ()))
    }
    return Aggregated(verdicts | standing, {i: outcome.conflict for i, outcome in outcomes.items() if outcome.conflict})


def _stands(verdict: Verdict, decisions: Sequence[Decision]) -> bool:
    """Whether as many people as made a verdict have their say in force, and one of them still says the same."""
    votes = [d for d in decisions if d.verdict != "skip" and not d.adjudication]
    return len(votes) >= verdict.judgements > 0 and any(d.verdict == verdict.verdict for d in votes)


def _weighed(
    outcomes: Mapping[str, Consensus],
    by_video: Mapping[str, Sequence[Decision]],
    k: int,
    method: Method,
    known: Mapping[str, Gold],
    report: Callable[[str], None],
) -> dict[str, Consensus]:
    """The outcomes with verdicts and labels as a model of the people sees them."""
    votes = {
        i: [d for d in decisions if d.verdict in ("accept", "reject") and not d.adjudication]
        for i, decisions in by_video.items()
    }
    judged = [((i, ""), d.reviewer, d.verdict) for i, ds in votes.items() for d in ds]
    _announce(judged, "verdicts", method, report)
    verdicts = most_probable(judged, method, {(i, ""): answer.verdict for i, answer in known.items()})
    # That somebody does not say most labels of most clips tells how seldom a person errs; GLAD has no time for it.
    named = label_answers(votes, 0 if method == "glad" else ANSWERS_AT_MOST[method])
    right = {(i, name): "yes" if name in (known[i].labels or ()) else "no" for (i, name), _, _ in named if i in known}
    right = {task: said for task, said in right.items() if known[task[0]].labels is not None}
    _announce(named, "answers about labels", method, report)
    labels = defaultdict[str, dict[str, str]](dict)
    for (video_id, name), (said, _) in most_probable(named, method, right).items():
        labels[video_id][name] = said
    weighed: dict[str, Consensus] = {}
    for video_id, outcome in outcomes.items():
        verdict, probability = verdicts.get((video_id, ""), (None, 0.0))
        if outcome.is_final or outcome.judged < k or verdict is None:
            weighed[video_id] = outcome
        else:
            weighed[video_id] = agreed(
                votes[video_id], verdict, outcome.judged, probability, weighed=labels.get(video_id)
            )
    return weighed


def label_answers(votes: Mapping[str, Sequence[Decision]], at_most: int = 0) -> list[tuple[Task, str, str]]:
    """Yes or no of everybody who accepted a video and spoke of actions, to all labels if these are ``at_most`` so many
    answers, else to every label that somebody spoke of there."""
    found = []
    vocabulary = dict.fromkeys(
        name for ds in votes.values() for d in ds for name in d.answered or () if name != EVERY_OTHER
    )
    of_all = sum(map(len, votes.values())) * len(vocabulary) <= at_most
    for video_id, decisions in votes.items():
        spoke = [d for d in decisions if d.verdict == "accept" and d.answered is not None]
        names = dict.fromkeys(name for d in spoke for name in d.answered or () if name != EVERY_OTHER)
        names = vocabulary if of_all else names
        for name in names:
            said = [(d.reviewer, (d.answered or {}).get(name, "no")) for d in spoke]
            found += [((video_id, name), who, answer) for who, answer in said if answer in ("yes", "no")]
    return found


def _announce(answers: Answers, what: str, method: Method, report: Callable[[str], None]) -> None:
    seconds = len(_left_out(answers, method, {})[0]) * SECONDS_PER_ANSWER[method]
    if seconds >= SAID_FROM_S:
        people = len({who for _, who, _ in answers})
        report(f"{method}: weighing {len(answers)} {what} of {people} people, takes about {seconds:.0f} s")


def most_probable(
    answers: Answers, method: Method, known: Mapping[Task, str] | None = None
) -> dict[Task, tuple[str, float]]:
    """The most probable answer of each task and its probability; ties are left out. ``known``: the right answer of some.

    The same answers give the same result, in whatever order they come.
    """
    if not answers:
        return {}
    if len({answer for _, _, answer in answers} | set((known or {}).values())) == 1:
        return {task: (answer, 1.0) for task, _, answer in answers}  # all say the same: there is nothing to estimate
    import numpy
    import pandas
    from crowdkit.aggregation import GLAD, MACE, DawidSkene

    answers, found, later = _left_out(answers, method, known or {})
    tasks = sorted({task for task, _, _ in answers})
    number = {task: n for n, task in enumerate(tasks)}
    # MACE holds yes and no for equally likely, and a usual "no" for what people say without looking: a lone yes would win.
    # So every second question, by its name, is put the other way round.
    names = sorted({answer for _, _, answer in answers} | set((known or {}).values()))
    is_turned = {t: method == "mace" and len(names) == 2 and int(scramble("\t".join(t)), 16) % 2 == 1 for t in tasks}

    def put(task: Task, answer: str) -> str:
        return names[1 - names.index(answer)] if is_turned[task] else answer

    rows = sorted((number[task], who, put(task, answer)) for task, who, answer in answers)
    right = {number[task]: put(task, said) for task, said in (known or {}).items() if task in number}
    with warnings.catch_warnings(action="ignore"):  # crowd-kit uses functions that newer versions of pandas deprecate
        if method == "dawid-skene":
            table = pandas.DataFrame(rows, columns=["task", "worker", "label"])
            series = pandas.Series(right, dtype=object) if right else None
            probabilities = DawidSkene(n_iter=ITERATIONS).fit_predict_proba(table, true_labels=series)
        else:
            rows += [(n, f"\0{anchor}", said) for n, said in sorted(right.items()) for anchor in range(ANCHORS)]
            table = pandas.DataFrame(rows, columns=["task", "worker", "label"])
            mace = MACE(n_restarts=1, n_iter=ITERATIONS, random_state=0)
            probabilities = (mace if method == "mace" else GLAD(n_iter=ITERATIONS)).fit_predict_proba(table)
    probable: dict[Task, dict[str, float]] = {}
    table = probabilities.reindex(columns=names).fillna(0.0)
    for n, shares in zip(table.index, table.to_numpy(), strict=True):
        task = tasks[int(n)]
        row = shares[::-1] if is_turned[task] else shares
        best = int(row.argmax())
        probable[task] = dict(zip(names, map(float, row), strict=True))
        if row[best] - numpy.partition(row, -2)[-2] > TIE:
            found[task] = (names[best], float(row[best]))
    return found | _by_skill(later, answers, probable)


def _left_out(
    answers: Answers, method: Method, known: Mapping[Task, str]
) -> tuple[Answers, dict[Task, tuple[str, float]], Answers]:
    """The answers that a model weighs; what it need not weigh, since all gave the same answer (Dawid and Skene weigh those,
    too); and answers to further questions, which are weighed by what it found of the people. The model takes as many as
    there is time for: known ones first, then those on which people disagree, each in a random order."""
    room = ANSWERS_AT_MOST[method]
    if len(answers) <= room:
        return answers, {}, []
    given = defaultdict[Task, list[str]](list)
    for task, _, answer in answers:
        given[task].append(answer)
    alike = {task for task, said in given.items() if len(set(said)) == 1 and method == "glad"}
    decided: dict[Task, tuple[str, float]] = {}
    later: set[Task] = set()
    for task in sorted(given, key=lambda task: (task not in known, task in alike, scramble("\t".join(task)))):
        room -= len(given[task])
        if room < 0 and task in alike - known.keys():
            decided[task] = (given[task][0], 1.0)
        elif room < 0 and task not in known:
            later.add(task)
    weighed = [answer for answer in answers if answer[0] not in decided and answer[0] not in later]
    return weighed, decided, [answer for answer in answers if answer[0] in later]


def _by_skill(
    later: Answers, weighed: Answers, probable: Mapping[Task, Mapping[str, float]]
) -> dict[Task, tuple[str, float]]:
    """The answers to questions that were too many for the model: as it sees the people in those it had time for, by how
    often each said what where it holds what for true (one step of Dawid and Skene's, each count begun with one)."""
    names = sorted({name for found in probable.values() for name in found})
    said = defaultdict[tuple[str, str, str], float](lambda: 1.0)  # who, what is true, what was said
    how_often = defaultdict[str, float](lambda: 1.0)
    for task, who, answer in sorted(weighed):
        for name, probability in probable.get(task, {}).items():
            said[who, name, answer] += probability
    for found in probable.values():
        for name, probability in found.items():
            how_often[name] += probability
    scores: dict[Task, dict[str, float]] = {}
    for task, who, answer in sorted(later):
        score = scores.setdefault(task, {name: math.log(how_often[name]) for name in names})
        for name in names:
            score[name] += math.log(said[who, name, answer] / sum(said[who, name, other] for other in names))
    outcome: dict[Task, tuple[str, float]] = {}
    for task, score in scores.items():
        top = max(score.values())
        shares = sorted(((math.exp(value - top), name) for name, value in score.items()), reverse=True)
        total = sum(share for share, _ in shares)
        if len(shares) == 1 or (shares[0][0] - shares[1][0]) / total > TIE:
            outcome[task] = (shares[0][1], shares[0][0] / total)
    return outcome
