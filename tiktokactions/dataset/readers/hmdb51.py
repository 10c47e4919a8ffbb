"""HMDB51's official splits: ``brush_hair_test_split1.txt`` with ``name.avi 1`` (train), ``2`` (test) or ``0`` (unused)."""

from __future__ import annotations

import re
from pathlib import Path

from tiktokactions.dataset.clips import Clip, ClipSet, DataError, Request, labels_in_order
from tiktokactions.dataset.readers.media import MediaFolder

SPLIT_FILE = re.compile(r"(.+)_test_split(\d)\.txt")
SIDE_OF_MARK = {"1": "train", "2": "test", "0": None}


def is_here(path: Path) -> bool:
    return any(SPLIT_FILE.fullmatch(p.name) for p in path.glob("*_test_split*.txt"))


def has_side(path: Path, side: str) -> bool:
    return side in ("train", "test")


def read(request: Request) -> ClipSet:
    path = request.path
    if request.side == "val":
        raise DataError(f"{path}: HMDB51 has no val side; expected train, test or all")
    files = {
        found[1]: p
        for p in sorted(path.glob("*.txt"))
        if (found := SPLIT_FILE.fullmatch(p.name)) and found[2] == str(request.fold)
    }
    if not files:
        raise DataError(f"{path}: no *_test_split{request.fold}.txt; --fold: got {request.fold}, HMDB51 has 1 to 3")
    media = MediaFolder(request.media or path)
    clips, missing = [], []
    for label, file in files.items():
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="surrogateescape").splitlines(), start=1):
            if not line.strip():
                continue
            name, _, mark = line.strip().rpartition(" ")
            if mark not in SIDE_OF_MARK or not name:
                raise DataError(f"{file}, line {number}: got {line!r}, expected a file name and 0, 1 or 2")
            if SIDE_OF_MARK[mark] not in request.sides:
                continue
            found_file = media.named(f"{label}/{name.strip()}")
            if found_file is None:
                missing.append(f"{label}/{name.strip()}")
            else:
                clips.append(Clip(found_file, label))
    return ClipSet(str(path), "hmdb51", tuple(clips), labels_in_order(list(files)), missing=tuple(missing))
