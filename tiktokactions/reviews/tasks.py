"""Writes files for other platforms, with tasks to label or with decisions: Label Studio's JSON, CSV, JSON lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from tiktokactions.errors import UsageError
from tiktokactions.files import write_atomic
from tiktokactions.records import JsonObject
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.gallery import label_funnel
from tiktokactions.reviews.items import UnknownVideoError, evidence, known_record
from tiktokactions.reviews.ledger import all_rows, in_force_by_video
from tiktokactions.reviews.people import reviewers
from tiktokactions.reviews.queue import ensure_queue
from tiktokactions.reviews.rows import column_names, to_json

KINDS = (".json", ".csv", ".jsonl")
LABELS_OFFERED = 200
"""Label Studio's page lists every choice; other actions can be typed."""
NO_ACTION = "no action"
_FORMULA = re.compile(r"\s*[=+\-@|'\t\r\n＝＋－＠＇]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
SEPARATOR = "|"
"""Between the labels in one cell of a CSV file."""
TASK_COLUMNS = ("video_id", "video", "labels", "title", "why", "duration_s", "clip_start_s", "clip_end_s", "fps")
EXPORTED = {
    name: "annotator" if name == "reviewer" else name
    for name in column_names(Decision)
    if name not in ("id", "page_version", "previous")
}
"""Fields of a decision in an export, with their names there."""


def kind_of(path: Path) -> str:
    """The format, by the end of the file name. Raises ``ValueError`` for an unknown one."""
    if path.suffix not in KINDS:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(KINDS)}")
    return path.suffix


# --- tasks ---------------------------------------------------------------------------------------------------------


def export_tasks(desk: Desk, output: Path, queue: str = "review", media_url: str | None = None) -> int:
    """Write the open videos of a queue, in its order, as tasks; returns how many. Beside ``.json`` lies the labelling
    configuration that Label Studio asks for (the same name with ``.xml``)."""
    kind = kind_of(output)
    rows = [_task_row(desk, video_id, media_url) for video_id in open_videos(desk, queue)]
    if kind == ".json":
        write_atomic(output, _json_bytes([{"data": row} for row in rows]))
        write_atomic(output.with_suffix(".xml"), labelling_configuration(desk).encode())
    else:
        _write_rows(output, TASK_COLUMNS, rows)
    return len(rows)


def open_videos(desk: Desk, queue: str) -> list[str]:
    """The videos of a queue that want a judgement and have a clip to look at, in order.

    Raises:
        ValueError: no such queue.
    """
    if queue not in ("review", "sample", "suggested", "conflicts") and not queue.startswith("label:"):
        raise UsageError(f"`queue`: got {queue!r}, expected review, sample, suggested, conflicts or label:LABEL")
    ensure_queue(desk.index, queue)
    if queue == "conflicts":
        sql = "SELECT video_id FROM videos WHERE conflict NOTNULL AND clip_path NOTNULL ORDER BY video_id"
    else:
        sql = (
            "SELECT q.video_id FROM queue q JOIN videos v USING(video_id)"
            " WHERE q.queue=:queue AND q.open AND v.clip_path NOTNULL ORDER BY q.rank"
        )
    return [row[0] for row in desk.index.database.rows(sql, {"queue": queue})]


def _task_row(desk: Desk, video_id: str, media_url: str | None) -> JsonObject:
    row = desk.index.database.first("SELECT * FROM videos WHERE video_id=?", (video_id,))
    try:
        record = known_record(desk.dataset, video_id)
        reason, fps = evidence(record, desk.settings), record.clip.fps if record.clip is not None else None
    except UnknownVideoError:
        reason, fps = "", None
    assert row is not None
    return {
        "video_id": video_id,
        "video": media_address(row["clip_path"], media_url),
        "labels": json.loads(row["labels"]),
        "title": row["title"] or "",
        "why": reason,
        "fps": fps,
        **{name: row[name] for name in ("duration_s", "clip_start_s", "clip_end_s")},
    }


def media_address(clip_path: str | None, media_url: str | None) -> str:
    """Where the platform finds a clip: below ``media_url``, or in Label Studio's local storage with the dataset as root."""
    if clip_path is None:
        return ""
    path = quote(clip_path)
    return f"/data/local-files/?d={path}" if media_url is None else f"{media_url.rstrip('/')}/{path}"


