"""What every export draws from: the clips of a dataset with their labels and sides, streamed in the manifest's order."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tiktokactions.collection.rows import hash_creator
from tiktokactions.curation.decide import person_score
from tiktokactions.curation.takedowns import read_takedowns
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.manifest import labels_of
from tiktokactions.dataset.subset_mark import first_due_at
from tiktokactions.dataset.tally import labels_of_rows
from tiktokactions.files import Place, create, local_path, may_be_refused, sha256_file, update_sums
from tiktokactions.records import JsonObject, PersonBox, Sample, VideoRecord
from tiktokactions.splits.leak_groups import first_labels

COLUMNS = [
    *("video_id", "labels", "human_labels", "human_answers", "creator", "status", "reasons", "split"),
    *("clip_path", "clip_start_s", "clip_end_s", "clip_frames", "person_frames", "sampled_frames", "width", "height"),
]
UNSPLIT = "all"
"""The side of clips in a dataset that was never split."""
HIDDEN_SIDES = ("none",)
"""Clips that belong to two sides stand on none and are exported nowhere."""
SALT_FILE = "creator-salt"


@dataclass(frozen=True)
class ExportedClip:
    """An accepted clip. ``row``: its row of the manifest."""

    dataset: Dataset
    row: JsonObject
    side: str
    """``train``, ``val``, ``test`` (a fold by its name), or ``all`` where the dataset was never split."""
    salt: bytes

    @property
    def video_id(self) -> str:
        return str(self.row["video_id"])

    @property
    def labels(self) -> tuple[str, ...]:
        """What people saw, which may be none of the actions; where nobody was asked, the hashtags."""
        return tuple(labels_of(self.row))

    @property
    def label(self) -> str | None:
        """The one label that a classifier learns: the first."""
        return self.labels[0] if self.labels else None

    @property
    def path(self) -> Place:
        return self.dataset.file(self.row["clip_path"])

    @property
    def start_s(self) -> float:
        """Where the clip begins in the source video."""
        return float(self.row["clip_start_s"])

    @property
    def end_s(self) -> float:
        return float(self.row["clip_end_s"])

    @property
    def creator(self) -> str | None:
        """Hashed with the dataset's own salt: one person stays one person, and nobody can be read from it."""
        name = self.row["creator"]
        return hash_creator(name, self.salt) if name else None

    def record(self) -> VideoRecord:
        return self.dataset.record(self.video_id)

    def facts(self) -> JsonObject:
        """What every format with room for it says of a clip; plain JSON, no names."""
        return {
            "video_id": self.video_id,
            "label": self.label,
            "labels": list(self.labels),
            "hashtags": list(self.row["labels"]),
            "labelled_by_people": self.row["human_labels"] is not None,
            "split": None if self.side == UNSPLIT else self.side,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "frames": self.row["clip_frames"],
            "person_frames": self.row["person_frames"],
            "sampled_frames": self.row["sampled_frames"],
            "source_width": self.row["width"],
            "source_height": self.row["height"],
            "creator": self.creator,
            "reasons": list(self.row["reasons"]),
        }


