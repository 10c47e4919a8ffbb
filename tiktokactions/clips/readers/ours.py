"""A dataset made by ``curate``: its accepted clips, split by ``dataset split``."""

from __future__ import annotations

from tiktokactions.clips.clip import Clip, ClipSet, DataError, Request, Stored, labels_in_order
from tiktokactions.dataset.assignments import is_split, sides_of_fold
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.manifest import labels_of
from tiktokactions.files import SETTLED, Place, fingerprint, local_path, seen_from, what_is_there

COLUMNS = ["video_id", "status", "labels", "human_labels", "human_answers", "clip_path"]


def has_side(path: Place, side: str) -> bool:
    tables = Dataset(path).tables
    return is_split(tables) and side in sides_of_fold(tables, 1).values()


def read(request: Request) -> ClipSet:
    """Accepted clips; the label is the first human one, else the first hashtag."""
    data = Dataset(request.path)
    with data.reading():
        return _read(data, request)


def _read(data: Dataset, request: Request) -> ClipSet:
    if not data.manifest.exists():
        raise DataError(f"{request.path}: no manifest.parquet; run: tiktokactions dataset verify {request.path}")
    if request.side != "all" and not is_split(data.tables):
        raise DataError(
            f"{request.path}: this dataset is not split yet, so it has no {request.side} side;"
            f" run: tiktokactions dataset split {request.path}"
        )
    sides = None if request.side == "all" else sides_of_fold(data.tables, request.fold)
    clips, labels, gone = [], [], []
    is_there = what_is_there(request.path)
    # Whatever changed a clip has written the manifest of the dataset that holds it too.
    holds = data.parent.manifest
    version = None if local_path(holds) else str(fingerprint(str(holds))[1])
    for batch in data.batches(COLUMNS):
        for row in batch.to_pylist():
            if row["status"] != "accepted" or row["clip_path"] is None:
                continue
            every = tuple(labels_of(row))
            label = next(iter(every), None)
            labels.append(label)
            if sides is not None and sides.get(row["video_id"]) != request.side:
                continue
            path = str(seen_from(request.path.resolve(), row["clip_path"]))
            if data.parent.is_kept or not is_there(row["clip_path"]):
                found = data.file(row["clip_path"])
                path = str(found.resolve()) if SETTLED in found.as_posix().split("/") else path
                gone += [] if found.is_file() else [row["clip_path"]]
            stored = None if version is None else Stored(path, version)
            said = every if every or row["human_labels"] is not None else None
            answers = None if row.get("human_answers") is None else tuple(row["human_answers"])
            clips.append(Clip(path, label, video_id=row["video_id"], stored=stored, labels=said, answers=answers))
    if gone:
        raise DataError(
            f"{request.path}: {len(gone)} clips are gone (for example {', '.join(gone[:3])});"
            f" 'dataset verify' with `repair` restores what it can"
        )
    return ClipSet(str(request.path), "dataset", tuple(clips), labels_in_order(labels))
