"""The section about a project that learns again and again: what each round decided and why, and what drifts."""

from __future__ import annotations

import json

from tiktokactions.files import Place
from tiktokactions.reporting.blocks import Block, Section, Text, facts, table
from tiktokactions.reporting.numbers import count, percent

CHANGES = ("came", "went", "changed")


def updates_section(folder: Place) -> Section:
    """From ``updates.json``."""
    told = json.loads((folder / "updates.json").read_text(encoding="utf-8"))
    rounds = told["rounds"]
    blocks: list[Block] = [
        facts((count(len(rounds)), "rounds"), (count(sum(one["promoted"] for one in rounds)), "models promoted"))
    ]
    if rounds:
        blocks.append(Text(rounds[-1]["reasons"][0], "answer"))
    decided = [
        (
            number,
            one["at"][:10],
            f"{one['since']} to {one['version']}",
            *(one[change] for change in CHANGES),
            " ".join(one["reasons"]),
        )
        for number, one in enumerate(rounds, start=1)
    ]
    head = ("round", "begun", "versions", *CHANGES, "decision")
    blocks += table("What each round decided", head, decided)
    for one in rounds[-1:]:
        rows = [(d["what"], d["new"], d["before"], f"{d['p']:.3g}", _shares(d["shares"])) for d in one["drift"]]
        columns = ("of the clips", "new", "before", "p", "what differs most (before → now)")
        blocks += table("Drift: new clips beside those before (permutation tests)", columns, rows)
    if told["tainted"]:
        blocks.append(Text(f"Trained on clips that were taken down since: {'; '.join(told['tainted'])}", "warning"))
    return Section("Updates", tuple(blocks), str(folder))


def _shares(shares: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {percent(before)} → {percent(now)}" for name, (before, now) in shares.items())
