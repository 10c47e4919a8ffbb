"""``dataset subset``: fewer clips, chosen. A subset is a folder with a manifest that points at the same clips.

The paper trains on 10,000 random clips of 283,582 and concludes that a smaller, well-chosen set is enough; this is where
one is chosen. Every way is deterministic: the same dataset and seed give the same subset, and a random subset of N is part
of the random subset of N + 1, also after the dataset has grown (as far as the new clips leave room).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tiktokactions.copies.of_dataset import duplicates_of
from tiktokactions.dataset.assignments import read_assignments, write_assignments
from tiktokactions.dataset.checksums import close_sums
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.history import next_version, state_of, states_at
from tiktokactions.dataset.info import identified, info_bytes, read_info, write_info
from tiktokactions.dataset.manifest import labels_of, rewrite_manifest
from tiktokactions.dataset.subset_mark import MARK, is_subset
from tiktokactions.files import (
    Place,
    clear_staging,
    json_bytes,
    listing_lock,
    local_path,
    located,
    may_be_refused,
    readable,
    sha256_file,
    staging_folder,
    unfinished,
    update_sums,
    write_json,
    write_listed,
)
from tiktokactions.machine import utc_now
from tiktokactions.records import JsonObject
from tiktokactions.releases.clusters import balanced_clusters, most_telling
from tiktokactions.releases.subset_options import BY_FEATURES, Choice, SubsetError

REMEMBERED = "subsets.json"
"""In the dataset: where subsets of it were written, so that a take-down reaches them."""
QUALITY_WEIGHTS = {"people": 0.4, "motion": 0.2, "sharpness": 0.2, "moving": 0.1, "filled": 0.1}
"""``people``: share of the sampled frames with a person. ``motion`` and ``sharpness``: the clip's rank among all clips, 0 to
1. ``moving``: share of frames that are not still. ``filled``: share of the picture that is no flat border."""
COLUMNS = [
    *("video_id", "status", "labels", "human_labels", "clip_path", "split", "person_frames", "sampled_frames"),
    *("motion", "sharpness", "static_share", "border_share", "clip_start_s", "clip_end_s"),
]


@dataclass(frozen=True)
class Subset:
    """What was chosen."""

    subset: str
    of: str
    by: str
    clips: int
    candidates: int
    labels: dict[str, int]
    """Chosen clips of every label (the first of each clip)."""
    notes: tuple[str, ...] = ()
    """What was asked for and is not there."""


Row = JsonObject


def candidates_of(data: Dataset, choice: Choice) -> list[Row]:
    """Accepted clips that fit, in the order that the seed gives them.

    Raises:
        HistoryError: a version that the dataset's history does not reach.
    """
    rows = []
    since, until = (None if v is None else states_at(data.tables, v) for v in (choice.since, choice.until))
    for batch in data.batches(COLUMNS if choice.ai_labelled == "keep" else [*COLUMNS, "ai_label"]):
        accepted = batch.filter(pc.and_(pc.equal(batch["status"], "accepted"), pc.is_valid(batch["clip_path"])))
        for row in accepted.to_pylist():
            row["names"] = labels_of(row)
            if choice.labels and not set(choice.labels) & set(row["names"]):
                continue
            if choice.ai_labelled != "keep" and (row["ai_label"] is None) == (choice.ai_labelled == "only"):
                continue
            if row["split"] == "none" or (choice.sides and row["split"] not in choice.sides):
                continue
            if since is not None and since.get(row["video_id"]) == state_of(row):
                continue
            if until is not None and until.get(row["video_id"]) != state_of(row):
                continue
            rows.append(row)
    return sorted(rows, key=lambda row: place_of(row["video_id"], choice.seed))


def place_of(video_id: str, seed: int) -> bytes:
    """A video's place in the order of a seed, whatever else is in the dataset."""
    return hashlib.sha256(f"{seed}:{video_id}".encode()).digest()


def label_of(row: Row, wanted: Sequence[str] = ()) -> str:
    """The label a clip counts under: the first that was asked for, else its first."""
    names: list[str] = row["names"]
    return next((name for name in names if name in wanted), names[0] if names else "")


def choose(rows: list[Row], choice: Choice, features: np.ndarray | None = None) -> list[Row]:
    """The chosen ones among rows in the seed's order. ``features`` (rows, D): for ``BY_FEATURES``.

    A cap is kept by every way: a label's clips beyond it are passed over.
    """
    if choice.by == "quality":
        scores = quality_scores(rows)
        rows = [rows[i] for i in np.argsort(-scores, kind="stable")]
    elif choice.by == "balanced":
        rows = _round_robin(rows, choice.labels)
    elif choice.by in BY_FEATURES:
        assert features is not None and choice.size is not None
        capped = _capped(list(range(len(rows))), choice, lambda i: label_of(rows[i], choice.labels))
        pick = PICKERS[choice.by]
        return [rows[capped[i]] for i in pick(features[capped], min(choice.size, len(capped)))]
    return _capped(rows, choice, lambda row: label_of(row, choice.labels))[: choice.size]


