"""Whether a pre-training source shares videos or creators with the test set: a comparison would not be fair then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tiktokactions.clips.clip import Clip
from tiktokactions.copies.matcher import matches
from tiktokactions.curation.description import LONG_SIDE_PX, Description, describe, thumb_indices
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.video import UnreadableError, fit_size


@dataclass(frozen=True)
class Overlap:
    """What a source shares with the test set."""

    source: str
    """As it is called in messages."""
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
        return f"{self.source} contains {', '.join(said)}: its result may be too good"


def find_overlap(
    source: str, clips: Sequence[Clip], tested: Sequence[Clip], data: str, test_data: str, report: Callable[[str], None]
) -> Overlap:
    """Compare files, what the videos show, and the creators that manifests name.

    Args:
        source: name, for messages.
        clips: of the source; ``tested``: of the test set.
        data, test_data: their folders; where both are datasets their manifests are asked for creators.
        report: receives progress lines.
    """
    shared = {c.path for c in clips} & {c.path for c in tested}
    report(f"comparing {source} with the test set: {len(clips) + len(tested)} videos")
    groups = {"test": {c.path: c for c in tested}, "source": {c.path: c for c in clips if c.path not in shared}}
    described: dict[str, Description] = {}
    for side, group in groups.items():
        for path, clip in group.items():
            with contextlib.suppress(UnreadableError):  # training names it, or leaves it out where asked to
                described[f"{side} {path}"] = description_of(clip)
    sides = {i for i in described if i.startswith("source ")}, {i for i in described if i.startswith("test ")}
    pairs = [(m.a.partition(" ")[2], m.b.partition(" ")[2]) for m in matches(described, between=sides)]
    both = creators(data, {c.path for c in clips}) & creators(test_data, {c.path for c in tested})
    return Overlap(source, len(shared), tuple(pairs), tuple(sorted(both)))


def description_of(clip: Clip) -> Description:
    """Raises ``UnreadableError``."""
    from tiktokactions.model.samples import open_clip

    def small(picture: np.ndarray) -> np.ndarray:
        size = fit_size(picture.shape[1], picture.shape[0], long_side=LONG_SIDE_PX)
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1])

    with open_clip(clip) as reader:
        chosen = thumb_indices(reader.times_s.tolist())
        return describe([*reader.read(chosen, small)], reader.times_s[chosen].tolist())


def creators(data: str, paths: set[str]) -> set[str]:
    """Creators that a dataset's manifest names for these clips; none where the data is no dataset."""
    if not (Path(data) / "dataset.json").is_file():
        return set()
    dataset = Dataset(data)
    rows = (row for batch in dataset.batches(["creator", "clip_path"]) for row in batch.to_pylist())
    named = ((row["creator"], row["clip_path"]) for row in rows if row["creator"] and row["clip_path"])
    folder = Path(data).resolve()
    return {c for c, path in named if str(folder / path) in paths or str(dataset.file(path).resolve()) in paths}
