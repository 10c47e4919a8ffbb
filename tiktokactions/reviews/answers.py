"""Turns answers given elsewhere into decisions: Label Studio's exports, CSV, JSON lines. Refused rows are listed."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TypedDict, TypeVar

import msgspec

from tiktokactions.errors import UsageError
from tiktokactions.metadata.documents import table_rows, text_of
from tiktokactions.records import ActionSegment, JsonObject, VideoRecord
from tiktokactions.reviews.decisions import Decision, DecisionError, Judgement
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.golden import set_gold
from tiktokactions.reviews.items import check_decision, known_record
from tiktokactions.reviews.ledger import add_decisions, has_decision
from tiktokactions.reviews.people import outside_person
from tiktokactions.reviews.rows import column_names
from tiktokactions.reviews.store import now_utc
from tiktokactions.reviews.tasks import NO_ACTION, SEPARATOR, kind_of, unquoted

_TEXT = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_SECONDS = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
_WHOLE = Annotated[int, msgspec.Meta(ge=-1, le=10**6)]
T = TypeVar("T")
_SPANNED = {"ranges", "start"}
"""Keys of Label Studio's regions in time."""
ROWS_AT_ONCE = 500
REFUSED_AT_MOST = 1000
"""Refused rows that are listed; the rest are counted in one line."""
ORIGINS = {".json": "label-studio", ".csv": "csv", ".jsonl": "jsonl"}


@dataclass(frozen=True)
class TasksImported:
    added: int
    known: int
    """Answers that were there already, from an earlier import or from the pages."""
    refused: list[str]
    """A line for each refused row: which row, and why."""


def import_answers(desk: Desk, path: Path, as_gold: bool = False) -> TasksImported:
    """Take in a file of answers; see :func:`tiktokactions.commands.review_import`.

    Raises:
        ValueError: the file cannot be read at all.
    """
    origin = ORIGINS[kind_of(path)]
    refused: list[str] = []
    added = known = 0
    batch: list[tuple[str, Decision, str]] = []

    def write() -> None:
        nonlocal added, known
        written = add_decisions(desk.store, batch, origin=origin)
        added += sum(not decision.repeated for decision in written)
        known += sum(decision.repeated for decision in written)
        batch.clear()

    for where, row in _rows(path):
        try:
            answer = _answer(row, partial(known_record, desk.dataset))
            if not as_gold and answer.client_key and has_decision(desk.store, answer.client_key, answer.video_id):
                known += 1  # exported from here
                continue
            record = known_record(desk.dataset, answer.video_id)
            decision = check_decision(record, desk.settings, replace(answer, client_key=_key(answer)))
            desk.guide.check(decision)
            if as_gold:
                set_gold(desk.store, decision.video_id, decision.verdict, decision.labels, by=answer.reviewer)
                added += 1
                continue
            person = outside_person(desk.store, answer.reviewer)
        except DecisionError as error:
            refused.append(f"{where}: {error}")
            continue
        batch.append((person.id, decision, answer.at_utc or now_utc()))
        if len(batch) == ROWS_AT_ONCE:
            write()
    write()
    if len(refused) > REFUSED_AT_MOST:
        refused[REFUSED_AT_MOST:] = [f"and {len(refused) - REFUSED_AT_MOST} more"]
    desk.refresh()
    return TasksImported(added, known, refused)


def _key(answer: Decision) -> str:
    """The client key of an answer, made from its content: the same answer is taken in once."""
    # What no file of before this said has no part in it, so that those are known again.
    names = [
        name for name in column_names(Judgement) if name not in ("answers", "why", "segments") or getattr(answer, name)
    ]
    said = [getattr(answer, name) for name in names]
    content = json.dumps([answer.reviewer, answer.at_utc or None, answer.client_key, answer.video_id, *said])
    return "import-" + hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


# --- reading the files ---------------------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[tuple[str, object]]:
    """(where, row) for every answer in a file; instead of a row that cannot be read, the error."""
    try:
        if path.suffix == ".json":
            yield from _label_studio_rows(json.loads(path.read_text(encoding="utf-8-sig")))
        elif path.suffix == ".jsonl":
            yield from _lines(path)
        else:
            header, *rows = table_rows(text_of(path.read_bytes(), str(path))) or [[]]
            names = [cell.strip() for cell in header]
            if "video_id" not in names:
                raise UsageError(f"expected a header with video_id and verdict, got {', '.join(names)[:200]}")
            yield from ((f"row {number}", _csv_row(names, row)) for number, row in enumerate(rows, start=2))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise UsageError(f"{path}: not {path.suffix[1:].upper()} that can be read: {str(error)[:200]}") from error


