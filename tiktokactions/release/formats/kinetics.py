"""Kinetics' annotation files: ``label,youtube_id,time_start,time_end,split``, times in seconds of the source video."""

from __future__ import annotations

from pathlib import Path

from tiktokactions.files import write_csv
from tiktokactions.release.rows import UNSPLIT, Export


def write(export: Export, out: Path) -> list[Path]:
    """``<side>.csv`` of every side (``all.csv`` where the dataset was never split). Clips without a label are left out."""
    rows = {side: [("label", "youtube_id", "time_start", "time_end", "split")] for side in export.counts}
    for clip in export.clips():
        if clip.label is not None:
            side = "" if clip.side == UNSPLIT else clip.side
            rows[clip.side].append((clip.label, clip.video_id, f"{clip.start_s:.6f}", f"{clip.end_s:.6f}", side))
    for side in rows:
        write_csv(out / f"{side}.csv", rows[side])
    return [out / f"{side}.csv" for side in rows]
