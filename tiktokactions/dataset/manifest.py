"""``manifest.parquet``: one row per video, joined from the records; what most readers of a dataset open first."""

from __future__ import annotations

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("source_path", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("human_labels", pa.list_(pa.string())),
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
        ("timings", pa.map_(pa.string(), pa.float64())),
    ]
)
"""Columns of the manifest; ``docs/formats.md`` says what each means. Values unknown for a video are null."""
