"""The signed reports of take-downs: each names the one before, so that a changed or a missing one is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tiktokactions.files import Place, json_bytes, write_listed
from tiktokactions.records import JsonObject

REPORTS = "removals"


def write_report(folder: Place, at: str, said: Mapping[str, Any]) -> Place:
    """``removals/<time>.json``, signed: ``sha256`` is over everything else in it, ``previous`` is the report before."""
    reports = reports_of(folder)
    stem = at.replace(":", "-")
    # Written before, by a run that was killed between the report and the end of the take-down: the same place.
    path = next((p for p in reports if signed(p).get("at") == at and signed(p).get("ids") == said["ids"]), None)
    if path is None:
        names = (stem, *(f"{stem}-{number}" for number in range(2, len(reports) + 2)))
        path = folder / REPORTS / f"{next(n for n in names if n not in {p.stem for p in reports})}.json"
    earlier = [p for p in reports if p != path]
    report = dict(said) | {"previous": signed(earlier[-1]).get("sha256") if earlier else None}
    report["sha256"] = signature(report)
    write_listed(folder, f"{REPORTS}/{path.name}", json_bytes(report, sort_keys=True))
    return path


def reports_of(folder: Place) -> list[Place]:
    """The reports of a folder, the earliest first: of one second (``…Z.json``, ``…Z-2.json``) in the order of numbers."""
    return sorted((folder / REPORTS).glob("*.json"), key=lambda p: (p.stem.partition("Z")[0], len(p.stem), p.stem))


def signature(report: Mapping[str, Any]) -> str:
    """SHA-256 of a report without its own ``sha256``, as JSON with sorted keys and no blanks."""
    rest = {name: value for name, value in report.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def signed(path: Place) -> JsonObject:
    found: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    return found