def _capped(items: list[Any], choice: Choice, label: Callable[[Any], str]) -> list[Any]:
    if choice.cap is None:
        return items
    turns = _turns(map(label, items))
    return [item for item, turn in zip(items, turns, strict=True) if turn < choice.cap]


def _round_robin(rows: list[Row], wanted: Sequence[str]) -> list[Row]:
    """One of each label, then a second of each, as long as there are any: small labels are exhausted first."""
    turns = _turns(label_of(row, wanted) for row in rows)
    return [rows[place] for place in np.argsort(turns, kind="stable")]


def _turns(names: Iterable[str]) -> list[int]:
    """How often each name came before."""
    counts: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
    return [next(counts[name]) for name in names]


def quality_scores(rows: list[Row]) -> np.ndarray:
    """float64 (rows,): the weighted sum of :data:`QUALITY_WEIGHTS`, 0 to 1."""

    def column(name: str, missing: float) -> np.ndarray:
        return np.array([missing if row[name] is None else row[name] for row in rows], float)

    frames = np.maximum(column("sampled_frames", 0), 1)
    parts = {
        "people": column("person_frames", 0) / frames,
        "motion": _rank(column("motion", 0)),
        "sharpness": _rank(column("sharpness", 0)),
        "moving": 1 - column("static_share", 1),
        "filled": 1 - column("border_share", 1),
    }
    return np.sum([QUALITY_WEIGHTS[name] * part for name, part in parts.items()], axis=0)


