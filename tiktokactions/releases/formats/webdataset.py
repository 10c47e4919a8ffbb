"""WebDataset: numbered tar shards of each side; a sample is ``<key>.mp4``, ``<key>.json``, ``<key>.cls``.

Readers want the same members in every sample, so ``.cls`` of a clip without a label is -1.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tiktokactions.files import unfinished, write_atomic
from tiktokactions.releases.rows import Export, ExportedClip

UNLABELLED = -1


def write(export: Export, out: Path) -> list[Path]:
    """``<side>-000000.tar`` … (``train-all-000000.tar`` … without sides), each up to about ``export.shard_mb``, and
    ``classes.txt`` (``.cls``: which line of it)."""
    numbers = {name: number for number, name in enumerate(export.classes)}
    paths: list[Path] = []
    for side in export.counts:
        samples = (_members(clip, numbers) for clip in export.clips() if clip.side == side)
        paths += write_shards(samples, out, _shard_name(side), export.shard_mb * 1_000_000)
    write_atomic(out / "classes.txt", "".join(f"{name}\n" for name in export.classes).encode())
    return [*paths, out / "classes.txt"]


def _shard_name(side: str) -> str:
    """``datasets`` takes shards by these words in their names, and without one every file of the folder for a shard."""
    return side if side in ("train", "val", "test") else f"train-{side}"


def key_of(video_id: str) -> str:
    """A key may hold no dot: what follows the first one is taken for the kind of the member."""
    return video_id.replace(".", "%2E")


def _members(clip: ExportedClip, numbers: dict[str, int]) -> list[tuple[str, bytes]]:
    key = key_of(clip.video_id)
    said = clip.facts() | {"answers": clip.row["human_answers"]}
    facts = json.dumps(said, ensure_ascii=False, sort_keys=True).encode()
    number = UNLABELLED if clip.label is None else numbers[clip.label]
    members = [("mp4", clip.path.read_bytes()), ("json", facts), ("cls", str(number).encode())]
    return [(f"{key}.{kind}", data) for kind, data in members]


def write_shards(samples: Iterable[list[tuple[str, bytes]]], out: Path, name: str, most_bytes: int) -> list[Path]:
    """``<name>-000000.tar`` …, from the names and bytes of each sample's members."""
    number = size = 0

    def shard_of(members: list[tuple[str, bytes]]) -> int:
        nonlocal number, size
        more = sum(len(data) for _, data in members)
        if size and size + more > most_bytes:
            number, size = number + 1, 0
        size += more
        return number

    paths: list[Path] = []
    for place, shard in itertools.groupby(samples, shard_of):
        paths.append(out / f"{name}-{place:06d}.tar")
        with unfinished(paths[-1]) as staged, tarfile.TarFile(staged, "w", format=tarfile.PAX_FORMAT) as tar:
            for member, data in itertools.chain.from_iterable(shard):
                info = tarfile.TarInfo(member)  # no owner, no time: the same bytes every time
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
    return paths
