"""How well people agree with each other and with known answers: kappa, alpha, precision, attention, speed."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from tiktokactions.intervals import wilson_interval
from tiktokactions.reviews.consensus import Consensus, consensus
from tiktokactions.reviews.decisions import Decision, Gold, Reviewer
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.ledger import all_rows, in_force_by_video
from tiktokactions.reviews.people import reviewers
from tiktokactions.reviews.store import Store, reviewers_per_video

# --- coefficients --------------------------------------------------------------------------------------------------


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa of two people (J. Cohen, 1960): agreement beyond what two people would reach who answer at random,
    each with their own shares of answers. ``pairs``: what the two said about the same video.

    None where it is undefined: no pairs, or both gave the same answer to every video.
    """
    if not pairs:
        return None
    n = len(pairs)
    one, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    observed = sum(a == b for a, b in pairs) / n
    expected = sum(one[value] * other[value] for value in one) / n**2
    return None if math.isclose(expected, 1.0) else (observed - expected) / (1 - expected)


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha for nominal values (K. Krippendorff, 2011): any number of people, missing values left out.

    ``units``: for each video what was said about it, in any order; a single value says nothing about agreement.
    None where it is undefined: fewer than two values to compare, or only one value throughout.
    """
    compared = [list(values) for values in units if len(values) > 1]
    total = Counter(value for values in compared for value in values)
    n = total.total()
    if n < 2 or len(total) < 2:
        return None
    observed = 0.0
    for values in compared:
        counts = Counter(values)
        different = len(values) ** 2 - sum(count**2 for count in counts.values())
        observed += different / (len(values) - 1)
    expected = (n**2 - sum(count**2 for count in total.values())) / (n - 1)
    return 1 - observed / expected


# --- the owner's figures -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReviewerFigures:
    """What one person has done. Judgements are those in force; ``undone`` counts the ones taken back."""

    reviewer: str
    name: str
    role: str
    judged: int
    accepted: int
    rejected: int
    unsure: int
    skipped: int
    undone: int
    seconds_per_video: float | None
    """Median."""
    last_utc: str | None
    gold_right: int
    gold_answered: int
    leases: int


@dataclass(frozen=True)
class PairAgreement:
    """Two people on the videos that both accepted or rejected."""

    a: str
    b: str
    videos: int
    agreed: int
    kappa: float | None


@dataclass(frozen=True)
class LabelPrecision:
    """The share of a hashtag's accepted clips, drawn for quality control, that people found right: the action is seen,
    and if they named actions, it is among them."""

    label: str
    judged: int
    right: int
    precision: float
    low: float
    high: float
    waiting: int
    """Drawn, but without a verdict yet."""


@dataclass(frozen=True)
class Conflict:
    """A video over which people disagree (``verdict``, ``labels``), or nobody was sure (``unsure``)."""

    video_id: str
    what: str
    judgements: tuple[Decision, ...]


@dataclass(frozen=True)
class ReviewReport:
    k: int
    """Judgements that a video needs."""
    videos_judged: int
    videos_decided: int
    decisions: int
    """Rows in the table, undone ones and undos included."""
    conflicts: int
    gold: int
    reviewers: list[ReviewerFigures]
    pairs: list[PairAgreement]
    alpha_verdict: float | None
    """Over accept and reject."""
    alpha_labels: float | None
    """Over the sets of labels given to accepted videos."""
    precision: list[LabelPrecision]
    precision_all: LabelPrecision | None
    """Over the whole sample; None where none was drawn."""


def review_report(store: Store, leases: Mapping[str, int] | None = None) -> ReviewReport:
    """Count and compare everything that was decided.

    Adjudications and gold items are left out of kappa, alpha and precision: they are not independent judgements.
    """
    k, answers, by_video = reviewers_per_video(store), gold(store), in_force_by_video(store)
    current = [decision for decisions in by_video.values() for decision in decisions]
    outcomes = {i: consensus(decisions, k, answers.get(i)) for i, decisions in by_video.items()}
    units = {
        video_id: [d for d in decisions if d.verdict in ("accept", "reject") and not d.adjudication]
        for video_id, decisions in by_video.items()
        if video_id not in answers
    }
    precision, overall = precision_of_sample(store, outcomes)
    rows = list(all_rows(store))
    return ReviewReport(
        k=k,
        videos_judged=sum(outcome.judged > 0 for outcome in outcomes.values()),
        videos_decided=sum(outcome.verdict is not None for outcome in outcomes.values()),
        decisions=len(rows),
        conflicts=sum(outcome.conflict is not None for outcome in outcomes.values()),
        gold=len(answers),
        reviewers=_figures(reviewers(store), rows, current, answers, leases or {}),
        pairs=pair_agreements(units),
        alpha_verdict=krippendorff_alpha([[d.verdict for d in decisions] for decisions in units.values()]),
        alpha_labels=krippendorff_alpha([label_sets(decisions) for decisions in units.values()]),
        precision=precision,
        precision_all=overall,
    )


def label_sets(decisions: Sequence[Decision]) -> list[frozenset[str]]:
    """The sets of labels that people gave to a video they accepted."""
    return [frozenset(d.labels) for d in decisions if d.verdict == "accept" and d.labels is not None]


def pair_agreements(units: Mapping[str, Sequence[Decision]]) -> list[PairAgreement]:
    """Every two people with videos in common, those with the most first."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for decisions in units.values():
        for one, other in itertools.combinations(sorted(decisions, key=lambda d: d.reviewer), 2):
            pairs[one.reviewer, other.reviewer].append((one.verdict, other.verdict))
    found = [
        PairAgreement(a, b, len(said), sum(x == y for x, y in said), cohen_kappa(said))
        for (a, b), said in pairs.items()
    ]
    return sorted(found, key=lambda pair: (-pair.videos, pair.a, pair.b))


