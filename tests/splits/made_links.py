"""Rows of a manifest that are linked as a test wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from tiktokactions.splits.leak_groups import LINK_SCHEMA, Linked, linked_videos

Row = dict[str, Any]


def video(name: str, label: str | None = "x", used: bool = True, **links: str) -> Row:
    """A row; ``links``: ``creator``, ``sound``, ``source`` (what it was cut from), ``duplicate`` (of which video)."""
    return {
        "video_id": name,
        "labels": [] if label is None else [label],
        "human_labels": None,
        "creator": links.get("creator"),
        "status": "accepted" if used else "rejected",
        "reasons": [f"duplicate_of:{links['duplicate']}"] if "duplicate" in links else ["enough_people"],
        "clip_path": f"clips/{name}.mp4",
        "sha256": None,
        "sound": links.get("sound"),
        "derived_from": [links["source"]] if "source" in links else [],
    }


def linked(rows: Sequence[Row]) -> Linked:
    return linked_videos([pa.RecordBatch.from_pylist(list(rows), schema=LINK_SCHEMA)])


def is_used(row: Row) -> bool:
    return bool(row["status"] == "accepted")


def keys(row: Row) -> set[tuple[str, str]]:
    """What a row shares with others, by rule."""
    found = {(rule, row[rule]) for rule in ("creator", "sound") if row[rule]}
    found |= {("source", name) for name in row["derived_from"]} | {("duplicate", row["video_id"])}
    return found | {("duplicate", r.split(":")[1]) for r in row["reasons"] if r.startswith("duplicate_of:")}
