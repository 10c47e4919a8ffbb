"""How well people agree with each other and with known answers: kappa, alpha, precision, attention, speed."""

from __future__ import annotations

import itertools
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tiktokactions.intervals import wilson_interval
from tiktokactions.reviews.consensus import Consensus, consensus
from tiktokactions.reviews.decisions import EVERY_OTHER, Decision, Gold, Reviewer
from tiktokactions.reviews.flags import set_aside
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.ledger import ALIKE, BULK, all_rows, in_force_by_video
from tiktokactions.reviews.people import reviewers
from tiktokactions.reviews.store import Store, reviewers_per_video

RESAMPLES = 1000
Interval = tuple[float | None, float | None]

# --- coefficients --------------------------------------------------------------------------------------------------


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> tuple[float | None, float | None, float | None]:
    """Cohen's kappa of two people (J. Cohen, 1960): agreement beyond what two people would reach who answer at random,
    each with their own shares of answers; and its 95 % interval, by bootstrap over the videos. ``pairs``: what the two said
    about the same video.

    None where it is undefined: no pairs, or both gave the same answer to every video.
    """
    patterns = Counter(pairs)
    values = list(dict.fromkeys(value for pair in patterns for value in pair))
    one, other = ([[pair[side] == value for value in values] for pair in patterns] for side in (0, 1))
    first, second = (np.array(said, float).reshape(len(patterns), len(values)) for said in (one, other))

    def kappas(drawn: np.ndarray) -> np.ndarray:
        n = max(1, len(pairs))
        observed = drawn @ (first * second).sum(1) / n
        expected = ((drawn @ first) * (drawn @ second)).sum(1) / n**2
        usable = (expected < 1 - 1e-9) & bool(pairs)
        return (observed[usable] - expected[usable]) / (1 - expected[usable])

    counts = list(patterns.values())
    found = kappas(np.array([counts], float))
    return (float(found[0]) if found.size else None, *_bootstrap(counts, kappas))


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


def alpha_interval(units: Sequence[Sequence[Hashable]]) -> Interval:
    """95 % interval of Krippendorff's alpha: bootstrap over the units that two or more values were given for."""
    patterns = Counter(tuple(sorted(map(str, values))) for values in units if len(values) > 1)
    names = {value: n for n, value in enumerate(sorted({value for values in patterns for value in values}))}
    counts = np.zeros((len(patterns), len(names)))
    for row, values in zip(counts, patterns, strict=True):
        for value in values:
            row[names[value]] += 1
    each = counts.sum(1)
    different = (each**2 - (counts**2).sum(1)) / np.maximum(each - 1, 1)

    def alphas(drawn: np.ndarray) -> np.ndarray:
        total, n = drawn @ counts, drawn @ each
        expected = (n**2 - (total**2).sum(1)) / (n - 1)
        return 1 - (drawn @ different)[expected > 0] / expected[expected > 0]

    return _bootstrap(list(patterns.values()), alphas)


