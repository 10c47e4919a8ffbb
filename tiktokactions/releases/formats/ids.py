"""The form in which a social-video dataset is released: ids, segments, labels, evidence and what people decided, no media
and no names.

``dataset hydrate`` makes a dataset of it where the videos can still be had.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import msgspec

from tiktokactions.curation.takedowns import COLUMNS, published, read_takedowns, takedowns_path
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files import write_csv, write_json
from tiktokactions.records import VideoRecord, to_builtins
from tiktokactions.releases.rows import Export
from tiktokactions.reviews.decisions import Verdict
from tiktokactions.verdicts.decided import applied_verdicts

HEAD = (
    *("video_id", "platform_id", "sha256", "status", "reasons", "labels", "human_labels"),
    *("start_s", "end_s", "split", "decided", "evidence"),
)
INFO_NAME = "ids.json"
KEPT_OUT = (
    *("source", "timings", "video_id", "labels", "status", "reasons", "format", "poster_sha256", "strip_sha256"),
    "description_sha256",
)
"""Fields of a record that ``evidence`` leaves out: names and paths, and what has a column of its own."""


def write(export: Export, out: Path) -> list[Path]:
    """``ids.csv``, a row for every video with its verdict (rejected ones too: a hydrated dataset has the same funnel);
    ``ids.json``, the settings that the dataset was made with; and ``removed.csv``, what was taken down and has to stay out of
    every copy, if there is anything. ``export.sides`` and ``export.labels`` choose among the rows.
    """
    data = export.dataset
    told = {name: to_builtins(getattr(data.info, name)) for name in ("name", "options", "detector", "versions")}
    write_csv(out / "ids.csv", _rows(export))
    write_json(out / INFO_NAME, told | {"format": 1})
    written = [out / "ids.csv", out / INFO_NAME]
    if takedowns := read_takedowns(data.parent.folder).values():
        rows = sorted(astuple(takedown) for takedown in published(takedowns, export.salt))
        write_csv(takedowns_path(out), [COLUMNS, *rows])
        written.append(out / takedowns_path(out).name)
    return written


def _rows(export: Export) -> Iterator[tuple[object, ...]]:
    """The head and a row for every video, one in memory at a time."""
    yield HEAD
    verdicts = applied_verdicts(export.dataset.parent.folder)
    for record, row in _with_rows(export.dataset):
        side = row.get("split") or ""
        fits = not export.labels or set(export.labels) & set(record.labels)
        if fits and (not export.sides or side in export.sides):
            yield _row(record, side, row.get("human_labels"), verdicts.get(record.video_id))


def _with_rows(data: Dataset) -> Iterator[tuple[VideoRecord, dict[str, Any]]]:
    """Every record with its row of the manifest, which has the same order; a row that came early waits for its record."""
    batches = data.batches(["video_id", "split", "human_labels"])
    rows = (row for batch in batches for row in batch.to_pylist())
    waiting: dict[str, dict[str, Any]] = {}
    for record in data:
        while record.video_id not in waiting and (row := next(rows, None)) is not None:
            waiting[row["video_id"]] = row
        yield record, waiting.pop(record.video_id, {})


def _row(record: VideoRecord, side: str, human_labels: list[str] | None, verdict: Verdict | None) -> tuple[Any, ...]:
    segment = record.segment
    return (
        record.video_id,
        record.source.id or "",
        record.source.sha256,
        record.status,
        ";".join(record.reasons),
        json.dumps(record.labels, ensure_ascii=False),
        "" if human_labels is None else json.dumps(human_labels, ensure_ascii=False),
        "" if segment is None else f"{segment.start_s:.6f}",
        "" if segment is None else f"{segment.end_s:.6f}",
        side,
        "" if verdict is None else json.dumps(_said(verdict), ensure_ascii=False, separators=(",", ":")),
        evidence(record),
    )


def _said(verdict: Verdict) -> dict[str, Any]:
    """What people came to, without who they were."""
    return {name: value for name, value in msgspec.to_builtins(verdict).items() if name not in ("video_id", "method")}


def evidence(record: VideoRecord) -> str:
    """Everything that was measured and decided, as JSON, without paths and names."""
    plain = {name: value for name, value in msgspec.to_builtins(record).items() if name not in KEPT_OUT}
    detail = plain["failure_detail"]
    if detail is not None and any(path in detail for path in (record.source.path, *record.source.copies)):
        plain["failure_detail"] = None  # it names the file, and so perhaps a person
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
