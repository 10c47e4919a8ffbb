"""The section about a project: which step ran when, why, with which versions, and what it took against the plan."""

from __future__ import annotations

import json

from tiktokactions.files import Place
from tiktokactions.records import JsonObject
from tiktokactions.reporting.blocks import Block, Section, Text, facts, table
from tiktokactions.reporting.numbers import count, figure_of, hours

TIMES = ("h", "GPU-h", "days")
"""Units of the plan that a duration can be held against."""


def project_section(folder: Place) -> Section:
    """From ``chain.json``."""
    chain = json.loads((folder / "chain.json").read_text(encoding="utf-8"))
    records: dict[str, JsonObject] = chain["records"]
    rows = [(name, record, attempt) for name, record in records.items() for attempt in record["attempts"]]
    took = {name: sum(a["seconds"] or 0 for a in record["attempts"]) for name, record in records.items()}
    cut_off = sum(attempt["state"] == "running" for _, _, attempt in rows) - 1  # the report itself is under way
    blocks: list[Block] = [
        facts(
            (count(len(records)), "steps"),
            (count(len(rows)), "times that one was carried out"),
            (_took(sum(took.values())), "in all"),
        )
    ]
    if cut_off > 0:
        blocks.append(
            Text(f"{cut_off} of these were interrupted: how long those took is not known, so it is not in them.")
        )
    planned = [
        (name, _planned(chain["plan"], name), _took(took[name]), record["attempts"][-1]["told"])
        for name, record in records.items()
    ]
    blocks += table("Steps against the plan", ("step", "planned", "took", "what came of it"), planned)
    for need in chain["plan"]:
        if need["name"] == "money" and need["value"] is not None:
            blocks.append(Text(f"Money by the plan: {need['value']:,.2f} {need['unit']} ({need['arithmetic']})."))
    ran = [
        (a["began"], name, a["state"], "" if a["seconds"] is None else _took(a["seconds"]), a["why"], _versions(a))
        for name, _, a in sorted(rows, key=lambda row: str(row[2]["began"]))
    ]
    head = ("begun", "step", "state", "took", "why", "versions")
    blocks += table("Everything that ran", head, ran, folded=True)
    return Section("Project", tuple(blocks), chain["title"], "", tuple(record["typed"] for record in records.values()))


def _took(seconds: float) -> str:
    return hours(seconds / 3600) if seconds >= 60 else f"{seconds:.1f} s"


def _planned(plan: list[JsonObject], step: str) -> str:
    """What the plan said of a step's time; its total where several lines do."""
    needs = [need for need in plan if need["step"] == step and need["unit"] in TIMES]
    told = [f"{need['name']}: {figure_of(need['value'])} {need['unit']}" for need in needs if need["value"] is not None]
    return "; ".join(told) or ("unknown" if needs else "")


def _versions(attempt: JsonObject) -> str:
    return ", ".join(f"{name} {version}" for name, version in attempt["versions"].items())
