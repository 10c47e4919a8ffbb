"""The sections about studies: accuracy by size or by source, and what size a target needs, with its interval."""

from __future__ import annotations

import csv
import json

from tiktokactions.files import Place
from tiktokactions.records import JsonObject
from tiktokactions.reporting.blocks import Block, Commands, Section, Text, facts, table
from tiktokactions.reporting.numbers import count, percent
from tiktokactions.reporting.pictures import figure

MOST_FAMILIES = 20


def study_sections(folder: Place) -> list[Section]:
    """A data-size study or a comparison of sources, finished or not, and its extrapolation if there is one."""
    settings = _read(folder / "study.json")
    result = _read(folder / "result.json") if (folder / "result.json").is_file() else None
    by_source = "sources" in settings or (folder / "differences.csv").is_file()
    title = "Which data: comparison of sources" if by_source else "How much data: accuracy by size"
    blocks: list[Block] = _progress(folder, result)
    for name, alt in (
        ("accuracy_by_size", "Accuracy by size of the pre-training data: runs, means, spread (paper, Figure 3)"),
        ("accuracy_by_source", "Accuracy by source of the pre-training data (paper, Figure 4)"),
    ):
        blocks += figure(folder / "figures" / name, alt, alt)
    if result is not None:
        blocks += _rows(result["table"], result["equal"])
        blocks += _differences(folder)
        blocks += [Text(warning, "warning") for warning in result["warnings"]]
    blocks += table("Settings", ("setting", "value"), [(k, json.dumps(v)) for k, v in settings.items()], folded=True)
    sections = [Section(title, tuple(blocks), folder.name)]
    if (folder / "extrapolation" / "extrapolation.json").is_file():
        sections.append(extrapolation_section(folder / "extrapolation", folder.name))
    return sections


def _progress(folder: Place, result: JsonObject | None) -> list[Block]:
    finished = len(list((folder / "trials").glob("*/result.json")))
    failed = len(list((folder / "trials").glob("*/failed.json")))
    if result is None:
        told = f"This study is not finished: {finished} trials are. Give its command again to continue."
        return [Text(told, "warning")]
    crashes = [Text(f"{name} crashed: {_last(lines)}", "warning") for name, lines in result["failed"].items()]
    return [facts((f"{finished} of {result['trials']}", "trials finished"), (count(failed), "crashed")), *crashes]


def _rows(rows: list[JsonObject], equal: str) -> list[Block]:
    told = [
        (count(row["size"]), count(row["runs"]), *(percent(row[name], 2) for name in ("top1", "top1_sd", "top5")))
        for row in rows
    ]
    head: tuple[str, ...] = ("videos", "runs", "top-1", "standard deviation", "top-5")
    if rows and "source" in rows[0]:
        head, told = ("source", *head), [(row["source"], *cells) for row, cells in zip(rows, told, strict=True)]
    return table(f"Pre-training with equal {equal}, the same fine-tuning and test for all", head, told)


def _differences(folder: Place) -> list[Block]:
    path = folder / "differences.csv"
    if not path.is_file():
        return []
    points = ("difference", "low_95", "high_95")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            (f"{r['first']} − {r['second']}", *(f"{100 * float(r[k]):+.1f}" for k in points))
            for r in csv.DictReader(file)
        ]
    head = ("difference of", "points of top-1", "95 % from", "to")
    return table("Differences, paired bootstrap over test videos and seeds", head, rows)


def extrapolation_section(folder: Place, about: str = "") -> Section:
    """The figure with its interval, the answer in a sentence, the answers by target, the families."""
    found = _read(folder / "extrapolation.json")
    blocks: list[Block] = [Text(found["sentence"], "answer")] if found["sentence"] else []
    blocks += [Text(f"Note: {note}.") for note in found["notes"]]
    alt = "Measured accuracies, fitted curves, 90 % interval and targets, on linear and logarithmic axes"
    blocks += figure(folder / "extrapolation", alt, alt)
    answers = [
        (
            f"{100 * float(target):g} %",
            *("not told" if a[name] is None else count(a[name]) for name in ("size", "low", "high")),
            percent(a.get("probability"), 0),
        )
        for target, a in found["answer"].items()
    ]
    head = ("target", "videos", "90 % from", "to", "probability with eight times the data")
    blocks += table("What a target needs", head, answers)
    predicted = [(count(p["size"]), *(percent(p[k]) for k in ("accuracy", "low", "high"))) for p in found["prediction"]]
    blocks += table("Accuracy to expect", ("videos", "accuracy", "90 % from", "to"), predicted)
    targets = list(found["answer"]) or list(found["families"][0]["sizes"])
    families = [
        (f["name"], f"{f['sse']:.3g}", *(_size(f["sizes"].get(t)) for t in targets), ", ".join(f["flags"]))
        for f in found["families"][:MOST_FAMILIES]
    ]
    columns = ("family", "squared error", *(f"{100 * float(t):g} %" for t in targets), "remarks")
    blocks += table(f"Families by squared error, the first {len(families)}", columns, families, folded=True)
    option = " --method paper" if found["method"] == "paper" else ""
    blocks.append(Commands((f"tiktokactions extrapolate {about or 'results.csv'}{option} -o {folder.name}",)))
    return Section("How much data a target needs", tuple(blocks), about or folder.name)


def _size(value: float | None) -> str:
    return "–" if value is None else count(value) if value < 1e12 else f"{value:.1e}"


def _read(path: Place) -> JsonObject:
    return json.loads(path.read_text(encoding="utf-8"))


def _last(lines: str) -> str:
    return (lines.strip().splitlines() or ["no output"])[-1]
