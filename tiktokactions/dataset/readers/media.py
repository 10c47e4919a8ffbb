"""Finding the files that a list names: a folder is walked once, however many names are looked up in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

VIDEO_SUFFIXES = frozenset(".3gp .asf .avi .flv .gif .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split())


def is_video_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def walk_videos(folder: Path) -> Iterator[str]:
    """Absolute paths of the videos below a folder, sorted within each; hidden files and folders are left out."""
    with os.scandir(folder) as entries:
        found = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    for entry in found:
        if entry.is_dir():
            yield from walk_videos(Path(entry.path))
        elif is_video_name(entry.name):
            yield os.path.abspath(entry.path)


class MediaFolder:
    """The videos below a folder, by the names that lists use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        for path in walk_videos(folder):
            name = os.path.basename(path)
            self._by_name.setdefault(name, path)
            self._by_stem.setdefault(os.path.splitext(name)[0], path)

    def named(self, name: str) -> str | None:
        """The file of this relative path, else of this file name anywhere below; None where there is none."""
        direct = self.folder / name
        return os.path.abspath(direct) if direct.is_file() else self._by_name.get(os.path.basename(name))

    def stem(self, stem: str) -> str | None:
        """The file of this name without its suffix."""
        return self._by_stem.get(stem)
