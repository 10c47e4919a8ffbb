"""``splits/assignments.csv``: which side every video of a split dataset stands on. Once given, a side is never changed.

Columns: ``video_id``, ``side`` (``train``, ``val``, ``test``; of a dataset split into folds ``fold1`` …; ``none`` for a video
that belongs to two sides), ``reason`` (``bridges_splits`` or empty). Videos that are no longer accepted keep their row.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiktokactions.errors import UsageError
from tiktokactions.files import Place, delete, staging_folder, write_csv

if TYPE_CHECKING:
    import pyarrow as pa

NOWHERE = "none"
BRIDGES = "bridges_splits"
FOLD = "fold"
LEAKS = "splits/leaks.csv"
"""The copies between sides that were found; no list of a side."""


@dataclass(frozen=True)
class Assignment:
    """The side of one video."""

    side: str
    reason: str = ""


LISTED = ("video_id", "clip_path", "labels", "human_labels", "status", "split")
"""What of the manifest the lists of the sides are made of."""


def assignments_path(dataset: Place) -> Place:
    return dataset / "splits" / "assignments.csv"


def is_split(dataset: Place) -> bool:
    return assignments_path(dataset).is_file()


def read_assignments(dataset: Place) -> dict[str, Assignment]:
    """Sides by video id; empty where the dataset was never split.

    Raises:
        ValueError: a damaged file; the message names the line.
    """
    path = assignments_path(dataset)
    if not path.exists():
        return {}
    found: dict[str, Assignment] = {}
    known: dict[tuple[str, str], Assignment] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        columns = next(rows, [])
        try:
            at = [columns.index(name) for name in ("video_id", "side", "reason")]
        except ValueError as error:
            raise UsageError(f"{path}, line 1: expected the columns video_id, side, reason") from error
        for number, row in enumerate(rows, start=2):
            try:
                video_id, side, reason = (row[i] for i in at)
            except IndexError as error:
                raise UsageError(f"{path}, line {number}: expected video_id, side and reason, got {row}") from error
            # A million videos stand on a few sides: one object for each side will do.
            found[video_id] = known.get((side, reason)) or known.setdefault((side, reason), Assignment(side, reason))
    return found


def read_sides(dataset: Place) -> dict[str, str]:
    """Only the side of every video; errors as in :func:`read_assignments`."""
    return {video_id: given.side for video_id, given in read_assignments(dataset).items()}


def write_assignments(dataset: Place, assignments: Mapping[str, Assignment]) -> None:
    rows = ((i, a.side, a.reason) for i, a in sorted(assignments.items()))
    write_csv(assignments_path(dataset), [("video_id", "side", "reason"), *rows], staging_folder(dataset))


def write_lists(dataset: Place, batches: Iterable[pa.RecordBatch]) -> None:
    """``splits/<side>.csv`` with ``path`` (relative to the dataset), ``label``, ``video_id`` of the accepted clips.

    Args:
        batches: rows of the manifest with :data:`LISTED`.
    """
    report = dataset / "splits" / "report.json"
    wanted = json.loads(report.read_text(encoding="utf-8"))["wanted"] if report.exists() else {}
    lists: dict[str, list[tuple[str, str, str]]] = {side: [] for side in wanted}
    for batch in batches:
        for row in batch.to_pylist():
            if row["status"] == "accepted" and row["clip_path"] and (row["split"] or NOWHERE) != NOWHERE:
                labels = row["labels"] if row["human_labels"] is None else row["human_labels"]
                listed = (row["clip_path"], next(iter(labels), ""), row["video_id"])
                lists.setdefault(row["split"], []).append(listed)
    for old in (dataset / "splits").glob("*.csv"):
        if old not in (assignments_path(dataset), dataset / LEAKS) and old.stem not in lists:
            delete(old)
    for side, rows in lists.items():
        write_csv(
            dataset / "splits" / f"{side}.csv", [("path", "label", "video_id"), *sorted(rows)], staging_folder(dataset)
        )


def sides_of_fold(dataset: Place, fold: int) -> dict[str, str]:
    """``train``, ``val`` or ``test`` by video id; of a dataset in folds, fold ``fold`` is the test side, the rest train.

    Raises:
        ValueError: a fold that there is not.
    """
    sides = read_sides(dataset)
    folds = sorted({side for side in sides.values() if side.startswith(FOLD)})
    if not folds:
        return sides
    if f"{FOLD}{fold}" not in folds:
        raise UsageError(f"{dataset}: `fold`: got {fold}, the dataset was split into {len(folds)} folds")
    return {i: NOWHERE if s == NOWHERE else "test" if s == f"{FOLD}{fold}" else "train" for i, s in sides.items()}
