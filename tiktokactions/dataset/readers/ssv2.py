"""Something-Something V2: JSON lists of ``{"id", "template", …}``, ``labels.json``, videos ``ID.webm``.

Left and right carry meaning here ("pushing something from left to right"): clips are not mirrored.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tiktokactions.dataset.clips import Clip, ClipSet, DataError, Request
from tiktokactions.dataset.readers.media import MediaFolder

PREFIXES = ("", "something-something-v2-")
FILES = {"train": ("train",), "val": ("validation", "val"), "test": ("test",)}


def _file(folder: Path, name: str, suffix: str = ".json") -> Path | None:
    return next((p for prefix in PREFIXES if (p := folder / f"{prefix}{name}{suffix}").is_file()), None)


def is_here(path: Path) -> bool:
    return _file(path, "labels") is not None if path.is_dir() else path.suffix.lower() == ".json"


def side_files(folder: Path) -> dict[str, Path]:
    found = {side: [p for name in names if (p := _file(folder, name))] for side, names in FILES.items()}
    return {side: paths[0] for side, paths in found.items() if paths}


def has_side(path: Path, side: str) -> bool:
    return path.is_dir() and side in side_files(path)


def read(request: Request) -> ClipSet:
    """A single JSON file is taken whole; its ``labels.json`` lies beside it."""
    path = request.path
    folder = path if path.is_dir() else path.parent
    files = side_files(path) if path.is_dir() else {"all": path}
    if path.is_dir() and request.side != "all" and request.side not in files:
        raise DataError(
            f"{path}: no list of the {request.side} side; it has {', '.join(p.name for p in files.values())}"
        )
    labels = read_labels(folder)
    answers = _answers(folder)
    media = MediaFolder(request.media or folder)
    clips, missing = [], []
    for side in request.sides if path.is_dir() else ("all",):
        for item in _items(files[side]) if side in files else []:
            label = _label(item, answers, labels, files[side])
            found = media.stem(str(item["id"]))
            if found is None:
                missing.append(str(item["id"]))
            else:
                clips.append(Clip(found, label, video_id=str(item["id"])))
    return ClipSet(str(path), "ssv2", tuple(clips), labels, flip=False, missing=tuple(missing))


def read_labels(folder: Path) -> tuple[str, ...]:
    """``{"Approaching something with your camera": "0", …}``: the templates in the order of their numbers."""
    path = _file(folder, "labels")
    if path is None:
        raise DataError(f"{folder}: no labels.json; expected the one that comes with Something-Something V2")
    numbers = _json(path)
    return tuple(sorted(numbers, key=lambda template: int(numbers[template])))


def _label(item: dict[str, Any], answers: dict[str, str], labels: tuple[str, ...], file: Path) -> str | None:
    said = item.get("template") or answers.get(str(item["id"]))
    if said is None:
        return None
    label = str(said).replace("[", "").replace("]", "")
    if label not in labels:
        raise DataError(f"{file}: {item['id']}: the template {label!r} is not in labels.json")
    return label


def _items(path: Path) -> list[dict[str, Any]]:
    found = _json(path)
    if not isinstance(found, list) or not all(isinstance(item, dict) and "id" in item for item in found):
        raise DataError(f"{path}: expected a list of objects with an 'id', as Something-Something V2 has them")
    return found


def _answers(folder: Path) -> dict[str, str]:
    path = _file(folder, "test-answers", ".csv")
    if path is None:
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row[0]: row[1] for row in csv.reader(file, delimiter=";") if len(row) == 2}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error
