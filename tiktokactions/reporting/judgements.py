"""The section about people's judgements: how many, how well they agree, and how often a hashtag is right."""

from __future__ import annotations

from tiktokactions.files import Place
from tiktokactions.reporting.blocks import Block, Section, Text, facts, table
from tiktokactions.reporting.numbers import count, figure_of, percent
from tiktokactions.reviews.agreement import LabelPrecision, ReviewReport, review_report
from tiktokactions.reviews.store import Store, store_path

MOST_LABELS = 100


def judgement_sections(folder: Place) -> list[Section]:
    """One section where a dataset has ``reviews.sqlite`` with decisions in it, else none. People are numbered, not named.

    Raises:
        ValueError: ``reviews.sqlite`` is damaged or newer than this program.
    """
    if not store_path(folder).is_file():
        return []
    store = Store(folder)
    try:
        found = review_report(store)
    finally:
        store.close()
    if not found.decisions:
        return []
    return [Section("What people said", (*_overview(found), *_people(found), *_precision(found)), folder.name)]


def _overview(found: ReviewReport) -> list[Block]:
    return [
        facts(
            (count(found.videos_judged), "videos judged"),
            (count(found.videos_decided), "of them decided"),
            (count(found.decisions), "decisions"),
            (count(sum(p.judged > 0 for p in found.reviewers)), "people"),
            (count(found.conflicts), "conflicts to settle"),
            (figure_of(found.alpha_verdict), "Krippendorff's alpha, accept or reject"),
            (figure_of(found.alpha_labels), "Krippendorff's alpha, labels"),
        )
    ]


def _people(found: ReviewReport) -> list[Block]:
    numbers = {person.reviewer: f"person {i}" for i, person in enumerate(found.reviewers, start=1)}
    rows = [
        (
            numbers[person.reviewer],
            *map(count, (person.judged, person.accepted, person.rejected, person.unsure, person.undone)),
            figure_of(person.seconds_per_video),
            f"{person.gold_right} of {person.gold_answered}",
        )
        for person in found.reviewers
        if person.judged
    ]
    head = ("reviewer", "judged", "accepted", "rejected", "unsure", "undone", "seconds each", "gold items right")
    blocks = table("Reviewers", head, rows)
    pairs = [
        (f"{numbers[p.a]} and {numbers[p.b]}", count(p.videos), percent(p.agreed / p.videos), figure_of(p.kappa))
        for p in found.pairs
    ]
    return blocks + table("Agreement of two", ("pair", "videos in common", "agreed", "Cohen's kappa"), pairs)


def _precision(found: ReviewReport) -> list[Block]:
    blocks: list[Block] = []
    overall = found.precision_all
    if overall is not None and overall.judged:
        told = (
            f"Of {count(overall.judged)} accepted clips drawn at random {percent(overall.precision)} show what their"
            f" hashtag says (95 % interval {percent(overall.low)} to {percent(overall.high)})."
        )
        blocks.append(Text(told, "answer"))
    rows = [_row(label) for label in found.precision[:MOST_LABELS]]
    head = ("hashtag", "judged", "right", "precision", "95 % from", "to", "waiting")
    return blocks + table("Precision per hashtag, from the random sample (Wilson's interval)", head, rows)


def _row(label: LabelPrecision) -> tuple[str, ...]:
    told = [percent(v) for v in (label.precision, label.low, label.high)] if label.judged else ["–"] * 3
    return (f"#{label.label}", count(label.judged), count(label.right), *told, count(label.waiting))
