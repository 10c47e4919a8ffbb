"""``manifest.parquet``: one row per video, joined from the records; what most readers of a dataset open first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tiktokactions.curation.decide import frame_scores, people_in, person_frames, person_score, searched_frames
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.assignments import read_sides
from tiktokactions.files import Place, readable, staging_folder, unfinished
from tiktokactions.records import STATUSES, JsonObject, VideoRecord, record_seal

_TEXT, _TEXTS, _INT, _FLOAT = pa.string(), pa.list_(pa.string()), pa.int32(), pa.float64()
_SEGMENTS = pa.list_(pa.struct([("start_s", _FLOAT), ("end_s", _FLOAT), ("labels", _TEXTS)]))
SCHEMA = pa.schema(
    [
        (name, kind)
        for kind, *names in (
            (_TEXT, "video_id", "source_path"),
            (_TEXTS, "labels", "human_labels", "human_tags"),
            (_TEXT, "category", "creator", "status"),
            (_TEXTS, "reasons"),
            (_FLOAT, "duration_s", "fps"),
            (_INT, "width", "height", "scenes"),
            (_FLOAT, "longest_scene_s"),
            (_INT, "person_frames", "sampled_frames"),
            (_TEXT, "clip_path"),
            (_FLOAT, "clip_start_s", "clip_end_s"),
            (_INT, "clip_frames"),
            (_TEXT, "split", "detector"),
            (_FLOAT, "motion", "static_share", "border_share", "brightness", "sharpness"),
            (_TEXT, "orientation"),
            (_INT, "copies"),
            (pa.int64(), "size_bytes"),
            (_TEXT, "sha256", "sound"),
            (_TEXTS, "derived_from"),
            (_TEXT, "title"),
            (pa.list_(_FLOAT), "frame_scores"),
            (_FLOAT, "person_score"),
            (pa.list_(_FLOAT), "clip_frame_scores"),
            (_INT, "clip_person_frames"),
            (_FLOAT, "person_share", "person_motion"),
            (pa.map_(_TEXT, _FLOAT), "timings"),
            (_TEXT, "record_sha256"),
            (pa.map_(_TEXT, _TEXT), "human_answers"),
            (_TEXT, "ai_label", "sampling"),
            (_FLOAT, "inclusion_probability", "zoomed_share", "interlaced_share", "screen"),
            (_TEXT, "hdr"),
            (_SEGMENTS, "human_segments"),
        )
        for name in names
    ]
)
"""Columns of the manifest; ``docs/formats.md`` says what each means. Values unknown for a video are null."""

ROWS_PER_BATCH = 5000


def manifest_row(record: VideoRecord, options: CurateOptions, split: str | None = None) -> JsonObject:
    """One record as a row of the manifest; ``split``: the side it was given by ``dataset split``."""
    source, probe, scene, quality, segment = record.source, record.probe, record.scene, record.quality, record.segment
    threshold = person_score(record, options)
    row = _fields(record, "video_id", "labels", "human_tags", "status", "reasons")
    row |= _fields(source, "category", "creator", "size_bytes", "sound", "title")
    row |= _fields(probe, "duration_s", "fps", "width", "height")
    row |= _fields(quality, "static_share", "brightness", "sharpness", "orientation")
    row |= _fields(quality, "zoomed_share", "interlaced_share", "screen")
    row["hdr"] = probe.hdr or None if probe is not None else None
    row |= {f"clip_{name}": value for name, value in _fields(record.clip, "path", "frames").items()}
    scores = _fields(record.clip, "person_share", "person_motion")
    row |= {name: score if isinstance(score, float) else None for name, score in scores.items()}
    row |= {f"clip_{name}": value for name, value in _fields(segment, "start_s", "end_s").items()}
    if scene is not None:
        row["longest_scene_s"] = scene.duration_s
        row["person_frames"], row["sampled_frames"] = people_in(record.samples, threshold), len(record.samples)
        row["clip_person_frames"] = person_frames(record, options)
    if quality is not None:
        left, top, right, bottom = quality.borders
        row["border_share"] = 1 - (1 - left - right) * (1 - top - bottom)
    return row | {
        "source_path": source.path,
        "scenes": len(record.scenes) if probe is not None else None,
        "split": split,
        "detector": record.detector.name if record.detector is not None else None,
        "motion": _mean(record.motion.per_second) if record.motion is not None else None,
        "copies": len(source.copies),
        "sha256": source.sha256 or None,
        "derived_from": source.derived_from(),
        "frame_scores": frame_scores(record.samples),
        "clip_frame_scores": frame_scores(searched_frames(record)),
        "person_score": threshold,
        "timings": list(record.timings.items()),
        "record_sha256": record_seal(record),
        "ai_label": _text(source.metadata.get("ai_label")),
        "sampling": _text(source.metadata.get("sampling")),
        "inclusion_probability": _inclusion(source.metadata.get("inclusion_probability")),
        "human_labels": record.labels_seen,
        "human_answers": None if record.human_answers is msgspec.UNSET else list(record.human_answers.items()),
        "human_segments": None if record.human_segments is msgspec.UNSET else record.human_segments,
    }


def labels_that_count(columns: Mapping[str, pa.Array] | pa.RecordBatch) -> pa.Array:
    """The labels of each row: what people saw, which may be nothing, and where nobody was asked the hashtags."""
    return pc.coalesce(columns["human_labels"], columns["labels"])


def labels_of(row: JsonObject) -> list[str]:
    """The same of a single row."""
    found: list[str] | None = row["labels"] if row["human_labels"] is None else row["human_labels"]
    return found or []


def with_unsaid(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Rows of a manifest with ``names`` as its columns: in those of before ``human_answers`` was there, an empty list of
    ``human_labels`` meant that nobody was asked, and becomes null."""
    if "human_labels" not in batch.schema.names or "human_answers" in names or "human_tags" not in names:
        return batch
    said = batch["human_labels"]
    asked = pc.if_else(pc.equal(pc.list_value_length(said), 0), pa.scalar(None, said.type), said)
    return batch.set_column(batch.schema.get_field_index("human_labels"), "human_labels", asked)


