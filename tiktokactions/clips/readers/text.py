"""Reading the text files of lists: bytes that are not UTF-8 stay what they were, so that they still name their files."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from tiktokactions.clips.clip import DataError


def read_text(path: Path) -> str:
    """Raises ``DataError`` where the file cannot be opened."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a text file that can be read") from error


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines with something on them, without the space around it, and their numbers from 1."""
    lines = enumerate(read_text(path).split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def table(path: Path, needed: Iterable[str] = ()) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV with a header and the numbers of their lines; column names in lower case, absent values empty.

    Raises:
        DataError: a needed column is absent.
    """
    reader = csv.reader(read_text(path).split("\n"))
    header = [name.strip().lower() for name in next(reader, [])]
    absent = sorted(set(needed) - set(header))
    if absent:
        raise DataError(f"{path}, line 1: got the columns {', '.join(header)}; expected {', '.join(absent)} too")
    absent_cells = dict.fromkeys(header, "")
    rows = ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader)
    return [(line, absent_cells | dict(zip(header, cells, strict=False))) for line, cells in rows if any(cells)]
