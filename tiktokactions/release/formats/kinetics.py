"""Kinetics' annotation files: ``label,youtube_id,time_start,time_end,split``, times in seconds of the source video."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tiktokactions.files import write_atomic
from tiktokactions.release.rows import UNSPLIT, Export


def write(export: Export, out: Path) -> list[Path]:
    """``<side>.csv`` of every side (``all.csv`` where the dataset was never split). Clips without a label are left out."""
    texts = {side: io.StringIO() for side in export.counts}
    writers = {side: csv.writer(text, lineterminator="\n") for side, text in texts.items()}
    for writer in writers.values():
        writer.writerow(("label", "youtube_id", "time_start", "time_end", "split"))
    for clip in export.clips():
        if clip.label is not None:
            side = "" if clip.side == UNSPLIT else clip.side
            writers[clip.side].writerow((clip.label, clip.video_id, f"{clip.start_s:.6f}", f"{clip.end_s:.6f}", side))
    paths = []
    for side, text in texts.items():
        paths.append(out / f"{side}.csv")
        write_atomic(paths[-1], text.getvalue().encode())
    return paths