@dataclass(frozen=True)
class Export:
    """A dataset to be exported, and which of its clips."""

    dataset: Dataset
    sides: tuple[str, ...] = ()
    """Only these; empty: all."""
    labels: tuple[str, ...] = ()
    """Only clips with one of these; empty: all."""
    shard_mb: int = 256
    frames: bool = False
    root: str = ""
    """Lists of clips name their paths relative to this folder; empty: as the program that reads them expects."""
    folder: Place | None = None
    """Where the export will lie when it is finished."""
    notes: list[str] = field(default_factory=list)
    """What a writer wants its user to know; it adds to them."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Clips of each side that a writer had no place for; it adds to them."""

    def clips(self) -> Iterator[ExportedClip]:
        """Accepted clips with a side, in the manifest's order."""
        salt = self.salt
        for batch in self.batches(COLUMNS):
            for row in batch.to_pylist():
                yield ExportedClip(self.dataset, row, row["split"] or UNSPLIT, salt)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The manifest's rows of the clips to be exported, with these columns (and those that choose among them)."""
        needed = dict.fromkeys([*columns, "status", "clip_path", "split", "labels", "human_labels"])
        for batch in self.dataset.batches(list(needed)):
            side = pc.fill_null(batch["split"], UNSPLIT)
            chosen = pc.and_(pc.equal(batch["status"], "accepted"), pc.is_valid(batch["clip_path"]))
            chosen = pc.and_not(chosen, pc.is_in(side, value_set=pa.array(HIDDEN_SIDES)))
            if self.sides:
                chosen = pc.and_(chosen, pc.is_in(side, value_set=pa.array(self.sides)))
            if self.labels:
                rows, names = labels_of_rows(batch)
                has_one = np.zeros(batch.num_rows, bool)
                has_one[rows[pc.is_in(names, value_set=pa.array(self.labels)).to_numpy(zero_copy_only=False)]] = True
                chosen = pc.and_(chosen, pa.array(has_one))
            yield batch.filter(chosen)

    def listed(self, place: Place) -> str:
        """How a list of clips names a file: from ``root``, else from the root of this machine, or by its address."""
        local = local_path(place)
        if local is None or not self.root:
            return str(place.resolve())
        return Path(os.path.relpath(local.resolve(), Path(self.root).resolve())).as_posix()

    def people(self, record: VideoRecord, sample: Sample) -> list[PersonBox]:
        """The persons of a sampled frame that count: from the dataset's score threshold on."""
        threshold = person_score(record, self.dataset.options)
        return [person for person in sample.people if person.score >= threshold]

    def passed_on(self) -> JsonObject:
        """By when the ids have to be checked again, and on which day a video was taken down last: whoever gets the clips
        has to know."""
        folder = self.dataset.parent.folder
        days = [takedown.removed[:10] for takedown in read_takedowns(folder).values()]
        found = {"refresh_due": first_due_at(folder), "last_takedown": max(days, default=None)}
        return {name: value for name, value in found.items() if value is not None}

    @cached_property
    def salt(self) -> bytes:
        return dataset_salt(self.dataset.folder)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Clips on each side, sides in their usual order."""
        found: Counter[str] = Counter()
        for batch in self.batches(["split"]):
            found.update(pc.fill_null(batch["split"], UNSPLIT).to_pylist())
        usual = [side for side in ("train", "val", "test") if side in found]
        return {side: found[side] for side in [*usual, *sorted(set(found) - set(usual))]}

    @cached_property
    def unmatched(self) -> list[str]:
        """Sides and labels that were asked for and that no clip has, in words."""
        names: set[str] = set()
        for batch in self.batches(["labels", "human_labels"]) if self.labels else ():
            names.update(labels_of_rows(batch)[1].to_pylist())
        return unmatched(self.sides, self.counts, "`sides`") + unmatched(self.labels, names, "`labels`")

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of all labels that are some clip's first, sorted: their places are the class numbers."""
        found: set[str | None] = set()
        for batch in self.batches(["labels", "human_labels"]):
            found.update(first_labels(batch).unique().to_pylist())
        return tuple(sorted(label for label in found if label is not None))


def unmatched(asked: Sequence[str], found: Collection[str], option: str) -> list[str]:
    """A sentence on what was asked for by name and is not there, empty where all of it is."""
    absent = [name for name in asked if name not in found]
    return [f"{option}: no clip fits {', '.join(absent)}"] if absent else []


def dataset_salt(dataset: Place) -> bytes:
    """The salt that hashes creators in every export of a dataset: made once, never exported, on a disk readable by its owner
    only; on a store whoever may read the bucket may read it."""
    path, fresh = dataset / SALT_FILE, f"{secrets.token_hex(16)}\n".encode()
    if not path.is_file():
        refused = f"{dataset}: cannot be written to, so creators bear other hashes in this export than in the next"
        with contextlib.suppress(FileExistsError), may_be_refused(refused):  # another export made it meanwhile
            create(path, fresh)
            update_sums(dataset, {SALT_FILE: sha256_file(path)})
    return (path.read_bytes() if path.is_file() else fresh).strip()