def _fields(part: object, *names: str) -> JsonObject:
    """Fields of a part of a record; null where the part is not there."""
    return {name: getattr(part, name) if part is not None else None for name in names}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _inclusion(by_hashtag: object) -> float | None:
    """How likely a video was to be in its collection at all: at least as likely as under any of its hashtags."""
    values = by_hashtag.values() if isinstance(by_hashtag, dict) else ()
    return max((float(value) for value in values if isinstance(value, (int, float))), default=None)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def write_manifest(dataset: Place, records: Iterable[VideoRecord], options: CurateOptions) -> dict[str, int]:
    """Write ``manifest.parquet`` from the records, in the order given, and count them by status."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    sides = read_sides(dataset)
    with (
        unfinished(dataset / "manifest.parquet", staging_folder(dataset)) as staged,
        pq.ParquetWriter(staged, SCHEMA, compression="zstd") as writer,
    ):
        rows: list[JsonObject] = []
        for record in records:
            counts[record.status] += 1
            rows.append(manifest_row(record, options, sides.get(record.video_id)))
            if len(rows) == ROWS_PER_BATCH:
                writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    return counts


def rewrite_manifest(
    before: Place, after: Place, change: Callable[[pa.RecordBatch], pa.RecordBatch], staging: Path | None = None
) -> None:
    """Write a manifest again, or as another one (``after``), with every batch of rows changed."""
    with (
        unfinished(after, staging) as staged,
        pq.ParquetFile(readable(before)) as source,
        pq.ParquetWriter(staged, source.schema_arrow, compression="zstd") as writer,
    ):
        for batch in map(change, source.iter_batches(ROWS_PER_BATCH)):
            if batch.num_rows:
                writer.write_batch(batch)


def update_manifest(
    dataset: Place, changed: Mapping[str, VideoRecord], options: CurateOptions
) -> dict[str, int] | None:
    """Write the rows of some videos anew, the others as they are, and count all by status.

    None, and nothing written, where there is no manifest, or one that lacks one of them or that another version wrote.
    """
    sides, manifest = read_sides(dataset), dataset / "manifest.parquet"
    if not manifest.is_file():
        return None
    ids = pq.read_table(readable(manifest), columns=["video_id"])["video_id"].to_pylist()
    if not changed.keys() <= set(ids) or not pq.read_schema(readable(manifest)).equals(SCHEMA):
        return None

    def with_changes(batch: pa.RecordBatch) -> pa.RecordBatch:
        if changed.keys().isdisjoint(batch["video_id"].to_pylist()):
            return batch
        records = ((row, changed.get(row["video_id"])) for row in batch.to_pylist())
        rows = [row if r is None else manifest_row(r, options, sides.get(r.video_id)) for row, r in records]
        return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)

    rewrite_manifest(manifest, manifest, with_changes, staging_folder(dataset))
    return count_by_status(manifest)


def count_by_status(manifest: Place) -> dict[str, int]:
    statuses = pq.read_table(readable(manifest), columns=["status"])["status"].to_pylist()
    return {status: statuses.count(status) for status in STATUSES}