def labelling_configuration(desk: Desk) -> str:
    """Label Studio's page for these tasks, with the names that the import understands."""
    labels = desk.guide.names or [count.label for count in label_funnel(desk.index, LABELS_OFFERED)]
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in [*labels, NO_ACTION])
    parts = "\n".join(f"    <Label value={quoteattr(label)}/>" for label in labels)
    return f"""\
<View>
  <Header value="$title"/>
  <Text name="why" value="$why"/>
  <Video name="video" value="$video" frameRate="$fps"/>
  <Choices name="verdict" toName="video" choice="single" required="true" showInline="true">
    <Choice value="accept" hotkey="a"/>
    <Choice value="reject" hotkey="r"/>
    <Choice value="unsure" hotkey="u"/>
  </Choices>
  <Choices name="labels" toName="video" choice="multiple" showInline="true">
{choices}
  </Choices>
  <TimelineLabels name="segments" toName="video">
{parts}
  </TimelineLabels>
  <TextArea name="other_labels" toName="video" placeholder="other actions"/>
  <TextArea name="tags" toName="video" placeholder="free tags"/>
</View>
"""


# --- decisions -----------------------------------------------------------------------------------------------------


def export_decisions(desk: Desk, output: Path) -> int:
    """Write what was decided; returns how many. ``.csv`` and ``.jsonl`` hold every row of the table, undone ones and
    undos too; ``.json`` holds the judgements in force as annotations of Label Studio's tasks."""
    kind = kind_of(output)
    names = {person.id: person.name for person in reviewers(desk.store)}
    if kind == ".json":
        tasks = list(_annotated_tasks(desk, names))
        write_atomic(output, _json_bytes(tasks))
        return sum(len(task["annotations"]) for task in tasks)
    rows = []
    for decision in all_rows(desk.store):
        values = to_json(decision, EXPORTED) | {"reviewer": names.get(decision.reviewer, decision.reviewer)}
        rows.append({EXPORTED[name]: value for name, value in values.items()})
    _write_rows(output, EXPORTED.values(), rows)
    return len(rows)


def _annotated_tasks(desk: Desk, names: dict[str, str]) -> Iterator[JsonObject]:
    for video_id, decisions in sorted(in_force_by_video(desk.store).items()):
        judgements = [decision for decision in decisions if decision.verdict != "skip"]
        known = desk.index.database.first("SELECT 1 FROM videos WHERE video_id=?", (video_id,))
        if known is not None and judgements:
            task = _task_row(desk, video_id, None)
            yield {"data": task, "annotations": [_annotation(decision, names, task) for decision in judgements]}


def _annotation(decision: Decision, names: dict[str, str], task: JsonObject) -> JsonObject:
    labels = [*(decision.labels or ()), *([NO_ACTION] if decision.no_action else [])]
    result = [_result("verdict", "choices", {"choices": [decision.verdict]})]
    if labels or decision.labels is not None:  # an empty list says that none of them is in the clip
        result.append(_result("labels", "choices", {"choices": labels}))
    if decision.tags:
        result.append(_result("tags", "textarea", {"text": list(decision.tags)}))
    for part in decision.segments if task["fps"] else ():
        # Frames of the clip, counted from 1, both ends among them; what lies outside it has no place there.
        start, end = (round((part[at] - task["clip_start_s"]) * task["fps"]) for at in ("start_s", "end_s"))
        if end > max(start, 0) and part["start_s"] < task["clip_end_s"]:
            value = {"ranges": [{"start": max(start, 0) + 1, "end": end}], "timelinelabels": part["labels"]}
            result.append(_result("segments", "timelinelabels", value))
    return {
        "unique_id": decision.client_key,
        "annotator": names.get(decision.reviewer, decision.reviewer),
        "created_at": decision.at_utc,
        "lead_time": decision.seconds,
        "was_cancelled": False,
        "segments": list(decision.segments),
        "result": result,
    }


def _result(name: str, kind: str, value: JsonObject) -> JsonObject:
    return {"from_name": name, "to_name": "video", "type": kind, "value": value}


# --- bytes ---------------------------------------------------------------------------------------------------------


def _json_bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def quoted(cell: object) -> object:
    """A cell of a CSV file as no spreadsheet takes it for a formula: text that begins like one, and is no number, gets an
    apostrophe before it. Wide characters count too: spreadsheets of East Asia read them."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unquoted(cell: str) -> str:
    """The cell as it was before :func:`quoted`."""
    return cell[1:] if cell[:1] == "'" and quoted(cell[1:]) == cell else cell


def _cell(value: object) -> object:
    """Names are joined, other lists and objects are JSON."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return SEPARATOR.join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _write_rows(output: Path, columns: Iterable[str], rows: Iterable[JsonObject]) -> None:
    """As JSON lines or CSV."""
    if output.suffix == ".jsonl":
        write_atomic(output, b"".join(map(_json_bytes, rows)))
        return
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(columns), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: quoted(_cell(value)) for name, value in row.items()})
    write_atomic(output, buffer.getvalue().encode("utf-8", "replace"))
