"""VideoMAE's lists: ``path number`` a line for fine-tuning, ``path 0 -1`` for pre-training, separated by single spaces."""

from __future__ import annotations

import io
from pathlib import Path

from tiktokactions.errors import UsageError
from tiktokactions.files import write_atomic
from tiktokactions.release.rows import Export, ExportedClip, place_file


def write(export: Export, out: Path) -> list[Path]:
    """``<side>.csv`` with absolute paths and class numbers, ``classes.txt`` (a name a line, in the order of the numbers) and
    ``pretrain.csv`` (every clip but those of the val and test sides).

    Raises:
        ValueError: ``out`` has a space in its path, which these lists cannot hold.
    """
    if any(c.isspace() for c in str(out.resolve())):
        raise UsageError(f"{out}: VideoMAE's lists are separated by spaces; choose a folder whose path has none")
    numbers = {name: number for number, name in enumerate(export.classes)}
    texts = {side: io.StringIO() for side in export.counts}
    pretrain = io.StringIO()
    links: list[Path] = []
    for clip in export.clips():
        path = _path_without_spaces(clip, out, links)
        if clip.label is not None:
            texts[clip.side].write(f"{path} {numbers[clip.label]}\n")
        if clip.side not in ("val", "test"):
            pretrain.write(f"{path} 0 -1\n")
    files = {f"{side}.csv": text.getvalue() for side, text in texts.items()}
    files |= {"pretrain.csv": pretrain.getvalue(), "classes.txt": "".join(f"{name}\n" for name in export.classes)}
    for name, text in files.items():
        write_atomic(out / name, text.encode())
    return [*(out / name for name in files), *links]


def _path_without_spaces(clip: ExportedClip, out: Path, links: list[Path]) -> str:
    path = str(clip.path.resolve())
    if not any(c.isspace() for c in path):
        return path
    links.append(out / "clips" / f"{clip.video_id}.mp4")
    place_file(clip.path, links[-1])
    return str(links[-1].resolve())
