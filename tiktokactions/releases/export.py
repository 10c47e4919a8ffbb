"""``dataset export``: one of the formats into a folder, remembered so that a later take-down reaches it."""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tiktokactions.curation.takedowns import NotTakenDownError
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.subset_mark import write_origin
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    SUMS,
    Place,
    absolute,
    delete,
    delete_empty,
    delete_folder,
    holds_something,
    json_bytes,
    listing_lock,
    local_path,
    located,
    may_be_refused,
    move_into_place,
    read_json,
    sum_files,
    what_is_there,
    write_atomic,
    write_json,
    write_listed,
    write_sums,
)
from tiktokactions.machine import scratch_folder
from tiktokactions.records import JsonObject
from tiktokactions.releases import formats
from tiktokactions.releases.rows import Export

MARK = "export.json"
"""In the folder of an export: what it is, and the files that belong to it."""
STAGING = ".export"
CERTIFICATE = "certificate.json"
csv.field_size_limit(sys.maxsize)  # of the evidence in a list of ids
NOT_THERE = "not there any more, so that somebody has to look where it lies now"
NOT_WRITTEN = "not written anew, so that somebody has to make it again or delete it"
OPTIONS = ("sides", "labels", "shard_mb", "frames", "root")
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


def export_dataset(export: Export, name: str, out: Place) -> Exported:
    """Write a format into ``out``, take away what an earlier export left there, and remember it in the dataset.

    It is made in a folder of its own and then moved, so that the one before stays whole until this one is.

    Raises:
        ExportError: an unknown format, a folder that holds something else, or nothing to export.
    """
    if name not in formats.NAMES:
        raise ExportError(f"`format`: got {name!r}, expected one of {', '.join(formats.NAMES)}")
    before = _files_before(out, name)
    _refuse_another(export.dataset, out)
    if not export.counts and name != "ids":
        raise ExportError(f"{export.dataset.folder}: no accepted clip fits; 'dataset stats' says what there is")
    known, said = remembered(export.dataset.folder), (out / MARK).read_bytes() if (out / MARK).is_file() else None
    about: JsonObject = {"format": name, "dataset": export.dataset.name, "of": export.dataset.info.id}
    mark: JsonObject = about | export.passed_on() | _options(export) | {"files": before}
    mark.pop("root")  # where something lies on this machine is nobody else's
    # Both before the first clip: a take-down finds what is left of an export that was killed.
    with may_be_refused(f"{export.dataset.folder}: cannot be written to, so no take-down will find the export {out}"):
        _remember(export, name, out)
    staging = _staging(out)
    delete_folder(staging)  # of one that was killed
    write_json(out / MARK, mark | {"unfinished": True}, staging, indent=1)
    write_origin(mark["of"], export.dataset.folder)
    export = replace(export, folder=out)
    write: Callable[[Export, Path], list[Path]] = importlib.import_module(f"{formats.__name__}.{name}").write
    try:
        written = sorted(path.relative_to(staging).as_posix() for path in write(export, staging))
        written += _certificate(export, staging)
        _refuse_others(out, before, written)
        export.dataset.require_unchanged()
    except UsageError:  # nothing was written: nothing is there to be made anew by a take-down, or taken for ours
        delete_folder(staging)
        delete(out / MARK) if said is None else write_atomic(out / MARK, said)
        with may_be_refused(f"{export.dataset.folder}: cannot be written to, so it remembers the export {out}"):
            write_listed(export.dataset.folder, REMEMBERED, json_bytes(known, indent=1))
        raise
    sums = sum_files(staging, written)
    size = sum((staging / path).stat().st_size for path in written)
    write_json(out / MARK, mark | {"unfinished": True, "files": sorted({*before, *written})}, staging, indent=1)
    for path in written:
        move_into_place(staging / path, out / path)
    for gone in sorted(set(before) - {*written, SUMS}):
        delete(out / gone)
        if "/" in gone:
            delete_empty((out / gone).parent)
    written = sorted([*written, SUMS])
    if name != "ids":  # which says so itself
        mark["videos"] = sorted(i for batch in export.batches(["video_id"]) for i in batch["video_id"].to_pylist())
    mark["files"] = written
    finished = json_bytes(mark, indent=1)
    write_sums(out, sums | {MARK: (hashlib.sha256(finished).hexdigest(),)}, staging)
    write_atomic(out / MARK, finished, staging)
    delete_folder(staging)
    sides = {side: count - export.left_out[side] for side, count in export.counts.items()}
    notes = (*export.unmatched, *export.notes)
    return Exported(name, str(out), sum(sides.values()), sides, len(written), size, notes)


def _staging(out: Place) -> Path:
    """Where an export is made before it takes the place of the one before: wholly ours, so that a killed one can go. Of a
    store: the scratch folder of this process."""
    local = local_path(out)
    return scratch_folder() / "export" if local is None else local / STAGING


def _certificate(export: Export, staging: Path) -> list[str]:
    """The certificate of the dataset's splits, where there is one, goes along."""
    source = export.dataset.tables / "splits" / CERTIFICATE
    if not source.is_file():
        return []
    write_atomic(staging / CERTIFICATE, source.read_bytes())
    return [CERTIFICATE]


