"""``manifest.parquet``: one row per video, joined from the records; what most readers of a dataset open first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.curation.decide import frame_scores, person_frames, person_score
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.assignments import read_assignments
from tiktokactions.files import Place, move_into_place, readable, staging_folder, unfinished
from tiktokactions.records import STATUSES, VideoRecord

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("source_path", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("human_labels", pa.list_(pa.string())),
        ("human_tags", pa.list_(pa.string())),
        ("category", pa.string()),
        ("creator", pa.string()),
        ("status", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("duration_s", pa.float64()),
        ("fps", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("scenes", pa.int32()),
        ("longest_scene_s", pa.float64()),
        ("person_frames", pa.int32()),
        ("sampled_frames", pa.int32()),
        ("clip_path", pa.string()),
        ("clip_start_s", pa.float64()),
        ("clip_end_s", pa.float64()),
        ("clip_frames", pa.int32()),
        ("split", pa.string()),
        ("detector", pa.string()),
        ("motion", pa.float64()),
        ("static_share", pa.float64()),
        ("border_share", pa.float64()),
        ("brightness", pa.float64()),
        ("sharpness", pa.float64()),
        ("orientation", pa.string()),
        ("copies", pa.int32()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
        ("sound", pa.string()),
        ("derived_from", pa.list_(pa.string())),
        ("title", pa.string()),
        ("frame_scores", pa.list_(pa.float64())),
        ("person_score", pa.float64()),
        ("timings", pa.map_(pa.string(), pa.float64())),
    ]
)
"""Columns of the manifest; ``docs/formats.md`` says what each means. Values unknown for a video are null."""

ROWS_PER_BATCH = 5000


def manifest_row(record: VideoRecord, options: CurateOptions, split: str | None = None) -> dict[str, Any]:
    """One record as a row of the manifest; ``split``: the side it was given by ``dataset split``."""
    probe, scene, quality, clip, segment = record.probe, record.scene, record.quality, record.clip, record.segment
    borders = quality.borders if quality is not None else (0.0, 0.0, 0.0, 0.0)
    return {
        "video_id": record.video_id,
        "source_path": record.source.path,
        "labels": record.labels,
        "human_labels": record.human_labels,
        "human_tags": record.human_tags,
        "category": record.source.category,
        "creator": record.source.creator,
        "status": record.status,
        "reasons": record.reasons,
        "duration_s": probe.duration_s if probe is not None else None,
        "fps": probe.fps if probe is not None else None,
        "width": probe.width if probe is not None else None,
        "height": probe.height if probe is not None else None,
        "scenes": len(record.scenes) if probe is not None else None,
        "longest_scene_s": scene.duration_s if scene is not None else None,
        "person_frames": person_frames(record, options) if scene is not None else None,
        "sampled_frames": len(record.samples) if scene is not None else None,
        "clip_path": clip.path if clip is not None else None,
        "clip_start_s": segment.start_s if segment is not None else None,
        "clip_end_s": segment.end_s if segment is not None else None,
        "clip_frames": clip.frames if clip is not None else None,
        "split": split,
        "detector": record.detector.name if record.detector is not None else None,
        "motion": _mean(record.motion.per_second) if record.motion is not None else None,
        "static_share": quality.static_share if quality is not None else None,
        "border_share": 1 - (1 - borders[0] - borders[2]) * (1 - borders[1] - borders[3]) if quality else None,
        "brightness": quality.brightness if quality is not None else None,
        "sharpness": quality.sharpness if quality is not None else None,
        "orientation": quality.orientation if quality is not None else None,
        "copies": len(record.source.copies),
        "size_bytes": record.source.size_bytes,
        "sha256": record.source.sha256 or None,
        "sound": record.source.sound,
        "derived_from": record.source.derived_from(),
        "title": record.source.title,
        "frame_scores": frame_scores(record),
        "person_score": person_score(record, options),
        "timings": list(record.timings.items()),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def write_manifest(dataset: Place, records: Iterable[VideoRecord], options: CurateOptions) -> dict[str, int]:
    """Write ``manifest.parquet`` from the records, in the order given, and count them by status."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    assigned = read_assignments(dataset)
    with (
        unfinished(dataset / "manifest.parquet", staging_folder(dataset)) as staged,
        pq.ParquetWriter(staged, SCHEMA, compression="zstd") as writer,
    ):
        rows: list[dict[str, Any]] = []
        for record in records:
            counts[record.status] += 1
            given = assigned.get(record.video_id)
            rows.append(manifest_row(record, options, None if given is None else given.side))
            if len(rows) == ROWS_PER_BATCH:
                writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    return counts


def update_manifest(
    dataset: Place, changed: Mapping[str, VideoRecord], options: CurateOptions
) -> dict[str, int] | None:
    """Write the rows of some videos anew, the others as they are, and count all by status.

    None, and nothing written, where the manifest lacks one of them or was written by another version of this program.
    """
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    assigned = read_assignments(dataset)
    waiting = dict(changed)
    staged = staging_folder(dataset) / "manifest.parquet"
    staged.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetFile(readable(dataset / "manifest.parquet")) as before:
        if not before.schema_arrow.equals(SCHEMA):
            return None
        with pq.ParquetWriter(staged, SCHEMA, compression="zstd") as writer:
            for batch in before.iter_batches(ROWS_PER_BATCH):
                if not waiting.keys().isdisjoint(batch["video_id"].to_pylist()):
                    rows = batch.to_pylist()
                    for place, row in enumerate(rows):
                        record = waiting.pop(row["video_id"], None)
                        if record is not None:
                            given = assigned.get(record.video_id)
                            rows[place] = manifest_row(record, options, None if given is None else given.side)
                    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
                for status in batch["status"].to_pylist():
                    counts[status] += 1
                writer.write_batch(batch)
    if waiting:
        staged.unlink()
        return None
    move_into_place(staged, dataset / "manifest.parquet")
    return counts


def count_by_status(manifest: Place) -> dict[str, int]:
    statuses = pq.read_table(readable(manifest), columns=["status"])["status"].to_pylist()
    counts: dict[str, int] = {status: statuses.count(status) for status in STATUSES}
    return counts
