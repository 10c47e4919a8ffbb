"""Whether a pre-training source shares videos or creators with the test set: a comparison would not be fair then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tiktokactions.clips.clip import Clip
from tiktokactions.copies.duplicates import HashedVideos, find_duplicates
from tiktokactions.curation.quality import frame_hashes
from tiktokactions.video import UnreadableError

FRAMES = 10
LENGTH_S = 10.0
"""One length for all: a cut of a test video is a leak whatever its length."""


@dataclass(frozen=True)
class Overlap:
    """What a source shares with the test set."""

    source: str
    same_files: int
    """Clips that are the very same files."""
    near_duplicates: tuple[tuple[str, str], ...]
    """(path in the source, path in the test set)."""
    creators: tuple[str, ...]
    """Known creators on both sides."""

    @property
    def warning(self) -> str | None:
        said = [f"{self.same_files} file(s) of the test set itself"] if self.same_files else []
        for one, other in self.near_duplicates[:1]:
            said.append(f"{len(self.near_duplicates)} near-duplicate(s) of test videos (e.g. {one} of {other})")
        for creator in self.creators[:1]:
            said.append(f"{len(self.creators)} creator(s) of the test set (e.g. {creator})")
        if not said:
            return None
        return f"source '{self.source}' contains {', '.join(said)}: its result may be too good"


def find_overlap(
    source: str, clips: Sequence[Clip], tested: Sequence[Clip], data: str, test_data: str, report: Callable[[str], None]
) -> Overlap:
    """Compare files, ten perceptual hashes of each video, and the creators that manifests name.

    Args:
        source: name, for messages.
        clips: of the source; ``tested``: of the test set.
        data, test_data: their folders; where both are datasets their manifests are asked for creators.
        report: receives progress lines.
    """
    shared = {c.path for c in clips} & {c.path for c in tested}
    report(f"comparing {source} with the test set: ten frames of each of {len(clips) + len(tested)} videos")
    hashed, worth, paths = HashedVideos(FRAMES), [], {}
    for side, group in (("test", tested), ("source", [c for c in clips if c.path not in shared])):
        for number, clip in enumerate(group):
            try:
                plain, mirrored = hashes_of(clip)
            except UnreadableError:
                continue  # training names it, or leaves it out where asked to
            key = f"{side}-{number:07d}"
            paths[key] = clip.path
            hashed.add(key, plain, mirrored, LENGTH_S)
            worth.append((side == "test",))
    twins = find_duplicates(hashed, worth)
    pairs = [
        (paths[one], paths[other])
        for one, other in sorted(twins.items())
        if one.startswith("source-") and other.startswith("test-")
    ]
    both = creators(data, {c.path for c in clips}) & creators(test_data, {c.path for c in tested})
    return Overlap(source, len(shared), tuple(pairs), tuple(sorted(both)))


def hashes_of(clip: Clip) -> tuple[list[str], list[str]]:
    """Ten perceptual hashes of evenly spaced frames, and those of their mirror images."""
    from tiktokactions.model.samples import open_clip

    with open_clip(clip) as reader:
        wanted = np.array([int((i + 0.5) * reader.frames / FRAMES) for i in range(FRAMES)])
        pictures_bgr = reader.read(wanted)[..., ::-1]
    whole = (0.0, 0.0, 0.0, 0.0)
    pairs = [frame_hashes(np.ascontiguousarray(picture), whole) for picture in pictures_bgr]
    return [p for p, _ in pairs], [m for _, m in pairs]


def creators(data: str, paths: set[str]) -> set[str]:
    """Creators that a dataset's manifest names for these clips; none where the data is no dataset."""
    if not (manifest := Path(data) / "manifest.parquet").is_file():
        return set()
    rows = pq.read_table(manifest, columns=["creator", "clip_path"]).to_pylist()
    folder = Path(data).resolve()
    return {r["creator"] for r in rows if r["creator"] and r["clip_path"] and str(folder / r["clip_path"]) in paths}
