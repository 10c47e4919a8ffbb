"""Parquet with the clips' bytes inside: a row per clip, row groups of some tens of megabytes, files of up to a gigabyte."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.files import unfinished
from tiktokactions.records import JsonObject
from tiktokactions.releases.rows import Export

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


COMPRESSION = dict.fromkeys(SCHEMA.names, "zstd") | {"video": "none"}
"""Video does not shrink further; the other columns are small."""


def write(export: Export, out: Path) -> list[Path]:
    """``<side>-00000.parquet`` …, each with up to about four times ``export.shard_mb`` of clips."""
    paths: list[Path] = []
    for side in export.counts:
        rows = (clip.facts() | {"video": clip.path.read_bytes()} for clip in export.clips() if clip.side == side)
        for number, shard in itertools.groupby(rows, _part_numbers(4_000_000 * export.shard_mb)):
            paths.append(out / f"{side}-{number:05d}.parquet")
            with unfinished(paths[-1]) as staged, pq.ParquetWriter(staged, SCHEMA, compression=COMPRESSION) as writer:
                for _, group in itertools.groupby(shard, _part_numbers(GROUP_BYTES)):
                    writer.write_table(pa.Table.from_pylist(list(group), schema=SCHEMA))
    return paths


def _part_numbers(most_bytes: int) -> Callable[[JsonObject], int]:
    """For ``itertools.groupby``: the part that a row belongs to; one with more than ``most_bytes`` of video is full."""
    number = size = 0

    def part(row: JsonObject) -> int:
        nonlocal number, size
        if size > most_bytes:
            number, size = number + 1, 0
        size += len(row["video"])
        return number

    return part