def _bootstrap(counts: Sequence[int], statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """Percentile interval (95 %) of a statistic of how often each pattern of answers occurs. ``statistic`` takes
    (resamples, patterns) and leaves out the resamples for which it is undefined. (None, None) for fewer than two units."""
    n = sum(counts)
    if n < 2:
        return None, None
    drawn = np.random.default_rng(0).multinomial(n, np.array(counts) / n, RESAMPLES)
    found = statistic(drawn.astype(float))
    if not len(found):
        return None, None
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


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
    """Two people on the videos that both accepted or rejected; of a label, on those where both said yes or no to it."""

    a: str
    b: str
    videos: int
    agreed: int
    kappa: float | None
    kappa_low: float | None = None
    kappa_high: float | None = None
    """95 % interval, by bootstrap over the videos; so are those below."""


@dataclass(frozen=True)
class LabelAgreement:
    """How far people agree on whether a label fits, over the videos where two or more said yes or no to it."""

    label: str
    videos: int
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    pairs: list[PairAgreement]


@dataclass(frozen=True)
class LabelPrecision:
    """The share of a hashtag's accepted clips, drawn for quality control, that people found right: they accepted the clip
    and said yes to the hashtag. Wrong are those where they said no to it, and those that they rejected."""

    label: str
    judged: int
    right: int
    precision: float
    low: float
    high: float
    waiting: int
    """Drawn, but without a verdict yet."""
    cannot_tell: int = 0
    """With a verdict, but nobody could tell, or as many said yes as no; not among those judged, nor are the next."""
    not_asked: int = 0
    """With a verdict, but nobody was asked about the hashtag: it was not in sight, or marked beforehand."""
    effective: float = 0.0
    """So many clips of a simple random sample would say as much: ``judged``, or fewer where the draw was stratified."""


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
    alpha_verdict_low: float | None = None
    alpha_verdict_high: float | None = None
    labels: list[LabelAgreement] = field(default_factory=list)
    """Every label on which two people can be compared, those with the most videos first."""
    flagged: int = 0
    """Videos set aside until the owner has looked at them."""
    sample: list[str] = field(default_factory=list)
    """The videos that precision comes from: those drawn for quality control, whatever else was judged in whatever order."""


def review_report(store: Store, leases: Mapping[str, int] | None = None) -> ReviewReport:
    """Count and compare everything that was decided.

    Adjudications, gold items and what was judged together with others (look-alikes, several of the gallery) are left out of
    kappa, alpha and precision: they are not independent judgements.
    """
    k, answers, by_video = reviewers_per_video(store), gold(store), in_force_by_video(store)
    current = [decision for decisions in by_video.values() for decision in decisions]
    outcomes = {i: consensus(decisions, k, answers.get(i)) for i, decisions in by_video.items()}
    units = {
        video_id: [d for d in decisions if d.verdict in ("accept", "reject") and not d.adjudication and is_alone(d)]
        for video_id, decisions in by_video.items()
        if video_id not in answers
    }
    precision, overall = precision_of_sample(store, unprimed_outcomes(store))
    verdicts = [[d.verdict for d in decisions] for decisions in units.values()]
    alpha_low, alpha_high = alpha_interval(verdicts)
    rows = list(all_rows(store))
    return ReviewReport(
        k=k,
        videos_judged=sum(outcome.judged > 0 for outcome in outcomes.values()),
        videos_decided=sum(outcome.verdict is not None for outcome in outcomes.values()),
        decisions=len(rows),
        conflicts=sum(outcome.conflict is not None for outcome in outcomes.values()),
        gold=len(answers),
        reviewers=_figures(reviewers(store), rows, current, answers, leases or {}),
        pairs=pair_agreements([[(d.reviewer, d.verdict) for d in decisions] for decisions in units.values()]),
        alpha_verdict=krippendorff_alpha(verdicts),
        alpha_verdict_low=alpha_low,
        alpha_verdict_high=alpha_high,
        labels=label_agreements(units),
        alpha_labels=krippendorff_alpha(
            [
                [frozenset(d.labels) for d in ds if d.verdict == "accept" and not d.prefilled and d.labels is not None]
                for ds in units.values()
            ]
        ),
        precision=precision,
        precision_all=overall,
        flagged=len({flag.video_id for flag in set_aside(store)}),
        sample=sorted(sampled_videos(store)),
    )


def is_alone(decision: Decision) -> bool:
    """Whether its video was judged by itself, not together with one that looks like it or with others of the gallery."""
    return decision.origin != BULK and not decision.origin.startswith(ALIKE)


def unprimed_outcomes(store: Store, together: bool = False) -> dict[str, Consensus]:
    """By video what people agreed on, without labels that were marked beforehand; with ``together`` also of those that were
    judged together with others."""
    k, answers = reviewers_per_video(store), gold(store)
    decided = in_force_by_video(store).items()
    by_video = {i: [_unprimed(d) for d in decisions if together or is_alone(d)] for i, decisions in decided}
    return {i: consensus(decisions, k, answers.get(i)) for i, decisions in by_video.items()}


def sampled_videos(store: Store) -> set[str]:
    """Those drawn at random for quality control."""
    return {row[0] for row in store.database.rows("SELECT DISTINCT video_id FROM sampled")}


def seen_per_hashtag(
    outcomes: Mapping[str, Consensus], hashtags: Iterable[tuple[str, Sequence[str]]]
) -> dict[str, tuple[int, Counter[str]]]:
    """For each hashtag the clips that people decided, and in how many of them they saw which action (or none, and why).

    ``hashtags``: videos and what they were posted under. Clips whose actions nobody was asked about are left out.
    """
    decided, seen = Counter[str](), defaultdict[str, Counter[str]](Counter)
    for video_id, labels in hashtags:
        outcome = outcomes.get(video_id)
        if outcome is None or outcome.said is None:
            continue
        if outcome.verdict == "reject":
            what = ["(nobody acts)" if outcome.said.no_action else "(rejected)"]
        elif outcome.labels:
            what = list(outcome.labels)
        elif any(said in ("yes", "no") for said in outcome.answers.values()):
            what = ["(another action)"]
        else:
            continue
        for label in labels:
            decided[label] += 1
            seen[label].update(what)
    return {label: (number, seen[label]) for label, number in decided.most_common()}


def _unprimed(decision: Decision) -> Decision:
    """A decision without labels that were marked before anybody looked: those measure nothing."""
    return replace(decision, labels=None, answers=None) if decision.prefilled else decision


def label_agreements(units: Mapping[str, Sequence[Decision]]) -> list[LabelAgreement]:
    """By label, what people who accepted the same video said of it: yes or no, as far as they were asked."""
    said = defaultdict[str, list[list[tuple[str, str]]]](list)
    for decisions in units.values():
        asked = [(d.reviewer, d.answered) for d in map(_unprimed, decisions) if d.verdict == "accept" and d.answered]
        for label in dict.fromkeys(name for _, answers in asked for name in answers if name != EVERY_OTHER):
            told = [(who, answers.get(label) or answers.get(EVERY_OTHER)) for who, answers in asked]
            of_video = [(who, answer) for who, answer in told if answer in ("yes", "no")]
            if len(of_video) > 1:
                said[label].append(of_video)
    found = []
    for label, videos in said.items():
        values = [[answer for _, answer in of_video] for of_video in videos]
        low, high = alpha_interval(values)
        pairs = pair_agreements(videos)
        found.append(LabelAgreement(label, len(videos), krippendorff_alpha(values), low, high, pairs))
    return sorted(found, key=lambda found: (-found.videos, found.label))


def pair_agreements(videos: Sequence[Sequence[tuple[str, str]]]) -> list[PairAgreement]:
    """Every two people with videos in common, those with the most first; ``videos``: of each who said what."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for said_of in videos:
        for (one, this), (other, that) in itertools.combinations(sorted(said_of), 2):
            pairs[one, other].append((this, that))
    found = [
        PairAgreement(a, b, len(said), sum(x == y for x, y in said), *cohen_kappa(said))
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
    drawn = store.database.rows(  # what a video stands for, beside the others of its draw
        "SELECT video_id, labels, avg(share) AS weight FROM"
        " (SELECT *, weight / avg(weight) OVER (PARTITION BY seed) AS share FROM sampled) GROUP BY video_id"
    )
    judged = defaultdict[str, list[tuple[float, bool]]](list)  # for how many a clip stands, and whether it is right
    unknown = {kind: Counter[str]() for kind in ("waiting", "cannot_tell", "not_asked")}
    everything = ""
    for row in drawn:
        outcome = outcomes.get(row["video_id"])
        labels = tuple(json.loads(row["labels"]))
        said = {label: _answer_to(label, outcome) for label in labels}
        # In the sample as a whole, a clip is right if one of its hashtags is; without any, if people accepted it.
        of_all = list(said.values()) or ["yes" if outcome and outcome.verdict == "accept" else _answer_to("", outcome)]
        said[everything] = next(kind for kind in ("yes", *unknown, "no") if kind in of_all)
        for label, kind in said.items():
            if kind in unknown:
                unknown[kind][label] += 1
            else:
                judged[label].append((row["weight"], kind == "yes"))

    def figures(label: str) -> LabelPrecision:
        weights, right = [w for w, _ in judged[label]], [w for w, is_right in judged[label] if is_right]
        share = sum(right) / sum(weights) if weights else 0.0
        effective = sum(weights) ** 2 / sum(w * w for w in weights) if weights else 0.0  # Kish's
        low, high = wilson_interval(share * effective, effective)
        counts = {kind: counter[label] for kind, counter in unknown.items()}
        return LabelPrecision(label, len(weights), len(right), share, low, high, **counts, effective=effective)

    names = set[str]().union(judged, *unknown.values()) - {everything}
    ordered = sorted(names, key=lambda label: (-len(judged[label]), label))
    return [figures(label) for label in ordered], figures(everything) if drawn else None


def _answer_to(label: str, outcome: Consensus | None) -> str:
    """Whether a clip shows what a hashtag says, as people see it: yes, no, cannot_tell, not_asked or waiting."""
    if outcome is None or outcome.said is None:
        return "waiting"
    if outcome.verdict == "reject":
        return "no"
    return outcome.answers.get(label) or outcome.answers.get(EVERY_OTHER) or "not_asked"
