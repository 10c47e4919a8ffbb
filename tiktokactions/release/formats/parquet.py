"""Parquet with the clips' bytes inside: a row per clip, row groups of some tens of megabytes, files of up to a gigabyte."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.files import move_into_place
from tiktokactions.release.rows import Export, ExportedClip

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("label", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("hashtags", pa.list_(pa.string())),
        ("labelled_by_people", pa.bool_()),
        ("split", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("frames", pa.int32()),
        ("person_frames", pa.int32()),
        ("sampled_frames", pa.int32()),
        ("source_width", pa.int32()),
        ("source_height", pa.int32()),
        ("creator", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("video", pa.binary()),
    ]
)
GROUP_BYTES = 32_000_000
"""A reader holds a whole row group in memory."""


def write(export: Export, out: Path) -> list[Path]:
    """``<side>-00000.parquet`` …, each with up to about four times ``export.shard_mb`` of clips."""
    out.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for side in export.counts:
        clips = (clip for clip in export.clips() if clip.side == side)
        paths += _write_side(clips, out, side, 4_000_000 * export.shard_mb)
    return paths


def _write_side(clips: Iterable[ExportedClip], out: Path, side: str, most_bytes: int) -> list[Path]:
    paths: list[Path] = []
    writer: pq.ParquetWriter | None = None
    rows: list[dict[str, Any]] = []
    in_group = in_file = 0

    def unfinished() -> Path:
        return paths[-1].with_suffix(".parquet.unfinished")

    def flush() -> None:
        nonlocal rows, in_group
        if writer is not None and rows:
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
        rows, in_group = [], 0

    def finish() -> None:
        nonlocal writer
        if writer is not None:
            flush()
            writer.close()
            move_into_place(unfinished(), paths[-1])
            writer = None

    for clip in clips:
        if writer is not None and in_file > most_bytes:
            finish()
        if writer is None:
            paths.append(out / f"{side}-{len(paths):05d}.parquet")
            # Video does not shrink further; the other columns are small.
            writer = pq.ParquetWriter(unfinished(), SCHEMA, compression={"video": "none"} | _SMALL)
            in_file = 0
        row = _row(clip)
        rows.append(row)
        in_group += len(row["video"])
        in_file += len(row["video"])
        if in_group > GROUP_BYTES:
            flush()
    finish()
    return paths


_SMALL = {name: "zstd" for name in SCHEMA.names if name != "video"}


def _row(clip: ExportedClip) -> dict[str, Any]:
    return clip.facts() | {"video": clip.path.read_bytes()}