def _lines(path: Path) -> Iterator[tuple[str, object]]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield f"line {number}", json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield f"line {number}", DecisionError(f"not JSON: {str(error)[:100]}")


def _csv_row(names: Sequence[str], row: Sequence[str]) -> dict[str, str] | DecisionError:
    if len(row) > len(names):
        return DecisionError("more cells than the header has names")
    # An empty cell says nothing.
    return {name: unquoted(cell.strip()) for name, cell in zip(names, row, strict=False) if cell.strip()}


def _label_studio_rows(tasks: object) -> Iterator[tuple[str, object]]:
    """The annotations of an export: ``JSON`` (tasks with annotations) or ``JSON_MIN`` (a flat object each)."""
    if not isinstance(tasks, list):
        raise UsageError("expected a list of tasks, as Label Studio exports it")
    for number, task in enumerate(tasks, start=1):
        annotations = task.get("annotations") if isinstance(task, dict) else None
        if annotations is None:
            yield f"task {number}", task
            continue
        data = task.get("data")
        if not isinstance(data, dict) or not isinstance(annotations, list):
            yield f"task {number}", DecisionError("expected 'data' and a list of 'annotations'")
            continue
        for place, annotation in enumerate(annotations, start=1):
            where = f"task {number}, annotation {place}"
            try:
                yield where, _flat(data, annotation)
            except DecisionError as error:
                yield where, error


def _flat(task: JsonObject, annotation: object) -> JsonObject:
    """An annotation of Label Studio as the flat object that the other formats have."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result", []), list):
        raise DecisionError("expected an object with a list of results")
    row: JsonObject = {
        **{name: task.get(name) for name in ("video_id", "fps", "clip_start_s")},
        "annotator": annotation.get("annotator", annotation.get("completed_by")),
        "client_key": annotation.get("unique_id"),
        "at_utc": annotation.get("updated_at") or annotation.get("created_at"),
        "seconds": annotation.get("lead_time"),
    }
    regions = list[JsonObject]()
    for result in annotation.get("result", []):
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            raise DecisionError("a result without a value")
        if _SPANNED & value.keys():
            regions.append(value)
        else:
            row[str(result.get("from_name"))] = value.get("choices", value.get("text"))
    # Our own exports say them in seconds, also those outside the clip; Label Studio keeps the regions alone.
    row["segments"] = annotation.get("segments") or regions
    if annotation.get("was_cancelled"):
        row["verdict"] = "skip"
    return row


# --- from a row to a decision --------------------------------------------------------------------------------------


def _answer(row: object, record_of: Callable[[str], VideoRecord]) -> Decision:
    """A decision whose client key and time are empty where the file has none; ``reviewer`` is the annotator's name."""
    if isinstance(row, DecisionError):
        raise row
    if not isinstance(row, dict):
        raise DecisionError(f"expected an object, got {type(row).__name__}")
    if row.get("undoes") or row.get("verdict") == "undo":
        raise DecisionError("an undo: export the decisions in force as .json to carry them elsewhere")
    verdict = _names(row.get("verdict"), "verdict")
    answers = _answers(row.get("answers"))
    labels = [*_names(row.get("labels"), "labels"), *_names(row.get("other_labels"), "other_labels")]
    no_action = NO_ACTION in labels or str(row.get("no_action", "")).lower() in ("1", "true", "yes")
    if no_action:
        # Nobody acts: that is a rejection, whatever else was ticked.
        verdict, labels = ["reject"] if verdict in (["accept"], ["reject"], []) else verdict, []
        answers = None
    if len(verdict) != 1:
        raise DecisionError(f"verdict: got {len(verdict)} values, expected one of accept, reject, unsure, skip")
    named = labels or row.get("labels") == []
    said = verdict[0].lower()
    start_s, end_s, seconds = (_said(row, name, _SECONDS) for name in ("start_s", "end_s", "seconds"))
    return Decision(
        client_key=_said(row, "client_key", _TEXT) or "",
        at_utc=_time(row.get("at_utc")) or "",
        reviewer=_annotator(row.get("annotator")),
        video_id=_said(row, "video_id", _TEXT) or "",
        verdict=said,
        labels=tuple(labels) if named and answers is None and not no_action and said == "accept" else None,
        answers=answers,
        why=_said(row, "why", _TEXT) or "",
        prefilled=str(row.get("prefilled", "")).lower() in ("1", "true"),
        tags=tuple(_names(row.get("tags"), "tags")),
        segments=_segments(row, record_of),
        no_action=no_action,
        scene=_said(row, "scene", _WHOLE),
        start_s=start_s,
        end_s=end_s,
        seconds=seconds or 0.0,
        queue=_said(row, "queue", _TEXT) or "",
    )


