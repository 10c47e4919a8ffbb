"""The sections about where videos came from: the choice of hashtags, and a collection."""

from __future__ import annotations

import csv
import shlex
from collections import Counter

from tiktokactions.collection.session import collect_status
from tiktokactions.files import Place
from tiktokactions.reporting.blocks import Block, Section, Text, facts, table
from tiktokactions.reporting.numbers import count
from tiktokactions.reporting.pictures import figure

MOST_HASHTAGS = 60


def hashtag_section(folder: Place) -> Section:
    """From ``decisions.csv`` and the flow of the paper's Figure 1."""
    with (folder / "decisions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    decisions = Counter(row["decision"] for row in rows)
    principles = Counter(row["principle"] for row in rows if row["principle"])
    kept = [row for row in rows if row["decision"] == "kept"]
    unknown = sum(not row.get("views") for row in kept)
    blocks: list[Block] = [
        facts((count(len(rows)), "candidates"), (count(len(kept)), "hashtags kept")),
        *figure(folder / "flow", "From candidates to hashtags, with the counts at each step"),
        *table("Decisions", ("decision", "hashtags"), [(name, count(n)) for name, n in decisions.most_common()]),
        *table("Principles", ("principle", "decisions"), [(name, count(n)) for name, n in principles.most_common()]),
    ]
    if unknown:
        told = "of the kept hashtags have an unknown number of views: a rule decided, not a threshold."
        blocks.append(Text(f"{count(unknown)} {told}"))
    answer = f"{count(len(kept))} of {count(len(rows))} candidates were kept as hashtags."
    again = f"tiktokactions hashtags select CANDIDATES.csv --views VIEWS.csv -o {shlex.quote(folder.name)}"
    return Section("Hashtags", tuple(blocks), folder.name, answer, (again,))


def collection_section(folder: Place) -> Section:
    """How many of the wanted videos were found, and what is missing."""
    found = collect_status(folder)
    rows = [
        (
            tag.hashtag,
            count(tag.found),
            "all" if tag.wanted is None else count(tag.wanted),
            "unknown" if tag.in_period is None else count(tag.in_period),
            tag.shortfall,
        )
        for tag in found.hashtags
    ]
    blocks: list[Block] = [
        facts(
            (count(found.videos), "videos with metadata"),
            (count(len(found.hashtags)), "hashtags"),
            (count(found.requests), "requests"),
            (count(found.rejected), "answers without the hashtag"),
            (count(found.removed), "removed"),
            (count(found.ai_labelled), "labelled as AI-generated"),
        )
    ]
    if found.overdue:
        blocks.append(Text(f"The ids were due for a check on {found.refresh_due}: tiktokactions refresh", "warning"))
    if found.design:
        blocks.append(Text(f"Design: {found.design}."))
    head, shown = ("hashtag", "found", "wanted", "in the period", "why fewer"), rows[:MOST_HASHTAGS]
    blocks += table(f"Hashtags ({len(shown)} of {len(rows)})", head, shown, folded=True)
    answer = f"{count(found.videos)} videos of {count(len(found.hashtags))} hashtags were found."
    again = f"tiktokactions collect run HASHTAGS.csv -o {shlex.quote(folder.name)}"
    return Section("Collection", tuple(blocks), folder.name, answer, (again,))
