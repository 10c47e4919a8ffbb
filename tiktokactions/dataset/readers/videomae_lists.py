"""Lists as VideoMAE has them (``path label``, ``path 0 -1``), and CSV with a header (``path,label,split``).

A folder with ``train.csv``, ``val.csv`` and ``test.csv`` has these sides; without ``test.csv`` the reference tests on
``val.csv``, and so do we. A single list is taken whole unless it has a column ``split``.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.dataset.clips import Clip, ClipSet, DataError, Request
from tiktokactions.dataset.readers.media import is_video_name

LIST_SUFFIXES = (".csv", ".txt", ".list")
NAME_FILES = ("classes.txt", "labels.txt", "classInd.txt")
SIDE_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "validation": "val",
    "validate": "val",
    "test": "test",
}


@dataclass(frozen=True)
class Row:
    path: str
    label: str | None
    side: str | None


def is_here(path: Path) -> bool:
    return _side_list(path, "train") is not None if path.is_dir() else path.suffix.lower() in LIST_SUFFIXES


def _side_list(folder: Path, side: str) -> Path | None:
    return next((p for s in LIST_SUFFIXES if (p := folder / f"{side}{s}").is_file()), None)


def side_lists(path: Path) -> dict[str, Path]:
    lists = {side: found for side in ("train", "val", "test") if (found := _side_list(path, side)) is not None}
    if "val" in lists:
        lists.setdefault("test", lists["val"])
    return lists


def has_side(path: Path, side: str) -> bool:
    if path.is_dir():
        return side in side_lists(path)
    return any(row.side == side for row in read_rows(path))


def read(request: Request) -> ClipSet:
    path = request.path
    if not path.is_dir():
        rows = read_rows(path)
        split = any(row.side is not None for row in rows)
        if split and request.side != "all" and not any(row.side == request.side for row in rows):
            raise DataError(f"{path}: its column 'split' has no {request.side}")
        wanted = [row for row in rows if not split or row.side in request.sides]
        return _clip_set(path, wanted, rows, request.media or path.parent, path.parent)
    lists = side_lists(path)
    if request.side != "all" and request.side not in lists:
        raise DataError(f"{path}: no {request.side}.csv; it has {', '.join(str(p.name) for p in lists.values())}")
    rows_of = {side: read_rows(found) for side, found in lists.items()}
    everything = [row for rows in rows_of.values() for row in rows]
    # Where test is val's list, all of it must not be there twice.
    wanted = list(dict.fromkeys(everything)) if request.side == "all" else rows_of[request.side]
    return _clip_set(path, wanted, everything, request.media or path, path)


def read_rows(path: Path) -> list[Row]:
    """Raises ``DataError`` naming file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if lines and path.suffix.lower() == ".csv" and "path" in [n.strip().lower() for n in lines[0][1].split(",")]:
        return _with_header(path, text)
    return [_plain_row(path, number, line) for number, line in lines]


def _with_header(path: Path, text: str) -> list[Row]:
    reader = csv.DictReader(text.splitlines())
    rows = []
    for found in reader:
        row = {
            str(name).strip().lower(): (value or "").strip() for name, value in found.items() if isinstance(value, str)
        }
        if not row.get("path"):
            raise DataError(f"{path}, line {reader.line_num}: no path")
        side = row.get("split") or row.get("side") or None
        if side is not None:
            side = SIDE_NAMES.get(side.lower(), side.lower())
        rows.append(Row(row["path"], row.get("label") or None, side))
    return rows


def _plain_row(path: Path, number: int, line: str) -> Row:
    line = line.strip()
    if is_video_name(os.path.basename(line)):
        return Row(line, None, None)
    if "," in line:
        [cells] = csv.reader([line])
        if len(cells) == 2 and is_video_name(os.path.basename(cells[0].strip())):
            return Row(cells[0].strip(), cells[1].strip() or None, None)
    words = line.rsplit(maxsplit=2)
    if len(words) == 3 and words[1:] == ["0", "-1"]:
        return Row(words[0], None, None)
    words = line.rsplit(maxsplit=1)
    if len(words) == 2 and is_video_name(os.path.basename(words[0])):
        return Row(words[0], words[1], None)
    raise DataError(
        f"{path}, line {number}: got {line!r}, expected 'path label', 'path,label', 'path 0 -1' or 'path', with the path of a"
        " video file; folders of frames ('folder frames label') are not read: make videos of them"
    )


def _clip_set(source: Path, wanted: list[Row], rows: list[Row], media: Path, names: Path) -> ClipSet:
    labels = class_names([row.label for row in rows], names)
    clips, missing = [], []
    for row in wanted:
        path = os.path.abspath(media / row.path)
        if not os.path.isfile(path):
            missing.append(row.path)
            continue
        label = row.label if row.label is None or row.label in labels else labels[int(row.label)]
        clips.append(Clip(path, label))
    return ClipSet(str(source), "list", tuple(clips), labels, missing=tuple(missing))


def class_names(said: list[str | None], folder: Path) -> tuple[str, ...]:
    """Names sorted; numbers keep their place: class i of the list is class i of the model."""
    labels = {label for label in said if label is not None}
    if not labels or not all(label.isascii() and label.isdigit() for label in labels):
        return tuple(sorted(labels))
    count = max(map(int, labels)) + 1
    for name in NAME_FILES:
        if (folder / name).is_file():
            lines = [line.strip() for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip()]
            named = tuple(
                line.split(maxsplit=1)[1] if line.split()[0].isdigit() and " " in line else line for line in lines
            )
            if len(named) >= count and len(set(named)) == len(named):
                return named
            raise DataError(f"{folder / name}: got {len(named)} class names, expected {count} different ones or more")
    return tuple(str(number) for number in range(count))