def _names(value: object, what: str) -> list[str]:
    """One name, several joined by ``|``, a list, or Label Studio's ``{"choices": […]}``."""
    if isinstance(value, dict):
        value = value.get("choices", value.get("text"))
    if value is None:
        return []
    parts = value.split(SEPARATOR) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise DecisionError(f"{what}: got {type(value).__name__}, expected text or a list of texts")
    return [part.strip() for part in parts if part.strip()]


def _answers(value: object) -> dict[str, str] | None:
    """What is said of each label: an object, or one written as JSON in a cell."""
    if not value and value != {}:
        return None
    try:
        return msgspec.convert(msgspec.json.decode(value) if isinstance(value, str) else value, dict[str, str])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DecisionError("answers: expected an object, label: yes, no, cannot_tell or not_asked") from error


class _Span(TypedDict):
    start: float
    end: float


class _Region(TypedDict, total=False):
    """Label Studio's: frames of the clip, counted from 1 and both ends among them; or seconds of the clip."""

    ranges: list[_Span]
    timelinelabels: list[str]
    start: float
    end: float
    labels: list[str]


def _segments(row: JsonObject, record_of: Callable[[str], VideoRecord]) -> tuple[ActionSegment, ...]:
    """Parts with labels of their own, in seconds of the source: a list of objects, or one written as JSON in a cell; or Label
    Studio's regions, under any name."""
    found = row.get("segments") or []
    try:
        found = msgspec.json.decode(found) if isinstance(found, str) else found
        lists = [told for told in (row | {"segments": found}).values() if isinstance(told, list)]
        if told := [part for parts in lists for part in parts if isinstance(part, dict) and _SPANNED & part.keys()]:
            regions = msgspec.convert(told, list[_Region])
            found = list(_in_source(regions, row, record_of(_said(row, "video_id", _TEXT) or "")))
        return msgspec.convert(found, tuple[ActionSegment, ...])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DecisionError(f"segments: expected a list of start_s, end_s and labels ({error})") from error


def _in_source(regions: Sequence[_Region], row: JsonObject, record: VideoRecord) -> Iterator[JsonObject]:
    """The task says where its clip lay and how fast it was; else the dataset does."""
    fps = _said(row, "fps", _SECONDS) or (record.clip.fps if record.clip is not None else None)
    begins_s = _said(row, "clip_start_s", _SECONDS)
    if begins_s is None and record.segment is not None:
        begins_s = record.segment.start_s
    if not fps or begins_s is None:
        raise DecisionError(
            "segments: got frames of a clip that is not there; expected `fps` and `clip_start_s` beside them"
        )
    for region in regions:
        spans = [((span["start"] - 1) / fps, span["end"] / fps) for span in region.get("ranges", ())]
        spans = spans or [(region.get("start", 0.0), region.get("end", 0.0))]
        labels = region.get("timelinelabels") or region.get("labels") or []
        yield from ({"start_s": begins_s + a, "end_s": begins_s + b, "labels": labels} for a, b in spans)


def _annotator(value: object) -> str:
    """The name of the person who answered: as given, or from Label Studio's ``completed_by``."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"annotator {value}"
    return _said({"annotator": value}, "annotator", _TEXT) or "outside"


def _said(row: JsonObject, name: str, kind: type[T]) -> T | None:
    """A value, or one written as text; None where there is none."""
    value = row.get(name)
    if value is None or value == "":
        return None
    value = str(value) if kind is _TEXT and type(value) is int else value
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise DecisionError(f"{name}: got {str(value)[:40]!r} ({error})") from error


def _time(value: object) -> str | None:
    """A time as it is stored (UTC, milliseconds); None if it cannot be read."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return None
