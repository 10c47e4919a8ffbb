"""Kinetics' annotation files: ``label,youtube_id,time_start,time_end,split``, times in seconds of the source video."""

from __future__ import annotations

from pathlib import Path

from tiktokactions.files import write_csv
from tiktokactions.releases.rows import UNSPLIT, Export


def write(export: Export, out: Path) -> list[Path]:
    """``<side>.csv`` of every side (``all.csv`` where the dataset was never split). Clips without a label are left out.

    With ``export.root`` a last column ``path`` names the clip, relative to that folder.
    """
    head = ("label", "youtube_id", "time_start", "time_end", "split", *(("path",) if export.root else ()))
    rows: dict[str, list[tuple[str, ...]]] = {side: [head] for side in export.counts}
    for clip in export.clips():
        if clip.label is None:
            export.left_out[clip.side] += 1
            continue
        side, path = "" if clip.side == UNSPLIT else clip.side, (export.listed(clip.path),) if export.root else ()
        row = (clip.label, clip.video_id, f"{clip.start_s:.6f}", f"{clip.end_s:.6f}", side, *path)
        rows[clip.side].append(row)
    if left_out := sum(export.left_out.values()):
        export.notes.append(f"{left_out:,} clips without a label are left out: these lists have no row for them")
    for side in rows:
        write_csv(out / f"{side}.csv", rows[side])
    return [out / f"{side}.csv" for side in rows]
