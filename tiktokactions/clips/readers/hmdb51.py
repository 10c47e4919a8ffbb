"""HMDB51's official splits: ``brush_hair_test_split1.txt`` with ``name.avi 1`` (train), ``2`` (test) or ``0`` (unused)."""

from __future__ import annotations

import re
from pathlib import Path

from tiktokactions.clips.clip import ClipSet, DataError, Request, labels_in_order
from tiktokactions.clips.readers.media import MediaFolder, default_media, listed_clips
from tiktokactions.clips.readers.text import numbered_lines

SPLIT_FILE = re.compile(r"(.+)_test_split(\d+)\.txt")
SIDE_OF_MARK = {"1": "train", "2": "test", "0": None}
VIDEO_FOLDERS = ("hmdb51_org", "hmdb51", "HMDB51", "videos")


def is_here(path: Path) -> bool:
    return any(SPLIT_FILE.fullmatch(p.name) for p in path.glob("*_test_split*.txt"))


def has_side(path: Path, side: str) -> bool:
    return side in ("train", "test")


def read(request: Request) -> ClipSet:
    path = request.on_disk
    request.expect_side(["train", "test"])
    found = ((SPLIT_FILE.fullmatch(p.name), p) for p in path.glob("*_test_split*.txt"))
    files = {match[1]: p for match, p in found if match and int(match[2]) == request.fold}
    if not files:
        raise DataError(
            f"{path}: no *_test_split{request.fold}.txt; `fold`: got {request.fold}, expected one of HMDB51's, 1 to 3"
        )
    media = MediaFolder(request.media or default_media(path, list(files), VIDEO_FOLDERS))
    names = ((label, f"{label}/{name}") for label in sorted(files) for name in _names(files[label], request.sides))
    clips = ((name, media.named(name, label)) for label, name in names)
    return listed_clips(request, "hmdb51", media.folder, clips, labels_in_order(list(files)))


def _names(file: Path, sides: tuple[str, ...]) -> list[str]:
    """File names on these sides; they may hold spaces and brackets."""
    names = []
    for number, line in numbered_lines(file):
        name, _, mark = line.rpartition(" ")
        if mark not in SIDE_OF_MARK or not name:
            expected = "expected a file name and 0, 1 or 2; correct the line"
            raise DataError(f"{file}, line {number}: got {line!r}, {expected}")
        if SIDE_OF_MARK[mark] in sides:
            names.append(name.strip())
    return names
