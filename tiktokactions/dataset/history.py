"""``history.csv``: what came and went with every version of a dataset. Only ever appended to.

Columns: ``version``, ``date``, ``change`` (``came``, ``went``, ``changed``), ``video_id``, ``state`` (16 hex digits for
labels and segment of the clip; empty where it went). A clip is in a dataset while its video is accepted. Of a take-down
only the number of clips is kept: change ``removed``, no id, the number as the state.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.manifest import labels_of
from tiktokactions.dataset.tally import read_batches
from tiktokactions.errors import UsageError
from tiktokactions.files import AnyPlace, Place, staging_folder, write_csv
from tiktokactions.machine import utc_now
from tiktokactions.records import JsonObject

FIELDS = ("version", "date", "change", "video_id", "state")
COLUMNS = ["video_id", "status", "labels", "human_labels", "clip_path", "clip_start_s", "clip_end_s", "split"]

Change = Literal["came", "went", "changed", "removed"]


class HistoryError(UsageError):
    """A version that is not in the history, or a damaged history; the message says what there is."""


@dataclass(frozen=True)
class Event:
    version: int
    date: str
    change: Change
    video_id: str
    state: str


def history_path(dataset: AnyPlace) -> AnyPlace:
    return dataset / "history.csv"


def accepted_rows(dataset: Place) -> Iterator[JsonObject]:
    """The manifest's rows of clips that are in the dataset."""
    for batch in read_batches(dataset / "manifest.parquet", COLUMNS):
        for row in batch.to_pylist():
            if row["status"] == "accepted" and row["clip_path"] is not None:
                yield row


def state_of(row: JsonObject) -> str:
    """What a clip is: its labels and its part of the source."""
    what = "\0".join((*labels_of(row), f"{row['clip_start_s']:.6f}", f"{row['clip_end_s']:.6f}"))
    return hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_events(dataset: Place) -> Iterator[Event]:
    """Every change, oldest first; a last line that an earlier version of this program left half-written is passed over.

    Raises:
        HistoryError: a line that is none of a history.
    """
    path = history_path(dataset)
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    for number, row in enumerate(csv.DictReader(io.StringIO(whole.decode("utf-8"))), start=2):
        try:
            yield Event(int(row["version"]), row["date"], row["change"], row["video_id"], row["state"])  # type: ignore[arg-type]
        except (KeyError, ValueError, TypeError) as error:
            raise HistoryError(f"{path}, line {number}: expected {','.join(FIELDS)}, got {row}") from error


def states_at(dataset: Place, version: int) -> dict[str, str]:
    """Clips of a version and the state of each.

    Raises:
        HistoryError: the history does not reach back to it, or not so far.
    """
    events = list(read_events(dataset))
    if not events:
        raise HistoryError(f"{dataset}: version {version} is not in its history: there is none")
    first, last = events[0].version, events[-1].version
    if version < first:
        reach = f"it begins with version {first}, the last change was in {last}"
        raise HistoryError(f"{dataset}: version {version} is not in its history: {reach}")
    return _states(event for event in events if event.version <= version)


def _states(events: Iterable[Event]) -> dict[str, str]:
    """The clips that are in a dataset after these changes, and the state of each."""
    found: dict[str, str] = {}
    for event in events:
        if event.change == "went":
            found.pop(event.video_id, None)
        elif event.change != "removed":
            found[event.video_id] = event.state
    return found


def take_down_from_history(dataset: Place, ids: frozenset[str], version: int, date: str) -> int:
    """Forget videos that were taken down, in every version; how many lines that were.

    Where clips of theirs were in the dataset it says, as ``version``, how many went, and not which.
    """
    events = list(read_events(dataset))
    kept = [event for event in events if event.video_id not in ids]
    forgotten = len(events) - len(kept)
    if forgotten:
        if gone := len(ids & _states(events).keys()):
            kept.append(Event(version, date, "removed", "", str(gone)))
        _write(dataset, kept)
    return forgotten


def next_version(dataset: Place, info: DatasetInfo) -> DatasetInfo:
    """Write down what came, went and changed, and count one version more where anything did (and for the first).

    The caller writes the result to ``dataset.json`` last; killed before, the same call gives the same version again.
    """
    date = utc_now()
    if append_version(dataset, info.version + 1, date) or info.version == 0:
        return replace(info, version=info.version + 1, updated=date)
    return replace(info, version=max([info.version, *(event.version for event in read_events(dataset))]))


def append_version(dataset: Place, version: int, date: str) -> int:
    """Write down what came, went and changed since the last entry; how many clips that were. Does nothing where a
    killed run has written it already."""
    events = list(read_events(dataset))
    before = _states(events)
    new: list[Event] = []
    for row in accepted_rows(dataset):
        old, state = before.pop(row["video_id"], None), state_of(row)
        if old != state:
            new.append(Event(version, date, "came" if old is None else "changed", row["video_id"], state))
    new += [Event(version, date, "went", video_id, "") for video_id in sorted(before)]
    if new or not history_path(dataset).exists():
        _write(dataset, events + new)
    return len(new)


def _write(dataset: Place, events: Iterable[Event]) -> None:
    rows = ((e.version, e.date, e.change, e.video_id, e.state) for e in events)
    write_csv(history_path(dataset), [FIELDS, *rows], staging_folder(dataset))
