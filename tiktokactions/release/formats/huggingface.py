"""A folder that ``datasets.load_dataset("videofolder", data_dir=...)`` opens, with metadata and card."""

from __future__ import annotations

import io
import json
from pathlib import Path

from tiktokactions.files import write_atomic
from tiktokactions.release.rows import UNSPLIT, Export, place_file

SIDES = {"val": "validation", UNSPLIT: "train"}
"""Names of sides there, where they differ."""


def write(export: Export, out: Path) -> list[Path]:
    """``<side>/<video_id>.mp4``, ``<side>/metadata.jsonl`` and ``README.md``, the dataset's card."""
    texts = {side: io.StringIO() for side in export.counts}
    paths: list[Path] = []
    for clip in export.clips():
        name = f"{clip.video_id}.mp4"
        paths.append(out / SIDES.get(clip.side, clip.side) / name)
        place_file(clip.path, paths[-1])
        line = {"file_name": name} | clip.facts() | {"split": None if clip.side == UNSPLIT else clip.side}
        texts[clip.side].write(json.dumps(line, ensure_ascii=False) + "\n")
    for side, text in texts.items():
        paths.append(out / SIDES.get(side, side) / "metadata.jsonl")
        write_atomic(paths[-1], text.getvalue().encode())
    card = export.dataset.folder / "README.md"
    if card.is_file():
        # Its figures lie in the dataset; without them the pictures of the card would be broken.
        for figure in sorted((export.dataset.folder / "figures").glob("*.png")):
            paths.append(out / "figures" / figure.name)
            place_file(figure, paths[-1])
        write_atomic(out / "README.md", card.read_bytes())
        paths.append(out / "README.md")
    return paths
