"""``dataset export``: one of the formats into a folder, remembered so that a later take-down reaches it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.dataset.dataset import Dataset
from tiktokactions.errors import UsageError
from tiktokactions.files import SUMS, Place, delete, json_bytes, sum_files, write_json, write_listed, write_sums
from tiktokactions.records import JsonObject
from tiktokactions.release import formats
from tiktokactions.release.rows import Export

MARK = "export.json"
"""In the folder of an export: what it is, and the files that belong to it."""
REMEMBERED = "exports.json"
"""In the dataset: where exports went."""


class ExportError(UsageError):
    """An export that cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Exported:
    format: str
    output: str
    clips: int
    sides: dict[str, int]
    files: int
    bytes: int
    notes: tuple[str, ...] = ()
    """What could not be had."""


def export_dataset(export: Export, name: str, out: Path) -> Exported:
    """Write a format into ``out``, take away what an earlier export left there, and remember it in the dataset.

    Raises:
        ExportError: an unknown format, a folder that holds something else, or nothing to export.
    """
    if name not in formats.NAMES:
        raise ExportError(f"`format`: got {name!r}, expected one of {', '.join(formats.NAMES)}")
    out = Path(out)
    before = _files_before(out, name)
    if not export.counts and name != "ids":
        raise ExportError(f"{export.dataset.folder}: no accepted clip fits; 'dataset stats' says what there is")
    written: list[Path] = importlib.import_module(f"{formats.__name__}.{name}").write(export, out)
    relative = sorted({path.relative_to(out).as_posix() for path in written})
    for gone in sorted(set(before) - set(relative)):
        delete(out / gone)
    mark = {"format": name, "dataset": export.dataset.name, **_options(export), "files": relative}
    mark |= {"videos": _videos(export, name)}
    write_json(out / MARK, mark, indent=1)
    write_sums(out, sum_files(out, [*relative, MARK]))
    _remember(export, name, out)
    size = sum((out / path).stat().st_size for path in relative)
    sides, notes = dict(export.counts), (*export.unmatched, *export.notes)
    return Exported(name, str(out), sum(sides.values()), sides, len(relative), size, notes)


def remembered(dataset: Place) -> list[JsonObject]:
    """Every export that was made of this dataset: ``format``, ``path`` (absolute), options."""
    path = dataset / REMEMBERED
    found: list[JsonObject] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return found


def take_down_from_exports(dataset: Place, ids: Iterable[str]) -> int:
    """Make every remembered export anew, without videos that are no longer in the manifest; how many exports held one.

    Exports that were moved or deleted are forgotten here: whoever moved them has to remove the videos there.
    """
    gone = set(ids)
    kept, changed = [], 0
    for entry in remembered(dataset):
        out = Path(entry["path"])
        if not (out / MARK).is_file():
            continue
        kept.append(entry)
        if gone.isdisjoint(json.loads((out / MARK).read_text(encoding="utf-8"))["videos"]):
            continue
        changed += 1
        sides, labels = tuple(entry["sides"]), tuple(entry["labels"])
        export = Export(Dataset(dataset), sides, labels, entry["shard_mb"], entry["frames"])
        if export.counts or entry["format"] == "ids":
            export_dataset(export, entry["format"], out)
        else:
            for name in (*_files_before(out, entry["format"]), SUMS):
                delete(out / name)
    if remembered(dataset) != kept:
        write_listed(dataset, REMEMBERED, json_bytes(kept, indent=1))
    return changed


def _videos(export: Export, name: str) -> list[str]:
    """The ids in an export: those of its clips, or of every video if rejected ones are listed too."""
    batches = export.dataset.batches(["video_id"]) if name == "ids" else export.batches(["video_id"])
    return sorted(video_id for batch in batches for video_id in batch["video_id"].to_pylist())


def _options(export: Export) -> JsonObject:
    return {name: getattr(export, name) for name in ("sides", "labels", "shard_mb", "frames")}


def _files_before(out: Path, name: str) -> list[str]:
    """The files of the export that lies in ``out``; a folder with anything else in it is not written to."""
    mark = out / MARK
    if mark.is_file():
        said = json.loads(mark.read_text(encoding="utf-8"))
        if said["format"] != name:
            raise ExportError(f"{out}: holds an export in the format {said['format']}; choose another folder")
        return list(said["files"])
    if out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise ExportError(f"{out}: not empty and not an export; choose a new or an empty folder")
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out}: expected a folder, got a file")
    return []


def _remember(export: Export, name: str, out: Path) -> None:
    entry = {"format": name, "path": str(out.resolve()), **_options(export)}
    others = [known for known in remembered(export.dataset.folder) if known["path"] != entry["path"]]
    write_listed(export.dataset.folder, REMEMBERED, json_bytes([*others, entry], indent=1))
