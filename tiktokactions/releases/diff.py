"""``dataset diff``: what one dataset has and another has not, or what came and went since a version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.history import accepted_rows, state_of, states_at
from tiktokactions.files import write_csv

FIELDS = ("change", "video_id", "split_before", "split_after")


@dataclass(frozen=True)
class Difference:
    """Clips, by id. ``crossed``: on the training side of one and on another side of the other."""

    before: str
    after: str
    same: int
    came: tuple[str, ...]
    went: tuple[str, ...]
    changed: tuple[str, ...]
    """Other labels, or another part of the source."""
    crossed: tuple[str, ...]
    sides: dict[str, tuple[str, str]]
    """Of every clip named above: its side before and after, "" for none."""


def compare_datasets(before: Dataset, after: Dataset) -> Difference:
    """Clips of two datasets."""
    old = {row["video_id"]: (state_of(row), row["split"] or "") for row in accepted_rows(before.tables)}
    return _compare(str(before.folder), old, after)


def changes_since(dataset: Dataset, version: int) -> Difference:
    """Clips of a dataset as it is, and as it was in a version; sides once given do not change, so none has crossed.

    Raises:
        HistoryError: a version that the history does not reach.
    """
    states = states_at(dataset.tables, version)
    return _compare(f"{dataset.folder}, version {version}", {i: (state, "") for i, state in states.items()}, dataset)


def _compare(before: str, old: dict[str, tuple[str, str]], after: Dataset) -> Difference:
    came, changed, crossed, sides, same = [], [], [], {}, 0
    for row in accepted_rows(after.tables):
        video_id, side = row["video_id"], row["split"] or ""
        was = old.pop(video_id, None)
        if was is None:
            came.append(video_id)
            sides[video_id] = ("", side)
            continue
        state, side_before = was
        if state_of(row) == state:
            same += 1
        else:
            changed.append(video_id)
            sides[video_id] = (side_before, side)
        if side_before and side and side_before != side and "train" in (side_before, side):
            crossed.append(video_id)
            sides[video_id] = (side_before, side)
    sides |= {video_id: (side, "") for video_id, (_, side) in old.items()}
    new, gone, other, moved = (tuple(sorted(ids)) for ids in (came, old, changed, crossed))
    return Difference(before, str(after.folder), same, new, gone, other, moved, sides)


def write_difference(found: Difference, path: Path) -> None:
    """One row per clip and change."""
    changes = ("came", "went", "changed", "crossed")
    rows = ((change, i, *found.sides[i]) for change in changes for i in getattr(found, change))
    write_csv(path, [FIELDS, *rows])


def difference_text(found: Difference) -> str:
    """The difference as a person reads it."""
    lines = [f"from {found.before} to {found.after}: {found.same:,} clips are the same"]
    for name, ids in (("came", found.came), ("went", found.went), ("changed", found.changed)):
        lines.append(f"  {name:8} {len(ids):>8,}{_some(ids)}")
    if found.crossed:
        crossed = f"{len(found.crossed):,} clips are trained on in one and not in the other{_some(found.crossed)}"
        lines.append(f"attention: {crossed}")
    return "\n".join(lines)


def _some(ids: tuple[str, ...]) -> str:
    return f"   {', '.join(ids[:5])}{' ...' if len(ids) > 5 else ''}" if ids else ""
