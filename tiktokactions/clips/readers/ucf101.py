"""UCF101's official splits: ``classInd.txt``, ``trainlist01.txt``, ``testlist01.txt`` …, three of them."""

from __future__ import annotations

from pathlib import Path

from tiktokactions.clips.clip import ClipSet, DataError, Request
from tiktokactions.clips.readers.media import MediaFolder, default_media, listed_clips
from tiktokactions.clips.readers.text import numbered_lines

VIDEO_FOLDERS = ("UCF-101", "UCF101", "videos")


def is_here(path: Path) -> bool:
    return (path / "classInd.txt").is_file() and any(path.glob("t*list0*.txt"))


def has_side(path: Path, side: str) -> bool:
    return side in ("train", "test") and any(path.glob(f"{side}list0*.txt"))


def read(request: Request) -> ClipSet:
    path = request.on_disk
    request.expect_side(["train", "test"])
    labels = read_classes(path / "classInd.txt")
    wanted = [row for side in request.sides if side != "val" for row in _names(path, side, request.fold, set(labels))]
    media = MediaFolder(request.media or default_media(path, labels, VIDEO_FOLDERS))
    clips = ((name, media.named(name, label)) for name, label in wanted)
    return listed_clips(request, "ucf101", media.folder, clips, labels)


def read_classes(path: Path) -> tuple[str, ...]:
    """``1 ApplyEyeMakeup`` …: the names in the order of their numbers."""
    numbered: dict[int, str] = {}
    for line, text in numbered_lines(path):
        number, _, name = text.partition(" ")
        if not number.isdigit() or not name or int(number) in numbered:
            raise DataError(
                f"{path}, line {line}: got {text!r}, expected a line such as '1 ApplyEyeMakeup', each number once;"
                " take the file that comes with UCF101"
            )
        numbered[int(number)] = name.strip()
    if sorted(numbered) != list(range(1, len(numbered) + 1)):
        raise DataError(f"{path}: expected the numbers 1 to {len(numbered)}; take the file that comes with UCF101")
    return tuple(numbered[number] for number in sorted(numbered))


def _names(path: Path, side: str, fold: int, labels: set[str]) -> list[tuple[str, str]]:
    """File and class; lines are ``Class/v_….avi 1`` on the train side and without the number on the test side."""
    file = path / f"{side}list{fold:02}.txt"
    if not file.is_file():
        raise DataError(f"{file}: no such file; `fold`: got {fold}, expected one of UCF101's, 1 to 3")
    rows = []
    for line, text in numbered_lines(file):
        head, _, last = text.rpartition(" ")
        name = head.strip() if head and last.isdigit() else text
        # v_ApplyEyeMakeup_g08_c01.avi: the class is in the file name too.
        label = name.split("/")[0] if "/" in name else name.removeprefix("v_").split("_")[0]
        if label not in labels:
            raise DataError(
                f"{file}, line {line}: got the class {label!r}, expected one of those in classInd.txt; correct either file"
            )
        rows.append((name, label))
    return rows