def _rank(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 to 1; equal values have equal ranks."""
    if len(values) < 2:
        return np.zeros(len(values))
    unique, inverse = np.unique(values, return_inverse=True)
    return inverse / max(1, len(unique) - 1)


# --- by features -------------------------------------------------------------------------------------------------------


def farthest_first(features: np.ndarray, size: int) -> list[int]:
    """Greedy k-center (T. Gonzalez, 1985): begin with the point nearest to the mean, then always the point farthest from
    all chosen ones. At most twice the best possible largest distance.

    Args:
        features: (N, D).
        size: how many; all where there are fewer.

    Returns:
        Indices in the order in which they were chosen, so that a shorter choice is a prefix of a longer one.
    """
    points = np.ascontiguousarray(features, np.float32)
    norms = np.einsum("nd,nd->n", points, points)

    def squared_distances(centre: np.ndarray) -> np.ndarray:
        found: np.ndarray = norms - 2 * (points @ centre) + centre @ centre
        return found

    chosen = [int(np.argmin(squared_distances(points.mean(0))))]
    nearest = squared_distances(points[chosen[0]])
    taken = np.zeros(len(points), bool)
    taken[chosen[0]] = True
    while len(chosen) < min(size, len(points)):
        nearest[taken] = -np.inf
        chosen.append(int(np.argmax(nearest)))
        taken[chosen[-1]] = True
        nearest = np.minimum(nearest, squared_distances(points[chosen[-1]]))
    return chosen


PICKERS: dict[str, Callable[[np.ndarray, int], list[int]]]
PICKERS = {"diverse": farthest_first, "balanced-clusters": balanced_clusters, "prune": most_telling}


def features_from_file(path: Path, rows: list[Row]) -> np.ndarray:
    """float32 (rows, D) of unit length, from ``predict`` with ``features``.

    Raises:
        SubsetError: not such a file, or a clip without a feature.
    """
    places, found = features_in(path)
    missing = [row["video_id"] for row in rows if row["video_id"] not in places]
    if missing:
        raise SubsetError(f"{path}: no feature for {len(missing)} clips (for example {', '.join(missing[:3])})")
    return found[[places[row["video_id"]] for row in rows]]


def features_in(path: Path) -> tuple[dict[str, int], np.ndarray]:
    """The row of each video that has a feature, and float32 (rows, D) of unit length; what is not finite counts as none.

    Raises:
        SubsetError: not a file that ``predict`` wrote with ``features``.
    """
    try:
        table = pq.read_table(path, columns=["path", "video_id", "feature"])
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition(" in ")[0]  # the whole schema would follow
        told = f"{path}: expected the Parquet file that 'predict' writes with `features` ({reason})"
        raise SubsetError(told) from error
    table = table.filter(pc.is_valid(table["feature"]))
    names = zip(table["path"].to_pylist(), table["video_id"].to_pylist(), strict=True)
    numbers = table["feature"].combine_chunks().flatten().to_numpy().reshape(len(table), -1).astype(np.float32)
    usable = np.isfinite(numbers).all(1)
    places = {video_id or Path(name).stem: place for place, (name, video_id) in enumerate(names) if usable[place]}
    return places, numbers / np.maximum(np.linalg.norm(numbers, axis=1, keepdims=True), 1e-9)


def features_of_looks(data: Dataset, rows: list[Row]) -> np.ndarray:
    """float32 (rows, 263): what a clip looks like without a model. 256 signs of the perceptual hash of its middle sampled
    frame; mean and spread of hue, saturation and value of its poster, together weighing as much as 64 bits; and the rank of
    its motion, weighing as much again between the stillest and the liveliest."""
    wanted = {row["video_id"]: place for place, row in enumerate(rows)}
    found = np.zeros((len(rows), 263), np.float32)
    found[:, 262] = 4 * _rank(np.array([row["motion"] or 0.0 for row in rows]))
    for record in data:
        place = wanted.get(record.video_id)
        if place is None:
            continue
        hashes = [sample.phash for sample in record.samples if sample.phash]
        if hashes:
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(hashes[len(hashes) // 2]), np.uint8))
            found[place, :256] = bits.astype(np.float32) - 0.5
        found[place, 256:262] = _colours(data.file(f"thumbs/{record.video_id}.jpg"))
    return found


def _colours(path: Place) -> np.ndarray:
    import cv2

    data = path.read_bytes() if path.is_file() else b""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        return np.zeros(6, np.float32)
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV).reshape(-1, 3).astype(np.float32) / (180, 255, 255)
    # 64 bits of ±0.5 have a squared length of 16; six numbers of at most 1 are stretched to the same.
    return np.concatenate([hsv.mean(0), hsv.std(0)]) * np.float32(np.sqrt(16 / 6))


# --- what is written -----------------------------------------------------------------------------------------------


def write_subset(data: Dataset, chosen: list[Row], choice: Choice, output: Place) -> None:
    """Manifest, sides and description of a subset; clips stay where they are.

    Raises:
        SubsetError: a subset on a store of a dataset on this machine's disk.
    """
    dataset, info, existing = data.folder, data.info, read_info(output)
    ids = pa.array(sorted(row["video_id"] for row in chosen), pa.string())
    if local_path(dataset) is None:
        back = str(dataset)
    elif local_path(output) is None:
        raise SubsetError(
            f"{output}: a subset holds no clips, and from a store nobody sees those in {dataset};"
            " take it on this disk, or export the clips"
        )
    else:
        back = Path(os.path.relpath(str(dataset.resolve()), str(output.resolve()))).as_posix()

    def chosen_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
        kept = batch.filter(pc.is_in(batch["video_id"], value_set=ids))
        paths = pa.array([f"{back}/{path}" for path in kept["clip_path"].to_pylist()], pa.string())
        return kept.set_column(kept.schema.get_field_index("clip_path"), "clip_path", paths)

    clear_staging(output)
    told = {"of": back, **asdict(choice), "of_version": info.version}
    if choice.by == "quality":
        told["weights"] = QUALITY_WEIGHTS
    # Before the first row: a take-down finds what is left of a subset that was killed.
    write_json(output / MARK, told, staging_folder(output))
    with may_be_refused(f"{dataset}: cannot be written to, so no take-down will find the subset {output}"):
        _remember(dataset, output)
    rewrite_manifest(data.manifest, output / "manifest.parquet", chosen_rows, staging_folder(output))
    if sides := read_assignments(data.tables):
        write_assignments(output, {i: sides[i] for i in ids.to_pylist() if i in sides})
    before = existing or replace(info, version=0, created=utc_now(), id="", place="")
    own = replace(info, name=output.resolve().name, version=before.version, created=before.created, settled=True)
    own = identified(output, replace(own, id=before.id, place=before.place, under_way=""))
    own = next_version(output, replace(own, updated=before.updated, checksums=True))
    close_sums(output, info_bytes(own), is_whole=False)
    write_info(output, own)


def remembered(dataset: Place) -> list[Place]:
    """Subsets that were taken of a dataset, as far as they lie where they were written."""
    return [place for place in _known(dataset) if is_subset(place)]


def forget_missing(dataset: Place) -> list[str]:
    """Forget subsets that no longer lie where they were written, and give their paths."""
    there = remembered(dataset)
    gone = [str(place) for place in _known(dataset) if place not in there]
    if gone:
        write_listed(dataset, REMEMBERED, json_bytes([str(path) for path in there], indent=1))
    return gone


def _known(dataset: Place) -> list[Place]:
    path = dataset / REMEMBERED
    names = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass")) if path.is_file() else []
    return [*map(located, names)]


def _remember(dataset: Place, subset: Place) -> None:
    with listing_lock(dataset):
        known = remembered(dataset)
        if subset.resolve() not in known:
            write_listed(dataset, REMEMBERED, json_bytes([str(path) for path in (*known, subset.resolve())], indent=1))


def take_down_features(subset: Place, ids: frozenset[str]) -> None:
    """Forget what clips were compared by, where it holds one of these videos."""
    path = subset / "features.parquet"
    if path.is_file():
        table = pq.read_table(readable(path))
        gone = pc.is_in(table["video_id"], value_set=pa.array(sorted(ids), pa.string()))
        if pc.any(gone).as_py():
            with unfinished(path) as staged:
                pq.write_table(table.filter(pc.invert(pc.fill_null(gone, False))), staged)
            update_sums(subset, {path.name: sha256_file(path)})


def without_copies(data: Dataset, rows: list[Row]) -> list[Row]:
    """Without near-duplicates of better copies, in a dataset that keeps them (``keep_duplicates``)."""
    if not data.options.keep_duplicates:
        return rows
    copies = duplicates_of(data.folder, data.options)
    return [row for row in rows if row["video_id"] not in copies]
