"""Lists as VideoMAE has them (``path label``, ``path 0 -1``), and CSV with a header (``path,label,split``;
``labels`` for several, with semicolons between; ``start_s,end_s`` for a part of a file).

A folder with ``train.csv``, ``val.csv`` and ``test.csv`` has these sides; without ``test.csv`` the reference tests on
``val.csv``, and so do we. A single list is taken whole unless it has a column ``split`` or ``side``. The lists that
``dataset split`` writes name their clips from the dataset's folder.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.clips.clip import Clip, ClipSet, DataError, Request
from tiktokactions.clips.readers.media import is_video_name, listed_clips
from tiktokactions.clips.readers.text import numbered_lines, table

LIST_SUFFIXES = (".csv", ".txt", ".list")
NAME_FILES = ("classes.txt", "labels.txt", "classInd.txt")
SIDE_NAMES = {"training": "train", "validation": "val", "validate": "val", "valid": "val", "testing": "test"}


@dataclass(frozen=True)
class Row:
    path: str
    label: str | None
    side: str | None
    start_s: float | None = None
    end_s: float | None = None
    labels: tuple[str, ...] | None = None
    """All of them, where the list has a column for several."""


def is_here(path: Path) -> bool:
    return bool(side_lists(path)) if path.is_dir() else path.suffix.lower() in LIST_SUFFIXES


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
    path = request.on_disk
    if path.is_dir():
        lists = side_lists(path)
        request.expect_side(list(lists))
        rows_of = {side: read_rows(found) for side, found in lists.items()}
        rows = [row for rows in rows_of.values() for row in rows]
        # Where test is val's list, all of it must not be there twice.
        wanted = list(dict.fromkeys(rows)) if request.side == "all" else rows_of[request.side]
        return _clip_set(request, wanted, rows, path)
    rows = read_rows(path)
    sides = sorted({row.side for row in rows if row.side})
    if sides:
        request.expect_side(sides)
    return _clip_set(request, [row for row in rows if not sides or row.side in request.sides], rows, path.parent)


def default_folder(lists: Path) -> Path:
    """The folder of the lists; of those in ``DATASET/splits`` it is the dataset's."""
    above = lists.resolve().parent
    return above if lists.resolve().name == "splits" and (above / "dataset.json").is_file() else lists


def read_rows(path: Path) -> list[Row]:
    """Raises ``DataError`` naming file and line."""
    lines = numbered_lines(path)
    if lines and path.suffix.lower() == ".csv" and "path" in [n.strip().lower() for n in lines[0][1].split(",")]:
        return [_row_with_header(path, number, row) for number, row in table(path)]
    return [_plain_row(path, number, line) for number, line in lines]


def _row_with_header(path: Path, number: int, row: dict[str, str]) -> Row:
    if not row.get("path"):
        raise DataError(f"{path}, line {number}: got no path, expected one in every row; fill it in or remove the row")
    side = (row.get("split") or row.get("side") or "").lower() or None
    start_s, end_s = (_seconds(path, number, row, name) for name in ("start_s", "end_s"))
    several = tuple(filter(None, map(str.strip, row["labels"].split(";")))) if "labels" in row else None
    label = row.get("label") or next(iter(several or ()), None)
    return Row(row["path"], label, side and SIDE_NAMES.get(side, side), start_s, end_s, several)


def _seconds(path: Path, number: int, row: dict[str, str], name: str) -> float | None:
    try:
        return float(row[name]) if row.get(name) else None
    except ValueError:
        raise DataError(f"{path}, line {number}: {name} is {row[name]!r}, expected seconds or nothing") from None


def _plain_row(path: Path, number: int, line: str) -> Row:
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


def _clip_set(request: Request, wanted: list[Row], rows: list[Row], folder: Path) -> ClipSet:
    media = request.media or default_folder(folder)
    said = {label for row in rows for label in (row.label, *(row.labels or ())) if label is not None}
    are_numbers = bool(said) and all(label.isascii() and label.isdigit() for label in said)
    labels = _numbered_names(max(map(int, said)) + 1, folder) if are_numbers else tuple(sorted(said))

    names = {label: labels[int(label)] if are_numbers else label for label in said}

    def clip(row: Row) -> Clip | None:
        path, is_real = row.path, Clip(row.path, None).synthetic is None
        path = os.path.abspath(media / path) if is_real else path
        file = Clip(path, None).file
        if file and not os.path.isfile(file):
            return None
        several = None if row.labels is None else tuple(names[label] for label in row.labels)
        return Clip(path, row.label and names[row.label], row.start_s, row.end_s, labels=several)

    return listed_clips(request, "list", media, ((row.path, clip(row)) for row in wanted), labels)


def _numbered_names(count: int, folder: Path) -> tuple[str, ...]:
    """Names of the classes 0 to ``count - 1``, class i of the list being class i of the model: from a file, else numbers."""
    for path in (folder / name for name in NAME_FILES):
        if path.is_file():
            named = _class_names(path)
            if len(named) >= count and len(set(named)) == len(named):
                return named
            raise DataError(
                f"{path}: got {len(named)} class names, expected {count} different ones or more, because the labels go up to"
                f" {count - 1}; complete the file or take it away"
            )
    return tuple(str(number) for number in range(count))


def _class_names(path: Path) -> tuple[str, ...]:
    """A name a line; numbers before the names are left out where every line has one and they go up by one."""
    lines = [line for _, line in numbered_lines(path)]
    cut = [line.split(maxsplit=1) for line in lines]
    numbers = [int(words[0]) for words in cut if len(words) == 2 and words[0].isdigit()]
    if numbers and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(lines))):
        return tuple(words[1] for words in cut)
    return tuple(lines)
