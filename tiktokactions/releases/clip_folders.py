"""Clips in a folder for others, at most a thousand files each, and the tables about them.

::

    manifest.parquet        a row per clip
    data/<split>/           clips, and metadata.parquet: the same rows as the loader wants them
    data/<split>/<hex>/     the clips of a split that has too many for one folder
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiktokactions.errors import UsageError
from tiktokactions.files import (
    AnyPlace,
    Place,
    delete,
    file_sizes,
    listing,
    local_path,
    place_file,
    sha256_file,
    unfinished,
)
from tiktokactions.records import JsonObject
from tiktokactions.releases.rows import COLUMNS, UNSPLIT, Export, ExportedClip

if TYPE_CHECKING:
    import pyarrow as pa

    from tiktokactions.records import ClipFile

FILES_A_FOLDER = 1000
SPLITS = {"val": "validation", UNSPLIT: "train"}
"""Names of sides there, where they differ."""
BATCH = 4096
"""Clips whose rows are held in memory."""


def write_data(export: Export, out: AnyPlace) -> list[AnyPlace]:
    """Clips and tables, without a word about them. Clips that no longer belong there go."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    digits = folder_digits(export)
    manifest = out / "manifest.parquet"
    paths: list[AnyPlace] = []
    with contextlib.ExitStack() as open_files:

        def table(path: AnyPlace, schema: pa.Schema) -> pq.ParquetWriter:
            paths.append(path)
            staged = open_files.enter_context(unfinished(path))
            return open_files.enter_context(pq.ParquetWriter(staged, schema, compression="zstd"))

        every = table(manifest, schema())
        sides = {
            side: table(out / "data" / split_of(side) / "metadata.parquet", schema(True)) for side in export.counts
        }
        folders: dict[str, dict[str, int]] = {}
        wanted: dict[str, set[str]] = {}
        for clips in batches_of_clips(export):
            rows = []
            for clip, file in clips:
                folder, name = folder_of(clip.side, clip.video_id, digits), f"{clip.video_id}.mp4"
                if folder not in folders:
                    folders[folder] = file_sizes(out / folder)
                _place(clip, file, out / folder / name, folders[folder].get(name))
                wanted.setdefault(folder, set()).add(name)
                paths.append(out / folder / name)
                rows.append(row_of(clip, file, f"{folder}/{name}"))
            every.write_table(pa.Table.from_pylist(rows, schema()))
            for side, writer in sides.items():
                of_side = [row for row, (clip, _) in zip(rows, clips, strict=True) if clip.side == side]
                own = [row | {"file_name": _below(row["path"])} for row in of_side]
                writer.write_table(pa.Table.from_pylist(own, schema(True)))
    _clear(out, wanted)
    return paths


def batches_of_clips(export: Export) -> Iterator[list[tuple[ExportedClip, ClipFile]]]:
    """The clips with what their records say of the files."""
    for batch in export.batches(COLUMNS):
        for first in range(0, batch.num_rows, BATCH):
            rows = batch.slice(first, BATCH).to_pylist()
            ids = [row["video_id"] for row in rows]
            files = {record.video_id: record.clip for record in export.dataset.records_of(ids)}
            clips = [ExportedClip(export.dataset, row, row["split"] or UNSPLIT, export.salt) for row in rows]
            found = []
            for clip in clips:
                if (file := files.get(clip.video_id)) is None:
                    export.dataset.parent.require_records()
                    raise _damaged(clip)
                found.append((clip, file))
            yield found


def split_of(side: str) -> str:
    """The name of a side as the loader allows it: letters, digits and underscores."""
    return re.sub(r"\W", "_", SPLITS.get(side, side))


