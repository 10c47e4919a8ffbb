"""Plain folders: ``CLASS/video``, or ``train/CLASS/video`` beside ``val`` and ``test``; a flat folder is unlabelled."""

from __future__ import annotations

import os
from pathlib import Path

from tiktokactions.clips.clip import Clip, ClipSet, Request, labels_in_order
from tiktokactions.clips.readers.media import walk_videos

SIDE_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "validate"),
    "test": ("test", "testing"),
}


def is_here(path: Path) -> bool:
    return next(walk_videos(path), None) is not None


def side_folders(path: Path) -> dict[str, Path]:
    found = {side: [p for name in names if (p := path / name).is_dir()] for side, names in SIDE_FOLDERS.items()}
    return {side: folders[0] for side, folders in found.items() if folders}


def has_side(path: Path, side: str) -> bool:
    return _has_sides(path) and side in side_folders(path)


def _has_sides(path: Path) -> bool:
    """``train`` beside ``val`` or ``test`` is a side, not a class; so is any of them where no other folder holds videos."""
    sides = side_folders(path)
    if "train" in sides and len(sides) > 1:
        return True
    if not any(entry.is_dir() for side in sides.values() for entry in side.iterdir() if not entry.name.startswith(".")):
        return False
    folders = {os.path.relpath(video, path).split(os.sep)[0] for video in walk_videos(path)}
    return folders <= {side.name for side in sides.values()}


def read(request: Request) -> ClipSet:
    """Folders without sides are read whole, whatever side is asked for: naming them means all of them."""
    path = request.on_disk
    if not _has_sides(path):
        clips = class_folders(path)
        return ClipSet(str(path), "folder", tuple(clips), labels_in_order([c.label for c in clips]))
    by_side = {side: class_folders(folder) for side, folder in side_folders(path).items()}
    labels = labels_in_order([clip.label for clips in by_side.values() for clip in clips])
    request.expect_side(list(by_side))
    wanted = [clip for side in request.sides for clip in by_side.get(side, [])]
    return ClipSet(str(path), "folder", tuple(wanted), labels)


def class_folders(folder: Path) -> list[Clip]:
    """Every video below, labelled with the folder that it is in just below ``folder``."""
    root = os.path.abspath(folder)
    clips = []
    for video in walk_videos(folder):
        parts = os.path.relpath(video, root).split(os.sep)
        clips.append(Clip(video, parts[0] if len(parts) > 1 else None))
    return clips
