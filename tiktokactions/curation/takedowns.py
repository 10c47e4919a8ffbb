"""``removed.csv``: the take-downs of a dataset, all that remains of videos that were taken down.

Columns: ``video_id``, ``removed`` (UTC), ``reason``, ``sha256`` (of the file, if known, so that it does not come back under
another name). Curation skips what is listed here.

In a list that is published ids and contents are sealed: ``scrypt-<salt>-<hash>``. Whoever holds a video recognises it; nobody
reads the ids from the list, and to try all ids costs 4 MB and some milliseconds each.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields

from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import Place, csv_bytes, write_listed
from tiktokactions.records import VideoRecord


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
SEALED = "scrypt-"
WITHHELD = "taken down by the publisher"
"""The published reason of a take-down: the true one may say something of a person."""


def seal(name: str, salt: str) -> str:
    """An id or a SHA-256 as a published list has it. The parameters belong to the form: other ones need another name.

    ``salt``: hex; published with the list, so that tables made for one publisher are of no use for another's list.
    """
    key = hashlib.scrypt(name.encode("utf-8", "surrogatepass"), salt=bytes.fromhex(salt), n=4096, r=8, p=1, dklen=16)
    return f"{SEALED}{salt}-{key.hex()}"


def published(takedowns: Iterable[Takedown], secret: bytes) -> list[Takedown]:
    """Take-downs as others may see them: sealed, with the day alone. The salt follows from the dataset's ``secret``."""
    salt = hashlib.sha256(b"take-downs" + secret).hexdigest()[:16]

    def sealed(name: str) -> str:
        return seal(name, salt) if name and not name.startswith(SEALED) else name

    return [Takedown(sealed(t.video_id), t.removed[:10], WITHHELD, sealed(t.sha256)) for t in takedowns]


def names_of(record: VideoRecord) -> set[str]:
    """What a take-down may call a video."""
    return {record.video_id, record.source.id or "", record.source.sha256 or ""} - {""}


class Dead:
    """Ids and contents (SHA-256) that were taken down; ``name in dead`` recognises the sealed ones too, which takes time."""

    def __init__(self, takedowns: Iterable[Takedown] = ()) -> None:
        names = {name for takedown in takedowns for name in (takedown.video_id, takedown.sha256) if name}
        self.sealed = frozenset(name for name in names if name.startswith(SEALED))
        self.plain = frozenset(names - self.sealed)
        self.salts = sorted({name.split("-")[1] for name in self.sealed})

    def __contains__(self, name: str) -> bool:
        return name in self.plain or any(seal(name, salt) in self.sealed for salt in self.salts)

    def among(self, names: Iterable[str]) -> set[str]:
        """Those of the names that were taken down; every core looks for sealed ones."""
        found: set[str] = set()
        coming = iter(names)
        with ThreadPoolExecutor() as threads:  # scrypt lets other threads run
            while some := {name for name in itertools.islice(coming, 10_000) if name}:
                found |= some & self.plain
                unknown = list(some - found) if self.sealed else []
                found.update(itertools.compress(unknown, threads.map(self.__contains__, unknown)))
        return found


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