def folder_digits(export: Export) -> int:
    """How many hex digits of an id's hash name the folder of its clip, so that no folder has more than 1,000 files."""
    for digits in range(8):
        sizes: Counter[tuple[str, str]] = Counter()
        for batch in export.batches(["video_id", "split"]):
            for video_id, side in zip(batch["video_id"].to_pylist(), batch["split"].to_pylist(), strict=True):
                sizes[split_of(side or UNSPLIT), _hash(video_id)[:digits]] += 1
        if max(sizes.values(), default=0) < FILES_A_FOLDER:  # one more is the metadata
            return digits
    raise AssertionError("hashes of ids that do not differ")


def folder_of(side: str, video_id: str, digits: int) -> str:
    return f"data/{split_of(side)}" + (f"/{_hash(video_id)[:digits]}" if digits else "")


def schema(is_for_loader: bool = False) -> pa.Schema:
    """Of ``manifest.parquet``; of ``metadata.parquet``, whose ``file_name`` becomes the loader's feature ``video``."""
    import pyarrow as pa

    texts, whole = pa.list_(pa.string()), pa.int32()
    fields = [pa.field(name, pa.string()) for name in ("video_id", "label")]
    fields += [pa.field(name, texts) for name in ("labels", "hashtags")]
    fields += [pa.field("labelled_by_people", pa.bool_()), pa.field("split", pa.string())]
    fields += [pa.field(name, pa.float64()) for name in ("start_s", "end_s")]
    fields += [pa.field(name, whole) for name in ("frames", "person_frames", "sampled_frames")]
    fields += [pa.field(name, whole) for name in ("source_width", "source_height")]
    fields += [pa.field("creator", pa.string()), pa.field("reasons", texts)]
    fields += [pa.field(name, pa.float64()) for name in ("fps", "duration_s")]
    fields += [pa.field(name, pa.int32()) for name in ("width", "height")]
    fields += [pa.field("size_bytes", pa.int64()), pa.field("sha256", pa.string())]
    places = ("file_name",) if is_for_loader else ("path", "file_name")
    return pa.schema([*(pa.field(name, pa.string()) for name in places), *fields])


def row_of(clip: ExportedClip, file: ClipFile, path: str) -> JsonObject:
    of_file = {name: getattr(file, name) for name in ("fps", "duration_s", "width", "height", "size_bytes", "sha256")}
    split = None if clip.side == UNSPLIT else split_of(clip.side)
    return {"path": path, "file_name": path.rpartition("/")[2]} | clip.facts() | {"split": split} | of_file


def _place(clip: ExportedClip, file: ClipFile, target: Place, size_bytes: int | None) -> None:
    """``size_bytes``: of what lies there already."""
    if size_bytes == file.size_bytes and _is_there(clip.path, target, file.sha256):
        return
    try:
        if place_file(clip.path, target, file.sha256):
            return
    except FileNotFoundError:
        pass
    raise _damaged(clip)


def _damaged(clip: ExportedClip) -> UsageError:
    return UsageError(
        f"{clip.path}: missing, or not the clip that was cut; nothing damaged is released. Run"
        " 'tiktokactions dataset verify' with `repair`, then this command again"
    )


def _is_there(source: Place, target: Place, sha256: str) -> bool:
    """On a disk the bytes are compared. An object of the right name and size was whole when it came."""
    return local_path(target) is None or sha256_file(target) == sha256


def _clear(out: Place, wanted: dict[str, set[str]]) -> None:
    """Take clips away that were written once and belong here no longer; sides that are gone go with their table."""
    waiting = [("data", out / "data")]
    for name, folder in waiting:
        files, folders = listing(folder)
        waiting += [(f"{name}/{below.name}", below) for below in folders]
        for file in files:
            is_table = file.name == "metadata.parquet" and any(f"{place}/".startswith(f"{name}/") for place in wanted)
            if file.name not in wanted.get(name, ()) and not is_table:
                delete(file)


def _hash(video_id: str) -> str:
    return hashlib.sha256(video_id.encode()).hexdigest()


def _below(path: str) -> str:
    """A path as seen from the folder of its split."""
    return path.split("/", 2)[2]
