"""Kinetics: CSV with ``label,youtube_id,time_start,time_end,split``; videos named ``ID_000010_000020``, or whole ``ID``.

A folder with ``train.csv``, ``val.csv`` or ``validate.csv``, and ``test.csv`` has these sides; a single list has those of its
column ``split`` and is taken whole where that names one side or none.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.clips.clip import Clip, ClipSet, DataError, Request, labels_in_order
from tiktokactions.clips.readers.media import MediaFolder, listed_clips
from tiktokactions.clips.readers.text import table

NEEDED = ("youtube_id", "time_start", "time_end")
SIDES = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Row:
    side: str
    label: str | None
    youtube_id: str
    start_s: float
    end_s: float


def is_here(path: Path) -> bool:
    return any(map(_is_list, side_lists(path).values() if path.is_dir() else [path]))


def _is_list(path: Path) -> bool:
    if path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader(file), [])
    return {name.strip().lower() for name in header} >= set(NEEDED)


def side_lists(folder: Path) -> dict[str, Path]:
    return {side: path for name, side in SIDES.items() if (path := folder / f"{name}.csv").is_file()}


def has_side(path: Path, side: str) -> bool:
    """The official ``test.csv`` has no labels: there is nothing to test on."""
    return any(row.side == side and row.label is not None for row in read_rows(path))


def read(request: Request) -> ClipSet:
    path = request.on_disk
    rows = read_rows(path)
    known = [side for side in ("train", "val", "test") if any(row.side == side for row in rows)]
    is_whole = path.is_file() and len({row.side for row in rows}) == 1
    if not is_whole:
        request.expect_side(known)
    media = MediaFolder(request.media or (path if path.is_dir() else path.parent))
    wanted = [row for row in rows if is_whole or request.side in ("all", row.side)]
    clips = ((row.youtube_id, _find(media, row)) for row in wanted)
    return listed_clips(request, "kinetics", media.folder, clips, labels_in_order([row.label for row in rows]))


def read_rows(path: Path) -> list[Row]:
    """Raises ``DataError`` naming file and line."""
    if path.is_dir():
        return [row for side, found in side_lists(path).items() for row in _read_list(found, side)]
    return _read_list(path, None)


def _read_list(path: Path, side: str | None) -> list[Row]:
    rows = []
    for line, row in table(path, NEEDED):
        try:
            start_s, end_s = float(row["time_start"]), float(row["time_end"])
        except ValueError as error:
            got = f"{row['time_start']!r} and {row['time_end']!r}"
            raise DataError(
                f"{path}, line {line}: time_start and time_end: got {got}, expected seconds; correct the line"
            ) from error
        said = row.get("split", "").lower()
        if not row["youtube_id"] or (said and said not in SIDES):
            raise DataError(
                f"{path}, line {line}: got the youtube_id {row['youtube_id']!r} and the split {said!r}, expected an id"
                f" and one of {', '.join(SIDES)}; correct the line"
            )
        rows.append(Row(side or SIDES.get(said, ""), row.get("label") or None, row["youtube_id"], start_s, end_s))
    return rows


def _find(media: MediaFolder, row: Row) -> Clip | None:
    trimmed = media.stem(f"{row.youtube_id}_{int(row.start_s):06}_{int(row.end_s):06}")
    if trimmed is not None:
        return Clip(trimmed, row.label, video_id=row.youtube_id)
    whole = media.stem(row.youtube_id)
    return None if whole is None else Clip(whole, row.label, row.start_s, row.end_s, row.youtube_id)
