"""A release made by ``release``, or an export as huggingface: clips below ``data/``, told of by ``manifest.parquet``."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.clips.clip import Clip, ClipSet, DataError, Request, Stored, labels_in_order
from tiktokactions.files import Place, fingerprint, local_path, seen_from, what_is_there

COLUMNS = ["path", "video_id", "labels", "labelled_by_people", "split"]
SIDES = {"validation": "val"}
"""What the hub calls a side, where we call it otherwise."""


def is_here(path: Place) -> bool:
    is_ours = any((path / mark).is_file() for mark in ("release.json", "export.json"))
    return is_ours and (path / "manifest.parquet").is_file()


def has_side(path: Place, side: str) -> bool:
    return any(_side(row) == side for row in _rows(path))


def read(request: Request) -> ClipSet:
    """Clips by their side; the label is the first. Without sides all are taken, whatever is asked for."""
    rows, is_there = _rows(request.path), what_is_there(request.path)
    labels = labels_in_order([next(iter(row["labels"]), None) for row in rows])
    if known := sorted({side for row in rows if (side := _side(row))}):
        request.expect_side(known)
        rows = [row for row in rows if request.side in ("all", _side(row))]
    if gone := [row["path"] for row in rows if not is_there(row["path"])]:
        named = ", ".join(gone[:3])
        raise DataError(
            f"{request.path}: {len(gone)} clips are gone (for example {named}); see sha256sum -c SHA256SUMS"
        )
    manifest = request.path / "manifest.parquet"
    version = None if local_path(manifest) else str(fingerprint(str(manifest))[1])
    clips = []
    for row in rows:
        path, every = str(seen_from(request.path.absolute(), row["path"])), tuple(row["labels"])
        stored = None if version is None else Stored(path, version)
        said = every if every or row["labelled_by_people"] else None
        clips.append(Clip(path, next(iter(every), None), video_id=row["video_id"], stored=stored, labels=said))
    return ClipSet(str(request.path), "release", tuple(clips), labels)


def _side(row: dict[str, Any]) -> str:
    return SIDES.get(row["split"], row["split"] or "")


def _rows(path: Place) -> list[dict[str, Any]]:
    """Raises :class:`DataError` where the manifest is damaged or names no clips, as that of a release of ids alone."""
    try:
        rows = pq.read_table(pa.BufferReader((path / "manifest.parquet").read_bytes()), columns=COLUMNS).to_pylist()
    except (pa.ArrowException, KeyError) as error:
        raise DataError(f"{path}: not the manifest of a release or a huggingface export ({error})") from error
    if any(row["path"] is None for row in rows):
        raise DataError(f"{path}: a release without clips; 'dataset hydrate' makes a dataset of it and of your files")
    return rows
