"""WebDataset: numbered tar shards of each side; a sample is ``<key>.mp4``, ``<key>.json``, ``<key>.cls``."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from tiktokactions.files import move_into_place, write_atomic
from tiktokactions.release.rows import Export, ExportedClip


def write(export: Export, out: Path) -> list[Path]:
    """``<side>-000000.tar`` …, each up to about ``export.shard_mb``, and ``classes.txt`` (``.cls``: which line of it)."""
    out.mkdir(parents=True, exist_ok=True)
    numbers = {name: number for number, name in enumerate(export.classes)}
    shards = {side: _Shards(out, side, export.shard_mb * 1_000_000) for side in export.counts}
    for clip in export.clips():
        shards[clip.side].add(_members(clip, numbers))
    paths = [path for shard in shards.values() for path in shard.close()]
    write_atomic(out / "classes.txt", "".join(f"{name}\n" for name in export.classes).encode())
    return [*paths, out / "classes.txt"]


def key_of(video_id: str) -> str:
    """A key may hold no dot: what follows the first one is taken for the kind of the member."""
    return video_id.replace(".", "%2E")


def _members(clip: ExportedClip, numbers: dict[str, int]) -> list[tuple[str, bytes]]:
    key = key_of(clip.video_id)
    facts = json.dumps(clip.facts(), ensure_ascii=False, sort_keys=True).encode()
    members = [(f"{key}.mp4", clip.path.read_bytes()), (f"{key}.json", facts)]
    if clip.label is not None:
        members.append((f"{key}.cls", str(numbers[clip.label]).encode()))
    return members


class _Shards:
    """The tar files of one side; each has its name only when it is whole."""

    def __init__(self, out: Path, side: str, most_bytes: int) -> None:
        self.out, self.side, self.most_bytes = out, side, most_bytes
        self.paths: list[Path] = []
        self.tar: tarfile.TarFile | None = None
        self.bytes = 0

    def add(self, members: list[tuple[str, bytes]]) -> None:
        size = sum(len(data) for _, data in members)
        if self.tar is not None and self.bytes + size > self.most_bytes:
            self._finish()
        if self.tar is None:
            self.paths.append(self.out / f"{self.side}-{len(self.paths):06d}.tar")
            self.tar = tarfile.TarFile(self._unfinished, "w", format=tarfile.PAX_FORMAT)
            self.bytes = 0
        for name, data in members:
            info = tarfile.TarInfo(name)  # no owner, no time: the same bytes every time
            info.size, info.mode = len(data), 0o644
            self.tar.addfile(info, io.BytesIO(data))
        self.bytes += size

    def close(self) -> list[Path]:
        if self.tar is not None:
            self._finish()
        return self.paths

    @property
    def _unfinished(self) -> Path:
        return self.paths[-1].with_suffix(".tar.unfinished")

    def _finish(self) -> None:
        assert self.tar is not None
        self.tar.close()
        move_into_place(self._unfinished, self.paths[-1])
        self.tar = None