def _refuse_others(out: Place, before: Collection[str], written: Sequence[str]) -> None:
    """Raises ``ExportError`` where a file lies in the way that no export wrote."""
    is_there, ours = what_is_there(out), {*before, SUMS}
    others = [path for path in written if path not in ours and is_there(path)]
    if others:
        raise ExportError(
            f"{out}: holds {', '.join(others[:3])}, which no export wrote; move it away or choose another folder"
        )


def remembered(dataset: Place) -> list[JsonObject]:
    """Every export that was made of this dataset: ``format``, ``path`` (absolute), options."""
    return list(read_json(dataset / REMEMBERED, []))


def _refuse_another(data: Dataset, out: Place) -> None:
    """Raises ``ExportError`` where the export of another dataset lies, for example of the one that this is a copy of."""
    mark = out / MARK
    if not mark.is_file():
        return
    said = json.loads(mark.read_text(encoding="utf-8"))
    entry = next((known for known in remembered(data.folder) if known["path"] == str(out.resolve())), None)
    by_id = bool(said.get("of") and data.info.id and said["of"] != data.info.id)
    if by_id if entry is None else not made_by(data.folder, entry, REMEMBERED):
        raise ExportError(f"{out}: holds an export of another dataset; choose another folder")


def take_down_from_exports(dataset: Place, ids: Iterable[str]) -> int:
    """Make every remembered export anew, without videos that are no longer in the manifest; how many exports held one.

    Raises:
        NotTakenDownError: all this is done, but some were moved or deleted. They are forgotten here: whoever moved them has
            to remove the videos there.
    """
    gone = set(ids)
    kept, changed, moved, hindered = [], 0, [], list[str]()
    for entry in remembered(dataset):
        out = located(entry["path"])
        if not made_by(dataset, entry, REMEMBERED):
            kept.append(entry)
            continue
        if not (out / MARK).is_file():
            moved.append(entry["path"])
            continue
        kept.append(entry)
        if not _may_hold(out, gone):
            continue
        changed += 1
        export = _asked_for(Dataset(dataset), entry)
        if export.counts or entry["format"] == "ids":
            try:
                export_dataset(export, entry["format"], out)
            except (FileNotFoundError, NotADirectoryError, UsageError) as error:
                hindered.append(f"{out} ({error})")
        else:
            delete_folder(_staging(out))
            for name in {*_files_before(out, entry["format"]), SUMS}:
                delete(out / name)
    if remembered(dataset) != kept:
        write_listed(dataset, REMEMBERED, json_bytes(kept, indent=1))
    told = [f"{NOT_THERE}: {', '.join(moved)}"] if moved else []
    told += [f"{NOT_WRITTEN}: {', '.join(hindered)}"] if hindered else []
    if told:
        raise NotTakenDownError("; ".join(told), changed - len(hindered))
    return changed


def _may_hold(out: Place, gone: set[str]) -> bool:
    """Whether an export has one of these videos; one that was killed may have any."""
    mark = json.loads((out / MARK).read_text(encoding="utf-8"))
    if mark.get("unfinished"):
        return True
    if "videos" in mark:
        return not gone.isdisjoint(mark["videos"])
    if not (out / "ids.csv").is_file():
        return False
    with (out / "ids.csv").open(encoding="utf-8", newline="") as file:
        return any(row and row[0] in gone for row in csv.reader(file))


def _options(export: Export) -> JsonObject:
    return {name: getattr(export, name) for name in OPTIONS}


def _asked_for(data: Dataset, said: JsonObject) -> Export:
    return Export(data, **{name: said[name] for name in OPTIONS if name in said})


def _files_before(out: Place, name: str) -> list[str]:
    """The files of the export that lies in ``out``; a folder with anything else in it is not written to."""
    mark = out / MARK
    if mark.is_file():
        said = json.loads(mark.read_text(encoding="utf-8"))
        if said.get("format") != name or "files" not in said:
            raise ExportError(f"{out}: holds an export in the format {said.get('format')}; choose another folder")
        return list(said["files"])
    if holds_something(out):
        raise ExportError(f"{out}: not empty and not an export; choose a new or an empty folder")
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out}: expected a folder, got a file")
    return []


def _remember(export: Export, name: str, out: Place) -> None:
    of = absolute(str(export.dataset.folder))
    entry = {"format": name, "path": str(out.resolve()), "dataset": of, **_options(export)}
    with listing_lock(export.dataset.folder):
        known = remembered(export.dataset.folder)
        if entry not in known:
            others = [one for one in known if one["path"] != entry["path"]]
            write_listed(export.dataset.folder, REMEMBERED, json_bytes([*others, entry], indent=1))


def adopt(dataset: Place, out: Place) -> bool:
    """Remember an export of this dataset that was moved or copied; False where it is none."""
    data = Dataset(dataset)
    said = read_json(out / MARK, {})
    if not data.info.id or said.get("of") != data.info.id:
        return False
    _remember(_asked_for(data, said), said["format"], out)
    return True


def made_by(dataset: Place, entry: JsonObject, name: str) -> bool:
    """Whether this dataset made what it remembers in the file ``name``: a copy of a dataset did not make what the original
    made, as long as that lies where it was."""
    original = located(entry.get("dataset") or str(dataset))
    path = original / name
    if original.resolve() == dataset.resolve() or not path.is_file():
        return True
    return all(known["path"] != entry["path"] for known in json.loads(path.read_text(encoding="utf-8")))
