"""Finding the files that a list names: a folder is walked once, however many names are looked up in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tiktokactions.clips.clip import MOST_NAMED, Clip, ClipSet, DataError, Request

VIDEO_SUFFIXES = frozenset(".3gp .asf .avi .flv .gif .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split())

Listed = Iterable[tuple[str, Clip | None]]
"""The names in a list, each with its clip, or None where no file was found."""


def is_video_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def walk_videos(folder: str | os.PathLike[str], above: tuple[tuple[int, int], ...] = ()) -> Iterator[str]:
    """Absolute paths of the videos below a folder, sorted within each; hidden files and folders are left out.

    Links are followed, but not into a folder that they lie in (``above``: device and inode of those).
    """
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        found = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    for entry in found:
        if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():  # a link may lead to itself
            yield from walk_videos(entry.path, (*above, here))
        elif is_video_name(entry.name):
            yield os.path.abspath(entry.path)


def listed_clips(
    request: Request, kind: str, folder: Path, found: Listed, labels: tuple[str, ...], flip: bool = True
) -> ClipSet:
    """The clips of a list, whose files were looked for in ``folder``."""
    rows = list(found)
    clips, missing = tuple(clip for _, clip in rows if clip), tuple(name for name, clip in rows if clip is None)
    return ClipSet(str(request.path), kind, clips, labels, flip, missing, str(folder))


class MediaFolder:
    """The videos below a folder, by the names that lists use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = os.path.abspath(folder)
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in walk_videos(folder):
            name = os.path.basename(path)
            self._by_name.setdefault(name, []).append(path)
            self._by_stem.setdefault(os.path.splitext(name)[0], []).append(path)

    def named(self, name: str, label: str | None) -> Clip | None:
        """The clip in the file of this relative path, here or further below, else in the only one of this file name.

        Raises:
            DataError: several files of this name, of which none is in the folder that was named.
        """
        found = self._by_name.get(os.path.basename(name), [])
        direct = os.path.normpath(os.path.join(self._root, name))
        ends_alike = [path for path in found if path.endswith(os.sep + os.path.normpath(name))]
        path = direct if direct in found else self._only(ends_alike or found, name)
        return None if path is None else Clip(path, label)

    def stem(self, stem: str) -> str | None:
        """The file of this name without its suffix.

        Raises:
            DataError: several of them.
        """
        return self._only(self._by_stem.get(stem, []), stem)

    def _only(self, found: list[str], name: str) -> str | None:
        if len(found) > 1:
            raise DataError(
                f"{self.folder}: got {len(found)} videos for {name!r} ({', '.join(found[:MOST_NAMED])}), expected one;"
                " remove the others or name a smaller folder with `media`"
            )
        return found[0] if found else None


def default_media(lists: Path, labels: Sequence[str], names: Sequence[str]) -> Path:
    """Where the videos of official splits usually lie: with the lists, in the folder above, or in one of these names there.

    The first folder that has one of a class wins, else the first that has one of the ``names``, else that of the lists.
    """
    named = [folder / name for folder in (lists, lists.parent) for name in names]
    for folder in (lists, *named, lists.parent):
        if any((folder / label).is_dir() for label in labels):
            return folder
    return next((folder for folder in named if folder.is_dir()), lists)
