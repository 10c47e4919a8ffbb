"""Turns answers given elsewhere into decisions: Label Studio's exports, CSV, JSON lines. Refused rows are listed."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tiktokactions.errors import UsageError
from tiktokactions.records import ActionSegment, JsonObject
from tiktokactions.reviews.decisions import Decision, DecisionError, Judgement
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.golden import set_gold
from tiktokactions.reviews.items import check_decision, known_record
from tiktokactions.reviews.ledger import add_decisions, has_decision
from tiktokactions.reviews.people import outside_person
from tiktokactions.reviews.rows import column_names
from tiktokactions.reviews.store import now_utc
from tiktokactions.reviews.tasks import NO_ACTION, SEPARATOR, kind_of, unquoted

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
    unlisted = added = known = 0
    batch: list[tuple[str, Decision, str]] = []

    def write() -> None:
        nonlocal added, known
        written = add_decisions(desk.store, batch, origin=origin)
        added += sum(not decision.repeated for decision in written)
        known += sum(decision.repeated for decision in written)
        batch.clear()

    for where, row in _rows(path):
        try:
            answer = _answer(row)
            if not as_gold and answer.client_key and has_decision(desk.store, answer.client_key, answer.video_id):
                known += 1  # exported from here
                continue
            record = known_record(desk.dataset, answer.video_id)
            decision = check_decision(record, desk.settings, replace(answer, client_key=_key(answer)))
            if as_gold:
                set_gold(desk.store, decision.video_id, decision.verdict, decision.labels, by=answer.reviewer)
                added += 1
                continue
            person = outside_person(desk.store, answer.reviewer)
        except DecisionError as error:
            if len(refused) < REFUSED_AT_MOST:
                refused.append(f"{where}: {error}")
            else:
                unlisted += 1
            continue
        batch.append((person.id, decision, answer.at_utc or now_utc()))
        if len(batch) == ROWS_AT_ONCE:
            write()
    write()
    if unlisted:
        refused.append(f"and {unlisted} more")
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
            with open(path, encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                for row in reader:
                    yield f"line {reader.line_num}", _csv_row(row)
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


def _csv_row(row: Mapping[str | None, str | None]) -> dict[str, str] | DecisionError:
    if None in row:
        return DecisionError("more cells than the header has names")
    cells = {str(name).strip(): (value or "").strip() for name, value in row.items()}
    # An empty cell says nothing.
    return {name: unquoted(value) for name, value in cells.items() if value}


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
                yield where, _flat(data.get("video_id"), annotation)
            except DecisionError as error:
                yield where, error


def _flat(video_id: object, annotation: object) -> JsonObject:
    """An annotation of Label Studio as the flat object that the other formats have."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result", []), list):
        raise DecisionError("expected an object with a list of results")
    row: JsonObject = {
        "video_id": video_id,
        "annotator": annotation.get("annotator", annotation.get("completed_by")),
        "client_key": annotation.get("unique_id"),
        "at_utc": annotation.get("updated_at") or annotation.get("created_at"),
        "seconds": annotation.get("lead_time"),
        "segments": annotation.get("segments"),
    }
    for result in annotation.get("result", []):
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            raise DecisionError("a result without a value")
        row[str(result.get("from_name"))] = value.get("choices", value.get("text"))
    if annotation.get("was_cancelled"):
        row["verdict"] = "skip"
    return row


# --- from a row to a decision --------------------------------------------------------------------------------------


def _answer(row: object) -> Decision:
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
    return Decision(
        client_key=_text(row.get("client_key"), "client_key") if row.get("client_key") else "",
        at_utc=_time(row.get("at_utc")) or "",
        reviewer=_annotator(row.get("annotator")),
        video_id=_text(row.get("video_id"), "video_id"),
        verdict=said,
        labels=tuple(labels) if named and answers is None and not no_action and said == "accept" else None,
        answers=answers,
        why=_text(row.get("why"), "why") if row.get("why") else "",
        prefilled=str(row.get("prefilled", "")).lower() in ("1", "true"),
        tags=tuple(_names(row.get("tags"), "tags")),
        segments=_segments(row.get("segments")),
        no_action=no_action,
        scene=_whole(row.get("scene")),
        start_s=_number(row.get("start_s"), "start_s"),
        end_s=_number(row.get("end_s"), "end_s"),
        seconds=_number(row.get("seconds"), "seconds") or 0.0,
        queue=_text(row.get("queue"), "queue") if row.get("queue") else "",
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
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(said, str) for said in found.values()):
        raise DecisionError("answers: expected an object, label: yes, no, cannot_tell or not_asked")
    return {str(label): said for label, said in found.items()}


def _segments(value: object) -> tuple[ActionSegment, ...]:
    """Parts with labels of their own: a list of objects, or one written as JSON in a cell."""
    try:
        found = msgspec.json.decode(value) if isinstance(value, str) and value else value or []
        return msgspec.convert(found, tuple[ActionSegment, ...])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DecisionError(f"segments: expected a list of start_s, end_s and labels ({error})") from error


def _annotator(value: object) -> str:
    """The name of the person who answered: as given, or from Label Studio's ``completed_by``."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"annotator {value}"
    return _text(value, "annotator") if value else "outside"


def _text(value: object, what: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value or len(value) > 500:
        raise DecisionError(f"{what}: expected a text of 1 to 500 characters")
    return value


def _time(value: object) -> str | None:
    """A time as it is stored (UTC, milliseconds); None if it cannot be read."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return None


def _number(value: object, what: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DecisionError(f"{what}: got {str(value)[:40]!r}, expected a number")
    return number


def _whole(value: object) -> int | None:
    number = _number(value, "scene")
    if number is not None and number != int(number):
        raise DecisionError(f"scene: got {number:g}, expected a whole number")
    return None if number is None else int(number)
