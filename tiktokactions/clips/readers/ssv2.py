"""Something-Something V2: JSON lists of ``{"id", "template", …}``, ``labels.json``, videos ``ID.webm``.

Left and right carry meaning here ("pushing something from left to right"): clips are not mirrored.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tiktokactions.clips.clip import Clip, ClipSet, DataError, Request
from tiktokactions.clips.readers.media import MediaFolder, listed_clips
from tiktokactions.clips.readers.text import read_text
from tiktokactions.records import JsonObject

PREFIXES = ("", "something-something-v2-")
SIDES = {"train": "train", "val": "val", "validation": "val", "test": "test"}
"""By the names of files; of two for one side the last counts."""


def _file(folder: Path, name: str, suffix: str = ".json") -> Path | None:
    return next((p for prefix in PREFIXES if (p := folder / f"{prefix}{name}{suffix}").is_file()), None)


def is_here(path: Path) -> bool:
    if not path.is_dir():
        return path.suffix.lower() == ".json"
    return _file(path, "labels") is not None and bool(side_files(path))


def side_files(folder: Path) -> dict[str, Path]:
    return {side: path for name, side in SIDES.items() if (path := _file(folder, name))}


def has_side(path: Path, side: str) -> bool:
    """A test list without answers has no labels: there is nothing to test on."""
    if not path.is_dir() or side not in side_files(path):
        return False
    return bool(_answers(path)) or any("template" in item for item in _items(side_files(path)[side]))


def read(request: Request) -> ClipSet:
    """A single JSON file is taken whole; its ``labels.json`` lies beside it."""
    path = request.on_disk
    folder = path if path.is_dir() else path.parent
    files = side_files(path) if path.is_dir() else {"all": path}
    if path.is_dir():
        request.expect_side(list(files))
    labels = read_labels(folder)
    known, answers, media = set(labels), _answers(folder), MediaFolder(request.media or folder)
    wanted = [
        (str(item["id"]), media.stem(str(item["id"])), _label(item, answers, known, file))
        for side, file in files.items()
        if path.is_file() or side in request.sides
        for item in _items(file)
    ]
    clips = ((name, Clip(found, label, video_id=name) if found else None) for name, found, label in wanted)
    return listed_clips(request, "ssv2", media.folder, clips, labels, flip=False)


def read_labels(folder: Path) -> tuple[str, ...]:
    """``{"Approaching something with your camera": "0", …}``: the templates in the order of their numbers."""
    path = _file(folder, "labels")
    if path is None:
        raise DataError(f"{folder}: no labels.json; expected the one that comes with Something-Something V2")
    numbers = _json(path)
    is_numbered = isinstance(numbers, dict) and all(str(number).isdigit() for number in numbers.values())
    if not is_numbered or sorted(map(int, numbers.values())) != list(range(len(numbers))):
        raise DataError(
            f'{path}: expected templates and their numbers from 0, each once, as in {{"Bending something": "0"}};'
            " take the file that comes with Something-Something V2"
        )
    return tuple(_without_brackets(template) for template in sorted(numbers, key=lambda name: int(numbers[name])))


def _without_brackets(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def _label(item: JsonObject, answers: dict[str, str], known: set[str], file: Path) -> str | None:
    said = item.get("template") or answers.get(str(item["id"]))
    if said is None:
        return None
    label = _without_brackets(str(said))
    if label not in known:
        raise DataError(
            f"{file}: video {item['id']}: got the template {label!r}, expected one of those in labels.json;"
            " take both files from one release"
        )
    return label


def _items(path: Path) -> list[JsonObject]:
    found = _json(path)
    if not isinstance(found, list) or not all(isinstance(item, dict) and "id" in item for item in found):
        raise DataError(
            f"{path}: expected a list of objects with an 'id', as Something-Something V2 has them; give one of its lists"
        )
    return found


def _answers(folder: Path) -> dict[str, str]:
    path = _file(folder, "test-answers", ".csv")
    if path is None:
        return {}
    return {row[0]: row[1] for row in csv.reader(read_text(path).split("\n"), delimiter=";") if len(row) == 2}


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not valid JSON ({error.msg}); expected a list of Something-Something V2"
        ) from error
