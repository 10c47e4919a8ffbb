"""The section about a project: which step ran when, why, with which versions, and what it took against the plan."""

from __future__ import annotations

import json

from tiktokactions.collection.ledger import REQUESTS_A_DAY
from tiktokactions.files import Place
from tiktokactions.records import JsonObject
from tiktokactions.reporting.blocks import Block, Section, Text, facts, table
from tiktokactions.reporting.numbers import count, figure_of, hours

LINES = {
    "core_h": ("h", "core-hours", "core-hours"),
    "gpu_h": ("GPU-h", "", "GPU-hours"),
    "gb": ("GB", "", "GB written"),
    "requests": ("days", "API quota", "days of quota"),
    "people": ("h", "review", "people's hours"),
}
"""For each thing that a step spends: the unit of the plan's lines about it, how their names begin, and its column."""
ELSEWHERE = "raw videos"
"""What the plan counts in GB and no step writes."""


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
    blocks += _against_the_plan(chain, took)
    ran = [
        (a["began"], name, a["state"], "" if a["seconds"] is None else _took(a["seconds"]), a["why"], _versions(a))
        for name, _, a in sorted(rows, key=lambda row: str(row[2]["began"]))
    ]
    head = ("begun", "step", "state", "took", "why", "versions")
    blocks += table("Everything that ran", head, ran, folded=True)
    return Section("Project", tuple(blocks), chain["title"], "", tuple(record["typed"] for record in records.values()))


def _took(seconds: float) -> str:
    return hours(seconds / 3600) if seconds >= 60 else f"{seconds:.1f} s"


def _against_the_plan(chain: JsonObject, took: dict[str, float]) -> list[Block]:
    """A row for each step: what it spent, and in brackets what the plan said that it would."""
    prices, rows, paid = chain.get("prices", {}), [], 0.0
    for name, record in chain["records"].items():
        attempts = [attempt.get("spent", {}) for attempt in record["attempts"]]
        spent = {what: sum(one.get(what, 0.0) for one in attempts) for what in LINES}
        spent["gb"] = next((one["gb"] for one in reversed(attempts) if "gb" in one), 0.0)  # what is there is there once
        # An hour of a rented GPU has its cores in it.
        priced = {"gpu_h", "gb"} if spent["gpu_h"] else {"core_h", "gb"}
        money = sum(spent[what] * prices.get(what, 0.0) for what in priced)
        paid += money
        spent["requests"] /= REQUESTS_A_DAY
        cells = [_beside(spent[what], _planned(chain["plan"], name, *LINES[what][:2])) for what in LINES]
        rows.append([name, _took(took[name]), *cells, f"{money:,.2f}" if money else "", record["attempts"][-1]["told"]])
    head = ["step", "took", *(column for *_, column in LINES.values()), str(prices.get("currency", "USD"))]
    filled = [0, *(n for n in range(1, len(head)) if any(row[n] for row in rows))]
    shown = [[*(row[n] for n in filled), row[-1]] for row in rows]
    caption = "Steps against the plan (in brackets what was planned)"
    blocks = table(caption, [*(head[n] for n in filled), "what came of it"], shown)
    for need in chain["plan"]:
        if need["name"] == "money" and need["value"] is not None:
            spoken = (
                f"Money: {paid:,.2f} {need['unit']} so far, of {need['value']:,.2f} by the plan ({need['arithmetic']})"
            )
            blocks.append(Text(f"{spoken}. People's hours are not in what was spent: nobody counts them."))
    return blocks


def _planned(plan: list[JsonObject], step: str, unit: str, begins: str) -> list[float | None]:
    """The plan's lines about one thing that a step spends."""
    needs = [need for need in plan if need["step"] == step and need["unit"] == unit and need["name"] != ELSEWHERE]
    return [need["value"] for need in needs if need["name"].startswith(begins)]


def _beside(spent: float, planned: list[float | None]) -> str:
    if not (spent or planned):
        return ""
    known = "unknown" if None in planned else figure_of(sum(value for value in planned if value is not None))
    return f"{figure_of(spent) if spent else '–'} ({known})" if planned else figure_of(spent)


def _versions(attempt: JsonObject) -> str:
    return ", ".join(f"{name} {version}" for name, version in attempt["versions"].items())