def _figures(
    people: Sequence[Reviewer],
    rows: Sequence[Decision],
    current: Sequence[Decision],
    answers: Mapping[str, Gold],
    leases: Mapping[str, int],
) -> list[ReviewerFigures]:
    written, standing = defaultdict[str, list[Decision]](list), defaultdict[str, list[Decision]](list)
    taken_back = {row.undoes for row in rows}
    for row in rows:
        written[row.reviewer].append(row)
    for decision in current:
        if not decision.adjudication and decision.verdict != "skip":
            standing[decision.reviewer].append(decision)
    unknown = sorted(set(written) - {person.id for person in people})
    figures = []
    for person in (*people, *(Reviewer(i, i, "reviewer", "") for i in unknown)):
        done = [row for row in written[person.id] if row.id not in taken_back]
        seconds = [row.seconds for row in done if row.verdict in ("accept", "reject", "unsure") and row.seconds > 0]
        judged = Counter(d.verdict for d in standing[person.id])
        answered = [is_right(d, answers[d.video_id]) for d in standing[person.id] if d.video_id in answers]
        figures.append(
            ReviewerFigures(
                reviewer=person.id,
                name=person.name,
                role=person.role,
                judged=judged.total(),
                accepted=judged["accept"],
                rejected=judged["reject"],
                unsure=judged["unsure"],
                skipped=sum(row.verdict == "skip" for row in done),
                undone=sum(row.verdict == "undo" for row in done),
                seconds_per_video=round(statistics.median(seconds), 3) if seconds else None,
                last_utc=max((row.at_utc for row in written[person.id]), default=None),
                gold_right=sum(answered),
                gold_answered=len(answered),
                leases=leases.get(person.id, 0),
            )
        )
    return figures


def is_right(decision: Decision, answer: Gold) -> bool:
    """Whether a gold item was answered correctly; labels count only if both sides name some."""
    if decision.verdict != answer.verdict:
        return False
    return answer.labels is None or decision.labels is None or set(answer.labels) == set(decision.labels)


def precision_of_sample(
    store: Store, outcomes: Mapping[str, Consensus]
) -> tuple[list[LabelPrecision], LabelPrecision | None]:
    """Precision of every hashtag, from the videos drawn for quality control; and of all of them together."""
    drawn = store.database.rows("SELECT video_id, labels FROM sampled GROUP BY video_id")
    judged, right, waiting = Counter[str](), Counter[str](), Counter[str]()
    everything = ""
    for row in drawn:
        outcome = outcomes.get(row["video_id"])
        labels = tuple(json.loads(row["labels"]))
        for label in (everything, *labels):
            if outcome is None or outcome.verdict is None:
                waiting[label] += 1
                continue
            judged[label] += 1
            named = outcome.labels
            # In the sample as a whole, a clip is right if one of its hashtags is.
            fits = not named or (label in named if label else not labels or bool(set(labels) & set(named)))
            right[label] += outcome.verdict == "accept" and fits

    def figures(label: str) -> LabelPrecision:
        n = judged[label]
        low, high = wilson_interval(right[label], n)
        return LabelPrecision(label, n, right[label], right[label] / n if n else 0.0, low, high, waiting[label])

    names = sorted({*judged, *waiting} - {everything}, key=lambda label: (-judged[label], label))
    return [figures(label) for label in names], figures(everything) if drawn else None
