"""Temporal action detection: the parts of each clip that people labelled, as ActivityNet's annotation file lists them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tiktokactions.files import write_json
from tiktokactions.records import JsonObject
from tiktokactions.releases.rows import UNSPLIT, Export


def write(export: Export, out: Path) -> list[Path]:
    """``database.json``, laid out as features over time are, with ``annotations``: ``segment`` (seconds of the clip's
    file), ``label`` and ``label_id``. A clip without a part that people labelled is left out: it would say that nothing
    happens in it.
    """
    database: dict[str, JsonObject] = {}
    for clip in export.clips():
        length_s, marked = clip.end_s - clip.start_s, clip.record().human_segments
        parts = () if marked is msgspec.UNSET else marked
        found = [
            (max(0.0, part["start_s"] - clip.start_s), min(length_s, part["end_s"] - clip.start_s), label)
            for part in parts
            for label in part["labels"]
        ]
        annotations: list[JsonObject] = [{"segment": [a, b], "label": label} for a, b, label in found if a < b]
        if not annotations:
            export.left_out[clip.side] += 1
            continue
        subset = {} if clip.side == UNSPLIT else {"subset": clip.side}
        path = {"path": export.listed(clip.path)} if export.root else {}
        numbers = {"duration": length_s, "fps": clip.row["clip_frames"] / length_s}
        database[clip.video_id] = path | subset | numbers | {"annotations": annotations}
    every = [annotation for video in database.values() for annotation in video["annotations"]]
    ids = {label: number for number, label in enumerate(sorted({annotation["label"] for annotation in every}))}
    for annotation in every:
        annotation["label_id"] = ids[annotation["label"]]
    if left_out := sum(export.left_out.values()):
        export.notes.append(f"{left_out:,} clips in which people marked no part are left out")
    write_json(out / "database.json", {"version": "tiktokactions", "database": database})
    return [out / "database.json"]
