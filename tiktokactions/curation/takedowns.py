"""``removed.csv``: the take-downs of a dataset, all that remains of videos that were taken down.

Columns: ``video_id``, ``removed`` (UTC), ``reason``, ``sha256`` (of the file, if known, so that it does not come back under
another name). Curation skips what is listed here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import Place, csv_bytes, write_listed


class NotTakenDownError(TiktokactionsError, OSError):
    """What had to be removed is still there: the operating system refused to delete it, or it lies elsewhere.

    ``taken_down``: how much did go.
    """

    def __init__(self, message: str, taken_down: int = 0) -> None:
        super().__init__(message)
        self.taken_down = taken_down


@dataclass(frozen=True, slots=True)
class Takedown:
    """One video that was taken down and must not come back."""

    video_id: str
    removed: str
    reason: str
    sha256: str = ""


COLUMNS = tuple(field.name for field in fields(Takedown))


def takedowns_path(dataset: Place) -> Place:
    return dataset / "removed.csv"


def read_takedowns(dataset: Place) -> dict[str, Takedown]:
    """Take-downs by video id; empty if nothing was ever taken down.

    Raises:
        UsageError: a damaged file. Nothing may be curated then, because what was taken down could come back.
    """
    path = takedowns_path(dataset)
    if not path.exists():
        return {}
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            if any(row.get(name) is None for name in COLUMNS):
                raise UsageError(f"{path}, line {number}: expected the columns {', '.join(COLUMNS)}; restore the file")
            found[row["video_id"]] = Takedown(**{name: row[name] for name in COLUMNS})
    return found


def add_takedowns(dataset: Place, takedowns: Iterable[Takedown]) -> None:
    """Add take-downs; those that exist keep their date and reason."""
    by_id = {takedown.video_id: takedown for takedown in takedowns} | read_takedowns(dataset)
    rows = (astuple(takedown) for _, takedown in sorted(by_id.items()))
    write_listed(dataset, takedowns_path(dataset).name, csv_bytes([COLUMNS, *rows]))
