"""Kinetics: CSV with ``label,youtube_id,time_start,time_end,split``; videos named ``ID_000010_000020``, or whole ``ID``."""

from __future__ import annotations

import csv
from pathlib import Path

from tiktokactions.dataset.clips import Clip, ClipSet, DataError, Request, labels_in_order
from tiktokactions.dataset.readers.media import MediaFolder

NEEDED = {"youtube_id", "time_start", "time_end"}
FILES = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
SIDES = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}


def is_here(path: Path) -> bool:
    if path.is_dir():
        return any(_is_list(found) for found in side_lists(path).values())
    return _is_list(path)


def _is_list(path: Path) -> bool:
    if path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return set(file.readline().strip().split(",")) >= NEEDED


def side_lists(folder: Path) -> dict[str, Path]:
    return {
        side: folder / f"{name}.csv"
        for side, names in FILES.items()
        for name in names
        if (folder / f"{name}.csv").is_file()
    }


def has_side(path: Path, side: str) -> bool:
    if path.is_dir():
        return side in side_lists(path)
    return any(SIDES.get(row.get("split", "")) == side for row in _rows(path))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def read(request: Request) -> ClipSet:
    """A single list is taken whole where its ``split`` is one and the same."""
    path = request.path
    media = MediaFolder(request.media or (path if path.is_dir() else path.parent))
    if path.is_dir():
        lists = side_lists(path)
        if request.side != "all" and request.side not in lists:
            raise DataError(f"{path}: no {request.side}.csv; it has {', '.join(p.name for p in lists.values())}")
        tagged = [(side, row) for side, found in lists.items() for row in _rows(found)]
    else:
        tagged = [(SIDES.get(row.get("split", ""), ""), row) for row in _rows(path)]
    known = {side for side, _ in tagged}
    if len(known) > 1 and request.side != "all" and request.side not in known:
        raise DataError(f"{path}: no {request.side} side; it has {', '.join(sorted(known))}")
    labels = labels_in_order([row.get("label") or None for _, row in tagged])
    wanted = [row for side, row in tagged if len(known) == 1 or side in request.sides]
    clips, missing = [], []
    for row in wanted:
        clip = _find(media, row, path)
        if clip is None:
            missing.append(row["youtube_id"])
        else:
            clips.append(clip)
    return ClipSet(str(path), "kinetics", tuple(clips), labels, missing=tuple(missing))


def _find(media: MediaFolder, row: dict[str, str], path: Path) -> Clip | None:
    label, name = row.get("label") or None, row["youtube_id"]
    try:
        start_s, end_s = float(row["time_start"]), float(row["time_end"])
    except ValueError as error:
        raise DataError(
            f"{path}: times of {name}: got {row['time_start']!r} and {row['time_end']!r}, expected seconds"
        ) from error
    trimmed = media.stem(f"{name}_{int(start_s):06}_{int(end_s):06}")
    if trimmed is not None:
        return Clip(trimmed, label, video_id=name)
    whole = media.stem(name)
    return None if whole is None else Clip(whole, label, start_s, end_s, name)
