"""From many people's judgements to one verdict per video: majority, or models of who can be trusted (crowd-kit)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tiktokactions.reviews.consensus import Consensus, agreed, consensus
from tiktokactions.reviews.decisions import Decision, Verdict
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.ledger import in_force_by_video
from tiktokactions.reviews.options import Method
from tiktokactions.reviews.store import Store, reviewers_per_video

if TYPE_CHECKING:
    from crowdkit.aggregation import GLAD, MACE, DawidSkene

ITERATIONS, RESTARTS = 50, 5
"""How often a model estimates anew, and (MACE) from how many starting points."""
SECONDS_PER_ANSWER = {"dawid-skene": (1e-4, 5e-6), "mace": (8e-4, 1.2e-4), "glad": (5.6e-3, 4e-6)}
"""Seconds for one answer, and more for each possible answer; measured on one core with 10,000 answers of 20 people."""
SAID_FROM_S = 5.0
"""Work that takes longer than this is announced."""
TIE = 1e-6
"""Two answers whose probabilities differ by less than this are a tie."""

Answers = Sequence[tuple[str, str, str]]
"""Of (task, worker, answer)."""


@dataclass(frozen=True)
class Aggregated:
    verdicts: dict[str, Verdict]
    """Verdicts of the videos that have their ``k`` judgements and no conflict over the verdict."""
    conflicts: dict[str, str]
    """Videos that somebody has to settle, and the kind of each conflict (as in ``Consensus``)."""


def aggregate(
    store: Store, method: Method = "majority", report: Callable[[str], None] = lambda text: None
) -> Aggregated:
    """The outcome for every video.

    ``majority`` needs more than half. The others estimate from all judgements together how reliable each person is, and
    weigh them: Dawid and Skene (1979) by a confusion matrix per person, MACE (Hovy et al., 2013) by how often a person
    guesses, GLAD (Whitehill et al., 2009) by ability and the video's difficulty. They decide where a majority cannot; an
    adjudication or a gold answer overrules them all. ``report`` receives a line before anything that takes long.
    """
    k, answers = reviewers_per_video(store), gold(store)
    by_video = in_force_by_video(store)
    for video_id in answers:
        by_video.setdefault(video_id, [])
    outcomes = {i: consensus(decisions, k, answers.get(i)) for i, decisions in sorted(by_video.items())}
    if method != "majority":
        outcomes = _weighed(outcomes, by_video, k, method, report)
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
    return Aggregated(verdicts, {i: outcome.conflict for i, outcome in outcomes.items() if outcome.conflict})


def _weighed(
    outcomes: Mapping[str, Consensus],
    by_video: Mapping[str, Sequence[Decision]],
    k: int,
    method: Method,
    report: Callable[[str], None],
) -> dict[str, Consensus]:
    """The outcomes with verdicts and labels as a model of the people sees them."""
    votes = {
        i: [d for d in decisions if d.verdict in ("accept", "reject") and not d.adjudication]
        for i, decisions in by_video.items()
    }
    judged = [(i, d.reviewer, d.verdict) for i, ds in votes.items() for d in ds]
    named = [
        (i, d.reviewer, "\n".join(sorted(d.labels)))
        for i, ds in votes.items()
        for d in ds
        if d.verdict == "accept" and d.labels
    ]
    _announce(judged, "verdicts", method, report)
    verdicts = most_probable(judged, method)
    _announce(named, "labels", method, report)
    labels = most_probable(named, method)
    weighed: dict[str, Consensus] = {}
    for video_id, outcome in outcomes.items():
        verdict, probability = verdicts.get(video_id, (None, 0.0))
        if outcome.is_final or outcome.judged < k or verdict is None:
            weighed[video_id] = outcome
            continue
        found = agreed(votes[video_id], verdict, outcome.judged, probability)
        said = labels.get(video_id, (None, 0.0))[0] if verdict == "accept" else None
        if said and found.said is not None:
            found = replace(found, said=replace(found.said, labels=tuple(said.split("\n"))), conflict=None)
        weighed[video_id] = found
    return weighed


def _announce(answers: Answers, what: str, method: Method, report: Callable[[str], None]) -> None:
    people, choices = len({who for _, who, _ in answers}), len({answer for _, _, answer in answers})
    each, more = SECONDS_PER_ANSWER[method]
    seconds = len(answers) * (each + more * choices)
    if seconds >= SAID_FROM_S:
        said = f"{len(answers)} {what} of {people} people, {choices} different ones"
        report(f"{method}: weighing {said}, takes about {seconds:.0f} s")


def most_probable(answers: Answers, method: Method) -> dict[str, tuple[str, float]]:
    """The most probable answer of each task and its probability, from (task, worker, answer); ties are left out.

    The same answers give the same result, in whatever order they come.
    """
    if not answers:
        return {}
    if len({answer for _, _, answer in answers}) == 1:
        return {task: (answer, 1.0) for task, _, answer in answers}  # all say the same: there is nothing to estimate
    import numpy
    import pandas

    table = pandas.DataFrame(sorted(answers), columns=["task", "worker", "label"])
    with warnings.catch_warnings(action="ignore"):  # crowd-kit uses functions that newer versions of pandas deprecate
        probabilities = _model(method).fit_predict_proba(table)
    found: dict[str, tuple[str, float]] = {}
    answers_of_model = [str(name) for name in probabilities.columns]
    for task, row in zip(probabilities.index, probabilities.fillna(0.0).to_numpy(), strict=True):
        best = int(row.argmax())
        if len(row) == 1 or row[best] - numpy.partition(row, -2)[-2] > TIE:
            found[str(task)] = (answers_of_model[best], float(row[best]))
    return found


def _model(method: Method) -> GLAD | MACE | DawidSkene:
    from crowdkit.aggregation import GLAD, MACE, DawidSkene

    if method == "dawid-skene":
        return DawidSkene(n_iter=ITERATIONS)
    return MACE(n_restarts=RESTARTS, n_iter=ITERATIONS, random_state=0) if method == "mace" else GLAD(n_iter=ITERATIONS)
