"""The section about people's judgements: how many, how well they agree, and how often a hashtag is right."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

from tiktokactions.dataset.dataset import Dataset
from tiktokactions.intervals import wilson_interval
from tiktokactions.reporting.blocks import Block, Section, Text, bars, facts, interval, table
from tiktokactions.reporting.numbers import count, percent, within
from tiktokactions.reviews.agreement import (
    ReviewReport,
    review_report,
    sampled_videos,
    seen_per_hashtag,
    unprimed_outcomes,
)
from tiktokactions.reviews.consensus import Consensus
from tiktokactions.reviews.store import Store, store_path

MOST_LABELS, MOST_SEEN = 100, 5


def judgement_sections(data: Dataset) -> list[Section]:
    """One section where a dataset has ``reviews.sqlite`` with decisions in it, else none. People are numbered, not named.

    Raises:
        ValueError: ``reviews.sqlite`` is damaged or newer than this program.
    """
    folder = data.folder
    if not store_path(folder).is_file():
        return []
    with closing(Store(folder)) as store:
        found, sample, outcomes = review_report(store), sampled_videos(store), unprimed_outcomes(store)
    if not found.decisions:
        return []
    precision, answer = _precision(found)
    blocks = (*_overview(found), *precision, *_seen(data, outcomes, sample), *_people(found))
    name = shlex.quote(folder.name)
    commands = (
        f"tiktokactions review import {name} REVIEWED/{name}/reviews.sqlite",
        f"tiktokactions review apply {name}",
    )
    return [Section("What people said", blocks, folder.name, answer, commands)]


def _overview(found: ReviewReport) -> list[Block]:
    ends = (found.alpha_verdict_low, found.alpha_verdict_high)
    told = "" if None in ends else " (95 % interval {:.2f} to {:.2f})".format(*ends)
    return [
        facts(
            (count(found.videos_judged), "videos judged"),
            (count(found.videos_decided), "of them decided"),
            (count(found.decisions), "decisions"),
            (count(sum(p.judged > 0 for p in found.reviewers)), "people"),
            (count(found.conflicts), "conflicts to settle"),
            (within(found.alpha_verdict), f"Krippendorff's alpha, accept or reject{told}"),
            (within(found.alpha_labels), "Krippendorff's alpha, sets of labels"),
        )
    ]


def _people(found: ReviewReport) -> list[Block]:
    numbers = {person.reviewer: f"person {i}" for i, person in enumerate(found.reviewers, start=1)}
    rows = [
        (
            numbers[person.reviewer],
            *map(count, (person.judged, person.accepted, person.rejected, person.unsure, person.undone)),
            "–" if person.seconds_per_video is None else f"{person.seconds_per_video:.1f}",
            f"{person.gold_right} of {person.gold_answered}",
        )
        for person in found.reviewers
        if person.judged
    ]
    head = ("reviewer", "judged", "accepted", "rejected", "unsure", "undone", "seconds each", "gold items right")
    blocks = table("Reviewers", head, rows)
    pairs = [
        (
            f"{numbers[p.a]} and {numbers[p.b]}",
            count(p.videos),
            percent(p.agreed / p.videos),
            within(p.kappa, p.kappa_low, p.kappa_high),
        )
        for p in found.pairs
    ]
    columns = ("pair", "videos in common", "agreed", "Cohen's kappa (95 % interval)")
    blocks += table("Agreement of two on accept or reject", columns, pairs)
    labels = [
        (f"#{a.label}", count(a.videos), within(a.alpha, a.alpha_low, a.alpha_high)) for a in found.labels[:MOST_LABELS]
    ]
    told = "Agreement on each label, yes or no"
    return blocks + table(told, ("label", "videos", "Krippendorff's alpha (95 % interval)"), labels)


def _precision(found: ReviewReport) -> tuple[list[Block], str]:
    """And the sentence about the whole sample."""
    overall, answer = found.precision_all, ""
    if overall is not None and overall.judged:
        answer = (
            f"Of {count(overall.judged)} accepted clips drawn at random {percent(overall.precision)} show what their"
            f" hashtag says (95 % interval {percent(overall.low)} to {percent(overall.high)})."
        )
    blocks: list[Block] = [Text(answer, "answer")] if answer else []
    rows = []
    for label in found.precision[:MOST_LABELS]:
        unknown = {"waiting": label.waiting, "cannot be told": label.cannot_tell, "not asked": label.not_asked}
        bar = interval(f"#{label.label}", label.right, label.judged)
        more = [f"{number} {what}" for what, number in unknown.items() if number]
        rows.append(replace(bar, told=", ".join([bar.told, *more])))
    blocks += bars("Precision per hashtag, from the random sample (95 % interval, Wilson's)", rows)
    return blocks, answer


def _seen(data: Dataset, outcomes: Mapping[str, Consensus], sample: set[str]) -> list[Block]:
    """What people saw under each hashtag: in the random sample where there is one, else in all that they judged."""
    hashtags = (
        (row["video_id"], row["labels"])
        for batch in data.batches(["video_id", "labels"])
        for row in batch.to_pylist()
        if row["video_id"] in outcomes and (not sample or row["video_id"] in sample)
    )
    rows = []
    for hashtag, (clips, seen) in list(seen_per_hashtag(outcomes, hashtags).items())[:MOST_LABELS]:
        for what, number in seen.most_common(MOST_SEEN):
            low, high = wilson_interval(number, clips)
            cells = (count(clips), count(number), *map(percent, (number / clips, low, high)))
            rows.append((f"#{hashtag}", what, *cells))
    which = "the random sample" if sample else "all clips that people judged; they were not drawn at random"
    head = ("hashtag", "people saw", "clips decided", "of them", "share", "95 % from", "to")
    return table(f"What people saw under each hashtag: {which}", head, rows)
