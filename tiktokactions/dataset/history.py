"""``history.csv``: what came and went with every version of a dataset. Only ever appended to.

Columns: ``version``, ``date``, ``change`` (``came``, ``went``, ``changed``), ``video_id``, ``state`` (16 hex digits for
labels and segment of the clip; empty where it went). A clip is in a dataset while its video is accepted. Of a take-down
only the number of clips is kept: change ``removed``, no id, the number as the state.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tiktokactions.dataset.info import DatasetInfo, now
from tiktokactions.dataset.statistics import read_batches
from tiktokactions.errors import TiktokactionsError
from tiktokactions.files import ObjectPath, staging_folder, write_atomic

FIELDS = ("version", "date", "change", "video_id", "state")
COLUMNS = ["video_id", "status", "labels", "human_labels", "clip_path", "clip_start_s", "clip_end_s", "split"]

Change = Literal["came", "went", "changed", "removed"]


class HistoryError(TiktokactionsError, ValueError):
    """A version that is not in the history, or a damaged history; the message says what there is."""


@dataclass(frozen=True)
class Event:
    version: int
    date: str
    change: Change
    video_id: str
    state: str


def history_path(dataset: Path) -> Path:
    return dataset / "history.csv"


def accepted_rows(dataset: Path) -> Iterator[dict[str, Any]]:
    """The manifest's rows of clips that are in the dataset."""
    for batch in read_batches(dataset / "manifest.parquet", COLUMNS):
        for row in batch.to_pylist():
            if row["status"] == "accepted" and row["clip_path"] is not None:
                yield row


def state_of(row: dict[str, Any]) -> str:
    """What a clip is: its labels and its part of the source."""
    names = row["human_labels"] or row["labels"] or []
    what = "\0".join((*names, f"{row['clip_start_s']:.6f}", f"{row['clip_end_s']:.6f}"))
    return hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_events(dataset: Path) -> Iterator[Event]:
    """Every change, oldest first; a last line that a killed run left half-written is passed over.

    Raises:
        HistoryError: a line that is none of a history.
    """
    path = history_path(dataset)
    if not path.exists():
        return
    whole, _ = _whole_lines(path)
    for number, row in enumerate(csv.DictReader(io.StringIO(whole.decode("utf-8"))), start=2):
        try:
            yield Event(int(row["version"]), row["date"], row["change"], row["video_id"], row["state"])  # type: ignore[arg-type]
        except (KeyError, ValueError, TypeError) as error:
            raise HistoryError(f"{path}, line {number}: expected {','.join(FIELDS)}, got {row}") from error


def _whole_lines(path: Path) -> tuple[bytes, int]:
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    return data[:end], end


def states_at(dataset: Path, version: int) -> dict[str, str]:
    """Clips of a version and the state of each.

    Raises:
        HistoryError: the history does not reach back to it, or not so far.
    """
    found: dict[str, str] = {}
    first = last = None
    for event in read_events(dataset):
        first = event.version if first is None else first
        last = event.version
        if event.version <= version:
            _apply(event, found)
    if first is None or version < first:
        reach = "there is none" if first is None else f"it begins with version {first}, the last change was in {last}"
        raise HistoryError(f"{dataset}: version {version} is not in its history: {reach}")
    return found


def _apply(event: Event, states: dict[str, str]) -> None:
    if event.change == "went":
        states.pop(event.video_id, None)
    elif event.change != "removed":
        states[event.video_id] = event.state


def last_version(dataset: Path) -> int:
    """The last version in the history; 0 where there is none."""
    return max((event.version for event in read_events(dataset)), default=0)


def remove_videos(dataset: Path, ids: frozenset[str], version: int, date: str) -> int:
    """Forget videos that were taken down, in every version; how many lines that were.

    Where clips of theirs were in the dataset it says, as ``version``, how many went, and not which.
    """
    path = history_path(dataset)
    if not path.exists():
        return 0
    events = list(read_events(dataset))
    kept = [event for event in events if event.video_id not in ids]
    forgotten = len(events) - len(kept)
    if not forgotten:
        return 0
    states: dict[str, str] = {}
    for event in events:
        _apply(event, states)
    if gone := len(ids & states.keys()):
        kept.append(Event(version, date, "removed", "", str(gone)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows((e.version, e.date, e.change, e.video_id, e.state) for e in kept)
    write_atomic(path, text.getvalue().encode(), staging_folder(dataset))
    return forgotten


def next_version(dataset: Path, info: DatasetInfo) -> DatasetInfo:
    """Write down what came, went and changed, and count one version more where anything did (and for the first).

    The caller writes the result to ``dataset.json`` last; killed before, the same call gives the same version again.
    """
    date = now()
    if append_version(dataset, info.version + 1, date) or info.version == 0:
        return replace(info, version=info.version + 1, updated=date)
    return replace(info, version=max(info.version, last_version(dataset)))


def append_version(dataset: Path, version: int, date: str) -> int:
    """Write down what came, went and changed since the last entry; how many clips that were. Does nothing where a
    killed run has written it already."""
    before: dict[str, str] = {}
    for event in read_events(dataset):
        _apply(event, before)
    text, count = io.StringIO(), 0
    writer = csv.writer(text, lineterminator="\n")
    for row in accepted_rows(dataset):
        old, new = before.pop(row["video_id"], None), state_of(row)
        if old != new:
            writer.writerow((version, date, "came" if old is None else "changed", row["video_id"], new))
            count += 1
    for video_id in sorted(before):
        writer.writerow((version, date, "went", video_id, ""))
        count += 1
    path = history_path(dataset)
    is_new = not path.exists()
    if isinstance(path, ObjectPath):  # an object is written whole
        head = (",".join(FIELDS) + "\n").encode() if is_new else _whole_lines(path)[0]
        write_atomic(path, head + text.getvalue().encode("utf-8", "surrogatepass"))
        return count
    with path.open("r+b" if not is_new else "wb") as file:
        if is_new:
            file.write((",".join(FIELDS) + "\n").encode())
        else:
            _, end = _whole_lines(path)
            file.truncate(end)
            file.seek(end)
        file.write(text.getvalue().encode("utf-8", "surrogatepass"))
        file.flush()
        os.fsync(file.fileno())
    return count
