"""The form in which a social-video dataset is released: ids, segments, labels and evidence, no media and no names.

``dataset hydrate`` makes a dataset of it where the videos can still be had.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files import write_csv, write_json
from tiktokactions.records import VideoRecord, to_builtins
from tiktokactions.release.rows import Export

HEAD = (
    *("video_id", "platform_id", "sha256", "status", "reasons", "labels", "human_labels"),
    *("start_s", "end_s", "split", "evidence"),
)
INFO_NAME = "ids.json"
KEPT_OUT = (
    *("source", "timings", "video_id", "labels", "status", "reasons", "format", "poster_sha256", "strip_sha256"),
)
"""Fields of a record that ``evidence`` leaves out: names and paths, and what has a column of its own."""


def write(export: Export, out: Path) -> list[Path]:
    """``ids.csv``, a row for every video with its verdict (rejected ones too: a hydrated dataset has the same funnel), and
    ``ids.json``, the settings that the dataset was made with. ``export.sides`` and ``export.labels`` choose among the rows.
    """
    data = export.dataset
    sides, said = data.sides, _human_labels(data)
    rows: list[tuple[object, ...]] = [HEAD]
    for record in data:
        side = sides.get(record.video_id, "")
        fits = not export.labels or set(export.labels) & set(record.labels)
        if fits and (not export.sides or side in export.sides):
            rows.append(_row(record, side, said.get(record.video_id, ())))
    told = {name: to_builtins(getattr(data.info, name)) for name in ("name", "options", "detector", "versions")}
    write_csv(out / "ids.csv", rows)
    write_json(out / INFO_NAME, told | {"format": 1})
    return [out / "ids.csv", out / INFO_NAME]


def _human_labels(data: Dataset) -> dict[str, list[str]]:
    """What people called the videos, where they did."""
    rows = (row for batch in data.batches(["video_id", "human_labels"]) for row in batch.to_pylist())
    return {row["video_id"]: row["human_labels"] for row in rows if row["human_labels"]}


def _row(record: VideoRecord, side: str, human_labels: Sequence[str]) -> tuple[Any, ...]:
    segment = record.segment
    return (
        record.video_id,
        record.source.id or "",
        record.source.sha256,
        record.status,
        ";".join(record.reasons),
        json.dumps(record.labels, ensure_ascii=False),
        json.dumps(human_labels, ensure_ascii=False) if human_labels else "",
        "" if segment is None else f"{segment.start_s:.6f}",
        "" if segment is None else f"{segment.end_s:.6f}",
        side,
        evidence(record),
    )


def evidence(record: VideoRecord) -> str:
    """Everything that was measured and decided, as JSON, without paths and names."""
    plain = {name: value for name, value in msgspec.to_builtins(record).items() if name not in KEPT_OUT}
    detail = plain["failure_detail"]
    if detail is not None and any(path in detail for path in (record.source.path, *record.source.copies)):
        plain["failure_detail"] = None  # it names the file, and so perhaps a person
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
