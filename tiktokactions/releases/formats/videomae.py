"""VideoMAE's lists: ``path number`` a line for fine-tuning, ``path 0 -1`` for pre-training, separated by single spaces."""

from __future__ import annotations

import io
from pathlib import Path

from tiktokactions.errors import UsageError
from tiktokactions.files import place_file, write_atomic
from tiktokactions.releases.rows import Export, ExportedClip


def write(export: Export, out: Path) -> list[Path]:
    """``<side>.csv`` with paths (absolute, or relative to ``export.root``) and class numbers, ``classes.txt`` (a name
    a line, in the order of the numbers) and ``pretrain.csv`` (every clip but those of the val and test sides).

    Raises:
        ValueError: ``out`` has a space in its path, which these lists cannot hold.
    """
    if any(c.isspace() for c in export.listed(export.folder or out)):
        where = f"{export.folder or out}"
        raise UsageError(f"{where}: VideoMAE's lists are separated by spaces; choose a folder whose path has none")
    unlabelled = 0
    numbers = {name: number for number, name in enumerate(export.classes)}
    texts = {side: io.StringIO() for side in export.counts}
    pretrain = io.StringIO()
    links: list[Path] = []
    for clip in export.clips():
        path = _path_without_spaces(export, clip, out, links)
        if clip.label is not None:
            texts[clip.side].write(f"{path} {numbers[clip.label]}\n")
        else:
            unlabelled += 1
            # On those sides no list has it; elsewhere it is in the list for pre-training.
            export.left_out[clip.side] += clip.side in ("val", "test")
        if clip.side not in ("val", "test"):
            pretrain.write(f"{path} 0 -1\n")
    if unlabelled:
        export.notes.append(f"{unlabelled:,} clips without a label are in no list for fine-tuning")
    files = {f"{side}.csv": text.getvalue() for side, text in texts.items()}
    files |= {"pretrain.csv": pretrain.getvalue(), "classes.txt": "".join(f"{name}\n" for name in export.classes)}
    for name, text in files.items():
        write_atomic(out / name, text.encode())
    return [*(out / name for name in files), *links]


def _path_without_spaces(export: Export, clip: ExportedClip, out: Path, links: list[Path]) -> str:
    path = export.listed(clip.path)
    if not any(c.isspace() for c in path):
        return path
    links.append(out / "clips" / f"{clip.video_id}.mp4")
    place_file(clip.path, links[-1])
    return export.listed((export.folder or out) / "clips" / links[-1].name)
