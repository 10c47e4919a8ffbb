"""UCF101's official splits: ``classInd.txt``, ``trainlist01.txt``, ``testlist01.txt`` …, three of them."""

from __future__ import annotations

from pathlib import Path

from tiktokactions.dataset.clips import Clip, ClipSet, DataError, Request
from tiktokactions.dataset.readers.media import MediaFolder

VIDEO_FOLDERS = ("UCF-101", "UCF101", "videos")


def is_here(path: Path) -> bool:
    return (path / "classInd.txt").is_file() and any(path.glob("trainlist0*.txt"))


def has_side(path: Path, side: str) -> bool:
    return side in ("train", "test")


def read(request: Request) -> ClipSet:
    path = request.path
    if request.side == "val":
        raise DataError(f"{path}: UCF101 has no val side; expected train, test or all")
    labels = read_classes(path / "classInd.txt")
    names = [name for side in request.sides if side != "val" for name in _names(path, side, request.fold)]
    media = MediaFolder(request.media or _default_media(path))
    clips, missing = [], []
    for name in names:
        label = name.split("/")[0] if "/" in name else name.split("_")[1]
        if label not in labels:
            raise DataError(f"{path}: {name}: its class {label!r} is not in classInd.txt")
        found = media.named(name)
        if found is None:
            missing.append(name)
        else:
            clips.append(Clip(found, label))
    return ClipSet(str(path), "ucf101", tuple(clips), labels, missing=tuple(missing))


def read_classes(path: Path) -> tuple[str, ...]:
    """``1 ApplyEyeMakeup`` …: the names in the order of their numbers."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        numbered = sorted((int(number), name) for number, name in rows)
    except ValueError as error:
        raise DataError(f"{path}: expected lines such as '1 ApplyEyeMakeup'") from error
    if [number for number, _ in numbered] != list(range(1, len(numbered) + 1)):
        raise DataError(f"{path}: expected the numbers 1 to {len(numbered)}, each once")
    return tuple(name for _, name in numbered)


def _names(path: Path, side: str, fold: int) -> list[str]:
    """Lines are ``Class/v_….avi 1`` on the train side and without the number on the test side."""
    file = path / f"{side}list{fold:02}.txt"
    if not file.is_file():
        raise DataError(f"{file}: no such file; --fold: got {fold}, UCF101 has 1 to 3")
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [line.rsplit(" ", 1)[0] if line.rsplit(" ", 1)[-1].isdigit() else line for line in lines]


def _default_media(path: Path) -> Path:
    beside = [folder / name for folder in (path, path.parent) for name in VIDEO_FOLDERS]
    return next((folder for folder in beside if folder.is_dir()), path)
